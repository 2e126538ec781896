"""What the events of an old session are called today."""

from __future__ import annotations

from typing import NamedTuple


class Meaning(NamedTuple):
    """Today's event, and the status that it tells ("" for none)."""

    event: str
    status: str


MEANINGS = {
    **dict.fromkeys(("run_start", "run_started", "pipeline_start"), Meaning("run.started", "")),
    **dict.fromkeys(("step_start", "step_started"), Meaning("step.started", "")),
    **dict.fromkeys(("step_complete", "step_completed", "step_end"), Meaning("step.finished", "success")),
    **dict.fromkeys(("step_error", "step_failed"), Meaning("step.failed", "failed")),
    **dict.fromkeys(
        ("run_complete", "run_completed", "run_end", "run_finished", "pipeline_complete"),
        Meaning("run.finished", "success"),
    ),
    **dict.fromkeys(("run_error", "run_failed", "pipeline_error"), Meaning("run.finished", "failed")),
    **dict.fromkeys(("run_cancelled", "run_canceled", "run_aborted"), Meaning("run.finished", "cancelled")),
}
_SAID = {
    **dict.fromkeys(("success", "succeeded", "completed", "complete", "ok"), "success"),
    **dict.fromkeys(("failed", "failure", "error"), "failed"),
    **dict.fromkeys(("cancelled", "canceled", "aborted"), "cancelled"),
}


def meaning_of(event: str, said: str) -> Meaning | None:
    """What ``event`` means, given the status that it says of itself; None where this version does not know it."""
    known = MEANINGS.get(event)
    if known is None or not known.status or known.status != "success":
        return known
    return known._replace(status=_SAID.get(said.lower(), known.status))
