"""The README is true: what it tells a person to type works, in the order in which it stands there."""

from __future__ import annotations

import re
from pathlib import Path

from scripts.write_schemas import verbs
from tests.docs.pages import ROOT, blocks, run_page

LONGEST = 120
"""Lines: the README stays one page."""


def test_every_command_of_the_readme_works(tmp_path: Path) -> None:
    folder, commands = run_page(ROOT / "README.md", tmp_path, without="make demo")
    assert commands >= 10
    assert (folder / "out" / "by_customer.csv").read_text() == (
        "customer,zip,orders,total\nAda,00501,2,12.75\nGrace,10115,1,7.25\n"
    )


def test_the_two_commands_that_set_everything_up_are_run_by_ci() -> None:
    [text] = [block.text for block in blocks(ROOT / "README.md") if "make demo" in block.text]
    named = re.findall(r"^make [a-z-]+", text, re.MULTILINE)
    ci = (ROOT / ".ci" / "run").read_text()
    assert named == ["make demo", "make test"]
    assert all(re.search(rf"^{command}$", ci, re.MULTILINE) for command in named)


def test_the_readme_is_one_page_that_names_every_verb_and_leads_to_every_page() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= LONGEST
    rows = text.split("## All verbs")[1].split("\n\n")[1].splitlines()[2:]
    named = [part.strip() for row in rows for part in re.split(r"[;|]|,(?= `)", row)]
    verbs_named = {
        f"{noun} {verb.strip()}".strip()
        for part in named
        if (found := re.fullmatch(r"`(\w+)`(.*)", part))
        for noun, said in [found.groups()]
        for verb in said.split(",")
    }
    assert verbs_named == {name for name, _ in verbs()}
    linked = {(ROOT / target).resolve() for target in re.findall(r"\]\(([^)#:]+)\)", text)}
    assert set((ROOT / "docs").rglob("*.md")) <= linked


def test_every_link_between_pages_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
