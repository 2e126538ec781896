"""What could stand at the cursor; ``osiris.cli.complete`` is how verbs name these completers.

A completer reads what is there and writes nothing; where there is no project, or none that can be read, it offers
nothing. Nobody waits at a prompt for a lock, and nobody wants to read an error there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from os import environ
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import click
import msgspec
from click.shell_completion import CompletionItem

from osiris.cli.output import local_time, one_line
from osiris.cli.verb import Settings
from osiris.config import RUN_ID_TOKENS, OsirisConfig
from osiris.connections.variables import CONNECTIONS_NAME
from osiris.documents import load_document, to_builtins
from osiris.errors import OsirisError
from osiris.ledger.glance import glance_at_pipelines, glance_at_runs
from osiris.project import Project, open_project
from osiris.projections.runs import RunRecord, run_key

if TYPE_CHECKING:
    from osiris.cli.complete import Completer


_MOST = 100
_RUNS_LOOKED_AT = 1000


class _Choice(NamedTuple):
    """A word that may stand there, what a shell can show beside it, and another beginning by which it is found."""

    value: str
    meaning: str = ""
    other: str = ""


_Find: TypeAlias = Callable[[Project, click.Context, str], Iterable[_Choice]]


def _completer(find: _Find, *, files: bool = False, is_list: bool = False) -> Completer:
    """Of what ``find`` gives for the project at hand, the first that begin as the word does.

    With ``files`` the shell adds those that it knows; ``is_list`` is for words joined by commas.
    """

    def complete(ctx: click.Context, _: click.Parameter, word: str) -> list[CompletionItem]:
        given, comma, part = word.rpartition(",") if is_list else ("", "", word)
        shown = [CompletionItem(word, type="file")] if files else []
        try:
            matching = [choice for choice in find(_project(ctx), ctx, part) if _begins(choice, part)]
        except (OsirisError, OSError, ValueError):
            return shown
        missing = [choice for choice in matching if choice.value not in given.split(",")]
        items = [
            CompletionItem(f"{given}{comma}{choice.value}", help=one_line(choice.meaning)) for choice in missing[:_MOST]
        ]
        return [*shown, *items]

    return complete


def _project(ctx: click.Context) -> Project:
    settings = ctx.find_object(Settings)
    return open_project(settings.project if settings else None, environ)


def _begins(choice: _Choice, part: str) -> bool:
    """Whether it is wanted, and can be typed: a name with spaces would reach the command as something else."""
    is_wanted = choice.value.startswith(part) or choice.other.startswith(part)
    return is_wanted and choice.value.isprintable() and " " not in choice.value


def _argument(ctx: click.Context, name: str) -> str:
    """The verb's first argument. Behind an option that waits for its value, click has not given it its name yet."""
    return str(ctx.params.get(name) or next(iter(ctx.args), ""))


def _index(project: Project) -> Path:
    return project.path(project.config.filesystem.index_dir)


def _slugs(project: Project, _: click.Context, __: str) -> Iterator[_Choice]:
    for slug, known in sorted(glance_at_pipelines(_index(project)).items()):
        yield _Choice(slug, ", ".join(known.tags))


def _pipelines(project: Project, ctx: click.Context, word: str) -> Iterable[_Choice]:
    from osiris.compiler.project_build import sources_by_slug  # noqa: PLC0415 - 30 ms, which other words do without

    known = {choice.value: choice for choice in _slugs(project, ctx, word)}
    files = {slug: _Choice(slug, project.relative(path)) for slug, path in sources_by_slug(project).items()}
    return sorted((known | files).values())


def _profiles(project: Project, _: click.Context, __: str) -> Iterable[_Choice]:
    profiles = project.config.filesystem.profiles
    names = profiles.values if profiles.enabled else ()
    return [_Choice(name, "the default" if name == profiles.default else "") for name in names]


def _runs(project: Project, _: click.Context, word: str) -> Iterator[_Choice]:
    """``last`` and run ids, newest first; with its pipeline where an id is that of several, or where one was begun."""
    records = glance_at_runs(_index(project), _RUNS_LOOKED_AT)
    if records:
        yield _Choice("last", _described(records[0]))
    times = Counter(record.run_id for record in records)
    for record in records:
        name, run_id = _name(record), record.run_id
        is_pipeline_begun = name.startswith(word) and not run_id.startswith(word)
        if is_pipeline_begun or times[run_id] > 1:
            yield _Choice(name, _described(record), run_id)
        else:
            yield _Choice(run_id, _described(record))


def _name(record: RunRecord) -> str:
    return run_key(record.pipeline_slug, record.run_id)


def _described(record: RunRecord) -> str:
    return f"{record.pipeline_slug}  {record.status}  {local_time(record.started_at)}"


def _steps(project: Project, ctx: click.Context, _: str) -> Iterable[_Choice]:
    """The steps of the run that the line names so far, else of the last one: its build has a file for each."""
    wanted = _argument(ctx, "run") or "last"
    for record in glance_at_runs(_index(project), _RUNS_LOOKED_AT):
        if wanted == "last" or _name(record) == wanted or record.run_id.startswith(wanted):
            configs = project.path(record.build_manifest_path).parent / "cfg"
            return [_Choice(path.stem) for path in sorted(configs.glob("*.json"))]
    return ()


def _own_tags(project: Project, ctx: click.Context, _: str) -> Iterable[_Choice]:
    """The tags of the pipeline that the line names so far."""
    named = glance_at_pipelines(_index(project)).get(_argument(ctx, "pipeline"))
    return [_Choice(tag) for tag in named.tags] if named else ()


def _tags(project: Project, _: click.Context, __: str) -> Iterable[_Choice]:
    """The tags of all pipelines and of the newest runs."""
    pipelines = glance_at_pipelines(_index(project))
    runs = glance_at_runs(_index(project), _RUNS_LOOKED_AT)
    tags = {tag for pipeline in pipelines.values() for tag in pipeline.tags} | {tag for run in runs for tag in run.tags}
    return [_Choice(tag) for tag in sorted(tags)]


def _connections(project: Project, _: click.Context, word: str) -> Iterator[_Choice]:
    """``family.alias``, as the file names them; nothing is resolved."""
    content = to_builtins(load_document(project.path(CONNECTIONS_NAME).read_bytes(), CONNECTIONS_NAME))
    families = content.get("connections") if isinstance(content, dict) else None
    at = "@" if word.startswith("@") else ""
    for family, aliases in families.items() if isinstance(families, dict) else ():
        for alias in aliases if isinstance(aliases, dict) else ():
            yield _Choice(f"{at}{family}.{alias}")


def _config_keys(struct: type[msgspec.Struct], prefix: str = "") -> Iterator[_Choice]:
    """Every key of ``osiris.yaml``, dotted: the sections, then what is in them."""
    for field in msgspec.structs.fields(struct):
        yield _Choice(f"{prefix}{field.name}")
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            yield from _config_keys(field.type, f"{prefix}{field.name}.")


def _event_types(*_: object) -> Iterable[_Choice]:
    from osiris.events.catalog import EVENT_TYPES  # noqa: PLC0415 - the same

    return [_Choice(name) for name in sorted(EVENT_TYPES)]


def _components(*_: object) -> Iterable[_Choice]:
    from osiris.components import component_names  # noqa: PLC0415 - the same

    return [_Choice(name) for name in component_names()]


COMPLETERS: dict[str, Completer] = {
    "components": _completer(_components),
    "config_keys": _completer(lambda *_: _config_keys(OsirisConfig)),
    "connections": _completer(_connections),
    "event_types": _completer(_event_types),
    "own_tags": _completer(_own_tags),
    "pipelines": _completer(_pipelines, files=True),
    "profiles": _completer(_profiles),
    "run_id_tokens": _completer(lambda *_: [_Choice(token) for token in RUN_ID_TOKENS], is_list=True),
    "runs": _completer(_runs),
    "slugs": _completer(_slugs),
    "steps": _completer(_steps),
    "tag_list": _completer(_tags, is_list=True),
    "tags": _completer(_tags),
}
