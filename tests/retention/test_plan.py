"""What goes and why, over random histories and rules: nothing here touches a disk."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osiris.clock import rfc3339
from osiris.config import RetentionConfig
from osiris.errors import OsirisError
from osiris.events.retention import PrunedRun, RetentionPlanned
from osiris.events.runs import RunStarted
from osiris.projections.pipelines import LastCompile, PipelineSummary
from osiris.projections.runs import IMPORTED_FROM, RunRecord, run_key
from osiris.retention.plan import History, plan_retention, pointers_of
from osiris.retention.planned import Folder, PlannedPath, RetentionPlan
from tests.faults.test_hostile_texts import sample
from tests.retention.aged import NOW

SLUGS, PROFILES, DIGITS = ("orders", "x"), ("dev", ""), "ab"
DAY = timedelta(days=1)


def started(number: int, slug: str = "orders", profile: str = "dev", digit: str = "a") -> RunStarted:
    """The start of the run with that number."""
    run_id = f"run-{number:06}"
    place = "/".join(filter(None, (profile, slug)))
    event: RunStarted = msgspec.structs.replace(
        sample(RunStarted),
        run_id=run_id,
        number=number,
        pipeline_slug=slug,
        profile=profile,
        manifest_hash=digit * 64,
        run_logs_path=f"run_logs/{place}/{run_id}",
        aiop_path=f"aiop/{place}/{digit}/{run_id}",
    )
    return event


def record(
    number: int, days: float = 0, slug: str = "orders", profile: str = "dev", digit: str = "a", now: datetime = NOW
) -> RunRecord:
    """The record of a run that finished so many days before ``now``."""
    begun = started(number, slug, profile, digit)
    shown = {
        name: value for name, value in msgspec.structs.asdict(begun).items() if name in RunRecord.__struct_fields__
    }
    return RunRecord(
        **shown,
        run_ts="",
        status="success",
        duration_ms=1,
        build_manifest_path="",
        finished_at=rfc3339(now - days * DAY),
        rows_in=None,
        rows_out=None,
        error=None,
        seq=number,
    )


def there(path: PlannedPath) -> Folder | None:
    """Every folder exists, and holds ten bytes."""
    return Folder(1, 2, 10)


class Case(msgspec.Struct, frozen=True):
    """A history and rules."""

    ended: tuple[RunRecord, ...]
    open: tuple[RunStarted, ...]
    pointers: frozenset[tuple[str, str, str]]
    policy: RetentionConfig

    def plan(self, gone: frozenset[str] = frozenset(), policy: dict[str, int] | None = None) -> RetentionPlan:
        """The plan where all folders exist but those that are ``gone``, and ``policy`` has other numbers."""
        return plan_retention(
            History(self.ended, self.open, self.pointers, ()),
            msgspec.structs.replace(self.policy, **(policy or {})),
            NOW,
            lambda path: None if path.path in gone else there(path),
        )

    def kept_by_rank(self) -> set[str]:
        """The runs behind pointers and the newest ones, worked out anew for each run: slow and plain."""
        kept = set()
        for run in self.ended:
            peers = [
                other
                for other in self.ended
                if (other.pipeline_slug, other.profile) == (run.pipeline_slug, run.profile)
            ]
            newer = [other for other in peers if other.seq > run.seq]
            is_pointed = (run.pipeline_slug, run.profile, run.manifest_hash) in self.pointers
            is_newest_of_build = run.manifest_hash not in {other.manifest_hash for other in newer}
            if len(newer) < self.policy.aiop_keep_runs_per_pipeline or (is_pointed and is_newest_of_build):
                kept.add(run_key(run.pipeline_slug, run.run_id))
        return kept


OFF = RetentionConfig(run_logs_days=0, aiop_keep_runs_per_pipeline=0, annex_keep_days=0)
AGES = st.one_of(st.floats(-5, 30), st.integers(-3, 30)).map(float)
RUNS = st.lists(
    st.tuples(AGES, st.sampled_from(SLUGS), st.sampled_from(PROFILES), st.sampled_from(DIGITS), st.booleans()),
    max_size=25,
)
POINTERS = st.frozensets(
    st.tuples(st.sampled_from(SLUGS), st.sampled_from(PROFILES), st.sampled_from([digit * 64 for digit in DIGITS]))
)
NUMBERS = st.integers(0, 12)
POLICIES = st.builds(
    RetentionConfig, run_logs_days=NUMBERS, aiop_keep_runs_per_pipeline=st.integers(0, 4), annex_keep_days=NUMBERS
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Runs in the order in which they ended; their finish times are in any order, for clocks are set back."""
    runs = draw(RUNS)
    ended = [record(n, days, *names) for n, (days, *names, is_open) in enumerate(runs, 1) if not is_open]  # type: ignore[arg-type]
    still_open = [started(n, *names) for n, (_, *names, is_open) in enumerate(runs, 1) if is_open]
    return Case(tuple(reversed(ended)), tuple(still_open), draw(POINTERS), draw(POLICIES))


@given(cases())
def test_what_is_kept_whatever_its_age_never_goes(case: Case) -> None:
    kept = case.kept_by_rank() | {run_key(run.pipeline_slug, run.run_id) for run in case.open}
    assert kept.isdisjoint(path.run for path in case.plan().paths)


@given(cases())
def test_what_goes_is_what_the_rules_say_and_nothing_else(case: Case) -> None:
    policy, kept, expected = case.policy, case.kept_by_rank(), set()
    for run in case.ended:
        age = NOW - datetime.fromisoformat(run.finished_at or "")
        if run_key(run.pipeline_slug, run.run_id) in kept or age < timedelta(0):
            continue
        if policy.run_logs_days and age > policy.run_logs_days * DAY:
            expected.add(run.run_logs_path)
        if policy.aiop_keep_runs_per_pipeline or (policy.annex_keep_days and age > policy.annex_keep_days * DAY):
            expected.add(f"{run.aiop_path}/annex")
    plan = case.plan()
    assert {path.path for path in plan.paths} == expected
    assert len(plan.paths) == len(expected)
    assert plan.obstacles == ()


@given(cases())
def test_once_it_is_carried_out_there_is_nothing_more_to_do(case: Case) -> None:
    assert case.plan(gone=frozenset(path.path for path in case.plan().paths)).paths == ()


@given(cases(), st.integers(1, 12), st.integers(1, 12))
def test_who_keeps_for_longer_deletes_no_more(case: Case, shorter: int, longer: int) -> None:
    shorter, longer = sorted((shorter, longer))
    for rule in ("run_logs_days", "annex_keep_days"):
        short, long = case.plan(policy={rule: shorter}), case.plan(policy={rule: longer})
        assert {path.path for path in long.paths} <= {path.path for path in short.paths}


@given(cases(), st.integers(1, 4))
def test_who_keeps_more_runs_deletes_no_more(case: Case, more: int) -> None:
    fewer = max(1, case.policy.aiop_keep_runs_per_pipeline)
    small, large = (case.plan(policy={"aiop_keep_runs_per_pipeline": number}) for number in (fewer, fewer + more))
    assert {path.path for path in large.paths} <= {path.path for path in small.paths}


@given(cases())
def test_every_run_of_which_something_stays_is_counted_once(case: Case) -> None:
    plan = case.plan()
    kept = msgspec.structs.asdict(plan.kept)
    number = Counter(path.run for path in plan.paths)
    assert sum(kept.values()) == len(case.ended) + len(case.open) - sum(both == 2 for both in number.values())
    assert kept["running"] == len(case.open)


@given(cases())
def test_switched_off_rules_delete_nothing(case: Case) -> None:
    assert case.plan(policy=msgspec.structs.asdict(OFF)).paths == ()


def plan_of(*records: RunRecord, behind: tuple[str, str, str] = ("", "", ""), **policy: int) -> list[str]:
    """The paths that go, of records that are given oldest first, with one pointer."""
    rules = msgspec.structs.replace(OFF, **policy)
    history = History(tuple(reversed(records)), (), frozenset({behind}), ())
    return [path.path for path in plan_retention(history, rules, NOW, there).paths]


def plan_by(rule: str, number: int, *records: RunRecord) -> bool:
    """Whether anything goes by that one rule."""
    history = History(tuple(reversed(records)), (), frozenset(), ())
    return bool(plan_retention(history, msgspec.structs.replace(OFF, **{rule: number}), NOW, there).paths)


@pytest.mark.parametrize(("microseconds", "goes"), [(-1, False), (0, False), (1, True)])
@pytest.mark.parametrize("rule", ["run_logs_days", "annex_keep_days"])
def test_a_run_that_is_exactly_as_old_as_the_rule_says_keeps_its_files(
    rule: str, microseconds: int, goes: bool
) -> None:
    days = (7 * DAY + timedelta(microseconds=microseconds)) / DAY
    assert plan_by(rule, 7, record(1, days)) is goes


@pytest.mark.parametrize("rule", ["run_logs_days", "annex_keep_days", "aiop_keep_runs_per_pipeline"])
def test_a_run_that_finished_in_the_future_keeps_its_files(rule: str) -> None:
    """As after a clock was set back: what seems not to have happened yet is not old."""
    assert not plan_by(rule, 1, record(1, -0.001), record(2, 0))


@pytest.mark.parametrize("text", ["", "yesterday", "2020-01-01", "2020-01-01T00:00:00Z"])
def test_a_run_whose_finish_time_is_none_keeps_its_files(text: str) -> None:
    odd = msgspec.structs.replace(record(1), finished_at=text)
    assert plan_of(odd, record(2, 0), run_logs_days=1, annex_keep_days=1, aiop_keep_runs_per_pipeline=1) == []


def test_an_annex_past_the_count_goes_at_once_and_its_run_folder_when_it_is_old() -> None:
    runs = [record(number, 0.5) for number in (1, 2, 3)]
    gone = plan_of(*runs, aiop_keep_runs_per_pipeline=2, run_logs_days=1)
    assert gone == [f"{runs[0].aiop_path}/annex"]


def test_the_newest_run_is_the_one_that_ended_last_and_not_the_one_with_the_latest_time() -> None:
    back = [record(1, 10), record(2, 20)]  # the clock was set back in between
    assert plan_of(*back, aiop_keep_runs_per_pipeline=1, run_logs_days=1) == [
        back[0].run_logs_path,
        f"{back[0].aiop_path}/annex",
    ]


def test_each_pipeline_and_each_profile_keeps_its_own_newest_runs() -> None:
    runs = [record(1, 9), record(2, 9, "x"), record(3, 9, "x", ""), record(4, 9, "orders", "")]
    assert plan_of(*runs, aiop_keep_runs_per_pipeline=1, run_logs_days=1) == []


def test_of_the_runs_behind_a_pointer_only_the_newest_is_kept() -> None:
    runs = [record(1, 30), record(2, 20), record(3, 10, digit="b")]
    assert plan_of(*runs, behind=("orders", "dev", "a" * 64), run_logs_days=1) == [
        runs[0].run_logs_path,
        runs[2].run_logs_path,
    ]


def test_a_number_of_days_beyond_all_calendars_is_just_a_long_time() -> None:
    assert plan_of(record(1, 300_000), run_logs_days=10**18) == []


def compiled(seq: int, digit: str) -> LastCompile:
    """A compile that entry ``seq`` recorded."""
    newest: LastCompile = sample(LastCompile)
    return msgspec.structs.replace(newest, manifest_hash=digit, seq=seq)


def test_pointers_are_those_that_stand_in_latest() -> None:
    """A compile without a profile has no pointer of its own once a compile in a profile is newer."""
    older = PipelineSummary(last_compile={"": compiled(1, "a"), "dev": compiled(2, "b"), "prod": compiled(3, "c")})
    newer = PipelineSummary(last_compile={"": compiled(5, "a"), "dev": compiled(4, "b")})
    assert pointers_of({"orders": older, "x": newer, "tagged": PipelineSummary()}) == {
        ("orders", "dev", "b"),
        ("orders", "prod", "c"),
        ("x", "", "a"),
        ("x", "dev", "b"),
    }


HOSTILE: dict[str, dict[str, str]] = {
    "the folder of a kept run": {"run_logs_path": record(9).run_logs_path},
    "the folder of a run that is alive": {"run_logs_path": started(8).run_logs_path},
    "a folder in that of a kept run": {"run_logs_path": record(9).run_logs_path + "/artifacts"},
    "the folder that holds those of other runs": {"run_logs_path": "run_logs/dev/orders"},
    "the folder of all runs": {"run_logs_path": "run_logs"},
    "the folder of a run that loses its annex only": {"run_logs_path": record(5).run_logs_path},
    "the annex of a kept run": {"aiop_path": record(9).aiop_path},
    "the pack of another run": {"aiop_path": "aiop/dev/orders/a/run-000003"},
    "the folder that holds packs": {"aiop_path": "aiop/dev"},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_record_that_names_what_others_keep_takes_nothing_of_theirs(what: str) -> None:
    """Such a record was edited, or two templates met: it is refused, and everything else goes."""
    odd = msgspec.structs.replace(record(1, 30), **HOSTILE[what])
    oldest = msgspec.structs.replace(record(3, 30), aiop_path="aiop/dev/orders/a/run-000003/annex")
    in_annex = msgspec.structs.replace(record(4, 30, "annex"), aiop_path="aiop/dev/annex/a/run-000004")
    part = record(5, 3)
    runs = [odd, record(2, 30), oldest, in_annex, part, record(9, 0)]
    history = History(tuple(reversed(runs)), (started(8),), frozenset(), ())
    rules = RetentionConfig(run_logs_days=5, aiop_keep_runs_per_pipeline=0, annex_keep_days=1)
    plan = plan_retention(history, rules, NOW, there)
    [obstacle] = plan.obstacles
    assert obstacle.run == "orders/run-000001"
    assert obstacle.path in (odd.run_logs_path, f"{odd.aiop_path}/annex")
    others = {path.path for path in plan.paths if path.run != "orders/run-000001"}
    whole = {path for run in runs[1:4] for path in (run.run_logs_path, f"{run.aiop_path}/annex")}
    assert others == {*whole, f"{part.aiop_path}/annex"}


def unfinished(*paths: str, run_id: str = "run-000001") -> History:
    """A history with one young run, and a plan that names ``paths`` of it."""
    run = PrunedRun(run_id=run_id, pipeline_slug="orders", paths=paths)
    plan = RetentionPlanned(plan_id="p", planned_at="2026-11-20T00:00:00.000000Z", runs=(run,))
    return History((record(1, 0),), (), frozenset(), (plan,))


def test_what_a_plan_left_is_finished_whatever_the_rules_say_today() -> None:
    run = record(1, 0)
    paths = (run.run_logs_path, f"{run.aiop_path}/annex")
    plan = plan_retention(
        unfinished(*paths), RetentionConfig(), NOW, lambda path: there(path) if path.path == paths[0] else None
    )
    [left] = plan.unfinished
    assert ([path.path for path in left.paths], [path.path for path in left.gone]) == ([paths[0]], [paths[1]])
    assert (left.released, plan.paths, plan.obstacles) == ((), (), ())
    assert left.named == paths


@pytest.mark.parametrize(
    "path", ["run_logs", "build", "/etc", "../x", ".osiris/journal", "run_logs/dev/orders/run-000002"]
)
def test_a_plan_lets_go_of_a_path_that_is_no_folder_of_its_run(path: str) -> None:
    plan = plan_retention(unfinished(path), RetentionConfig(), NOW, there)
    [left] = plan.unfinished
    assert (left.paths, left.gone) == ((), ())
    assert [released.path for released in left.released] == [path]
    assert [obstacle.path for obstacle in plan.obstacles] == [path]


def test_a_plan_keeps_a_path_that_the_disk_does_not_let_be_seen() -> None:
    def unreadable(path: PlannedPath) -> Folder | None:
        raise OsirisError("could not read it", code="disk.failed", path=path.path)

    [left] = plan_retention(unfinished(record(1).run_logs_path), RetentionConfig(), NOW, unreadable).unfinished
    assert (left.paths, left.gone, left.released) == ((), (), ())


def test_an_imported_run_takes_no_newer_ones_place_and_loses_its_folder_alone() -> None:
    imported = msgspec.structs.replace(record(9, days=400), aiop_path="", runtime_env={IMPORTED_FROM: "logs/old"})
    history = History((imported, record(2, days=1), record(1, days=2)), (), frozenset(), ())
    policy = RetentionConfig(aiop_keep_runs_per_pipeline=1, run_logs_days=30, annex_keep_days=1)
    plan = plan_retention(history, policy, NOW, there)
    assert {path.path for path in plan.paths} == {imported.run_logs_path, f"{record(1).aiop_path}/annex"}
    assert (plan.kept.newest, plan.kept.young) == (1, 1)
