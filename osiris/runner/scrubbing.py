"""The waist between the engine and everybody who hears of it: no secret passes here in the clear."""

from __future__ import annotations

import msgspec

from osiris.compiler.manifest import ManifestStep
from osiris.components.base import WrittenFile
from osiris.redaction import Redactor
from osiris.runner.environment import RunEnvironment
from osiris.runner.results import ExecutionOutcome, Listener, StepError, StepResult


def scrubbed_outcome(outcome: ExecutionOutcome, redactor: Redactor) -> ExecutionOutcome:
    """``outcome`` with its errors and the names of its files scrubbed; ids and digests are nobody's words."""
    steps = tuple(_result(step, redactor) for step in outcome.steps)
    return msgspec.structs.replace(outcome, steps=steps, error=_error(outcome.error, redactor))


def scrubbed_environment(environment: RunEnvironment, redactor: Redactor) -> RunEnvironment:
    """``environment`` with what others named in it scrubbed: the branch and the user."""
    branch, user = redactor.scrub(environment.branch), redactor.scrub(environment.user)
    return msgspec.structs.replace(environment, branch=branch, user=user)


class ScrubbedListener:
    """Tells ``listener`` all that it is told, with every text scrubbed; see :class:`Listener` for the methods."""

    def __init__(self, listener: Listener, redactor: Redactor) -> None:
        self._listener = listener
        self._redactor = redactor

    def step_started(self, step: ManifestStep) -> None:
        """A step begins; what stands in a manifest has been looked at before."""
        self._listener.step_started(step)

    def step_progress(self, step_id: str, *, rows: int | None = None, percent: float | None = None) -> None:
        """Progress."""
        self._listener.step_progress(step_id, rows=rows, percent=percent)

    def step_finished(self, result: StepResult) -> None:
        """Success."""
        self._listener.step_finished(_result(result, self._redactor))

    def step_failed(self, result: StepResult) -> None:
        """Failure or cancellation."""
        self._listener.step_failed(_result(result, self._redactor))

    def step_retried(self, step_id: str, *, attempt: int, delay_ms: int, error: StepError) -> None:
        """Another try."""
        scrubbed = _scrubbed(error, self._redactor)
        self._listener.step_retried(step_id, attempt=attempt, delay_ms=delay_ms, error=scrubbed)

    def warning(self, step_id: str, message: str) -> None:
        """A warning."""
        self._listener.warning(step_id, self._redactor.scrub(message))

    def metric(self, step_id: str, name: str, value: float, unit: str) -> None:
        """A measurement. A text that is no number is the component's error, for it would be written as it is."""
        number = value if isinstance(value, int | float) else float(value)
        self._listener.metric(step_id, self._redactor.scrub(name), number, self._redactor.scrub(unit))


def _result(result: StepResult, redactor: Redactor) -> StepResult:
    files = tuple(_file(file, redactor) for file in result.files)
    return msgspec.structs.replace(result, files=files, error=_error(result.error, redactor))


def _file(file: WrittenFile, redactor: Redactor) -> WrittenFile:
    return msgspec.structs.replace(file, path=redactor.scrub(file.path))


def _error(error: StepError | None, redactor: Redactor) -> StepError | None:
    return None if error is None else _scrubbed(error, redactor)


def _scrubbed(error: StepError, redactor: Redactor) -> StepError:
    texts = {"code": error.code, "message": error.message, "hint": error.hint}
    return msgspec.structs.replace(error, **{field: redactor.scrub(text) for field, text in texts.items()})
