"""One line of the journal."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osiris.events.base import TAG_RULE
from osiris.events.catalog import EVENT_TYPES, UnknownEvent, decode_event, encode_event
from osiris.events.entry import FIRST_PREV, Damage, open_entry, seal
from osiris.events.runs import PipelineTagged

ULID = "01J9Z8KQ8R1ABCDEFGHJKMNPQR"
AT = "2026-11-21T00:40:01.123456Z"


def sealed(event: bytes = b'{"type":"pipeline.tagged","pipeline_slug":"o","tags":["a"],"tagged_at":""}') -> bytes:
    return seal(7, ULID, AT, "1" * 64, event)[0]


def test_a_line_is_the_documented_json_with_the_hash_of_what_stands_before_it() -> None:
    line = sealed()
    fields = json.loads(line)
    assert list(fields) == ["seq", "id", "at", "prev", "event", "hash"]
    before_hash = line[: line.rindex(b',"hash":"')]
    assert fields["hash"] == hashlib.sha256(before_hash).hexdigest()
    assert line.endswith(b'"}\n')


def test_an_opened_entry_gives_back_what_was_sealed() -> None:
    entry = open_entry(sealed(), 7, "1" * 64)
    assert (entry.seq, entry.id, entry.at, entry.prev) == (7, ULID, AT, "1" * 64)
    assert entry.event == PipelineTagged(pipeline_slug="o", tags=("a",), tagged_at="")


@given(st.integers(min_value=0), st.integers(min_value=0, max_value=7))
def test_no_single_bit_of_a_line_can_flip_unnoticed(place: int, bit: int) -> None:
    line = bytearray(sealed())
    line[place % len(line)] ^= 1 << bit
    with pytest.raises(Damage):
        open_entry(bytes(line), 7, "1" * 64)


def test_an_entry_in_the_wrong_place_is_damage() -> None:
    with pytest.raises(Damage, match="expected entry 8"):
        open_entry(sealed(), 8, "1" * 64)
    with pytest.raises(Damage, match="follows hash"):
        open_entry(sealed(), 7, FIRST_PREV)


def test_an_event_of_a_newer_osiris_is_unknown_and_not_damage() -> None:
    entry = open_entry(sealed(b'{"type":"snapshot.taken","x":[1]}'), 7, "1" * 64)
    assert entry.event == UnknownEvent(type="snapshot.taken", raw=b'{"type":"snapshot.taken","x":[1]}')


def test_a_known_event_of_an_impossible_shape_is_damage() -> None:
    with pytest.raises(Damage, match="holds no event"):
        open_entry(sealed(b'{"type":"run.started"}'), 7, "1" * 64)


def test_fields_that_a_newer_osiris_added_to_an_event_are_ignored() -> None:
    event = decode_event(b'{"type":"pipeline.tagged","pipeline_slug":"o","tags":[],"tagged_at":"","later":1}')
    assert isinstance(event, PipelineTagged)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_survives_on_one_line(text: str) -> None:
    line, _ = seal(1, ULID, AT, FIRST_PREV, encode_event(PipelineTagged(pipeline_slug=text, tags=(), tagged_at=AT)))
    assert line.count(b"\n") == 1
    event = open_entry(line, 1, FIRST_PREV).event
    assert isinstance(event, PipelineTagged)
    assert event.pipeline_slug == text


@pytest.mark.parametrize("tag", sorted(EVENT_TYPES))
def test_every_tag_follows_the_rule(tag: str) -> None:
    assert TAG_RULE.fullmatch(tag)
