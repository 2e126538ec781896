"""A template that could give two things one folder, or no good name, is refused when the configuration is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from osiris.config import OsirisConfig, choose_run_id_tokens, load_config
from osiris.errors import OsirisError


def load(tmp_path: Path, text: str) -> OsirisConfig:
    path = tmp_path / "osiris.yaml"
    path.write_text(text)
    return load_config(path, {}).config


def refused(tmp_path: Path, key: str, template: str, more: str = "") -> str:
    with pytest.raises(OsirisError) as caught:
        load(tmp_path, f'filesystem:\n  naming:\n    {key}: "{template}"\n{more}')
    assert caught.value.problem.startswith(f"osiris.yaml:3:{len(key) + 7}: filesystem.naming.{key} ")
    assert caught.value.hint
    return f"{caught.value.problem} {caught.value.hint}"


@pytest.mark.parametrize(
    ("key", "template", "words"),
    [
        ("run_dir", "{pipeline}/{run_id}", "unknown token {pipeline}"),
        ("run_dir", "{run_idd}", "Did you mean 'run_id'?"),
        ("run_dir", "{run_id", "signs"),
        ("run_dir", "{run_id}}", "signs"),
        ("run_dir", "", "no {run_id}"),
        ("aiop_run_dir", "{status}", "no {run_id}"),
        ("run_dir", "../{run_id}", "leaves its root"),
        ("run_dir", "/{run_id}", "leaves its root"),
        ("aiop_run_dir", "a/./{run_id}", "leaves its root"),
        ("run_dir", "{run_id}/..", "leaves its root"),
        ("run_dir", "x\\0{run_id}", "signs"),
        ("run_dir", "x\\n{run_id}", "signs"),
        ("run_dir", "x\\\\{run_id}", "signs"),
        ("run_dir", "x:{run_id}", "signs"),
        ("run_dir", "läufe/{run_id}", "signs"),
        ("run_dir", ".{run_id}", "dot"),
        ("run_dir", "{run_id}.", "dot"),
        ("run_dir", "a /{run_id}", "space"),
        ("run_dir", "y" * 256 + "{run_id}", "255"),
        ("manifest_dir", "{pipeline_slug}", "neither {manifest_hash} nor {manifest_short}"),
        ("manifest_dir", "{manifest_hash}/{user}", "shared by many runs"),
        ("manifest_dir", "{manifest_hash}-{run_id}-{tags}", "{run_id} and {tags}"),
        ("manifest_dir", "{branch}/{manifest_hash}", "{branch}"),
    ],
)
def test_a_bad_template_is_told_with_its_key_and_line(tmp_path: Path, key: str, template: str, words: str) -> None:
    assert words in refused(tmp_path, key, template)


@pytest.mark.parametrize("token", ["branch", "user", "tags"])
def test_incremental_ids_alone_stand_beside_nothing_that_may_read_like_one(tmp_path: Path, token: str) -> None:
    alone = "ids: {run_id_format: incremental}\n"
    for key, template in (
        ("run_dir", f"{{pipeline_slug}}/{{{token}}}/{{run_id}}"),
        ("aiop_run_dir", f"{{{token}}}{{run_id}}"),
    ):
        assert f"{{{token}}}" in refused(tmp_path, key, template, alone)
        load(tmp_path, f'filesystem: {{naming: {{{key}: "{template}"}}}}\n')


@pytest.mark.parametrize(
    ("key", "template"),
    [
        ("manifest_dir", "{manifest_short}"),
        ("manifest_dir", "v{manifest_version}/{pipeline_slug}/{status}/{manifest_hash}"),
        ("run_dir", "{profile}/{pipeline_slug}/{branch}/{run_ts}_{run_id}+{tags}"),
        ("aiop_run_dir", "{user} @ {branch} = {run_id}~{status}"),
    ],
)
def test_a_good_template_is_taken(tmp_path: Path, key: str, template: str) -> None:
    assert (
        getattr(load(tmp_path, f'filesystem: {{naming: {{{key}: "{template}"}}}}\n').filesystem.naming, key) == template
    )


def test_the_flag_for_run_ids_is_checked_against_the_templates_as_well(tmp_path: Path) -> None:
    config = load(tmp_path, 'filesystem: {naming: {run_dir: "{run_id}"}}\n')
    assert choose_run_id_tokens(config, "") == ("incremental", "ulid")
    assert choose_run_id_tokens(config, "uuidv4") == ("uuidv4",)
    with pytest.raises(OsirisError, match="--run-id-format: incremental run ids are unique in one pipeline only"):
        choose_run_id_tokens(config, "incremental")


@pytest.mark.parametrize("name", ["manifest", "fingerprints", "cfg"])
def test_a_file_that_makes_a_build_what_it_is_cannot_be_left_out(tmp_path: Path, name: str) -> None:
    with pytest.raises(OsirisError) as caught:
        load(tmp_path, f"filesystem:\n  artifacts:\n    {name}: false\n")
    assert f"osiris.yaml:3:{len(name) + 7}: filesystem.artifacts.{name} is false" in caught.value.problem
    load(tmp_path, "filesystem: {artifacts: {plan: false, run_summary: false}}\n")


@pytest.mark.parametrize(("one", "other"), [("build", "Build"), ("x/é", "x/e\u0301"), ("x/Straße", "x/strasse/deep")])
def test_folders_that_some_file_systems_take_for_one_are_not_apart(tmp_path: Path, one: str, other: str) -> None:
    with pytest.raises(OsirisError, match="are not apart"):
        load(tmp_path, f'filesystem: {{build_dir: "{one}", aiop_dir: "{other}"}}\n')


@pytest.mark.parametrize("folder", ["a\\nb", "x" * 256, "a\\0"])
def test_a_folder_that_no_file_system_takes_is_refused(tmp_path: Path, folder: str) -> None:
    with pytest.raises(OsirisError, match=r"osiris.yaml:1:\d+: filesystem.build_dir"):
        load(tmp_path, f'filesystem: {{build_dir: "{folder}"}}\n')
