"""JSON files keep their values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from osiris.errors import OsirisError
from tests.components.reading import Context, read, text_rows, types_of, write

JSON = "filesystem.json_extractor"


@pytest.fixture
def ctx(tmp_path: Path) -> Context:
    return Context(tmp_path)


def put(ctx: Context, *rows: str, name: str = "in.jsonl") -> str:
    (ctx.project_root / name).write_text("\n".join(rows) + "\n", encoding="utf-8")
    return name


def test_strings_stay_as_they_were_written_and_numbers_keep_their_digits(ctx: Context) -> None:
    path = put(
        ctx,
        '{"zip":"00501","big":9007199254740993,"money":1.10,"na":"NA","empty":"","german":"31.12.2024",'
        '"iso":"2024-01-05","zoned":"2024-01-05T10:00:00Z","uuid":"9C1F0F8E-3C68-4D6E-9A0B-0D1D9A6AB001","none":null}',
        '{"zip":"00502","big":1,"money":2.5,"na":"x","empty":null,"german":"01.01.2024",'
        '"iso":"2024-01-06","zoned":"2024-01-06T10:00:00Z","uuid":"9c1f0f8e-3c68-4d6e-9a0b-0d1d9a6ab002","none":null}',
    )
    produced = read(ctx, JSON, path=path)
    types = types_of(produced)
    assert (types.pop("big"), types.pop("money"), types.pop("iso")) == ("BIGINT", "DECIMAL(18,1)", "DATE")
    assert set(types.values()) == {"VARCHAR"}
    first = dict(zip(produced.rows.columns, text_rows(ctx, produced.rows)[0], strict=True))
    assert first["zip"] == "00501"
    assert first["big"] == "9007199254740993"
    assert first["empty"] == ""
    assert first["zoned"] == "2024-01-05T10:00:00Z"
    assert first["uuid"] == "9C1F0F8E-3C68-4D6E-9A0B-0D1D9A6AB001"


def test_integers_among_fractions_lose_no_digit(ctx: Context) -> None:
    produced = read(ctx, JSON, path=put(ctx, '{"a":9007199254740993}', '{"a":1.5}'))
    assert text_rows(ctx, produced.rows) == [("9007199254740993.0",), ("1.5",)]


@pytest.mark.parametrize(
    ("values", "type_", "rows"),
    [
        (["9007199254740993.00", "1.5"], "DECIMAL(18,2)", ["9007199254740993.00", "1.50"]),
        (["0.1000000000000000055511"], "DECIMAL(38,22)", ["0.1000000000000000055511"]),
        (["123456789012345678901234567890.12", "null"], "DECIMAL(38,2)", ["123456789012345678901234567890.12", None]),
        (["-9007199254740993.5"], "DECIMAL(18,1)", ["-9007199254740993.5"]),
        (['"9007199254740993.00"'], "VARCHAR", ["9007199254740993.00"]),
        (["1e5", "0.12345678901234567890"], "DECIMAL(38,20)", [f"100000.{'0' * 20}", "0.12345678901234567890"]),
        (["1e300", "0.5"], "DOUBLE", ["1e+300", "0.5"]),
    ],
)
def test_a_number_with_more_digits_than_a_double_has_keeps_them(
    ctx: Context, values: list[str], type_: str, rows: list[str | None]
) -> None:
    lines = [f'{{ "other" : "9007199254740993.00",  "a/~\\" z" : {value}, "n": {{"x": 1.5}} }}' for value in values]
    produced = read(ctx, JSON, path=put(ctx, *lines, " { } "))
    assert types_of(produced) == {"other": "VARCHAR", 'a/~" z': type_, "n": "STRUCT(x DOUBLE)"}
    nested = "{'x': 1.5}"
    assert text_rows(ctx, produced.rows) == [*(("9007199254740993.00", row, nested) for row in rows), (None,) * 3]


def test_types_in_the_config_keep_the_digits_too(ctx: Context) -> None:
    path = put(ctx, '{"a":9007199254740993.00,"b":9007199254740993.10,"c":1}')
    produced = read(ctx, JSON, path=path, types={"a": "DECIMAL(38,4)", "b": "VARCHAR", "c": "INTEGER"})
    assert types_of(produced) == {"a": "DECIMAL(38,4)", "b": "VARCHAR", "c": "INTEGER"}
    assert text_rows(ctx, produced.rows) == [("9007199254740993.0000", "9007199254740993.10", "1")]


def test_a_key_that_comes_late_is_a_column(ctx: Context) -> None:
    rows = [f'{{"a":{number}}}' for number in range(30_000)]
    produced = read(ctx, JSON, path=put(ctx, *rows, '{"a":1.5,"b":"late"}'))
    assert types_of(produced) == {"a": "DECIMAL(18,1)", "b": "VARCHAR"}
    assert text_rows(ctx, produced.rows)[-1] == ("1.5", "late")


def test_strings_inside_of_objects_and_lists_stay_strings(ctx: Context) -> None:
    produced = read(ctx, JSON, path=put(ctx, '{"a":{"DATE":"2024-01-05","n":null},"b":["2024-01-05T10:00:00"]}'))
    assert types_of(produced)["b"] == "VARCHAR[]"
    assert text_rows(ctx, produced.rows) == [("{'DATE': 2024-01-05, 'n': NULL}", "['2024-01-05T10:00:00']")]


def test_an_array_of_objects_is_read(ctx: Context) -> None:
    produced = read(ctx, JSON, path=put(ctx, '[{"a":1},', '{"a":2}]', name="in.json"))
    assert text_rows(ctx, produced.rows) == [("1",), ("2",)]


def test_types_in_the_config_are_used_as_given(ctx: Context) -> None:
    produced = read(ctx, JSON, path=put(ctx, '{"a":1,"d":"2024-01-05"}'), types={"a": "VARCHAR", "d": "VARCHAR"})
    assert set(types_of(produced).values()) == {"VARCHAR"}


@pytest.mark.parametrize("content", ["", "[]", "1\n2", '"x"'])
def test_a_file_without_objects_is_an_error(ctx: Context, content: str) -> None:
    with pytest.raises(OsirisError) as refused:
        read(ctx, JSON, path=put(ctx, content))
    assert refused.value.code == "extract.no_objects"


def test_a_column_called_json_is_a_column_like_any_other(ctx: Context) -> None:
    produced = read(ctx, JSON, path=put(ctx, '{"json":"x"}'))
    assert text_rows(ctx, produced.rows) == [("x",)]


def test_decimals_big_integers_and_nulls_are_written_whole(ctx: Context) -> None:
    query = """SELECT 1.10::DECIMAL(18,2) AS a, 12345678901234567890.5::DECIMAL(38,1) AS b, 9007199254740993 AS c,
        NULL AS d, '' AS e"""
    written = write(ctx, "filesystem.json_writer", query, path="out.jsonl")
    assert written.rows == 1
    line = '{"a":1.10,"b":12345678901234567890.5,"c":9007199254740993,"d":null,"e":""}\n'
    assert (ctx.project_root / "out.jsonl").read_text() == line


@pytest.mark.parametrize(
    ("path", "config", "array"),
    [
        ("out.json", {}, True),
        ("out.ndjson", {}, False),
        ("out.jsonl.gz", {}, False),
        ("out.json", {"format": "newline_delimited"}, False),
        ("out.jsonl", {"format": "array"}, True),
    ],
)
def test_the_ending_or_the_config_says_how_objects_are_listed(
    ctx: Context, path: str, config: dict[str, str], array: bool
) -> None:
    write(ctx, "filesystem.json_writer", "SELECT unnest([1, 2]) AS a", path=path, **config)
    if path.endswith(".gz"):
        assert text_rows(ctx, read(ctx, JSON, path=path).rows) == [("1",), ("2",)]
    else:
        text = (ctx.project_root / path).read_text()
        rows = json.loads(text) if array else [json.loads(line) for line in text.splitlines()]
        assert rows == [{"a": 1}, {"a": 2}]
