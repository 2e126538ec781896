"""What `osiris init` writes: complete, explained, and the same as the documentation shows."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from osiris.config import TOKENS, OsirisConfig, load_config, load_raw_config
from osiris.redaction import secret_shape
from osiris.scaffold.ignore import ignore_patterns, merge_ignore
from osiris.scaffold.project_files import CONFIG_PATH, project_files, template

ROOT = Path(__file__).parents[2]
_KEY = re.compile(r" *[a-z_]+:( |$)")


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / CONFIG_PATH
    path.write_text(template("osiris.yaml"), encoding="utf-8")
    return path


def test_the_documented_sample_is_byte_for_byte_the_file_that_init_writes() -> None:
    sample = (ROOT / "docs" / "samples" / "osiris.filesystem.yaml").read_bytes()
    assert sample == project_files(example=False)[CONFIG_PATH].encode()


def test_every_key_of_the_configuration_has_a_comment_right_above_it() -> None:
    lines = template("osiris.yaml").splitlines()
    bare = [line for above, line in zip(["", *lines], lines, strict=False) if _KEY.match(line) and "#" not in above]
    assert bare == []


def test_the_configuration_that_init_writes_is_the_default_one_without_a_warning(config_file: Path) -> None:
    loaded = load_config(config_file, {})
    assert loaded.config == OsirisConfig()
    assert loaded.warnings == ()


def test_no_key_of_the_configuration_is_missing_in_the_file_that_init_writes(config_file: Path) -> None:
    assert _keys(load_raw_config(config_file)) == _keys(msgspec.to_builtins(OsirisConfig()))


def test_the_comment_on_naming_lists_every_token_that_exists_and_no_other() -> None:
    listed = re.findall(r"^ +#   \{([a-z_]+)\}  ", template("osiris.yaml"), flags=re.MULTILINE)
    assert tuple(listed) == TOKENS


def test_the_sample_of_connections_holds_nothing_and_no_secret() -> None:
    text = template("osiris_connections.yaml")
    assert [line for line in text.splitlines() if line and not line.startswith("#")] == ["connections: {}"]
    assert secret_shape(text) == ""
    assert re.findall(r"password: (.*)", text) == ["${PGPASSWORD}", "${MYSQL_PASSWORD}"]


def test_run_logs_annexes_the_ledger_and_secrets_are_ignored_and_builds_are_not() -> None:
    patterns = ignore_patterns()
    for pattern in ("run_logs/", "aiop/**/annex/", ".osiris/cache/", ".osiris/index/counters.sqlite", ".env"):
        assert pattern in patterns
    assert {".osiris/sessions/", ".osiris/journal/", ".osiris/index/"} <= set(patterns)
    assert not [pattern for pattern in patterns if pattern.startswith("build")]


def test_merging_into_an_empty_file_gives_the_whole_template() -> None:
    assert merge_ignore("") == template("gitignore")


def test_merging_twice_changes_nothing_the_second_time() -> None:
    once = merge_ignore("*.pyc")
    assert once.startswith("*.pyc\n")
    assert merge_ignore(once) == once


def test_merging_adds_only_the_patterns_that_are_missing() -> None:
    merged = merge_ignore("/run_logs\n.osiris\n")
    assert merged == "/run_logs\n.osiris\n\n# --- osiris ---\naiop/**/annex/\n.env\n"


def test_a_commented_or_negated_pattern_does_not_count_as_present() -> None:
    merged = merge_ignore("# run_logs/\n!.env\n")
    assert set(ignore_patterns()) <= set(merged.splitlines())


def _keys(value: object, above: str = "") -> set[str]:
    if not isinstance(value, dict):
        return {above}
    return {key for name, below in value.items() for key in _keys(below, f"{above}.{name}")}
