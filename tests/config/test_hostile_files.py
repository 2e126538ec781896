"""Whatever stands in the place of ``osiris.yaml``: a configuration, or one clear error with exit code 2."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from osiris.config import OsirisConfig, config_keys, load_config
from osiris.errors import ExitCode, OsirisError
from osiris.project import open_project
from tests.cli.shop import new_shop

BLOCKS = sorted({key.rpartition(".")[0] for key in config_keys()} | {""})
KEYS = list(config_keys())


def outcome(folder: Path, content: bytes, **environ: str) -> OsirisError | None:
    """The error that the file gives, None where it is accepted; any other exception is a failure of the test."""
    (folder / "osiris.yaml").write_bytes(content)
    error = None
    try:
        open_project(folder, environ)
    except OsirisError as caught:
        error = caught
    assert error is None or (error.exit_code == ExitCode.USAGE and error.problem and error.hint)
    assert error is None or "\n" not in error.problem
    return error


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@given(st.binary(max_size=400))
def test_any_bytes_are_a_configuration_or_a_clear_error(folder: Path, content: bytes) -> None:
    outcome(folder, content)


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | st.sampled_from(KEYS),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=8), below, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*KEYS, *BLOCKS[1:]]), VALUES, max_size=4))
def test_any_value_at_any_key_is_taken_or_told_with_its_path(folder: Path, values: dict[str, Any]) -> None:
    tree: dict[str, Any] = {}
    for key, value in values.items():
        *above, name = key.split(".")
        block = tree
        for part in above:
            below = block.get(part)
            block[part] = block = below if isinstance(below, dict) else {}
        block[name] = value
    error = outcome(folder, yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"))
    if error is not None:
        assert error.problem.startswith(("osiris.yaml", "ConfigError:"))


@given(
    st.sampled_from(
        [
            "OSIRIS_PROFILE",
            "OSIRIS_FILESYSTEM_BASE",
            "OSIRIS_BASE_PATH",
            "OSIRIS_RUN_ID_FORMAT",
            "OSIRIS_RETENTION_RUN_LOGS_DAYS",
        ]
    ),
    st.text(st.characters(exclude_characters="\0"), max_size=300),
)
def test_any_environment_is_taken_or_told_with_its_name(folder: Path, name: str, value: str) -> None:
    error = outcome(folder, b"", **{name: value})
    if error is not None:
        assert name in error.problem + error.hint


@pytest.mark.parametrize("key", [*KEYS, *BLOCKS[1:]])
def test_a_map_in_the_place_of_a_value_and_a_list_in_the_place_of_a_block_are_told_with_path_and_line(
    tmp_path: Path, key: str
) -> None:
    wrong = "{a: {b: 1}}" if key in KEYS else "[1, 2]"
    lines = [f"{'  ' * depth}{name}:" for depth, name in enumerate(key.split("."))]
    error = outcome(tmp_path, ("\n".join(lines) + f" {wrong}\n").encode())
    assert error is not None
    assert error.problem.startswith(f"osiris.yaml:{len(lines)}:")
    assert key in error.problem
    assert "expected" in error.problem or "is not one of" in error.problem


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words\n", "42\n"])
def test_a_file_that_is_no_map_is_told(tmp_path: Path, text: str) -> None:
    error = outcome(tmp_path, text.encode())
    assert error is not None
    assert "osiris.yaml:1:1: expected a map" in error.problem


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n", b"# nothing\n", b"---\n", b"\xef\xbb\xbfversion: '2.0'\n", b"version: '2.0'\r\nids: {}\r\n", b"~\n"],
    ids=["empty", "blank", "comment", "marker", "BOM", "CRLF", "null"],
)
def test_a_file_with_nothing_in_it_a_bom_or_crlf_is_the_default(tmp_path: Path, content: bytes) -> None:
    assert outcome(tmp_path, content) is None
    assert load_config(tmp_path / "osiris.yaml", {}).config == OsirisConfig()


ALIAS_BOMB = b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + b"".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n".encode() for n in range(1, 9)
)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"filesystem:\n\tbase_path: x\n", "osiris.yaml:2:1"),
        (b"ids: {}\nids: {}\n", "stands twice"),
        (b"version: '2.0'\xff\n", "not UTF-8"),
        (b"\x00\x01\x02\x7fELF", "not allowed"),
        (ALIAS_BOMB, "aliases"),
        (b"[" * 100_000, "deep"),
        (b"a: {" * 100_000, "deep"),
        (b"version: !!python/object/apply:os.system ['true']\n", "tags"),
        (b"a: 1\n---\nb: 2\n", "second document"),
        (b"ids: &x {run_id_format: *x}\n", "alias"),
        (b"x: " + b"9" * (50 << 20), "too large"),
    ],
    ids=["tab", "twice", "latin", "binary", "bomb", "lists", "maps", "tag", "two", "circle", "50 MB"],
)
def test_what_is_no_yaml_or_no_honest_yaml_is_told_with_its_place(tmp_path: Path, content: bytes, words: str) -> None:
    error = outcome(tmp_path, content)
    assert error is not None
    assert error.code == "yaml.invalid"
    assert error.problem.startswith("osiris.yaml:")
    assert words in error.problem


def test_what_has_the_name_but_is_no_file_is_said_to_be_none(tmp_path: Path) -> None:
    shop = new_shop(tmp_path)
    (shop.root / "osiris.yaml").unlink()
    (shop.root / "osiris.yaml").mkdir()
    assert "osiris.yaml is not a file" in shop.run("config", "show", check=2).err
    assert "osiris.yaml is not a file" in shop.run("-C", ".", "runs", "list", check=2).err
    (shop.root / "osiris.yaml").rmdir()
    (shop.root / "osiris.yaml").symlink_to("nowhere")
    assert "leads to no file" in shop.run("runs", "list", check=2).err
    (shop.root / "osiris.yaml").unlink()
    os.mkfifo(shop.root / "osiris.yaml")
    assert "osiris.yaml is not a file" in shop.run("runs", "list", check=2).err
