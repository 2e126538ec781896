"""What can be done to the files of an index: the change, the file that verify names, and the problem that it sees."""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

DATABASE = "counters.sqlite"
TEXTS = (
    "runs.jsonl",
    "by_pipeline/orders.jsonl",
    "latest/orders.txt",
    "latest/dev/orders.txt",
    "latest/prod/orders.txt",
    "pipelines.json",
)
Change = Callable[[Path], object]


def link_to_a_copy(path: Path) -> Path:
    """Returns where the file went: out of the index."""
    copy = path.rename(
        next(parent for parent in path.parents if parent.name == "index").parent / f"copy of {path.name}"
    )
    path.symlink_to(copy)
    return copy


def replace_by_folder(path: Path) -> None:
    """One that is not empty."""
    path.unlink()
    path.mkdir()
    (path / "within").touch()


def change_a_byte(path: Path) -> None:
    """The size stays."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


FILE_DAMAGES: dict[str, tuple[Change, str]] = {
    "missing": (Path.unlink, "missing"),
    "a byte changed": (change_a_byte, "edited"),
    "a line more": (lambda path: path.write_bytes(path.read_bytes() + b"{}\n"), "edited"),
    "half of it": (lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]), "edited"),
    "emptied": (lambda path: path.write_bytes(b""), "empty"),
    "a link": (link_to_a_copy, "link"),
    "a link to nothing": (lambda path: link_to_a_copy(path).unlink(), "link"),
    "a folder": (replace_by_folder, "not_a_file"),
    "garbage": (lambda path: path.write_bytes(random.Random(3).randbytes(5_000)), "edited"),
    "NUL bytes": (lambda path: path.write_bytes(bytes(path.stat().st_size)), "edited"),
}


def sql(*statements: str) -> Change:
    """By hand; each statement changes something."""

    def execute(index: Path) -> None:
        with contextlib.closing(sqlite3.connect(index / DATABASE)) as db:
            for statement in statements:
                assert db.execute(statement).rowcount, statement
            db.commit()

    return execute


def last_number_in_the_state(number: int) -> Change:
    """What the next run's number is decided from; the last one was 4."""
    edited = f"REPLACE(state, '\"orders\":4', '\"orders\":{number}')"
    return sql(f"UPDATE projection_states SET state = {edited} WHERE state != {edited}")


def put_old(*names: str) -> Change:
    """Files of the database as they were two runs before."""

    def put(index: Path) -> None:
        for name in names:
            shutil.copyfile(index.parent / "old" / name, index / name)

    return put


OTHER_DAMAGES: dict[str, tuple[Change, str, str]] = {
    "an extra file": (lambda index: (index / "notes.txt").touch(), "notes.txt", "extra"),
    "an extra line file": (lambda index: (index / "by_pipeline/no.jsonl").touch(), "by_pipeline/no.jsonl", "extra"),
    "an extra folder": (lambda index: (index / "latest/none").mkdir(), "latest/none", "extra"),
    "an extra link": (lambda index: (index / "latest/up").symlink_to(".."), "latest/up", "extra"),
    "a folder that is a link": (lambda index: link_to_a_copy(index / "latest"), "latest", "extra"),
    "no database": (lambda index: (index / DATABASE).unlink(), DATABASE, "missing"),
    "an empty database": (lambda index: (index / DATABASE).write_bytes(b""), DATABASE, "edited"),
    "a database of garbage": (lambda index: (index / DATABASE).write_bytes(bytes(9_999)), DATABASE, "unreadable"),
    "half a database": (lambda index: FILE_DAMAGES["half of it"][0](index / DATABASE), DATABASE, "unreadable"),
    "a database that is a link": (lambda index: link_to_a_copy(index / DATABASE), DATABASE, "link"),
    "a database that is a folder": (lambda index: replace_by_folder(index / DATABASE), DATABASE, "not_a_file"),
    "an old database": (put_old(DATABASE), "runs.jsonl", "edited"),
    "an old database and its log": (put_old(DATABASE, f"{DATABASE}-wal"), "runs.jsonl", "edited"),
    "an old log": (put_old(f"{DATABASE}-wal"), DATABASE, "edited"),
    "a counter lowered": (sql("UPDATE counters SET last_value = 1"), DATABASE, "edited"),
    "a counter raised": (sql("UPDATE counters SET last_value = 77"), DATABASE, "edited"),
    "a counter removed": (sql("DELETE FROM counters"), DATABASE, "edited"),
    "a table more": (sql("CREATE TABLE x (y)"), DATABASE, "edited"),
    "no checkpoint": (sql("DELETE FROM checkpoint"), DATABASE, "edited"),
    "two checkpoints": (sql("INSERT INTO checkpoint SELECT * FROM checkpoint"), DATABASE, "edited"),
    "a checkpoint with another seq": (sql("UPDATE checkpoint SET seq = seq - 1"), DATABASE, "edited"),
    "a checkpoint with a greater seq": (sql("UPDATE checkpoint SET seq = seq + 1"), DATABASE, "edited"),
    "a checkpoint with another id": (
        sql("UPDATE checkpoint SET id = '00000000000000000000000000'"),
        DATABASE,
        "edited",
    ),
    "a checkpoint with a text for a seq": (sql("UPDATE checkpoint SET seq = 'many'"), DATABASE, "edited"),
    "a state lowered": (last_number_in_the_state(3), DATABASE, "edited"),
    "a state raised": (last_number_in_the_state(9), DATABASE, "edited"),
    "a state of garbage": (sql("UPDATE projection_states SET state = '{]'"), DATABASE, "edited"),
    "a state emptied": (sql("UPDATE projection_states SET state = '{}'"), DATABASE, "edited"),
    "no states": (sql("DELETE FROM projection_states"), DATABASE, "edited"),
    "a size changed": (sql("UPDATE files SET bytes = bytes + 1"), DATABASE, "edited"),
    "no sizes": (sql("DELETE FROM files"), DATABASE, "edited"),
}
DAMAGES: dict[str, tuple[Change, str, str]] = {
    **{
        f"{name}: {kind}": (lambda index, name=name, change=change: change(index / name), name, problem)  # type: ignore[misc]
        for name in TEXTS
        for kind, (change, problem) in FILE_DAMAGES.items()
    },
    **OTHER_DAMAGES,
}
