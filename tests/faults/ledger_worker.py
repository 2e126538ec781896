"""A process that writes to a ledger until it is told to stop: ``python -m tests.faults.ledger_worker ROLE ROOT …``.

What is acknowledged is printed at once, one JSON document a line; a line without its end was never printed. Each role
says ``{"ready": true}`` first, and goes on when a line comes in.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from osiris.errors import OsirisError
from osiris.events.runs import PipelineTagged, RunTagged
from osiris.ledger.index import rebuild
from osiris.ledger.ledger import Ledger
from osiris.ledger.runs import finish_run, tag_pipeline
from osiris.locks import acquire
from osiris.project import open_project
from tests.histories import begin, ending, make_build


def starts(ledger: Ledger, slug: str, count: str) -> None:
    """Start and finish ``count`` runs of the pipeline ``slug``."""
    for _ in range(int(count)):
        run = begin(ledger, make_build(slug))
        say(started=run.started.run_id, number=run.started.number, slug=slug)
        finish_run(ledger, run, ending(run))
        say(finished=run.started.run_id, slug=slug)


def appends(ledger: Ledger, name: str, duration_s: str) -> None:
    """Append in a tight loop and count what each second brought."""
    per_second = [0] * int(duration_s)
    begun = time.monotonic()
    while (second := int(time.monotonic() - begun)) < len(per_second):
        ledger.journal.append(pipeline_tagged(name))
        per_second[second] += 1
    say(name=name, per_second=per_second)


def busy(ledger: Ledger, slug: str, text_bytes: str) -> None:
    """Runs, tags, changes of old lines and a rebuild now and then, until stdin ends; an event has ``text_bytes``."""
    text = "x" * int(text_bytes)
    count = 0
    while not told_to_stop():
        count += 1
        run = begin(ledger, make_build(slug))
        finish_run(ledger, run, ending(run))
        ledger.journal.append(pipeline_tagged(text, slug))
        tag_pipeline(ledger, slug, add=[f"tag-{count % 3}"], remove=[f"tag-{(count + 1) % 3}"])
        tagged = RunTagged(run_id=run.started.run_id, pipeline_slug=slug, tags=("good",), tagged_at="")
        ledger.record(tagged)
        if count % 10 == 0:
            rebuild(ledger)
    say(rounds=count)


def inside(ledger: Ledger, slug: str) -> None:
    """Tag the pipeline ``slug``, but wait for a line while the journal's lock is held and all is decided."""
    with ledger.transaction() as transaction:
        transaction.add(pipeline_tagged("inside", slug))
        say(inside=True)
        sys.stdin.readline()
    say(seq=transaction.entries[0].seq)


def holds(ledger: Ledger, heir: str) -> None:
    """Hold the journal's lock for ever; ``heir`` is a child that is made meanwhile: none, a fork, a fork and exec."""
    held = acquire(ledger.journal.directory / "LOCK", timeout_s=1, purpose="testing")
    child = 0
    if heir == "fork":
        child = os.fork()
        if child == 0:
            sleep_for_ever()
    elif heir == "exec":
        child = subprocess.Popen(["sleep", "infinity"], close_fds=False, stdout=subprocess.DEVNULL).pid
    say(child=child)
    sleep_for_ever()
    held.release()


def sleep_for_ever() -> None:
    """Until a signal ends it."""
    while True:
        time.sleep(3600)


def pipeline_tagged(added: str, slug: str = "orders") -> PipelineTagged:
    """An event that needs no decision; ``added`` is in the journal alone, the index does not show it."""
    return PipelineTagged(pipeline_slug=slug, tags=("tagged",), tagged_at="", added=(added,), removed=())


def told_to_stop() -> bool:
    """Whether stdin has ended."""
    return bool(select.select([sys.stdin], [], [], 0)[0])


def say(**document: Any) -> None:
    """One line on stdout, in one write."""
    os.write(1, json.dumps(document).encode() + b"\n")


ROLES: dict[str, Callable[..., None]] = {role.__name__: role for role in (starts, appends, busy, inside, holds)}


def main() -> int:
    """Run a role; an error of the ledger is one line on stderr and its exit code."""
    role, root, *arguments = sys.argv[1:]
    ledger = open_project(Path(root), {}).ledger
    say(ready=True)
    sys.stdin.readline()
    try:
        ROLES[role](ledger, *arguments)
    except OsirisError as error:
        sys.stderr.write(f"error: {error}\n")
        return int(error.exit_code)
    finally:
        ledger.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
