"""Whatever a text holds, an event with it is refused and not recorded, or it is one line and comes back equal."""

from __future__ import annotations

import random
import types
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osiris.errors import OsirisError
from osiris.events.catalog import EVENT_TYPES, Event, encode_event
from osiris.events.entry import MAX_ENTRY_BYTES, MAX_EVENT_BYTES, seal
from osiris.events.runs import PipelineTagged, RunStarted
from osiris.ledger.index import rebuild, verify_index
from osiris.ledger.ledger import Ledger
from osiris.ledger.queries import RunFilter, list_runs
from osiris.ledger.runs import record_compile
from tests.faults.specimens import lines_of
from tests.histories import begin, end, make_build, make_ledger, text_files, tree

LINE = (seal(1, "0" * 26, "2026-11-21T00:40:01.123456Z", "0" * 64, b'{"type":"pipeline.tagged"}')[0]).decode()
TEXTS = {
    "empty": "",
    "LF": "a\nb",
    "CR": "a\rb\r\n",
    "NUL": "a\0b",
    "controls": "".join(map(chr, range(32))) + "\x7f",
    "line separators": "\u2028\u2029\u0085\v\f\x1c\x1d\x1e",
    "byte order mark": "\ufeffa",
    "no character": "\uffff\U0010ffff",
    "lone surrogate": "a\ud800b",
    "the other surrogate": "\udcff",
    "surrogates the wrong way round": "\udc00\ud800",
    "bidi overrides": "\u202eabc\u2066\u200f",
    "combining": "e" + "\u0301" * 500,
    "emoji": "👩‍👩‍👧‍👦",
    "quotes": '"\'`""',
    "backslashes": "\\\\n\\u0000\\",
    "an entry's end": '"}\n',
    "an entry's seal": ',"hash":"' + "0" * 64 + '"}\n',
    "an entry's beginning": '{"seq":2,"id":"',
    "an entry": LINE,
    "entries": "\n" + LINE * 3,
    "a path": "../../../x",
    "a format": "%s {0} ${HOME} {pipeline_slug}",
    "a number": "1e999",
    "large": "x" * 300_000,
    "too large": "x" * MAX_ENTRY_BYTES,
    "too large once escaped": "\1" * (MAX_ENTRY_BYTES // 3),
}
NAMES = frozenset({"pipeline_slug", "profile", "session"})
"""Fields that become file names."""

Place = Callable[[str], Any]


def sample(kind: Any) -> Any:
    """A value of a type, such as no hostile text is in."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return arguments[0]
    if origin is tuple:
        return (sample(arguments[0]),)
    if origin is dict:
        return {sample(arguments[0]): sample(arguments[1])}
    if origin in (Union, types.UnionType):
        return msgspec.UNSET if msgspec.UnsetType in arguments else sample(arguments[0])
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind(**{field.name: sample(field.type) for field in msgspec.structs.fields(kind)})
    return {str: "x", int: 1, bool: True}[kind]


def in_tuple(put: Place, text: str) -> tuple[Any, ...]:
    """A tuple of one, with a text in it."""
    return (put(text),)


def in_field(kind: type[msgspec.Struct], name: str, put: Place, text: str) -> Any:
    """The sample with a text in one of its fields."""
    return msgspec.structs.replace(sample(kind), **{name: put(text)})


def places(kind: Any) -> Iterator[tuple[str, Place]]:
    """Every place for a text in a value of a type: its name, and what makes the value with a text there."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is str:
        yield "", lambda text: text
    elif origin is tuple:
        yield from ((f"[]{name}", partial(in_tuple, put)) for name, put in places(arguments[0]))
    elif origin is dict:
        yield "{key}", lambda text: {text: sample(arguments[1])}
        if arguments[1] is str:
            yield "{value}", lambda text: {"k": text}
    elif origin in (Union, types.UnionType):
        for argument in arguments:
            yield from places(argument)
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        for field in msgspec.structs.fields(kind):
            for name, put in places(field.type):
                yield f".{field.name}{name}", partial(in_field, kind, field.name, put)


PLACES: dict[str, Place] = {
    f"{tag}{name}": put
    for tag, kind in EVENT_TYPES.items()
    for name, put in places(kind)
    if name.rpartition(".")[2] not in NAMES
}


def journal_lines(root: Path) -> list[bytes]:
    return [line for path in sorted((root / "journal").glob("*.ndjson")) for line in lines_of(path.read_bytes())]


def try_to_record(ledger: Ledger, root: Path, event: Event) -> bool:
    """Whether it was recorded; if not, it was refused in words and nothing was written."""
    before, refusal = journal_lines(root), ""
    try:
        ledger.record_end(event)
    except OsirisError as error:
        refusal = f"{error.problem} {error.hint}"
    after = journal_lines(root)
    if refusal:
        assert "nothing was recorded" in refusal
        assert len(refusal) < 500
        assert after == before
        return False
    assert after[:-1] == before
    assert after[-1].endswith(b"\n")
    return True


def check_recorded(root: Path, recorded: list[Event], earlier: int = 0) -> None:
    """A new process reads the same events, shows them as a rebuild does, and can go on."""
    ledger = make_ledger(root)
    assert [entry.event for entry in ledger.journal.read()][earlier:] == recorded
    list_runs(ledger, RunFilter(), 1_000)
    ledger.record(PipelineTagged(pipeline_slug="x", tags=("on",), tagged_at="t"))
    live = text_files(root / "index")
    rebuild(ledger)
    assert text_files(root / "index") == live
    assert verify_index(ledger).result == "ok"
    ledger.close()


@pytest.mark.parametrize("many", [4, pytest.param(len(TEXTS), marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
@pytest.mark.parametrize("tag", EVENT_TYPES)
def test_a_hostile_text_in_any_field_is_refused_or_comes_back_equal(tmp_path: Path, tag: str, many: int) -> None:
    dice = random.Random(tag)
    ledger = make_ledger(tmp_path)
    recorded: list[Event] = []
    for name, put in PLACES.items():
        if not name.startswith(f"{tag}."):
            continue
        for text in dice.sample(sorted(TEXTS.values()), many):
            if tag in {"run.finished", "run.interrupted", "run.tagged"}:
                recorded.append(sample(RunStarted))  # so that there is a run which it is about
                ledger.record_end(recorded[-1])
            event = put(text)
            if try_to_record(ledger, tmp_path, event):
                recorded.append(event)
    ledger.close()
    check_recorded(tmp_path, recorded)


def check_any_text(root: Path, place: str, texts: list[str]) -> None:
    ledger = make_ledger(root)
    recorded = [event for text in texts if try_to_record(ledger, root, event := PLACES[place](text))]
    ledger.close()
    check_recorded(root, recorded)


ANY_PLACE = st.sampled_from(sorted(PLACES))
ANY_TEXTS = st.lists(st.text(st.characters()), min_size=1, max_size=8)


@given(place=ANY_PLACE, texts=ANY_TEXTS)
@settings(max_examples=25)
def test_any_text_in_any_field_is_refused_or_comes_back_equal(
    tmp_path_factory: pytest.TempPathFactory, place: str, texts: list[str]
) -> None:
    check_any_text(tmp_path_factory.mktemp("any"), place, texts)


@pytest.mark.slow
@pytest.mark.timeout(900)
@given(place=ANY_PLACE, texts=ANY_TEXTS)
@settings(max_examples=1_000)
def test_any_text_in_any_field_is_refused_or_comes_back_equal_a_thousand_times(
    tmp_path_factory: pytest.TempPathFactory, place: str, texts: list[str]
) -> None:
    check_any_text(tmp_path_factory.mktemp("any"), place, texts)


@pytest.mark.parametrize("sign", ["x", "é", "\n", "\1", "👍", '"'])
def test_an_event_of_just_the_limit_is_recorded_and_one_of_a_byte_more_is_not(tmp_path: Path, sign: str) -> None:
    ledger = make_ledger(tmp_path)
    for signs_less in (0, 1):
        event = PipelineTagged(pipeline_slug="x", tags=("",), tagged_at="t")
        empty = len(encode_event(event))
        signs, left = divmod(MAX_EVENT_BYTES - empty, len(msgspec.json.encode(sign)) - 2)
        text = sign * (signs - signs_less) + "x" * (left + signs_less * (len(msgspec.json.encode(sign)) - 2))
        assert not try_to_record(ledger, tmp_path, msgspec.structs.replace(event, tags=(text + "x",)))
    whole = msgspec.structs.replace(event, tags=(text,))
    assert try_to_record(ledger, tmp_path, whole)
    assert len(journal_lines(tmp_path)[-1]) == MAX_ENTRY_BYTES - 18, "a seq of one digit leaves room for 18 more"
    ledger.close()
    check_recorded(tmp_path, [whole])


HOSTILE_NAMES = {
    "up": "../x",
    "up twice": "../../x",
    "up thrice": "../../../x",
    "a folder": "a/b",
    "a profile's": "dev/x",
    "absolute": "/x",
    "empty": "",
    "a dot": ".",
    "two dots": "..",
    "too long": "x" * 300,
    "NUL": "a\0b",
    "LF": "a\nb",
    "the projection's own": "../runs",
    "the database": "../counters.sqlite",
}


def compile_it(ledger: Ledger, name: str) -> None:
    record_compile(ledger, make_build(slug=name), even_if_known=True)


def compile_in_profile(ledger: Ledger, name: str) -> None:
    record_compile(ledger, make_build(profile=name), even_if_known=True)


def run_it(ledger: Ledger, name: str) -> None:
    end(ledger, begin(ledger, make_build(slug=name)))


def run_of_session(ledger: Ledger, name: str) -> None:
    ledger.record(msgspec.structs.replace(sample(RunStarted), session=name))


def tag_it(ledger: Ledger, name: str) -> None:
    ledger.record(PipelineTagged(pipeline_slug=name, tags=("t",), tagged_at="t"))


def harm_of(root: Path, act: Callable[[Ledger, str], None], name: str) -> str:
    """What came of it that must not: "" if it was refused, or recorded and everybody can live with it."""
    project = root / "1" / "2" / "3"
    ledger = make_ledger(project)
    run_it(ledger, "x")
    try:
        act(ledger, name)
    except OsirisError:
        pass
    except (OSError, ValueError) as escaped:
        return f"{type(escaped).__name__}: {escaped}"
    finally:
        ledger.close()
    own = ("1/2/3/journal", "1/2/3/index", "1/2/3/sessions")
    outside = [path for path in tree(root) if not path.startswith(own) and path not in {"1", "1/2", "1/2/3"}]
    if outside:
        return f"wrote {outside}"
    try:
        check_recorded(project, [], len(journal_lines(project)))
    except (OsirisError, OSError, ValueError, AssertionError) as later:
        return f"from then on {type(later).__name__}: {str(later)[:120]}"
    return ""


@pytest.mark.parametrize("act", [compile_it, compile_in_profile, run_it, run_of_session, tag_it])
def test_a_hostile_name_writes_nothing_outside_of_the_index_and_stops_nobody_who_comes_next(
    tmp_path: Path, act: Callable[[Ledger, str], None]
) -> None:
    harm = {name: harm_of(tmp_path / title, act, name) for title, name in HOSTILE_NAMES.items()}
    assert {name: came for name, came in harm.items() if came} == {}
