"""The Redactor's promises, for any secret and any text."""

from __future__ import annotations

import base64
import json
import urllib.parse
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from osiris.redaction import Redactor, known_secrets, mask_by_key, remember

secrets = st.text(min_size=4, max_size=40)
tricky = st.text(alphabet="ab'\"\\\n\r\t %+*./@:é😀&<", min_size=4, max_size=20)


@given(st.lists(secrets | tricky, min_size=1, max_size=4), st.lists(st.text(max_size=20)), st.data())
@example(["****"], ["**", "*"], None)
@example(["x***y", "abcd"], ["xabcd", "y"], None)
@example(["a'\\'b"], ["", ""], None)
@example(["abcdef", "defghi"], ["abcdefghi"], None)
def test_no_secret_survives_and_scrubbing_twice_changes_nothing(
    values: list[str], parts: list[str], data: st.DataObject | None
) -> None:
    pieces = [*parts, *values, *values]
    text = "".join(data.draw(st.permutations(pieces)) if data else pieces)
    redactor = Redactor(values)
    scrubbed = redactor.scrub(text)
    assert [value for value in values if value in scrubbed] == []
    assert redactor.scrub(scrubbed) == scrubbed
    assert not redactor.holds(scrubbed)


@given(secrets | tricky, st.text(alphabet="xyz ,.", max_size=60))
def test_a_text_without_secrets_is_left_as_it_is(secret: str, text: str) -> None:
    redactor = Redactor(["Q" + secret])
    assume("..." not in text)  # what stands beside it may be the end of a secret that was cut off
    assert redactor.scrub(text) == text
    assert Redactor().scrub(text) == text


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=6, max_size=30) | tricky)
@example('00"\\"0')
def test_a_secret_is_found_as_libraries_print_it(secret: str) -> None:
    redactor, content = Redactor([secret]), secret.encode()
    spellings = {
        "repr": repr(secret)[1:-1],
        "ascii": ascii(secret)[1:-1],
        "bytes": repr(content)[2:-1],
        "json": json.dumps(secret)[1:-1],
        "nested": json.dumps(json.dumps(secret))[3:-3],
        "url": urllib.parse.quote(secret),
        "strict url": urllib.parse.quote(secret, safe=""),
        "form": urllib.parse.quote_plus(secret),
        "sql": secret.replace("'", "''"),
        "hex": content.hex(),
        "HEX": content.hex().upper(),
        "base64": base64.b64encode(content).decode(),
    }
    if len(content) >= 6:
        spellings["basic"] = base64.b64encode(b"ada:" + content).decode()
        spellings["url-safe"] = base64.urlsafe_b64encode(b"a:" + content).decode()
    hidden = {name: redactor.scrub(f"<{text}>") for name, text in spellings.items()}
    left = {name: text for name, text in hidden.items() if spellings[name] in text}
    assert left == {}


def test_secrets_that_overlap_leave_no_tail() -> None:
    assert Redactor(["abcdef", "defghi"]).scrub("<abcdefghi>") == "<***>"
    assert Redactor(["abcdefghij", "cdef"]).scrub("<abcdefghij>") == "<***>"
    assert Redactor(["abcdef", "cd12"]).scrub("abcdef ab cd12") == "*** ab ***"


def test_what_is_left_of_a_secret_that_was_cut_off_is_masked() -> None:
    redactor = Redactor(["hunter2-canary-0123456789"])
    assert redactor.scrub("LINE 1: SELECT 'hunter2-can...") == "LINE 1: SELECT '***..."
    assert redactor.scrub("LINE 1: ...y-0123456789' FROM t") == "LINE 1: ...***' FROM t"
    assert redactor.scrub("LINE 1: ...ary-0123...") == "LINE 1: ...***..."
    assert redactor.scrub("a hunt, ... and so on…") == "a hunt, ... and so on…"


def test_a_key_of_several_lines_is_masked_line_by_line() -> None:
    lines = [
        "-----BEGIN PRIVATE KEY-----",
        "MIIEvQIBADANBgkqhkiG9w0",
        "AQEFAASCBKcwggSjAgEAAoI",
        "-----END PRIVATE KEY-----",
    ]
    redactor = Redactor(["\n".join(lines) + "\n"])
    for shown in ("\n".join(lines), "\r\n".join(lines), "".join(lines), repr("\n".join(lines)), " | ".join(lines)):
        assert not [line for line in lines if line in redactor.scrub(shown)]
    assert "QEFAAS" not in redactor.scrub(base64.b64encode("\n".join(lines).encode()).decode())


def test_a_secret_that_stands_decoded_or_composed_differently_is_found() -> None:
    assert Redactor(["p%40ssw%20rd"]).scrub("p@ssw rd") == "***"
    assert Redactor(["pass\u00e9"]).scrub("passe\u0301") == "***"
    assert Redactor(["a.*b+(c)?"]).scrub("a.*b+(c)? axxb") == "*** axxb"


@pytest.mark.parametrize(
    "text",
    [
        "\\" * 20_000,
        "'" * 20_000,
        "\\'" * 10_000,
        "a.b-" * 5_000,
        "..." * 3_000,
        "a://" * 5_000,
        "YWJjZGVmZ2hp" * 20_000,
    ],
)
@pytest.mark.timeout(20)
def test_no_text_makes_it_slow(text: str) -> None:
    Redactor(["abcdefghi", "'" * 12 + "x", "a\\'b", "\\\\\\\\'x", "a'b'c'd", "x" * 2000]).scrub(text)


def test_shown_values_are_masked_by_the_name_of_their_key() -> None:
    shown = mask_by_key(
        {
            "host": "db",
            "password": "hunter2",
            "token": "",
            "api_key": "${API_KEY}",
            "url": "pg://u:hunter2@h",
            "credentials": {"a": ["b", 1, True, None]},
            "list": [{"secret": 5}],
        }
    )
    assert shown == {
        "host": "db",
        "password": "***",
        "token": "",
        "api_key": "${API_KEY}",
        "url": "pg://u:***@h",
        "credentials": {"a": ["***", "***", True, None]},
        "list": [{"secret": "***"}],
    }


def test_secrets_that_several_threads_learn_at_once_are_all_known() -> None:
    learned = [f"one-of-many-{number:04}" for number in range(64)]
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda secret: remember(Redactor([secret])), learned))
    assert [secret for secret in learned if known_secrets().scrub(secret) != "***"] == []
