"""The YAML loader: safe, strict, and every refusal has a place."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from osiris.documents import MAX_BYTES, MAX_DEPTH, Node, load_document, to_builtins
from osiris.errors import ExitCode, OsirisError


def refused(source: str | bytes) -> OsirisError:
    with pytest.raises(OsirisError) as caught:
        load_document(source, "a.yaml")
    error = caught.value
    assert error.code == "yaml.invalid"
    assert error.exit_code is ExitCode.USAGE
    assert error.hint
    assert "\n" not in error.problem + error.hint
    assert error.problem.startswith("a.yaml:")
    return error


def test_nodes_know_their_line_and_column() -> None:
    root = load_document("a: 1\nb:\n  - x\n  - {c: 'no'}\n", "a.yaml")
    assert (root.line, root.column) == (1, 1)
    inner = root.child("b", 1, "c")
    assert (inner.line, inner.column, inner.raw, inner.plain, inner.value) == (4, 9, "no", False, "no")
    entry = root.child("b", 1).entry("c")
    assert entry is not None
    assert (entry.line, entry.column) == (4, 6)


def test_an_empty_document_is_a_null_scalar() -> None:
    for text in ("", "# nothing\n", "---\n", "\ufeff"):
        assert load_document(text, "a.yaml").is_null


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("null", None),
        ("~", None),
        ("", None),
        ("true", True),
        ("FALSE", False),
        ("12", 12),
        ("-07", -7),
        ("0o17", 15),
        ("0xfF", 255),
        ("1.10", 1.1),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-.inf", float("-inf")),
        ("no", "no"),
        ("Yes", "Yes"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("2024-01-01", "2024-01-01"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("tRUE", "tRUE"),
        ("0b1", "0b1"),
        ("=", "="),
        ("'12'", "12"),
        ('"true"', "true"),
        ("''", ""),
        ("9" * 500, "9" * 500),
        ("١٢", "١٢"),
    ],
)
def test_scalars_resolve_by_the_yaml_1_2_core_schema(text: str, value: object) -> None:
    found = to_builtins(load_document(f"a: {text}\n", "a.yaml"))["a"]
    assert found == value
    assert type(found) is type(value)


def test_a_nan_is_a_float() -> None:
    found = load_document(".nan", "a.yaml").value
    assert isinstance(found, float)
    assert found != found


def test_keys_are_text_whatever_they_look_like() -> None:
    assert to_builtins(load_document("on: 1\n1: 2\nnull: 3\n", "a.yaml")) == {"on": 1, "1": 2, "null": 3}


def test_aliases_stand_for_their_anchor() -> None:
    root = load_document("a: &x {k: [1, 2]}\nb: *x\n", "a.yaml")
    assert to_builtins(root) == {"a": {"k": [1, 2]}, "b": {"k": [1, 2]}}


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: [1\nb: 2\n", "2:2", "not YAML"),
        ("a: 1\n\tb: 2\n", "2:1", "not YAML"),
        ("a: 1\n'a': 2\n", "2:1", "'a' stands twice: at line 1, column 1 and at line 2, column 1"),
        ("a: 1\n---\nb: 2\n", "2:1", "second document"),
        ("a: !!python/object/apply:os.system [ls]\n", "1:4", "tags"),
        ("a: !!str 1\n", "1:4", "tags"),
        ("a: ! 1\n", "1:4", "tags"),
        ("x: &x {a: 1}\nb:\n  <<: *x\n", "3:3", "merge keys"),
        ("a: &x [*x]\n", "1:8", "inside its own anchor"),
        ("a: *nowhere\n", "1:4", "names no anchor"),
        ("? [a]\n: 1\n", "1:3", "a key must be a word"),
        ("a: &k x\n? *k\n: 1\n", "2:3", "a key must be a word"),
        ("a: 1\nb: \x00\n", "2:4", "U+0000"),
    ],
)
def test_what_is_not_read_is_refused_with_its_place(text: str, place: str, words: str) -> None:
    error = refused(text)
    assert error.problem.startswith(f"a.yaml:{place}: ")
    assert words in error.problem


def test_bytes_that_are_not_utf_8_are_refused_with_their_place() -> None:
    assert refused(b"a: 1\nb: \xff\n").problem.startswith("a.yaml:2:4: not UTF-8")
    assert refused("a: \udcff").problem.startswith("a.yaml:1:4: not UTF-8")


def test_an_alias_bomb_is_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    error = refused("\n".join(lines))
    assert "more than 10000 values" in error.problem


def test_aliases_do_not_nest_deeper_than_the_limit() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 200)]
    assert f"more than {MAX_DEPTH} deep" in refused("\n".join(lines)).problem


def test_a_deep_document_is_refused() -> None:
    load_document("[" * MAX_DEPTH + "]" * MAX_DEPTH, "a.yaml")
    assert f"more than {MAX_DEPTH} deep" in refused("[" * 5000 + "]" * 5000).problem
    assert f"more than {MAX_DEPTH} deep" in refused("{a: " * 5000).problem


def test_a_file_over_the_limit_is_refused_and_the_limit_is_named() -> None:
    error = refused(b"#" * (MAX_BYTES + 1))
    assert str(MAX_BYTES) in error.problem
    load_document(b"#" * MAX_BYTES, "a.yaml")


@pytest.mark.parametrize("value", ["*hunter2", "!hunter2", "&hunter2 !x y"])
def test_a_refusal_never_repeats_what_may_be_a_password(value: str) -> None:
    assert "hunter2" not in refused(f"password: {value}\n").problem


def outcome(source: str | bytes) -> Node | OsirisError:
    try:
        return load_document(source, "a.yaml")
    except OsirisError as error:
        return error


@settings(deadline=None)
@given(st.binary() | st.text() | st.text(alphabet="ab:-[]{}&*!|>'\"#%@,?<~ \n\t0.1"))
def test_no_input_makes_anything_but_a_document_or_an_osiris_error_with_a_place(source: str | bytes) -> None:
    found = outcome(source)
    if isinstance(found, Node):
        to_builtins(found)
    else:
        assert found.code == "yaml.invalid"
        assert found.findings[0].line >= 1
        assert found.findings[0].column >= 1


# Characters that JSON allows raw and YAML does not, or folds as line ends.
_UNLIKE_JSON = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]|\\\\u")
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(), below, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(_VALUES)
def test_json_is_read_as_it_is_written(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assume(not _UNLIKE_JSON.search(text))
    assert to_builtins(load_document(text, "a.yaml")) == value
