"""What stands in the way of a deletion: the folders of runs that are kept, and everybody's packs."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from osiris.errors import OsirisError
from osiris.events.runs import RunStarted
from osiris.projections.runs import RunRecord, run_key

REFUSED = "retention.refused"
_ANNEX = "annex"


def annex_of(aiop_path: str) -> str:
    """The annex of a pack."""
    return f"{aiop_path}/{_ANNEX}"


def refused(path: str, problem: str, hint: str) -> OsirisError:
    """``path`` is not what may be deleted: exit 2."""
    return OsirisError(f"{path} is not deleted: {problem}", hint, code=REFUSED, path=path)


class Walls:
    """Paths that no deletion may reach, though the journal may say what it likes: an edited record, an odd template.

    The folders of a kept run are its own affair; a pack's own files (``summary.json``, ``run-card.md``) never go.
    """

    def __init__(self) -> None:
        self._kept: dict[str, str] = {}
        self._above: set[str] = set()

    def keep(self, run: RunRecord | RunStarted, but: Collection[str] = ()) -> None:
        """Nothing of ``run`` but what is due goes because of another one; without an end, nothing goes at all."""
        owner = run_key(run.pipeline_slug, run.run_id) if isinstance(run, RunRecord) else ""
        for path in {run.run_logs_path, annex_of(run.aiop_path)}.difference(but):
            self._kept.setdefault(path, owner)
            self._raise_above(path)
        self.protect_pack(run)

    def protect_pack(self, run: RunRecord | RunStarted) -> None:
        """The pack itself stays, whatever goes."""
        self._above.add(run.aiop_path)
        self._raise_above(run.aiop_path)

    def permits(self, path: str, run: str) -> bool:
        """Whether deleting ``path`` for ``run`` takes nothing that others keep."""
        return path not in self._above and all(self._kept.get(part, run) == run for part in (path, *_parents(path)))

    def check(self, path: str, run: str) -> None:
        """An error where deleting ``path`` for ``run`` would take what others keep."""
        if not self.permits(path, run):
            raise refused(
                path,
                "it is, holds or lies in what another run or a pack keeps",
                f"The journal names it as a folder of {run}; look at it with `osiris events --run {run}`.",
            )

    def _raise_above(self, path: str) -> None:
        for parent in _parents(path):
            if parent in self._above:
                return
            self._above.add(parent)


def _parents(path: str) -> Iterator[str]:
    while (cut := path.rfind("/")) > 0:
        path = path[:cut]
        yield path
