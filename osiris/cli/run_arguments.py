"""What ``osiris run`` is given, and what it prints."""

from __future__ import annotations

import msgspec

from osiris.projections.runs import RunRecord
from osiris.runner.summary import StepSummary


class RunResultDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What ``osiris run --json`` prints."""

    run: RunRecord
    steps: tuple[StepSummary, ...]
    build_reused: bool


class RunArguments(msgspec.Struct, frozen=True, kw_only=True):
    """The command line of ``osiris run``."""

    pipeline: str
    last_compile: bool
    profile: str | None
    params: tuple[str, ...]
    tags: str
    run_id_format: str
    dry_run: bool
    force_recompile: bool
    resume: str | None
