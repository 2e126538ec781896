"""Names and places, as pure functions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osiris.config import TOKENS, FilesystemConfig, NamingConfig
from osiris.errors import OsirisError
from osiris.layout.paths import FilesystemContract
from osiris.layout.run_ts import render_run_ts
from osiris.layout.tokens import LONGEST_SLUG, TokenRenderer, pipeline_slug, slugify_token

TOKEN_VALUES = {
    "pipeline_slug": "orders_etl",
    "profile": "prod",
    "manifest_hash": "3f92ac1b6b0e",
    "manifest_short": "3f92ac1",
    "run_id": "run-000123_01J9Z8KQ8R1",
    "run_ts": "20250211T184233Z",
}


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("Orders ETL", "orders-etl"),
        ("orders_etl", "orders_etl"),
        ("a//..//b", "a-b"),
        ("Ärger & Übermut", "rger-bermut"),
        ("--x--", "x"),
        ("_daylight", "daylight"),
        ("_-a--b-_", "a-b"),
        ("a__b", "a__b"),
        ("_", ""),
    ],
)
def test_a_slug_keeps_letters_digits_and_two_signs(text: str, slug: str) -> None:
    assert slugify_token(text) == slug


@given(st.text())
def test_a_slug_never_leaves_its_alphabet_and_is_its_own_slug(text: str) -> None:
    slug = slugify_token(text)
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-")
    assert slugify_token(slug) == slug


@pytest.mark.parametrize("name", ["日本.yaml", "_.yaml", "-_-.yml"])
def test_an_empty_slug_is_an_error(name: str) -> None:
    with pytest.raises(OsirisError, match="gives no slug"):
        pipeline_slug(name)


def test_a_slug_that_leaves_no_room_in_file_names_is_an_error_that_names_the_limit() -> None:
    assert pipeline_slug("a" * LONGEST_SLUG + ".yaml") == "a" * LONGEST_SLUG
    with pytest.raises(OsirisError) as caught:
        pipeline_slug("a" * (LONGEST_SLUG + 1) + ".yaml")
    assert str(LONGEST_SLUG) in caught.value.hint


SLUGS = st.text(alphabet="ab_-", min_size=1, max_size=6).map(slugify_token).filter(bool)


@given(
    SLUGS, SLUGS, st.sampled_from(["{pipeline_slug}/{run_id}", "{branch}_{pipeline_slug}-{user}", "x-{pipeline_slug}"])
)
def test_two_slugs_never_share_a_folder(one: str, other: str, template: str) -> None:
    names = {TokenRenderer().render(template, {"pipeline_slug": slug, "run_id": "r"}) for slug in (one, other)}
    assert len(names) == len({one, other})


def test_a_run_folder_name_longer_than_a_file_system_takes_is_an_error() -> None:
    naming = NamingConfig(run_dir="{pipeline_slug}_{branch}_{run_id}")
    contract = FilesystemContract(FilesystemConfig(naming=naming))
    fits = contract.run_paths({**TOKEN_VALUES, "pipeline_slug": "a" * LONGEST_SLUG})
    assert len(fits.run_logs.rsplit("/", 1)[1]) <= 255
    with pytest.raises(OsirisError, match="more than 255 bytes"):
        contract.run_paths({**TOKEN_VALUES, "pipeline_slug": "a" * LONGEST_SLUG, "branch": "b" * 100})


def test_the_default_templates_give_the_documented_paths() -> None:
    contract = FilesystemContract(FilesystemConfig())
    assert contract.manifest_dir(TOKEN_VALUES) == "build/pipelines/prod/orders_etl/3f92ac1-3f92ac1b6b0e"
    paths = contract.run_paths(TOKEN_VALUES)
    assert paths.run_logs == "run_logs/prod/orders_etl/20250211T184233Z_run-000123_01J9Z8KQ8R1-3f92ac1"
    assert paths.aiop == "aiop/prod/orders_etl/3f92ac1-3f92ac1b6b0e/run-000123_01J9Z8KQ8R1"


def test_without_profiles_there_is_no_segment() -> None:
    paths = FilesystemContract(FilesystemConfig()).run_paths({**TOKEN_VALUES, "profile": ""})
    assert paths.run_logs.startswith("run_logs/orders_etl/")


def test_missing_tokens_are_empty_and_separators_collapse() -> None:
    assert (
        TokenRenderer().render("{pipeline_slug}_{branch}_{user}-{tags}/{run_id}", {"pipeline_slug": "a", "run_id": "r"})
        == "a/r"
    )


def test_an_unknown_token_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(OsirisError) as caught:
        TokenRenderer().render("{pipeline}", {})
    assert "pipeline_slug" in caught.value.hint


@given(st.fixed_dictionaries({}, optional={token: st.text(max_size=40) for token in TOKENS}))
def test_no_token_value_leads_out_of_the_root(tokens: dict[str, str]) -> None:
    rendered = TokenRenderer().render("{pipeline_slug}/x{run_ts}_{run_id}-{branch}-{user}-{tags}-{status}", tokens)
    assert not rendered.startswith("/")
    assert all(name not in {"", ".", ".."} and "\0" not in name for name in rendered.split("/"))
    assert rendered.count("/") <= 1


@pytest.mark.parametrize(
    "template", ["../{run_id}", "/abs/{run_id}", "a/./{run_id}", "{branch}", "x\0{run_id}", "y" * 256]
)
def test_a_template_that_leaves_its_root_or_gives_no_name_is_an_error(template: str) -> None:
    with pytest.raises(OsirisError):
        TokenRenderer().render(template, {"run_id": "r"})


def test_the_start_of_a_run_is_spelled_as_the_configuration_says() -> None:
    moment = datetime(2025, 2, 11, 18, 42, 33, 5000, tzinfo=UTC)
    assert render_run_ts(moment, "iso_basic_z") == "20250211T184233Z"
    assert render_run_ts(moment, "epoch_ms") == "1739299353005"
    assert render_run_ts(moment, "%Y/%m %d") == "2025-02-11"
    assert render_run_ts(moment, "no such format") == "20250211T184233Z"
