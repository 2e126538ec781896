"""Whatever call of the disk fails, once or for ever: what was acknowledged is there, and every error tells the truth.

Each scenario is run again and again, with the first call failing, then the second, until it makes no such call any
more. What a power cut would leave is looked at as well, for a sync that failed leaves bytes that can only be read.
"""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Iterator
from itertools import count, product
from pathlib import Path

import pytest

from osiris import durable, locks
from osiris.errors import ExitCode, OsirisError
from osiris.ledger import index_files
from osiris.ledger.index import rebuild, verify_index
from osiris.ledger.repair import repair
from tests.faults.disk_scenarios import (
    FIRST_SEGMENT,
    NEVER_ACKNOWLEDGED,
    SCENARIOS,
    UNKNOWN,
    Attempt,
    Scenario,
    append,
    fact,
    prepare,
    text_of,
)
from tests.faults.faulty_disk import ANY, FOR_EVER, OPERATIONS, Fault, FaultyDisk
from tests.histories import make_ledger, text_files

pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="macOS syncs with fcntl, which is not replaced here")

FENCED, CORRUPT = "journal.fenced", "journal.corrupt"
IN_DOUBT = (UNKNOWN, FENCED)
APPENDS = ("append", "roll over", "torn tail", "first append")


def facts(place: Path, *, may_be_corrupt: bool = False) -> list[str]:
    """What a fresh reader finds that somebody had been told of, or had asked for."""
    found: list[str] = []
    try:
        found.extend(map(text_of, make_ledger(place).journal.read()))
    except OsirisError as error:
        if not (may_be_corrupt and error.code == CORRUPT):
            raise
    return [text for text in found if text != NEVER_ACKNOWLEDGED]


class Case:
    """A scenario on a copy of its ledger, with a fault, and what must hold afterwards."""

    def __init__(self, scenario: Scenario, template: Path, place: Path, fault: Fault) -> None:
        shutil.copytree(template, place)
        self.place, self.scenario = place, scenario
        self.is_repair = scenario.state in {"corrupt", "fenced"}
        self.expected = facts(place, may_be_corrupt=self.is_repair)
        segment = place / "journal" / FIRST_SEGMENT if scenario.state == "killed writer" else None
        unsynced = (segment, segment.read_bytes().rindex(b"\n", 0, -1) + 1) if segment else None
        self.disk = FaultyDisk(place / "journal", fault, unsynced)
        self.ledger = make_ledger(place, segment_bytes=scenario.segment_bytes)
        self.attempt, self._cuts = Attempt(), count(1)

    def act(self) -> None:
        """Nothing may come of it but an error of the ledger's own with the exit code of a failed disk."""
        try:
            self.scenario.act(self.ledger, self.attempt)
        except OsirisError as error:
            if error.exit_code != ExitCode.DISK or not self.disk.failed:
                raise
            self.attempt.error, self.attempt.code = error, error.code
        self.disk.mend()
        self.has_fence = (self.place / "journal" / "FENCE").exists()
        logging.warning("call %s: %s failed; then %r", self.place.name, self.disk.failed[:9], self.attempt.error)

    def check_what_was_said(self) -> None:
        """Acknowledged is there, refused is not, and that would be so after a power cut."""
        self.expected += self.attempt.acknowledged
        may_be_corrupt = self.is_repair and self.attempt.error is not None
        found = facts(self.place, may_be_corrupt=may_be_corrupt)
        after_power_cuts = [facts(place, may_be_corrupt=may_be_corrupt) for place in self._power_cuts()]
        for there in (found, *after_power_cuts):
            assert there[: len(self.expected)] == self.expected
            assert self.attempt.refused.isdisjoint(there)
            assert there == self.expected or self.attempt.code in IN_DOUBT
        self.expected = found
        assert {path.name for path in self.place.iterdir()} <= {"journal", "index", "sessions"}
        assert {"remove", "rename"} & set(self.disk.failed) or list(self.place.rglob(".*")) == [], (
            "something temporary is left"
        )

    def check_that_it_is_fenced(self, told: str) -> None:
        """Every writer refuses, also others where a fence could be left, until a repair."""
        assert self.has_fence or "no fence could be left" in told
        for writer in (self.ledger, make_ledger(self.place)) if self.has_fence else (self.ledger,):
            with pytest.raises(OsirisError) as caught:
                writer.journal.append(fact("refused"))
            assert (caught.value.exit_code, caught.value.code) == (ExitCode.DISK, FENCED)
        assert facts(self.place) == self.expected, "readers go on"

    def check_that_it_goes_on(self) -> None:
        """What comes next stays, also after a power cut, and one command brings the index up."""
        fresh = make_ledger(self.place, segment_bytes=self.scenario.segment_bytes)
        is_on_disk = self.attempt.code not in IN_DOUBT or self.has_fence  # without a fence, no other process can know
        if self.scenario.state == "new" and "remove" in self.disk.failed:
            is_on_disk = False  # a folder whose name was not synced, and that could not be removed to be made anew
        if self.is_repair and self.attempt.error:
            try:
                fresh.journal.append(fact("between"))
                self.expected.append("between")
            except OsirisError as error:
                assert error.code in {FENCED, CORRUPT}, error  # noqa: PT017 - it may as well be mended already
        repair(fresh, dry_run=False)
        if self.attempt.code not in IN_DOUBT:
            self.expected.append(text_of(self.ledger.journal.append(fact("same writer"))))
        fresh.record(fact("next-command"))
        self.expected.append("next-command")
        assert facts(self.place) == self.expected
        if is_on_disk:
            assert [facts(place) for place in self._power_cuts()] == [self.expected] * 2
        found = verify_index(make_ledger(self.place))
        assert found.result == "ok", found.differences
        index = text_files(self.place / "index")
        for _ in range(2):
            rebuild(fresh)
            assert text_files(self.place / "index") == index

    def _power_cuts(self) -> Iterator[Path]:
        for lucky in (False, True):
            place = self.place.with_name(f"{self.place.name}-cut-{next(self._cuts)}")
            place.mkdir()
            self.disk.leave_after_power_cut(place / "journal", lucky=lucky)
            yield place


def cases(tmp_path: Path, name: str, fault: Fault, step: int = 1) -> Iterator[Case]:
    """The scenario with each call failing in turn, done on that disk, until none is left to fail."""
    template = tmp_path / "template"
    prepare(template, SCENARIOS[name].state)
    for number in count(fault.number, step):
        case = Case(SCENARIOS[name], template, tmp_path / str(number), fault._replace(number=number))
        with pytest.MonkeyPatch.context() as patched:
            for module in (durable, index_files, locks):
                patched.setattr(module, "os", case.disk)
            case.act()
            if not case.disk.failed:
                assert case.attempt.error is None
                assert number > 1 or fault.operation != ANY, "the disk was not asked for anything"
                return
            yield case
        case.disk.let_go()


def sweeps() -> Iterator[object]:
    """Any call once, all from one on, short writes; slow: each operation, so often that the undoing fails as well."""
    for name, scenario in SCENARIOS.items():
        step = 1 if scenario.act is append or scenario.state == "killed writer" else 3
        yield pytest.param(name, Fault(ANY, 1), step, id=f"{name}: any call once")
        yield pytest.param(name, Fault(ANY, 1, FOR_EVER), step * step, id=f"{name}: for ever")
        yield pytest.param(name, Fault("write", 1, short=True), 1, id=f"{name}: short write once")
        for operation, times in product((ANY, *OPERATIONS, "short write"), (1, 2, 3, FOR_EVER)):
            fault = Fault(operation.removeprefix("short "), 1, times, short=operation == "short write")
            yield pytest.param(name, fault, 1, id=f"{name}: {operation}, {times} times", marks=pytest.mark.slow)


@pytest.mark.parametrize(("name", "fault", "step"), list(sweeps()))
def test_whatever_fails_what_was_acknowledged_stays_and_what_was_refused_never_comes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, fault: Fault, step: int
) -> None:
    for case in cases(tmp_path, name, fault, step):
        case.check_what_was_said()
        if case.attempt.code in IN_DOUBT:
            case.check_that_it_is_fenced(caplog.text)
        case.check_that_it_goes_on()
        caplog.clear()


@pytest.mark.parametrize("name", APPENDS)
def test_an_append_that_the_disk_refuses_says_that_nothing_was_recorded(tmp_path: Path, name: str) -> None:
    told = [case.attempt.error.problem for case in cases(tmp_path, name, Fault(ANY, 1)) if case.attempt.error]
    assert {words: "nothing was recorded" in words for words in told} == dict.fromkeys(told, True) != {}


def test_a_writer_that_could_not_take_its_entry_back_goes_on_after_the_repair_of_another(tmp_path: Path) -> None:
    [case] = [
        case for case in cases(tmp_path, "append", Fault(ANY, 1, 2)) if case.attempt.code == UNKNOWN and case.has_fence
    ][:1]
    repair(make_ledger(case.place), dry_run=False)
    case.ledger.journal.append(fact("after the repair"))


def test_a_torn_tail_that_was_cut_is_told_by_the_journal_also_where_the_append_failed(tmp_path: Path) -> None:
    for case in cases(tmp_path, "torn tail", Fault(ANY, 1)):
        ledger = make_ledger(case.place)
        was_fenced = repair(ledger, dry_run=False).fence_removed
        ledger.journal.append(fact("after"))
        told_by = "journal.repaired" if was_fenced else "journal.recovered"
        assert told_by in (case.place / "journal" / FIRST_SEGMENT).read_text(), case.disk.failed
