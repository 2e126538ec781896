"""``osiris.yaml``: typed, with defaults, and with errors that say where and what."""

from __future__ import annotations

from pathlib import Path

import pytest

from osiris.config import OsirisConfig, ProfilesConfig, load_config, load_raw_config, select_profile
from osiris.errors import ExitCode, OsirisError
from osiris.project import open_project

SAMPLE = Path(__file__).parents[2] / "docs" / "samples" / "osiris.filesystem.yaml"


def load(tmp_path: Path, text: str, **environ: str) -> OsirisConfig:
    path = tmp_path / "osiris.yaml"
    path.write_text(text)
    return load_config(path, environ).config


def refused(tmp_path: Path, text: str, **environ: str) -> OsirisError:
    with pytest.raises(OsirisError) as caught:
        load(tmp_path, text, **environ)
    assert caught.value.exit_code == ExitCode.USAGE
    return caught.value


def test_the_sample_is_the_default() -> None:
    loaded = load_config(SAMPLE, {})
    assert loaded.config == OsirisConfig()
    assert loaded.warnings == ()


def test_an_empty_file_is_the_default(tmp_path: Path) -> None:
    assert load(tmp_path, "") == OsirisConfig()


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("filesystem:\n  naming:\n    manifest_short_len: 2\n", 3, "manifest_short_len"),
        ("filesystem:\n  naming:\n    manifest_short_len: 17\n", 3, "manifest_short_len"),
        ("filesystem:\n  retention:\n    run_logs_days: -1\n", 3, "run_logs_days"),
        ("ids:\n  manifest_hash_algo: md5\n", 2, "sha256_slug"),
        ("filesystem:\n  profiles:\n    enabled: yes\n", 3, "enabled"),
        ("filesystem:\n  profiles:\n    values: [Dev]\n", 3, "values"),
        ("ledger:\n  segment_mb: 0\n", 2, "segment_mb"),
        ("runtime:\n  memory_limit: plenty\n", 2, "memory_limit"),
        ('filesystem:\n  naming:\n    run_dir: "{pipeline_slug}"\n', 3, "{run_id}"),
    ],
)
def test_a_wrong_value_is_an_error_with_its_path_and_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    error = refused(tmp_path, text)
    assert f"osiris.yaml:{line}:" in error.problem
    assert words in error.problem + error.hint


def test_all_wrong_values_are_told_at_once(tmp_path: Path) -> None:
    error = refused(tmp_path, "ledger:\n  segment_mb: 0\n  lock_timeout_s: -1\n")
    assert len(error.findings) == 2


def test_incremental_ids_alone_need_the_pipeline_in_the_folders_name(tmp_path: Path) -> None:
    text = 'ids: {run_id_format: incremental}\nfilesystem:\n  naming:\n    run_dir: "{run_id}"\n'
    assert "{pipeline_slug}" in refused(tmp_path, text).hint


def test_an_unknown_key_is_tolerated_and_named_in_one_warning(tmp_path: Path) -> None:
    path = tmp_path / "osiris.yaml"
    path.write_text("filesystm: {}\nx-mine: 1\n")
    [warning] = load_config(path, {}).warnings
    assert "osiris.yaml:1:1" in warning
    assert "filesystm" in warning


def test_the_raw_config_is_the_plain_file(tmp_path: Path) -> None:
    path = tmp_path / "osiris.yaml"
    path.write_text("a: {b: [1, no]}\n")
    assert load_raw_config(path) == {"a": {"b": [1, "no"]}}


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        "ids: {run_id_format: ulid}\n",
        OSIRIS_RUN_ID_FORMAT="incremental,uuidv4",
        OSIRIS_PROFILE="prod",
        OSIRIS_RETENTION_RUN_LOGS_DAYS="30",
        OSIRIS_FILESYSTEM_BASE="/elsewhere",
    )
    assert config.ids.run_id_tokens == ("incremental", "uuidv4")
    assert config.filesystem.profiles.default == "prod"
    assert config.filesystem.retention.run_logs_days == 30
    assert config.filesystem.base_path == "/elsewhere"


@pytest.mark.parametrize(
    "environ",
    [{"OSIRIS_RETENTION_RUN_LOGS_DAYS": "soon"}, {"OSIRIS_RUN_ID_FORMAT": "ksuid"}, {"OSIRIS_PROFILE": "qa"}],
)
def test_a_wrong_environment_fails_fast(tmp_path: Path, environ: dict[str, str]) -> None:
    refused(tmp_path, "", **environ)


def test_an_empty_run_id_format_is_iso_ulid(tmp_path: Path) -> None:
    assert load(tmp_path, 'ids: {run_id_format: ""}\n').ids.run_id_tokens == ("iso_ulid",)


def test_the_naming_block_wins_over_the_older_one(tmp_path: Path) -> None:
    older = "determinism: {manifest_short_len: 9}\n"
    assert load(tmp_path, older).filesystem.naming.manifest_short_len == 9
    both = older + "filesystem: {naming: {manifest_short_len: 5}}\n"
    assert load(tmp_path, both).filesystem.naming.manifest_short_len == 5


def test_an_unknown_profile_fails_with_the_allowed_ones() -> None:
    with pytest.raises(OsirisError) as caught:
        select_profile(ProfilesConfig(values=("dev", "staging", "prod")), "qa")
    assert caught.value.problem == (
        "ConfigError: Unknown profile 'qa'. Allowed profiles: dev, staging, prod (filesystem.profiles.values)."
    )


def test_without_profiles_there_is_none_to_choose() -> None:
    off = ProfilesConfig(enabled=False)
    assert select_profile(off, None) == ""
    with pytest.raises(OsirisError):
        select_profile(off, "dev")


def test_an_unsupported_run_id_token_fails_with_the_supported_ones(tmp_path: Path) -> None:
    assert refused(tmp_path, "ids: {run_id_format: [incremental, ksuid]}\n").problem == (
        "ConfigError: Unsupported run_id_format token 'ksuid'. "
        "Supported: incremental, ulid, iso_ulid, uuidv4, snowflake."
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("index_dir", ".osiris"),
        ("index_dir", "."),
        ("index_dir", "./"),
        ("index_dir", "/var/index"),
        ("index_dir", "../index"),
        ("index_dir", "a/../.."),
        ("index_dir", ".osiris/./journal"),
        ("index_dir", ".osiris/journal/index"),
        ("journal_dir", ".osiris/index.new"),
        ("journal_dir", "build"),
        ("pipelines_dir", "build/pipelines"),
        ("build_dir", "pipelines"),
        ("cache_dir", "run_logs/cache"),
        ("aiop_dir", "run_logs"),
    ],
)
def test_a_directory_outside_the_project_or_not_apart_from_another_is_refused_with_its_line(
    tmp_path: Path, key: str, value: str
) -> None:
    error = refused(tmp_path, f'filesystem:\n  base_path: ""\n  {key}: "{value}"\n')
    assert f"osiris.yaml:3:{len(key) + 5}:" in error.problem
    assert f"filesystem.{key}" in error.problem
    assert "default" in error.hint


def test_an_empty_directory_is_refused(tmp_path: Path) -> None:
    assert "osiris.yaml:2:" in refused(tmp_path, 'filesystem:\n  index_dir: ""\n').problem


def test_directories_beside_one_another_are_fine(tmp_path: Path) -> None:
    config = load(
        tmp_path, "filesystem: {index_dir: state/index, journal_dir: state/index-journal, build_dir: builds}\n"
    )
    assert config.filesystem.index_dir == "state/index"


def test_a_relative_base_path_starts_at_the_file_and_one_of_the_environment_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    (tmp_path / "osiris.yaml").write_text("filesystem: {base_path: data}\n")
    assert open_project(tmp_path, {}).root == tmp_path / "data"
    assert open_project(tmp_path, {"OSIRIS_FILESYSTEM_BASE": "data"}).root == here / "data"
    assert open_project(tmp_path, {"OSIRIS_FILESYSTEM_BASE": "~/x"}).root == Path.home() / "x"


def test_a_base_path_in_the_home_of_nobody_is_refused(tmp_path: Path) -> None:
    (tmp_path / "osiris.yaml").write_text("filesystem: {base_path: ~no-such-user-here/x}\n")
    with pytest.raises(OsirisError, match="no such home folder") as caught:
        open_project(tmp_path, {})
    assert caught.value.exit_code == ExitCode.USAGE


def test_a_project_whose_name_no_folder_can_have_is_missing(tmp_path: Path) -> None:
    with pytest.raises(OsirisError, match="no project in"):
        open_project(tmp_path / ("x" * 300), {})
