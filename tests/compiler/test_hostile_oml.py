"""Files that ask for far more than they are: each is answered, in the time and memory that its size deserves.

Before they had bounds, each of these took minutes or gigabytes; here a relapse runs into the suite's own time limit.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from osiris.compiler.oml import Bindings
from osiris.compiler.validate import validate_pipeline
from osiris.documents import MAX_BYTES, load_document
from osiris.errors import Finding, OsirisError
from tests.compiler.pipelines import pipeline, read, registry, transform, write

pytestmark = pytest.mark.timeout(60)

MANY = 100_000
FEWER = 600


def described(text: str) -> str:
    return pipeline(read("a"), write("b"), head=f"description: '{text}'")


def steps(*lines: str) -> str:
    return "\n".join(["oml_version: '0.1.0'", "name: a", "steps:", *lines]) + "\n"


def numbered(form: str, many: int = FEWER) -> str:
    return ", ".join(form.replace("#", str(number)) for number in range(many))


HARMLESS = {
    "hosts": described("host=a " * MANY),
    "passwords of nothing": described("password=" * MANY + "."),
    "a reference of blanks": described("${params." + " " * 8 * MANY),
    "references that do not end": described("${ ${params." * (MANY // 2)),
    "DSNs without an end": described("a://x:" * MANY),
    "keys that do not begin": described("-----BEGIN " * (MANY // 2)),
    "many packages": pipeline(read("a"), write("b"), head="requires: {" + numbered("p#: '>=1'", 15_000) + "}"),
    "many inputs": pipeline(
        read("a"), transform("t", ", inputs: {" + numbered("i#: '${a.df}'", 15_000) + "}"), write("b")
    ),
    "many steps": steps(*(f"- {read(f's{number}')}" for number in range(3 * FEWER))),
}
REFUSED = {
    "a parameter put in again and again": pipeline(
        read("a"),
        write("b"),
        head=f"params: {{p: {{type: string, default: {'x' * 3 * MANY}}}}}\ndescription: '{'${params.p}' * 40_000}'",
    ),
    "aliases of one long text": pipeline(
        read("a"), write("b"), head=f"x-a: &t {'x' * 5 * MANY}\nx-b: [{', '.join(['*t'] * 9_000)}]"
    ),
    "aliases of one long key": pipeline(
        read("a"), write("b"), head=f"x-a: &t {{? {'x' * 5 * MANY}\n : 1}}\nx-b: [{', '.join(['*t'] * 9_000)}]"
    ),
    "needs that are not there": steps(
        *(f"- {{id: s{n}, component: a, mode: read, needs: [t{n}]}}" for n in range(3 * FEWER))
    ),
    "unknown keys": pipeline(read("a"), write("b"), head="\n".join(f"key{number}: 1" for number in range(10_000))),
    "references to nothing": pipeline(
        read("a"),
        write("b"),
        head=f"params: {{{numbered('p#: {type: int, default: 1}')}}}\ndescription: '{numbered('${params.q#}')}'",
    ),
    "values that are not allowed": pipeline(
        read("a"),
        write("b"),
        head=f"params: {{p: {{type: string, default: v0, enum: [{numbered('v#')}]}}}}\n"
        f"profiles: {{{numbered('f#: {params: {p: w#}}')}}}",
    ),
    "a long key": pipeline(read("a"), write("b"), head=f"? {'k' * 9 * MANY}\n: 1"),
    "a long id": pipeline(read("a" * 9 * MANY), write("b")),
    "a long number": pipeline(read("a"), write("b", f", timeout: {'9' * 9 * MANY}")),
    "a long version": pipeline(read("a"), write("b"), head=f"requires: {{duckdb: '>=1{'.1' * 4 * MANY}x'}}"),
}


@pytest.fixture(autouse=True)
def _two_gigabytes_more() -> Iterator[None]:
    """What asks for more memory than that fails instead of taking the machine with it."""
    used = int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + (2 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def found_in(text: str) -> tuple[Finding, ...]:
    assert len(text) <= MAX_BYTES, "a file of this size would be refused for its size"
    try:
        root = load_document(text, "p.yaml")
    except OsirisError as error:
        return error.findings
    return validate_pipeline(root, "p.yaml", Bindings(), registry()).errors


@pytest.mark.parametrize("what", HARMLESS)
def test_a_large_file_that_says_nothing_wrong_is_valid(what: str) -> None:
    assert found_in(HARMLESS[what]) == ()


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_that_asks_for_too_much_is_refused_in_a_few_words_each(what: str) -> None:
    found = found_in(REFUSED[what])
    assert found
    assert max(len(error.problem) + len(error.hint) for error in found) < 1_000
