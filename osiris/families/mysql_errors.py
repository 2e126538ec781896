"""From an error of the server or of PyMySQL to one that a person can act on, by its number and never by its words."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, Literal

from osiris.errors import ExitCode, OsirisError
from osiris.redaction import Redactor

Doing = Literal["extract", "write"]

_CONNECTION: dict[int, tuple[str, str]] = {
    1040: ("unavailable", "The server has no free connection; run the pipeline again later."),
    1044: ("auth", "That user may not use this database: GRANT it, or correct database."),
    1045: ("auth", "Check user and password, and whether that user may sign in from this host."),
    1049: ("database_missing", "Correct database in the connection, or create it."),
    1129: ("auth", "The server blocks this host after failed sign-ins: mysqladmin flush-hosts on the server."),
    1130: ("auth", "The server has no user that may sign in from this host."),
    1698: ("auth", "That user signs in by another way than a password; use a user with a password."),
    2002: ("unreachable", "Check unix_socket, and that the server runs."),
    2003: ("unreachable", "Check host and port, that the server runs, and the firewall between."),
    2005: ("unreachable", "Check host: no such name is known here."),
    2006: ("lost", "The server closed the connection; its log says why."),
    2013: ("lost", "The server closed the connection; its log says why."),
    2026: ("tls", "Check ssl_mode, ssl_ca, ssl_cert and ssl_key, and whether the server has TLS."),
    2059: ("auth", "The server asks for a way to sign in that PyMySQL has not; give that user a password."),
}
_STATEMENTS: dict[int, tuple[str, str]] = {
    1046: ("database_unknown", "Set database in the connection, or schema in the step."),
    1048: ("null", "Give the column a value in a query before."),
    1054: ("unknown_column", "Correct the name of the column."),
    1062: ("duplicate", "Use write_mode: upsert with primary_key, or remove the doubled rows in a query before."),
    1064: ("sql_syntax", "Correct the query; it is one SELECT in the SQL of that server."),
    1142: ("permission", "GRANT that user what the message says is missing."),
    1143: ("permission", "GRANT that user what the message says is missing."),
    1146: ("missing_table", "Correct the name of the table, or set schema."),
    1205: ("locked", "Another session holds those rows; run the pipeline again when it has ended."),
    1213: ("locked", "Another session held the same rows; run the pipeline again."),
    1227: ("permission", "GRANT that user what the message says is missing."),
    1263: ("null", "Give the column a value in a query before."),
    1264: ("out_of_range", "Widen the column of the table, or correct the value in a query before."),
    1265: ("altered_value", "Widen the column of the table, or convert it in a query before so that its values fit."),
    1292: ("invalid_value", "Correct the value in a query before."),
    1317: ("stopped", "The statement was stopped on the server."),
    1364: ("no_default", "Give that column a value in a query before, or a default in the table."),
    1366: ("invalid_value", "Correct the value in a query before; text outside of utf8mb3 needs a utf8mb4 column."),
    1406: ("too_long", "Widen the column of the table, or cut the text in a query before."),
    1451: ("constraint", "Other rows refer to those that would go."),
    1452: ("constraint", "Write the rows that these refer to first."),
    1690: ("out_of_range", "Correct the value in a query before."),
    1792: ("read_only", "An extractor reads: its query is one SELECT."),
    1906: ("generated_column", "Leave that column out in a query before: the server computes it."),
    3024: ("stopped", "Raise max_execution_time on the server, or read less."),
    3105: ("generated_column", "Leave that column out in a query before: the server computes it."),
    3819: ("constraint", "Correct the value in a query before."),
    4025: ("constraint", "Correct the value in a query before."),
}
_OTHERS = {
    "extract": "Look the number up in the server's manual; the statement is the step's query.",
    "write": "Look the number up in the server's manual; the table was left as it was.",
}


def connection_error(cause: Exception, values: Mapping[str, Any]) -> OsirisError:
    """Why there is no connection."""
    number, text = _number_and_text(cause)
    original = getattr(cause, "original_exception", None)
    if isinstance(cause, RuntimeError):  # PyMySQL's word for a package that it would need
        number, hint = 0, "Use TLS (ssl_mode: required), with which that package is not needed, or install it."
        kind = "auth"
    elif isinstance(original, ssl.SSLError) or isinstance(cause, ssl.SSLError):
        kind, hint = _CONNECTION[2026]
    else:
        kind, hint = _CONNECTION.get(number, ("failed", "Check the connection's fields."))
    return _error(f"connection.{kind}", number, text, hint, values)


def statement_error(cause: Exception, values: Mapping[str, Any], doing: Doing) -> OsirisError:
    """Why a statement failed, or why the connection was lost meanwhile."""
    number, text = _number_and_text(cause)
    if number in (2006, 2013) or number == 0:
        return connection_error(cause, values)
    kind, hint = _STATEMENTS.get(number, ("failed", _OTHERS[doing]))
    return _error(f"{doing}.{kind}", number, text, hint, values)


def _number_and_text(cause: Exception) -> tuple[int, str]:
    number, *texts = cause.args or (0,)
    if not isinstance(number, int) or not texts:
        return 0, str(cause)
    if not number and not texts[0]:  # PyMySQL's way to say that its connection is closed already
        return 2006, "the connection is closed"
    return number, str(texts[0])


def _error(code: str, number: int, text: str, hint: str, values: Mapping[str, Any]) -> OsirisError:
    problem = f"{text} ({number})" if number else text
    error = OsirisError(problem, hint, code=code, exit_code=ExitCode.PIPELINE_FAILED)
    return Redactor([str(values["password"])]).scrub_error(error) if values.get("password") else error
