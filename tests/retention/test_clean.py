"""The engine on a real project: what is recorded, what goes, and what a clean that was cut short leaves to the next."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from osiris.config import RetentionConfig
from osiris.errors import ExitCode, OsirisError
from osiris.events.catalog import decode_event, encode_event
from osiris.events.entry import MAX_ENTRY_BYTES
from osiris.events.retention import PrunedRun, RetentionPlanned, RetentionPruned
from osiris.ledger.index import rebuild, verify_index
from osiris.ledger.queries import get_run
from osiris.ledger.runs import record_compile
from osiris.project import Project
from osiris.retention import clean as engine
from osiris.retention import folders
from osiris.retention.clean import Cleaned, clean, survey
from osiris.retention.planned import Folder, RetentionPlan
from tests.cli.shop import Shop, new_shop
from tests.histories import make_build, tree
from tests.retention.aged import (
    CARD,
    NOW,
    SUMMARY,
    aged_project,
    annex,
    begin_at,
    compile_at,
    run_at,
    runs_days_ago,
)

RULES = RetentionConfig(run_logs_days=7, aiop_keep_runs_per_pipeline=1, annex_keep_days=0)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return new_shop(tmp_path / "shop")


def apply(shop: Shop, rules: RetentionConfig = RULES) -> Cleaned:
    """One process that cleans."""
    project = aged_project(shop.root)
    try:
        return clean(project, rules)
    finally:
        project.ledger.close()


def gone(done: Cleaned) -> set[str]:
    return {path.path for path in done.gone}


def retention_events(shop: Shop) -> list[dict[str, object]]:
    return [event for event in shop.journal() if event["type"].startswith("retention.")]


def paths_in(event: dict[str, object], field: str = "runs") -> list[str]:
    runs = event.get(field, [])
    assert isinstance(runs, list)
    return [path for run in runs for path in run["paths"]]


def test_the_plan_is_recorded_then_the_paths_go_then_what_is_gone_is_recorded(shop: Shop) -> None:
    old, older, newest = runs_days_ago(shop.root, 9, 8, 0)
    done = apply(shop)
    expected = [old.run_logs_path, annex(old), older.run_logs_path, annex(older)]
    assert sorted(gone(done)) == sorted(expected)
    planned, pruned = retention_events(shop)
    assert (planned["type"], pruned["type"]) == ("retention.planned", "retention.pruned")
    assert planned["plan_id"] == pruned["plan_id"]
    assert sorted(paths_in(planned)) == sorted(paths_in(pruned)) == sorted(expected)
    assert not any((shop.root / path).exists() for path in expected)
    assert (shop.root / newest.run_logs_path / "osiris.log").exists()
    for run in (old, older, newest):
        assert shop.read(f"{run.aiop_path}/summary.json") == SUMMARY
        assert shop.read(f"{run.aiop_path}/run-card.md") == CARD


def test_bytes_are_those_of_the_files_and_not_of_what_links_point_at(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 100_000)
    old, _ = runs_days_ago(shop.root, 9, 0)
    link = shop.root / old.run_logs_path / "link"
    link.symlink_to(tmp_path / "large")
    done = apply(shop)
    sizes = {path.path: path.folder.bytes for path in done.gone if path.folder}
    assert sizes == {old.run_logs_path: 1000 + len(str(tmp_path / "large")), annex(old): 130}
    assert (tmp_path / "large").exists()


def test_a_second_clean_has_nothing_to_do_and_records_nothing(shop: Shop) -> None:
    runs_days_ago(shop.root, 9, 8, 0)
    apply(shop)
    before = shop.journal()
    assert apply(shop).gone == ()
    assert shop.journal() == before


def test_a_survey_writes_nothing_and_takes_no_lock(shop: Shop) -> None:
    runs_days_ago(shop.root, 9, 0)
    before = tree(shop.root)
    project = aged_project(shop.root)
    with engine._alone(project):
        assert len(survey(project, RULES).paths) == 2
        project.ledger.close()
    assert {path for path in tree(shop.root) if path not in before} == {".osiris/sessions/retention.lock"}
    (shop.root / ".osiris" / "sessions" / "retention.lock").unlink()
    after = tree(shop.root)
    assert {
        path: content for path, content in after.items() if not path.startswith((".osiris/sessions", ".osiris/index"))
    } == {
        path: content for path, content in before.items() if not path.startswith((".osiris/sessions", ".osiris/index"))
    }


def test_the_records_of_pruned_runs_say_so_and_a_rebuild_says_the_same(shop: Shop) -> None:
    old, newest = runs_days_ago(shop.root, 9, 0)
    apply(shop)
    ledger = aged_project(shop.root).ledger
    for _ in range(2):
        assert get_run(ledger, f"orders/{old.run_id}").pruned_at == "2026-11-21T12:00:00.000000Z"
        assert get_run(ledger, f"orders/{newest.run_id}").pruned_at is None
        assert verify_index(ledger).result == "ok"
        rebuild(ledger)


def test_no_event_names_more_paths_than_the_batch_size_allows(shop: Shop) -> None:
    shop.write("osiris.yaml", 'version: "2.0"\nretention: {batch_size: 3}\n')
    runs_days_ago(shop.root, *range(20, 10, -2), 0)
    assert len(apply(shop).gone) == 10
    events = retention_events(shop)
    assert [len(paths_in(event)) for event in events] == [3, 3, 3, 3, 3, 3, 1, 1]
    assert [event["type"] for event in events] == ["retention.planned", "retention.pruned"] * 4


def test_a_batch_is_never_larger_than_an_entry_of_the_journal(shop: Shop) -> None:
    """Names of many bytes in many folders: the batch size alone would let them be too large."""
    template = "/".join("{pipeline_slug}" + letter * 200 for letter in "abcdefghij") + "/{run_id}"
    shop.write(
        "osiris.yaml", f'filesystem: {{naming: {{run_dir: "{template}"}}}}\nretention: {{batch_size: 1000000}}\n'
    )
    build = make_build("o" * 40)
    [run] = runs_days_ago(shop.root, 9, build=build)
    path = msgspec.structs.replace
    plan = survey(aged_project(shop.root), msgspec.structs.replace(RULES, aiop_keep_runs_per_pipeline=0))
    many = [path(plan.paths[0], run_id=f"{run.run_id}-{number}") for number in range(2_000)]
    batches = list(engine._batches(many, 1_000_000))
    assert [one for batch in batches for one in batch] == many
    ledger = aged_project(shop.root).ledger
    for batch in batches:
        ledger.record(RetentionPlanned(plan_id="x" * 26, planned_at="t" * 27, runs=engine._by_run(batch)))
    sizes = [
        len(line) for line in (shop.root / ".osiris/journal/00000000000000000001.ndjson").read_bytes().splitlines()
    ]
    assert MAX_ENTRY_BYTES * 0.9 < max(sizes) < MAX_ENTRY_BYTES


def test_a_run_that_is_alive_keeps_its_files_whatever_the_clock_says(shop: Shop) -> None:
    project, run = begin_at(shop.root, NOW - timedelta(days=100))
    runs_days_ago(shop.root, 9, 0)
    apply(shop)
    assert (shop.root / run.started.run_logs_path).exists()
    assert (shop.root / annex(run.started)).exists()
    project.ledger.close()
    run.session_lock.release()


def test_an_interrupted_run_counts_from_when_it_was_noticed(shop: Shop) -> None:
    project, dead = begin_at(shop.root, NOW - timedelta(days=100))
    dead.session_lock.release()
    project.ledger.close()
    assert apply(shop).gone == (), "nobody has noticed it yet, so it has no end"
    run_at(shop.root, NOW - timedelta(days=3))  # notices it
    run_at(shop.root, NOW - timedelta(days=2))
    assert gone(apply(shop)) >= {annex(dead.started)}
    assert (shop.root / dead.started.run_logs_path).exists(), "it was noticed three days ago"
    assert dead.started.run_logs_path in gone(apply(shop, msgspec.structs.replace(RULES, run_logs_days=2)))


def test_the_run_behind_a_pointer_is_kept_in_each_profile(shop: Shop) -> None:
    runs = {}
    for profile, digit in (("dev", "a"), ("prod", "b")):
        build = make_build("orders", profile, digit)
        compile_at(shop.root, NOW - timedelta(days=30), build)
        runs[profile] = runs_days_ago(shop.root, 30, 29, build=build)
        runs_days_ago(shop.root, 20, build=make_build("orders", profile, "c"))
    rules = RetentionConfig(run_logs_days=1, aiop_keep_runs_per_pipeline=0, annex_keep_days=1)
    assert len(apply(shop, rules).gone) == 8
    for first, second in runs.values():
        assert not (shop.root / first.run_logs_path).exists()
        assert (shop.root / second.run_logs_path).exists()
        assert (shop.root / annex(second)).exists()


def test_a_pointer_that_moves_to_an_old_build_while_a_clean_is_at_work_keeps_its_run(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    [old] = runs_days_ago(shop.root, 30)
    runs_days_ago(shop.root, 20, 0, build=make_build(digit="b"))
    monkeypatch.setattr(engine, "survey", after_survey(lambda: compile_at(shop.root, NOW, make_build(digit="a"))))
    done = apply(shop)
    assert old.run_logs_path not in gone(done)
    assert len(done.gone) == 2
    assert (shop.root / old.run_logs_path).exists()


def after_survey(act: Callable[[], None]) -> Callable[[Project, RetentionConfig], RetentionPlan]:
    """The survey, and then ``act``: what others do between the plan and its first batch."""

    def surveying(project: Project, policy: RetentionConfig) -> RetentionPlan:
        plan = survey(project, policy)
        act()
        return plan

    return surveying


def test_a_plan_that_changes_to_nothing_under_the_lock_records_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_days_ago(shop.root, 30)
    rules = msgspec.structs.replace(RULES, aiop_keep_runs_per_pipeline=0)
    monkeypatch.setattr(engine, "survey", after_survey(lambda: compile_at(shop.root, NOW, make_build())))
    assert apply(shop, rules).gone == ()
    assert retention_events(shop) == []


def test_two_cleans_at_once_are_one_and_an_error(shop: Shop) -> None:
    runs_days_ago(shop.root, 9, 0)
    with engine._alone(aged_project(shop.root)), pytest.raises(OsirisError, match="another") as caught:
        apply(shop)
    assert caught.value.exit_code == ExitCode.LOCKED
    assert retention_events(shop) == []
    assert len(apply(shop).gone) == 2


class Killed(BaseException):
    """What ends a clean as a kill would: nothing of its own catches it."""


@pytest.mark.parametrize("after", range(4))
def test_what_a_killed_clean_left_is_finished_by_the_next_one_under_the_same_plan(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    old, older, _ = runs_days_ago(shop.root, 9, 8, 0)
    removed: list[str] = []

    def remove(place: folders.Place, seen: Folder) -> None:
        if len(removed) == after:
            raise Killed
        removed.append(place.path)
        folders.remove(place, seen)

    with monkeypatch.context() as patched:
        patched.setattr(engine, "remove", remove)
        with pytest.raises(Killed):
            apply(shop)
    [planned] = retention_events(shop)

    project = aged_project(shop.root)
    [left] = survey(project, RULES).unfinished
    assert (len(left.paths), len(left.gone)) == (4 - after, after)
    project.ledger.close()

    keeping_all = RetentionConfig(run_logs_days=0, aiop_keep_runs_per_pipeline=0, annex_keep_days=0)
    done = apply(shop, keeping_all)
    assert len(done.gone) == 4 - after
    assert {path.rule for path in done.gone} == {"unfinished"}
    _, pruned = retention_events(shop)
    assert (pruned["type"], pruned["plan_id"]) == ("retention.pruned", planned["plan_id"])
    assert sorted(paths_in(pruned)) == sorted(paths_in(planned))
    assert not any((shop.root / path).exists() for run in (old, older) for path in (run.run_logs_path, annex(run)))
    assert (apply(shop).gone, len(retention_events(shop))) == ((), 2)
    assert verify_index(aged_project(shop.root).ledger).result == "ok"


def test_a_plan_whose_paths_are_all_gone_is_finished_with_its_event(shop: Shop) -> None:
    [old] = runs_days_ago(shop.root, 9)
    ledger = aged_project(shop.root).ledger
    run = PrunedRun(run_id=old.run_id, pipeline_slug="orders", paths=(old.run_logs_path,))
    ledger.record(RetentionPlanned(plan_id="p", planned_at="t", runs=(run,)))
    ledger.close()
    (shop.root / old.run_logs_path).rename(shop.root / "elsewhere")
    assert apply(shop, msgspec.structs.replace(RULES, run_logs_days=0)).gone == ()
    assert paths_in(retention_events(shop)[-1]) == [old.run_logs_path]
    assert survey(aged_project(shop.root), RULES).unfinished == ()


def test_a_plan_that_names_what_it_must_not_deletes_nothing_of_it_and_lets_go_of_it(shop: Shop) -> None:
    """Recorded by an edited tool, say: the journal is no licence to delete."""
    [old] = runs_days_ago(shop.root, 9)
    ledger = aged_project(shop.root).ledger
    hostile = ("pipelines", "../shop/data", str(shop.root / "data"), "run_logs", old.aiop_path, "build/../data")
    run = PrunedRun(run_id=old.run_id, pipeline_slug="orders", paths=hostile)
    ledger.record(RetentionPlanned(plan_id="p", planned_at="t", runs=(run,)))
    ledger.close()
    before = {path for path in tree(shop.root) if not path.startswith(".osiris")}
    done = apply(shop)
    assert {found.path for found in done.obstacles} == set(hostile)
    assert {path for path in tree(shop.root) if not path.startswith(".osiris")} == before
    pruned = retention_events(shop)[-1]
    assert (paths_in(pruned), paths_in(pruned, "left")) == ([], list(hostile))
    assert apply(shop).obstacles == ()


def test_the_journal_of_a_newer_osiris_is_left_alone_and_so_are_the_folders(shop: Shop) -> None:
    [old] = runs_days_ago(shop.root, 9)
    ledger = aged_project(shop.root).ledger
    run = PrunedRun(run_id=old.run_id, pipeline_slug="orders", paths=(old.run_logs_path,))
    ledger.record(RetentionPlanned(plan_id="p", planned_at="t", runs=(run,)))
    ledger.journal.append(NewerEvent())  # type: ignore[arg-type]  # that is the point
    ledger.close()
    with pytest.raises(OsirisError) as caught:
        apply(shop)
    assert caught.value.exit_code == ExitCode.NEWER_OSIRIS
    assert (shop.root / old.run_logs_path).exists()


class NewerEvent(msgspec.Struct, frozen=True, tag="artifact.registered", tag_field="type"):
    """What this version does not know."""

    idempotency_key: msgspec.UnsetType = msgspec.UNSET


def test_profiles_that_are_off_and_other_templates_make_no_difference(shop: Shop) -> None:
    shop.write(
        "osiris.yaml",
        "filesystem:\n  run_logs_dir: var/logs\n  aiop_dir: var/packs\n  profiles: {enabled: false}\n"
        '  naming: {run_dir: "{run_id}/{pipeline_slug}/all", aiop_run_dir: "of/{run_id}"}\n',
    )
    build = make_build(profile="")
    old, newest = runs_days_ago(shop.root, 9, 0, build=build)
    assert old.run_logs_path == f"var/logs/{old.run_id}/orders/all"
    assert gone(apply(shop)) == {old.run_logs_path, annex(old)}
    assert (shop.root / old.run_logs_path).parent.exists()
    assert (shop.root / newest.run_logs_path).exists()


def test_a_run_of_before_its_root_was_renamed_is_named_and_left_alone(shop: Shop) -> None:
    old, _ = runs_days_ago(shop.root, 9, 0)
    shop.write("osiris.yaml", "filesystem: {run_logs_dir: logs}\n")
    done = apply(shop)
    [obstacle] = done.obstacles
    assert (obstacle.path, obstacle.code) == (old.run_logs_path, "retention.refused")
    assert "does not lie below logs/" in obstacle.problem
    assert gone(done) == {annex(old)}
    assert (shop.root / old.run_logs_path).exists()


def test_kept_outputs_go_with_their_run_folder_and_nothing_is_taken_from_the_run_that_went_on_with_them(
    shop: Shop,
) -> None:
    old, newest = runs_days_ago(shop.root, 9, 0)
    kept, taken = ((shop.root / run.run_logs_path / "outputs" / "orders.parquet") for run in (old, newest))
    kept.parent.mkdir()
    kept.write_bytes(b"rows")
    taken.parent.mkdir()
    taken.hardlink_to(kept)
    assert old.run_logs_path in gone(apply(shop))
    assert not kept.parent.parent.exists()
    assert taken.read_bytes() == b"rows"


def test_a_run_folder_that_moved_with_its_renamed_root_is_no_concern_of_a_clean(shop: Shop) -> None:
    old, _ = runs_days_ago(shop.root, 9, 0)
    shop.write("osiris.yaml", "filesystem: {run_logs_dir: logs}\n")
    (shop.root / "run_logs").rename(shop.root / "logs")
    done = apply(shop)
    assert (done.obstacles, gone(done)) == ((), {annex(old)})
    assert len(list((shop.root / "logs" / "dev" / "orders").iterdir())) == 2


def test_a_compile_is_recorded_between_two_batches_without_waiting_for_the_whole_clean(shop: Shop) -> None:
    """The journal's lock is held for each record only."""
    shop.write("osiris.yaml", "retention: {batch_size: 1}\nledger: {lock_timeout_s: 0.1}\n")
    runs_days_ago(shop.root, 9, 8, 0)
    other = aged_project(shop.root)

    def remove(place: folders.Place, seen: Folder) -> None:
        record_compile(other.ledger, make_build(digit="c"), even_if_known=True)
        folders.remove(place, seen)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(engine, "remove", remove)
        assert len(apply(shop).gone) == 4
    assert shop.types().count("pipeline.compiled") == 4


def test_what_stays_is_written_only_where_something_does() -> None:
    """So that lines of before this field are as they are written today."""
    runs = (PrunedRun(run_id="run-1", pipeline_slug="orders", paths=("run_logs/x",)),)
    gone = RetentionPruned(plan_id="p", pruned_at="t", runs=runs)
    content = b'[{"run_id":"run-1","pipeline_slug":"orders","paths":["run_logs/x"]}]'
    line = b'{"type":"retention.pruned","plan_id":"p","pruned_at":"t","runs":%b}' % content
    assert (encode_event(gone), decode_event(line)) == (line, gone)
    stays = RetentionPruned(plan_id="p", pruned_at="t", runs=(), left=runs)
    line = b'{"type":"retention.pruned","plan_id":"p","pruned_at":"t","runs":[],"left":%b}' % content
    assert (encode_event(stays), decode_event(line)) == (line, stays)
