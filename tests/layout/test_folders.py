"""Two runs never get one folder, and none lies in another's, whatever branches, users and tags are called."""

from __future__ import annotations

import itertools
from pathlib import PurePosixPath

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ulid import ULID

from osiris.config import TOKENS, FilesystemConfig, NamingConfig, OsirisConfig
from osiris.config.naming import naming_problems
from osiris.config.schema import IdsConfig
from osiris.errors import OsirisError
from osiris.layout.paths import FilesystemContract

ULIDS = [str(ULID.from_timestamp(1_739_299_353 + n)) for n in range(18)]
HOSTILE = st.one_of(
    st.text(max_size=60),
    st.sampled_from(
        ["..", "../..", "/etc", "a/b", "\0", "CON", "x.", " ", "run-000002", "run-000001-x", "é", "A", "a", "-"]
    ),
    st.text(alphabet="run-00012_x/.", max_size=30),
)
SLUGS = ["a", "a-run-000001", "run-000001", "b_c", "0", "a-b"]
PARTS = st.sampled_from([*(f"{{{token}}}" for token in TOKENS), "/", "_", "-", "x", "+", ".", "..", " "])
TEMPLATES = st.lists(PARTS, min_size=1, max_size=7).map("".join)


class Run(msgspec.Struct, frozen=True):
    """What a run is told apart by, and what may stand in its folders' names besides."""

    slug: str
    number: int
    branch: str
    user: str
    tags: str

    def tokens(self, unique: bool) -> dict[str, str]:
        number = f"run-{self.number:06d}"
        run_id = f"{number}_{ULIDS[SLUGS.index(self.slug) * 3 + self.number - 1]}" if unique else number
        short = {"a": "aaaaaaa", "b_c": "bbbbbbb"}.get(self.slug, f"{sum(map(ord, self.slug)):07x}")
        return {"pipeline_slug": self.slug, "profile": "dev", "manifest_hash": short * 2, "manifest_short": short,
                "manifest_version": "0.1.0", "run_id": run_id, "run_ts": "20250211T184233Z", "branch": self.branch,
                "user": self.user, "tags": self.tags}  # fmt: skip


RUNS = st.builds(Run, st.sampled_from(SLUGS), st.integers(1, 3), HOSTILE, HOSTILE, HOSTILE)


def places(contract: FilesystemContract, tokens: dict[str, str]) -> list[PurePosixPath] | None:
    """Run folder and pack folder; None where a name would be too long, which is an error before the run begins."""
    try:
        paths = contract.run_paths(tokens)
    except OsirisError:
        return None
    return [PurePosixPath(paths.run_logs), PurePosixPath(paths.aiop)]


@given(RUNS, RUNS, TEMPLATES, TEMPLATES, TEMPLATES)
def test_two_runs_never_share_or_nest_a_folder_under_any_template_that_is_taken(
    one: Run, other: Run, manifest_dir: str, run_dir: str, aiop_run_dir: str
) -> None:
    naming = NamingConfig(
        manifest_dir="{manifest_short}-" + manifest_dir,
        run_dir=run_dir + "{run_id}",
        aiop_run_dir=aiop_run_dir + "{run_id}",
    )
    for unique in (True, False):
        config = OsirisConfig(filesystem=FilesystemConfig(naming=naming))
        if not unique:
            config = msgspec.structs.replace(
                config, ids=msgspec.structs.replace(config.ids, run_id_format="incremental")
            )
        if list(naming_problems(config)):
            continue
        contract = FilesystemContract(config.filesystem)
        found = [places(contract, run.tokens(unique)) for run in (one, other)]
        for folders in found:
            for folder, root in zip(folders or (), ("run_logs", "aiop"), strict=False):
                assert folder.parts[:2] == (root, "dev")
                assert not {"", ".", ".."} & {*folder.parts}
                assert all(len(name.encode()) <= 255 and name.isprintable() for name in folder.parts)
        if (one.slug, one.number) != (other.slug, other.number) and found[0] and found[1]:
            for first, second in zip(found[0], found[1], strict=True):
                assert not first.is_relative_to(second)
                assert not second.is_relative_to(first)


LOOKALIKES = ["", "x", "run-000001", "run-000001-x", "run-000002", "run-000002-x", "a", "run-000001-run-000002"]
CLASHING = [
    "{run_id}",
    "{pipeline_slug}/{branch}/{run_id}",
    "{pipeline_slug}/{branch}-{run_id}-{user}",
    "{branch}-{pipeline_slug}/{run_id}",
]
SAFE = ["{pipeline_slug}/{run_id}", "{pipeline_slug}-{run_id}", "{run_id}-{pipeline_slug}", "{run_id}/{pipeline_slug}"]


def clashes(run_dir: str, runs: list[Run]) -> bool:
    """Whether two of the runs, with incremental ids alone, share a folder or one lies in the folder of another."""
    contract = FilesystemContract(FilesystemConfig(naming=NamingConfig(run_dir=run_dir)))
    owners: dict[PurePosixPath, tuple[str, int]] = {}
    for run in runs:
        folder = PurePosixPath(contract.run_paths(run.tokens(unique=False)).run_logs)
        if owners.setdefault(folder, (run.slug, run.number)) != (run.slug, run.number):
            return True
    above = ((owners.get(parent), owner) for folder, owner in owners.items() for parent in folder.parents)
    return any(other not in {None, owner} for other, owner in above)


@pytest.mark.parametrize("run_dir", [*CLASHING, *SAFE])
def test_incremental_ids_alone_are_refused_where_a_branch_or_a_user_can_read_like_one(run_dir: str) -> None:
    everyone = itertools.product(SLUGS, (1, 2), LOOKALIKES, LOOKALIKES)
    runs = [Run(slug, number, branch, user, "") for slug, number, branch, user in everyone]
    naming = NamingConfig(run_dir=run_dir)
    config = OsirisConfig(filesystem=FilesystemConfig(naming=naming), ids=IdsConfig(run_id_format="incremental"))
    assert clashes(run_dir, runs) == bool(list(naming_problems(config))) == (run_dir in CLASHING)


@given(RUNS, RUNS, TEMPLATES)
def test_a_build_has_one_name_whoever_runs_it_and_packs_lie_under_the_same_name(
    one: Run, other: Run, manifest_dir: str
) -> None:
    naming = NamingConfig(manifest_dir=manifest_dir + "{manifest_hash}")
    if list(naming_problems(OsirisConfig(filesystem=FilesystemConfig(naming=naming)))):
        return
    contract = FilesystemContract(FilesystemConfig(naming=naming))
    names = []
    for run in (one, msgspec.structs.replace(other, slug=one.slug)):
        tokens = run.tokens(unique=True)
        name = contract.manifest_dir(tokens).removeprefix("build/pipelines/")
        assert contract.run_paths(tokens).aiop.startswith(f"aiop/{name}/")
        names.append(name)
    assert names[0] == names[1]
