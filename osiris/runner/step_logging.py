"""What components log, warn of and die of in threads of their own: to the run's ``osiris.log``, not to the terminal."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from osiris.redaction import known_secrets
from osiris.runner.run_log import RunLog

if TYPE_CHECKING:
    from types import TracebackType

STEPS_LOGGER = "osiris.steps"
"""``ctx.log`` is a child of this, named after the step."""

_format_exception = logging.Formatter().formatException


@contextmanager
def logged_to(log: RunLog) -> Iterator[None]:
    """Inside, all logging of this process goes to ``log`` as well: of steps from INFO, of libraries from WARNING.

    Python's warnings and exceptions that nobody catches are logged too; Python itself would print them, unmasked.
    """
    steps, root, handler = logging.getLogger(STEPS_LOGGER), logging.getLogger(), _LogHandler(log)
    level, thread_hook, unraisable_hook = steps.level, threading.excepthook, sys.unraisablehook
    steps.setLevel(logging.INFO)
    root.addHandler(handler)
    logging.captureWarnings(True)
    threading.excepthook = _log_thread
    sys.unraisablehook = _log_unraisable
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = thread_hook, unraisable_hook
        logging.captureWarnings(False)
        root.removeHandler(handler)
        steps.setLevel(level)


def readable_record(record: logging.LogRecord) -> str:
    """The message of a log record, also where its arguments do not fit."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return f"{record.msg} {record.args!r}"


class _LogHandler(logging.Handler):
    def __init__(self, log: RunLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """One record, with its traceback; it may be another run's of this process, whose secrets this log knows not."""
        step = record.name.removeprefix(f"{STEPS_LOGGER}.") if record.name.startswith(STEPS_LOGGER) else record.name
        details = [_format_exception(record.exc_info)] if record.exc_info and record.exc_info[0] else []
        details += [record.stack_info] if record.stack_info else []
        scrub = known_secrets().scrub
        self._log.note(record.levelname.lower(), step, scrub(readable_record(record)), scrub("\n".join(details)))


def _log_thread(died: threading.ExceptHookArgs) -> None:
    if died.exc_type is not SystemExit:
        _log_exception("a thread of a component died", died.exc_type, died.exc_value, died.exc_traceback)


def _log_unraisable(lost: sys.UnraisableHookArgs) -> None:
    _log_exception("an exception that could not be raised", lost.exc_type, lost.exc_value, lost.exc_traceback)


def _log_exception(
    what: str, kind: type[BaseException], value: BaseException | None, place: TracebackType | None
) -> None:
    exception = value if value is not None else kind()
    logging.getLogger(STEPS_LOGGER).warning(what, exc_info=(kind, exception, place))
