"""What PostgreSQL and libpq complain about: an error's code and hint by its SQLSTATE, its words without SQL and DSN."""

from __future__ import annotations

import re
from typing import Any, Literal

from osiris.errors import ExitCode, OsirisError

Doing = Literal["connection", "extract", "write"]

LOST = ("08", "57P01", "57P02", "57P03")
"""How SQLSTATEs begin that mean: the connection is gone."""

# By SQLSTATE, or by its class (the first two characters): what follows "extract." or "write.", or a whole code; a hint.
_BY_SQLSTATE: dict[str, tuple[str, str]] = {
    "08": ("connection.lost", "Check that the server is up and the network holds, then run it again."),
    "0A": ("unsupported", "PostgreSQL cannot do that with this table; see its message."),
    "22": ("invalid_value", "Correct that value in a query before, or choose another type."),
    "22021": ("nul_character", "PostgreSQL's text holds no \\x00: write replace(col, chr(0), '') in a query before."),
    "23": ("constraint", "The rows break a constraint of the table; filter or correct them in a query before."),
    "25006": ("read_only", "This server, or a step that reads, may change nothing; writing is for writers."),
    "28": ("connection.auth", "Check user and password of the connection, and the server's pg_hba.conf."),
    "28P01": ("connection.auth", "Check user and password of the connection."),
    "3D000": ("connection.database_missing", "Check the connection's database."),
    "3F000": ("unknown_name", "Check the schema's name."),
    "40": ("conflict", "Another transaction was in the way; give the step a retry."),
    "42": ("refused", "See PostgreSQL's message."),
    "42501": ("permission", "Grant the connection's user what it needs."),
    "42601": ("sql_syntax", "Correct the query; it is one SELECT in PostgreSQL's SQL."),
    "42701": ("doubled_column", "Give each column of the query a name of its own: SELECT a.id AS a_id, …"),
    "42703": ("unknown_name", "Check the column's name; PostgreSQL has unquoted names in lower case."),
    "42804": ("unfit_type", "Cast the column in a query before."),
    "42846": ("unfit_type", "Cast the column in a query before."),
    "428C9": ("generated_column", "Leave that column out; the database fills it."),
    "42P10": ("generated_column", "Leave that column out; the database fills it."),
    "42P16": ("unfit_type", "Cast that column in the query: to_jsonb(col) or col::text."),
    "42P01": ("unknown_name", "Check schema and name; PostgreSQL has unquoted names in lower case."),
    "53100": ("disk_full", "The server's disk is full."),
    "53300": ("connection.too_many", "The server has no connection left; try again later or use a pooler."),
    "55P03": ("conflict", "Another transaction holds the table; give the step a retry."),
    "57014": ("timeout", "The server ended the statement; see its statement_timeout."),
    "57P": ("connection.lost", "The server shut the connection; run it again when it is up."),
}
# A sign-in that fails has no SQLSTATE in libpq, only words.
_BY_WORDS: tuple[tuple[str, str, str], ...] = (
    (r"password|authentication|role .* does not exist|pg_hba\.conf", *_BY_SQLSTATE["28"]),
    (r"database .* does not exist", *_BY_SQLSTATE["3D000"]),
    (
        r"SSL|certificate|sslmode",
        "connection.tls",
        "Check sslmode and sslrootcert of the connection; sslmode: prefer also does without TLS.",
    ),
    (
        r"refused|translate host name|timeout expired|No route|unreachable|No such file|could not connect",
        "connection.unreachable",
        "Check host and port of the connection, and that the server is up and lets this machine in.",
    ),
    (r"too many clients|remaining connection slots", *_BY_SQLSTATE["53300"]),
    (r"no connection to the server|server closed|connection .*(lost|reset|aborted)|SSL SYSCALL", *_BY_SQLSTATE["08"]),
)
_UNREADABLE_DSN = "Write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE, special characters percent-encoded."
_MESSAGE = re.compile(
    r"(?:ERROR|FATAL|PANIC):\s+(.*?)(?=\n(?:LINE|CONTEXT|HINT|Query was)|\s*\. SQLSTATE|\Z)", re.DOTALL
)
_COPIED_COLUMN = re.compile(r"^CONTEXT:  COPY .*, line \d+, column (.+?)(?:: .*)?$", re.MULTILINE)


def postgres_error(text: str, sqlstate: str, doing: Doing, columns: dict[str, str] | None = None) -> OsirisError:
    """The error for what libpq or the server said while ``doing`` that.

    ``columns`` translates the names of columns that the server knows into those that a person knows.
    """
    found = _MESSAGE.search(text)
    words = (found[1] if found else text.partition("[libpq]")[2] or text).strip()
    words = re.sub(r"\s*\nDETAIL:\s+", ": ", words)
    column = _COPIED_COLUMN.search(text)
    if column is not None:
        words += f" (column {(columns or {}).get(column[1], column[1])})"
    code, hint = _code_and_hint(text, sqlstate, doing)
    if not sqlstate and code == "connection.failed" and "Failed to connect" in text:
        words = "libpq cannot read the connection's dsn or options"  # it would repeat them, with the password
        hint = _UNREADABLE_DSN
    full = code if "." in code else f"{doing}.{code}"
    exit_code = ExitCode.USAGE if doing == "connection" else ExitCode.PIPELINE_FAILED
    return OsirisError(f"PostgreSQL: {' '.join(words.split())}", hint, code=full, exit_code=exit_code)


def sqlstate_of(cause: Any) -> str:
    """The SQLSTATE of an ADBC error, "" where it has none."""
    return (getattr(cause, "sqlstate", None) or "").strip("\0 ")


def _code_and_hint(text: str, sqlstate: str, doing: Doing) -> tuple[str, str]:
    for length in (5, 3, 2):
        if len(sqlstate) == 5 and sqlstate[:length] in _BY_SQLSTATE:
            return _BY_SQLSTATE[sqlstate[:length]]
    for pattern, code, hint in _BY_WORDS:
        if not sqlstate and re.search(pattern, text):
            return code, hint
    return "connection.failed" if doing == "connection" else "failed", "See PostgreSQL's message."
