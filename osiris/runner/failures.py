"""From an exception to a step's error: a code from the exception's type, and DuckDB's words without our wrapping."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

import duckdb
import msgspec

from osiris.compiler.manifest import ManifestStep
from osiris.components.base import Mode
from osiris.errors import OsirisError
from osiris.runner.results import StepError

_CODES: dict[Mode, dict[type[BaseException], str]] = {
    "read": {
        duckdb.ConversionException: "extract.invalid_value",
        duckdb.OutOfRangeException: "extract.invalid_value",
        duckdb.InvalidInputException: "extract.invalid_input",
        duckdb.IOException: "extract.io",
        duckdb.CatalogException: "extract.unknown_name",
        duckdb.BinderException: "extract.unknown_name",
        duckdb.Error: "extract.failed",
        OSError: "extract.io",
    },
    "transform": {
        duckdb.ParserException: "transform.sql_syntax",
        duckdb.SyntaxException: "transform.sql_syntax",
        duckdb.BinderException: "transform.sql_binding",
        duckdb.CatalogException: "transform.sql_catalog",
        duckdb.ConversionException: "transform.sql_conversion",
        duckdb.OutOfRangeException: "transform.sql_out_of_range",
        duckdb.InvalidInputException: "transform.sql_invalid_input",
        duckdb.IOException: "transform.sql_io",
        duckdb.Error: "transform.sql_failed",
        OSError: "transform.failed",
    },
    "write": {
        duckdb.IOException: "write.io",
        duckdb.PermissionException: "write.unwritable",
        duckdb.ConstraintException: "write.constraint",
        duckdb.ConversionException: "write.conversion",
        duckdb.InvalidInputException: "write.unfit_value",
        duckdb.Error: "write.failed",
        OSError: "write.io",
    },
}
_HINTS = {
    "extract.invalid_input": "Correct the file at that place, or say in the step's config how it is written.",
    "extract.invalid_value": "Correct the value, or read the column as VARCHAR and convert it in a query.",
    "extract.io": "Check that the source can be read from here.",
    "transform.sql_syntax": "Correct the query at that place.",
    "transform.sql_binding": "Check the names and types in the query against those of its inputs.",
    "transform.sql_catalog": "Inputs are called df_<step id>, a single one input_df as well.",
    "transform.sql_conversion": "Use TRY_CAST where a value may not fit, or filter such rows out before.",
    "transform.sql_io": "Check what the query reads, and that the disk has room for what it gives.",
    "write.unfit_value": "Cast the column in a query before; TRY_CAST or round() where a loss is meant.",
    "write.io": "Check the disk and the path of the target.",
    "runtime.out_of_memory": "Raise runtime.memory_limit, or make the step's rows fewer or narrower.",
}
_POINTER = re.compile(r"\n+LINE \d+:.*\Z", re.DOTALL)
_PLACE = re.compile(r"^LINE (\d+):(\d*)", re.MULTILINE)
_CSV_PLACE = re.compile(r"CSV Error on Line: (\d+)\n")
_CSV_FILE = re.compile(r"^\s+file = (.*)$", re.MULTILINE)
_ASYNC_WRITE = re.compile(r'"exception_message":"((?:[^"\\]|\\.)*)"')
_CSV_REMEDIES = re.compile(r"\n(?:Possible |Column .* is being converted|\s+file = ).*\Z", re.DOTALL)

STEP_FAILURES = (duckdb.Error, OsirisError, OSError)
"""What a step may fail with on purpose; anything else is a defect of its component."""

_OUT_OF_OUR_HANDS = (
    duckdb.OutOfMemoryException,
    duckdb.InterruptException,
    duckdb.FatalException,
    duckdb.InternalException,
    duckdb.ConnectionException,
)


class StepFailure(Exception):  # noqa: N818 - the error is its content
    """A step failed, with the exception that it failed with as the cause."""

    def __init__(self, error: StepError) -> None:
        super().__init__(error.message)
        self.error = error


def may_be_a_wrong_guess(cause: BaseException | None) -> bool:
    """Whether other column types could make the statement work."""
    return may_be_another_step(cause) and not isinstance(cause, (duckdb.ParserException, duckdb.IOException))


def may_be_another_step(cause: BaseException | None) -> bool:
    """Whether looking at the steps one by one can tell which of them DuckDB's error belongs to."""
    return isinstance(cause, duckdb.Error) and not isinstance(cause, _OUT_OF_OUR_HANDS)


def statement_error(text: str) -> duckdb.Error:
    """DuckDB's exception for an error of which a stream, whose reader knows no exceptions, has left the text."""
    kind = text.partition(":")[0]
    return {
        "Out of Memory Error": duckdb.OutOfMemoryException,
        "IO Error": duckdb.IOException,
        "Conversion Error": duckdb.ConversionException,
    }.get(kind, duckdb.InvalidInputException)(text)


def describe_failure(step: ManifestStep, cause: BaseException, root: Path) -> StepError:
    """The step's error for an exception out of ``STEP_FAILURES``; what lies below ``root`` is named relative to it."""
    if isinstance(cause, OsirisError):
        return from_root(StepError(code=cause.code, message=cause.problem, hint=cause.hint, step=step.id), root)
    if isinstance(cause, duckdb.OutOfMemoryException):
        code = "runtime.out_of_memory"
    else:
        codes = _CODES[step.mode]
        code = next(codes[type_] for type_ in type(cause).__mro__ if type_ in codes)
    text = str(cause)
    places = _PLACE.findall(text) if step.mode == "transform" and isinstance(cause, duckdb.Error) else []
    line, column = (int(digits) if digits else None for digits in (places[-1] if places else ("", "")))
    hint = _HINTS.get(code, "See the step's config and its inputs.")
    error = StepError(code=code, message=_readable(text), hint=hint, step=step.id, line=line, column=column)
    return from_root(error, root)


def describe_defect(step: ManifestStep, cause: BaseException, root: Path) -> StepError:
    """The step's error for an exception that its component did not mean to raise."""
    frames = list(traceback.walk_tb(cause.__traceback__))[-1:]
    where = "".join(f" ({frame.f_globals.get('__name__', '?')}, line {line})" for frame, line in frames)
    error = StepError(
        code="runtime.component_defect",
        message=f"the component {step.component} raised {type(cause).__name__}: {cause}{where}",
        hint="This is a defect of that component; osiris.log has the traceback.",
        step=step.id,
    )
    return from_root(error, root)


def from_root(error: StepError, root: Path) -> StepError:
    """``error`` as it may be recorded: files below ``root`` are named relative to it, so it says not where that is."""
    message, hint = error.message, error.hint
    for folder in {str(root.absolute()), str(root.resolve())} - {"/"}:
        below = re.compile(rf"(?<![\w./~-]){re.escape(folder)}(?:/(?=[^\s'\"])|(?![\w./-]))")
        message, hint = (below.sub(lambda found: "" if found[0][-1] == "/" else ".", text) for text in (message, hint))
    return msgspec.structs.replace(error, message=message, hint=hint)


def _readable(text: str) -> str:
    """DuckDB's words: of a CSV error the place and the reason, of any other the message without the SQL around it."""
    nested = _ASYNC_WRITE.search(text)
    if nested is not None:  # an error that comes from a thread of DuckDB's own is wrapped as JSON
        message = re.sub(r"\\(.)", r"\1", nested[1])
        return f"{text.partition(':')[0]}: {message}"
    place = _CSV_PLACE.search(text)
    if place is None:
        return _POINTER.sub("", text).strip()
    file = _CSV_FILE.search(text)
    reasons = _CSV_REMEDIES.sub("", text[place.end() :]).strip().splitlines()
    return f"{file[1] if file else 'CSV'}, line {place[1]}: {reasons[-1].strip() if reasons else 'not readable'}"
