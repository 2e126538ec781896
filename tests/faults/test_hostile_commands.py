"""Whatever stands on a command line or in a file's name, the command says what is wrong, and the ledger stays whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.cli.shop import BY_CUSTOMER, ORDERS, Shop, new_shop, pipeline
from tests.faults.test_hostile_texts import LINE

TEXTS = {
    "LF": "a\nb",
    "an entry": LINE,
    "a byte that is no UTF-8": "\udcff",
    "an entry's end": '"}\n',
    "bidi overrides": "\u202eabc",
    "line separators": "a\u2028b\u0085c",
    "a path": "../../../x",
    "an absolute path": "/etc/passwd",
    "empty": "",
    "long": "x" * 300,
    "longer": "x" * 100_000,
    "quotes": "\"'`\\",
    "controls": "\x1b[2J\x07\r",
    "a format": "%s%n{0}${HOME}",
}
SAMPLE = ("LF", "a byte that is no UTF-8", "longer", "a path")
COMMANDS: dict[str, tuple[str, ...]] = {
    "a tag": ("pipelines", "tag", "orders", "--add", "{}"),
    "a tag of a run": ("run", "orders", "--tags", "{}"),
    "a run id format": ("run", "orders", "--run-id-format", "{}"),
    "a parameter": ("run", "orders", "--param", "minimum={}"),
    "a parameter's name": ("run", "orders", "--param", "{}=1"),
    "a pipeline": ("run", "{}"),
    "a pipeline to compile": ("compile", "{}"),
    "a pipeline to list": ("runs", "list", "--pipeline", "{}"),
    "a pipeline to tag": ("pipelines", "tag", "{}", "--add", "x"),
    "a run": ("runs", "show", "{}"),
    "a type": ("events", "--type", "{}"),
    "a profile": ("run", "orders", "--profile", "{}"),
    "a connection": ("connections", "doctor", "{}"),
    "a connection to look into": ("discover", "{}"),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shop = new_shop(tmp_path_factory.mktemp("finished") / "shop")
    shop.run("run", "orders")
    return shop.root


@pytest.fixture
def used(finished: Path, tmp_path: Path) -> Shop:
    return Shop(shutil.copytree(finished, tmp_path / "used"))


def sampled(names: dict[str, str]) -> list[object]:
    return [pytest.param(name, marks=() if name in SAMPLE else pytest.mark.slow) for name in names]


def check_whole(shop: Shop) -> None:
    """Every line is an entry, the index shows them, and nothing lies where it does not belong."""
    shop.run("index", "verify")
    assert set(shop.types()) <= {"pipeline.compiled", "pipeline.tagged", "run.started", "run.finished"}
    assert shop.leftovers() == []


@pytest.mark.parametrize("text", sampled(TEXTS))
def test_a_hostile_text_on_the_command_line_is_an_error_in_words_or_does_no_harm(used: Shop, text: str) -> None:
    commands = [tuple(word.replace("{}", TEXTS[text]) for word in words) for words in COMMANDS.values()]
    codes = {name: result.code for name, result in zip(COMMANDS, used.all(*commands, check=None), strict=True)}
    # An empty --pipeline, --type or --run-id-format is the same as none.
    assert {name: code for name, code in codes.items() if code not in {0, 1, 2}} == {}
    if TEXTS[text]:
        refused = set(codes) - {"a type", "a tag of a run"}
        assert {name: codes[name] for name in refused if codes[name] != 2} == {}
    assert sorted(path.name for path in used.root.parent.iterdir()) == ["used"]
    check_whole(used)


@pytest.mark.parametrize("text", sampled({name: text for name, text in TEXTS.items() if text}))
def test_a_hostile_run_id_format_in_the_environment_is_refused(used: Shop, text: str) -> None:
    before = used.journal()
    used.run("run", "orders", env={"OSIRIS_RUN_ID_FORMAT": TEXTS[text]}, check=2)
    assert used.journal() == before


FILE_NAMES = {
    "LF": "a\nb",
    "a byte that is no UTF-8": "a\udcff",
    "bidi overrides": "\u202eabc",
    "quotes": "\"'`\\",
    "a tag's end": '"}',
    "long": "x" * 240,
    "dots": "...a..",
    "dashes": "-a",
    "no letter": "\u00e9",
    "controls": "\x1b[2Ja\x07",
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in SAMPLE else pytest.mark.slow) for name in FILE_NAMES]
)
def test_a_pipeline_file_with_a_hostile_name_runs_under_a_harmless_one_or_is_refused(used: Shop, name: str) -> None:
    path = used.root / "pipelines" / f"{FILE_NAMES[name]}.yaml"
    path.write_text(ORDERS)
    result = used.run("run", f"pipelines/{path.name}", check=None)
    assert result.code in {0, 2}, result.err
    if result.code == 0:
        slug = used.runs()[0]["pipeline_slug"]
        assert slug.isascii()
        assert slug.replace("-", "").isalnum()
        assert (used.root / ".osiris" / "index" / "by_pipeline" / f"{slug}.jsonl").is_file()
        assert used.read("out/by_customer.csv") == BY_CUSTOMER
    check_whole(used)


def test_a_run_that_fails_with_a_message_larger_than_an_entry_is_recorded_as_failed(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline("SELECT error(repeat('x\n\"', 1000000)) AS broken FROM df_orders"))
    used.run("run", "orders", check=1)
    newest = used.runs()[0]
    assert newest["status"] == "failed"
    assert newest["error"]["code"]
    check_whole(used)
