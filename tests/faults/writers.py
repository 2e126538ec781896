"""Processes that record for ever: ``python -m tests.faults.writers PROJECT COUNT``.

Each line on stdout was acknowledged before it was written: ``entry NS SEQ HASH``, ``run NS SLUG RUN_ID``, where NS is
the monotonic clock of the machine right after the acknowledgement. When the ledger refuses to go on, a writer ends, and
``end NS CODE`` says how. Anything but an error of the ledger's own ends with 70.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from itertools import count
from pathlib import Path

from osiris.clock import rfc3339
from osiris.errors import ExitCode, OsirisError
from osiris.events.runs import PipelineTagged
from osiris.ledger.runs import finish_run
from osiris.project import open_project
from tests.histories import begin, ending, make_build

SLUGS = ("orders", "refunds")


def write_for_ever(root: Path, number: int) -> None:
    """Runs and tags, one after the other, until the ledger refuses."""
    ledger = open_project(root, os.environ).ledger
    for turn in count(number):
        slug = SLUGS[turn % len(SLUGS)]
        run = begin(ledger, make_build(slug))
        _say("run", slug, run.started.run_id)
        if turn % 3 == 0:
            tag = (f"turn-{turn}",)
            tagged_at = rfc3339(ledger.clock.now())
            recorded = ledger.record(PipelineTagged(pipeline_slug=slug, tags=tag, tagged_at=tagged_at))
            _acknowledge(recorded.seq, recorded.hash)
        end = finish_run(ledger, run, ending(run))
        _acknowledge(end.seq, end.hash)


def _acknowledge(seq: int, digest: str) -> None:
    _say("entry", seq, digest)


def _say(what: str, *words: object) -> None:
    line = f"{what} {time.monotonic_ns()} {' '.join(map(str, words))}\n"
    os.write(1, line.encode())  # one write, so that the lines of several writers never mix


def _start(root: Path, number: int) -> int:
    child = os.fork()
    if child:
        return child
    code = int(ExitCode.BUG)
    try:
        write_for_ever(root, number)
    except OsirisError as error:
        code = int(error.exit_code)
        sys.stderr.write(f"writer {number}: {error}\n")
    except BaseException:  # noqa: BLE001 - a child must never go back into its parent's code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def main() -> None:
    """Start the writers from one process, so that all of Osiris is imported once, and wait for them."""
    root, writers = Path(sys.argv[1]), int(sys.argv[2])
    children = [_start(root, number) for number in range(writers)]
    for child in children:
        _, status = os.waitpid(child, 0)
        _say("end", os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
