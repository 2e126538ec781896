"""Every value says where it came from, and the winning block of a pair wins wherever a key stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from osiris.config import VARIABLES, EffectiveValue, config_keys, config_value, effective_values, load_config
from osiris.config.load import LoadedConfig
from osiris.errors import OsirisError

SAMPLE = Path(__file__).parents[2] / "docs" / "samples" / "osiris.filesystem.yaml"


def loaded(tmp_path: Path, text: str, **environ: str) -> LoadedConfig:
    path = tmp_path / "osiris.yaml"
    path.write_text(text)
    return load_config(path, environ)


def one(tmp_path: Path, key: str, text: str, **environ: str) -> tuple[object, str]:
    """Value and source of one key."""
    found = loaded(tmp_path, text, **environ)
    [value] = effective_values(found.config, found.sources, key)
    return value.value, value.source


def refused(tmp_path: Path, text: str, **environ: str) -> OsirisError:
    with pytest.raises(OsirisError) as caught:
        loaded(tmp_path, text, **environ)
    return caught.value


def test_every_key_of_the_sample_has_the_line_on_which_it_stands() -> None:
    lines = SAMPLE.read_text().splitlines()
    found = load_config(SAMPLE, {})
    values = effective_values(found.config, found.sources)
    assert [value.key for value in values] == list(config_keys())
    for value in values:
        line = re.match(r"osiris.yaml:(\d+)( \(filesystem.naming.manifest_short_len\))?$", value.source)
        assert line
        assert lines[int(line[1]) - 1].lstrip().startswith(value.key.rpartition(".")[2] + ":")


def test_what_nobody_set_is_default() -> None:
    found = load_config(SAMPLE, {})
    assert {value.source for value in effective_values(found.config, {})} == {"default"}


@pytest.mark.parametrize(
    ("key", "variable", "text", "value"),
    [
        ("filesystem.base_path", "OSIRIS_FILESYSTEM_BASE", "/a", "/a"),
        ("filesystem.base_path", "OSIRIS_BASE_PATH", "/a", "/a"),
        ("filesystem.profiles.default", "OSIRIS_PROFILE", "prod", "prod"),
        ("filesystem.retention.run_logs_days", "OSIRIS_RETENTION_RUN_LOGS_DAYS", "0", 0),
        ("ids.run_id_format", "OSIRIS_RUN_ID_FORMAT", "uuidv4", ("uuidv4",)),
    ],
)
def test_a_variable_wins_over_the_file_and_is_named(
    tmp_path: Path, key: str, variable: str, text: str, value: object
) -> None:
    full = SAMPLE.read_text()
    assert one(tmp_path, key, full, **{variable: text}) == (value, variable)
    assert one(tmp_path, key, full, **{variable: ""})[1].startswith("osiris.yaml:")
    assert variable in VARIABLES[key]


def test_of_the_two_names_of_the_base_path_the_longer_one_wins(tmp_path: Path) -> None:
    both = {"OSIRIS_BASE_PATH": "/b", "OSIRIS_FILESYSTEM_BASE": "/a"}
    assert one(tmp_path, "filesystem.base_path", "", **both) == ("/a", "OSIRIS_FILESYSTEM_BASE")


SHARED = {
    "run_logs_days": ("filesystem.retention", "retention", 3, 4),
    "aiop_keep_runs_per_pipeline": ("filesystem.retention", "retention", 3, 4),
    "annex_keep_days": ("filesystem.retention", "retention", 3, 4),
    "dry_run_default": ("filesystem.retention", "retention", False, True),
    "batch_size": ("filesystem.retention", "retention", 3, 4),
    "manifest_short_len": ("filesystem.naming", "determinism", 3, 4),
    "manifest_rehydration": ("filesystem.naming", "determinism", False, True),
    "run_dir": ("filesystem.naming", "determinism", "a-{run_id}", "b-{run_id}"),
    "run_ts_format": ("filesystem.naming", "determinism", "epoch_ms", "%Y"),
}


def yaml_of(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value!r}"


@pytest.mark.parametrize("name", SHARED)
def test_a_key_of_either_block_counts_in_both_and_the_filesystem_block_wins(tmp_path: Path, name: str) -> None:
    winning, older, first, second = SHARED[name]
    keys = [key for key in config_keys() if key in {f"{winning}.{name}", f"{older}.{name}"}]
    in_winning = f"filesystem:\n  {winning.partition('.')[2]}:\n    {name}: {yaml_of(first)}\n"
    in_older = f"{older}:\n  {name}: {yaml_of(second)}\n"
    assert keys
    for key in keys:
        here = f"osiris.yaml:3{'' if key.startswith(winning) else f' ({winning}.{name})'}"
        there = f"osiris.yaml:2{'' if key.startswith(f'{older}.') else f' ({older}.{name})'}"
        assert one(tmp_path, key, in_winning) == (first, here)
        assert one(tmp_path, key, in_older) == (second, there)
        assert one(tmp_path, key, in_winning + in_older) == (first, here)
    assert loaded(tmp_path, in_winning + in_older).warnings == ()


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("retention: {run_logs_days: -1}\n", "retention.run_logs_days", 1),
        ("filesystem:\n  retention: {batch_size: 0}\n", "filesystem.retention.batch_size", 2),
        ("determinism: {manifest_short_len: 99}\nfilesystem: {naming: {manifest_short_len: 5}}\n",
         "determinism.manifest_short_len", 1),
        ("retention: {annex_keep_days: x}\nfilesystem: {retention: {annex_keep_days: 5}}\n",
         "retention.annex_keep_days", 1),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_once_where_it_stands_also_in_the_block_that_does_not_count(
    tmp_path: Path, text: str, key: str, line: int
) -> None:
    error = refused(tmp_path, text)
    assert len(error.findings) == 1
    assert error.problem.startswith(f"osiris.yaml:{line}:")
    assert f": {key}: " in error.problem


def test_unknown_keys_are_one_warning_that_names_each_once_with_a_near_miss(tmp_path: Path) -> None:
    text = "filesystm: {}\nfilesystem: &f\n  naming: {run_dirr: x}\n  profile: {}\nqwertz: 1\n"
    [warning] = loaded(tmp_path, text).warnings
    for part in (
        "osiris.yaml:1:1: unknown key 'filesystm' (did you mean 'filesystem'?)",
        "osiris.yaml:3:12: filesystem.naming: unknown key 'run_dirr' (did you mean 'run_dir'?)",
        "osiris.yaml:4:3: filesystem: unknown key 'profile' (did you mean 'profiles'?)",
    ):
        assert warning.count(part) == 1
    assert warning.endswith("osiris.yaml:5:1: unknown key 'qwertz'")


def test_a_hundred_unknown_keys_are_still_one_warning_that_can_be_read(tmp_path: Path) -> None:
    [warning] = loaded(tmp_path, "".join(f"qqq{n}: 1\n" for n in range(100))).warnings
    assert warning.endswith("and 90 more")
    assert len(warning) < 1000


def test_a_block_that_stands_twice_by_an_alias_is_read_without_a_warning(tmp_path: Path) -> None:
    text = "filesystem: {retention: &r {run_logs_days: 3, batch_size: 2}}\nretention: *r\n"
    found = loaded(tmp_path, text)
    assert found.warnings == ()
    assert (found.config.filesystem.retention.run_logs_days, found.config.retention.batch_size) == (3, 2)


@pytest.mark.parametrize("text", ["iso", "%c", "%x %X", "%", "%Q", "%-d", "%\n", "YYYY-MM-DD", "%Ex"])
def test_a_run_ts_format_that_nobody_knows_is_one_warning_with_its_line_and_means_iso_basic(
    tmp_path: Path, text: str
) -> None:
    quoted = text.replace("\n", "\\n")
    found = loaded(tmp_path, f'filesystem:\n  naming:\n    run_ts_format: "{quoted}"\n')
    [warning] = found.warnings
    assert warning.startswith("osiris.yaml:3:20: filesystem.naming.run_ts_format is ")
    assert "iso_basic_z is used" in warning
    assert found.config.filesystem.naming.run_ts_format == "iso_basic_z"


@pytest.mark.parametrize(
    ("text", "environ", "hint"),
    [
        ("", {"OSIRIS_PROFILE": "prodd"}, "Did you mean 'prod'? Correct filesystem.profiles.default, OSIRIS_PROFILE"),
        ("filesystem:\n  profiles:\n    default: prodd\n", {}, "filesystem.profiles.default, osiris.yaml:3"),
        ("", {"OSIRIS_RUN_ID_FORMAT": "ulidd"}, "Did you mean 'ulid'? Correct OSIRIS_RUN_ID_FORMAT or"),
        ("ids:\n  run_id_format: uuid4\n", {}, "Did you mean 'uuidv4'? Correct ids.run_id_format, osiris.yaml:2"),
        ("ids:\n  run_id_format: 'incremental, ulid'\n", {}, "Write it as a list: [incremental, ulid]."),
    ],
)
def test_a_wrong_profile_or_run_id_format_names_where_it_comes_from_and_the_near_miss(
    tmp_path: Path, text: str, environ: dict[str, str], hint: str
) -> None:
    assert hint in refused(tmp_path, text, **environ).hint


def test_the_days_of_the_environment_are_told_with_their_variable(tmp_path: Path) -> None:
    for text in ("soon", "-1", "1.5", "٣", "9" * 9):
        assert "OSIRIS_RETENTION_RUN_LOGS_DAYS" in refused(tmp_path, "", OSIRIS_RETENTION_RUN_LOGS_DAYS=text).problem


@pytest.mark.parametrize("text", ['""', "[]", '[""]', "['', '']"])
def test_every_empty_run_id_format_is_iso_ulid(tmp_path: Path, text: str) -> None:
    assert loaded(tmp_path, f"ids: {{run_id_format: {text}}}\n").config.ids.run_id_tokens == ("iso_ulid",)


def test_a_block_or_a_key_can_be_asked_for_and_an_unknown_one_gets_a_suggestion() -> None:
    config = load_config(SAMPLE, {}).config
    keys = [value.key for value in effective_values(config, {}, "filesystem.retention")]
    assert keys == [f"filesystem.retention.{name}" for name in config.filesystem.retention.__struct_fields__]
    assert effective_values(config, {}, "ledger.segment_mb") == (
        EffectiveValue(key="ledger.segment_mb", value=config_value(config, "ledger.segment_mb"), source="default"),
    )
    near = {"run_logs_days": "filesystem.retention.run_logs_days", "filesystem.retenion": "filesystem.retention",
            "ledgr": "ledger", "ids.run_id_fromat": "ids.run_id_format"}  # fmt: skip
    for asked, meant in near.items():
        with pytest.raises(OsirisError) as caught:
            effective_values(config, {}, asked)
        assert caught.value.hint == f"Did you mean '{meant}'?"
