"""When a step fails: who is to blame, what the others do, and what stays on disk."""

from __future__ import annotations

import threading
from pathlib import Path

import duckdb
import pytest

from osiris.compiler.manifest import RetryPolicy
from osiris.errors import OsirisError
from osiris.runner.cancellation import Cancellation
from osiris.runner.failures import describe_failure
from osiris.runner.results import ExecutionOutcome, RuntimeLimits, StepError
from tests.runner.pipelines import Diary, Step, manifest_steps, read_csv, run, select, write_csv

ENDLESS = "SELECT count(*) AS n FROM range(1_000_000) a, range(1_000_000) b WHERE a.range * b.range % 7 = 9"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rows = "".join(f"{number},w{number}\n" for number in range(9_000))
    (tmp_path / "in.csv").write_text(f"id,word\n{rows}")
    return tmp_path


SOURCE = read_csv("e", "in.csv")


def error_of(outcome: ExecutionOutcome) -> StepError:
    assert outcome.status == "failed"
    assert outcome.error is not None
    return outcome.error


def statuses(outcome: ExecutionOutcome) -> dict[str, str]:
    return {result.id: result.status for result in outcome.steps}


@pytest.mark.parametrize(
    ("query", "code", "place"),
    [
        ("SELECT id\nFORM input_df", "transform.sql_syntax", (2, 6)),
        ("SELECT\n  id,\n  nothing_like_it\nFROM input_df", "transform.sql_binding", (3, 3)),
        ("SELECT 'größe' AS g, '日本' AS j, nothing_like_it FROM input_df", "transform.sql_binding", (1, 33)),
        (f"SELECT {'id, ' * 100}nothing_like_it FROM input_df", "transform.sql_binding", (1, 408)),
        ("SELECT *\nFROM df_x", "transform.sql_catalog", (2, 6)),
        ("SELECT id,\r\n\tnothing_like_it(id)\r\nFROM input_df", "transform.sql_catalog", (2, 2)),
        ("SELECT word::INTEGER AS n FROM input_df", "transform.sql_conversion", (None, None)),
        ("SELECT (id + 9223372036854775807)::BIGINT AS n FROM input_df", "transform.sql_out_of_range", (None, None)),
        ("SELECT error('boom') AS n FROM input_df", "transform.sql_invalid_input", (None, None)),
        ("SELECT 1; SELECT 2", "transform.sql_not_a_select", (None, None)),
    ],
)
def test_a_query_s_failure_has_a_code_and_a_place(
    root: Path, query: str, code: str, place: tuple[int | None, int | None]
) -> None:
    outcome = run(root, SOURCE, select("p", query, "e"), write_csv("w", "o.csv", "p"))
    error = error_of(outcome)
    assert (error.step, error.code, (error.line, error.column)) == ("p", code, place)
    assert "rows of" not in error.message
    assert "LINE" not in error.message
    assert error.hint
    assert statuses(outcome)["e"] == "cancelled"
    assert statuses(outcome)["p"] == "failed"
    assert statuses(outcome)["w"] in ("cancelled", "skipped")
    assert not (root / "o.csv").exists()


def test_of_fused_queries_the_one_that_fails_is_blamed(root: Path) -> None:
    outcome = run(
        root,
        SOURCE,
        select("first", "SELECT id, word FROM input_df WHERE id >= 0", "e"),
        select("second", "SELECT word::INTEGER AS n FROM input_df", "first"),
        select("third", "SELECT n + 1 AS n FROM input_df", "second"),
        write_csv("w", "o.csv", "third"),
    )
    assert error_of(outcome).step == "second"
    # They were one statement, of which no part came to its end.
    assert statuses(outcome) == dict.fromkeys(("e", "first", "third", "w"), "cancelled") | {"second": "failed"}
    assert error_of(outcome).message.startswith("Conversion Error: Could not convert string 'w0'")


def test_a_broken_line_is_the_extractor_s_and_says_where(root: Path) -> None:
    with (root / "in.csv").open("a") as file:
        file.write("1,2,3\n")
    outcome = run(root, SOURCE, select("p", "FROM input_df", "e"), write_csv("w", "o.csv", "p"))
    error = error_of(outcome)
    assert (error.step, error.code) == ("e", "extract.invalid_input")
    assert error.message == "in.csv, line 9002: Expected Number of Columns: 2 Found: 3"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b'id,word\n1,"x\n', "unterminated quote"),
        (b'id,word\n1,"x"y\n', "unterminated quote"),
        (b"id,word\n1\n", "Found: 1"),
        (b"id,word\n1,\xff\n", "not utf-8"),
    ],
)
def test_a_malformed_file_is_refused_with_its_line(root: Path, content: bytes, reason: str) -> None:
    (root / "in.csv").write_bytes(content)
    error = error_of(run(root, SOURCE, write_csv("w", "o.csv", "e")))
    assert (error.step, error.code) == ("e", "extract.invalid_input")
    assert error.message.startswith("in.csv, line 2: ")
    assert reason in error.message


def test_a_value_that_has_not_the_given_type_is_an_invalid_value(root: Path) -> None:
    error = error_of(run(root, read_csv("e", "in.csv", types={"word": "DATE"}), write_csv("w", "o.csv", "e")))
    assert (error.step, error.code) == ("e", "extract.invalid_value")
    assert 'line 2: Error when converting column "word"' in error.message


def test_a_missing_file_fails_the_run_and_not_the_program(root: Path) -> None:
    error = error_of(run(root, read_csv("e", "im.csv"), write_csv("w", "o.csv", "e")))
    assert (error.code, error.hint) == ("extract.file_missing", "Did you mean in.csv?")


def test_a_failed_run_leaves_the_old_target_whole(root: Path) -> None:
    (root / "o.csv").write_text("old")
    late = "SELECT CASE WHEN id > 8990 THEN error('late') ELSE id END AS id FROM input_df"
    assert error_of(run(root, SOURCE, select("p", late, "e"), write_csv("w", "o.csv", "p"))).step == "p"
    assert sorted(path.name for path in root.iterdir() if path.is_file()) == ["in.csv", "o.csv"]
    assert (root / "o.csv").read_text() == "old"


def test_a_target_that_cannot_be_written_is_the_writer_s_failure(root: Path) -> None:
    (root / "o.csv").mkdir()
    outcome = run(root, SOURCE, write_csv("w", "o.csv", "e"))
    assert (error_of(outcome).step, error_of(outcome).code) == ("w", "write.unwritable")
    assert statuses(outcome) == {"e": "cancelled", "w": "failed"}
    assert error_of(outcome).message.startswith("cannot write o.csv: ")


def test_an_error_that_duckdb_wraps_as_json_is_told_in_its_words(root: Path) -> None:
    inner = f'Could not write file \\"{root}/o.csv\\": No space left on device'
    said = f'Async write failed for range [offset=1, size=2]: {{"exception_type":"IO","exception_message":"{inner}"}}'
    wrapped = duckdb.IOException(f"IO Error: {said}")
    [writer] = manifest_steps([write_csv("w", "o.csv", "w")])
    error = describe_failure(writer, wrapped, root)
    assert (error.code, error.message) == (
        "write.io",
        'IO Error: Could not write file "o.csv": No space left on device',
    )


def test_a_query_without_enough_memory_says_so(root: Path) -> None:
    hungry = "SELECT list(range ORDER BY hash(range)) AS l FROM range(20_000_000)"
    limits = RuntimeLimits(memory_limit="30MB", threads=2)
    error = error_of(run(root, select("p", hungry), write_csv("w", "o.csv", "p"), limits=limits))
    assert error.code == "runtime.out_of_memory"


def test_limits_that_duckdb_does_not_take_are_an_error(root: Path) -> None:
    with pytest.raises(OsirisError) as refused:
        run(root, SOURCE, write_csv("w", "o.csv", "e"), limits=RuntimeLimits(memory_limit="much"))
    assert refused.value.code == "config.invalid"


def test_one_failure_stops_what_runs_beside_it_and_skips_the_rest(root: Path) -> None:
    diary = Diary()
    outcome = run(
        root,
        select("slow", ENDLESS),
        write_csv("w1", "slow.csv", "slow"),
        read_csv("e", "none.csv"),
        write_csv("w2", "o.csv", "e"),
        Step(id="later", component="duckdb.processor", config={"query": "SELECT 1 AS x"}, after=("w1",)),
        listener=diary,
    )
    assert error_of(outcome).step == "e"
    found = statuses(outcome)
    assert (found["e"], found["w2"], found["later"]) == ("failed", "skipped", "skipped")
    assert {found["slow"], found["w1"]} <= {"cancelled", "skipped"}
    assert "failed e" in diary.lines
    assert not any("later" in line for line in diary.lines)


def test_cancelling_interrupts_a_running_query(root: Path) -> None:
    cancel, diary = Cancellation(), Diary()

    def press() -> None:
        diary.saw_progress.wait(30)
        cancel.cancel("by hand")

    hand = threading.Thread(target=press)
    hand.start()
    outcome = run(root, select("p", ENDLESS), write_csv("w", "o.csv", "p"), cancel=cancel, listener=diary)
    hand.join()
    assert outcome.status == "cancelled"
    assert outcome.error is None
    assert statuses(outcome) == {"p": "cancelled", "w": "cancelled"}
    assert outcome.steps[1].error is not None
    assert outcome.steps[1].error.code == "runtime.cancelled"
    assert list(root.glob(".*osiris-tmp")) == []


def test_a_run_that_is_cancelled_before_it_begins_does_nothing(root: Path) -> None:
    cancel = Cancellation()
    cancel.cancel()
    outcome = run(root, SOURCE, write_csv("w", "o.csv", "e"), cancel=cancel)
    assert (outcome.status, statuses(outcome)) == ("cancelled", {"e": "skipped", "w": "skipped"})


def test_a_step_that_takes_too_long_is_stopped(root: Path) -> None:
    outcome = run(root, select("p", ENDLESS, timeout_ms=200), write_csv("w", "o.csv", "p"))
    error = error_of(outcome)
    assert (error.step, error.code) == ("p", "runtime.timeout")
    assert error.message == "it took longer than its timeout of 0.2 s"


def test_a_step_that_was_too_slow_is_tried_again(root: Path) -> None:
    diary = Diary()
    policy = RetryPolicy(max=1, backoff="fixed", delay_ms=1)
    slow = select("p", ENDLESS, timeout_ms=150, retry=policy)
    outcome = run(root, slow, write_csv("w", "o.csv", "p"), listener=diary)
    assert error_of(outcome).code == "runtime.timeout"
    assert [error.code for error in diary.retries] == ["runtime.timeout"]


def test_a_failing_step_is_tried_again_with_growing_pauses(root: Path) -> None:
    diary = Diary()
    policy = RetryPolicy(max=3, backoff="exp", delay_ms=2)
    source = Step(id="e", component="filesystem.csv_extractor", config={"path": "none.csv"}, retry=policy)
    outcome = run(root, source, write_csv("w", "o.csv", "e"), listener=diary)
    assert error_of(outcome).code == "extract.file_missing"
    assert [line for line in diary.lines if line.startswith("retried")] == [
        "retried e after 1 in 2 ms",
        "retried e after 2 in 4 ms",
        "retried e after 3 in 8 ms",
    ]
    assert diary.lines.count("started e") == 1


def test_what_cannot_change_is_not_tried_again(root: Path) -> None:
    diary = Diary()
    wrong = select("p", "SELECT nothing FROM input_df", "e", retry=RetryPolicy(max=3))
    run(root, SOURCE, wrong, write_csv("w", "o.csv", "p"), listener=diary)
    assert diary.retries == []


def test_cancelling_ends_the_pause_before_the_next_try(root: Path) -> None:
    cancel = Cancellation()
    policy = RetryPolicy(max=5, backoff="fixed", delay_ms=3_600_000)
    source = Step(id="e", component="filesystem.csv_extractor", config={"path": "none.csv"}, retry=policy)

    class Presses(Diary):
        def step_retried(self, step_id: str, *, attempt: int, delay_ms: int, error: StepError) -> None:
            super().step_retried(step_id, attempt=attempt, delay_ms=delay_ms, error=error)
            cancel.cancel()

    diary = Presses()
    outcome = run(root, source, write_csv("w", "o.csv", "e"), cancel=cancel, listener=diary)
    assert outcome.status == "cancelled"
    assert len(diary.retries) == 1


def test_two_steps_that_write_one_file_are_refused_before_anything_runs(root: Path) -> None:
    with pytest.raises(OsirisError, match="both write"):
        run(root, SOURCE, write_csv("w1", "o.csv", "e"), write_csv("w2", "o.csv", "e"))
