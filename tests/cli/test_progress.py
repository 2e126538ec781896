"""``osiris run`` on a terminal: one line a step, in place, however large it is and whoever prints meanwhile."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import click

from tests.cli.shop import DEADLINE_S, ENDLESS, ORDERS, OSIRIS, Shop, environment, pipeline

SPEAKER = """
import logging
import msgspec
from osiris.components.base import ComponentSpec, Produced

class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass

SPEC = ComponentSpec(name="acme.speaker", version="1.0.0", summary="Speaks.", modes=("read",))

def run(ctx, config, inputs):
    print("said in between")
    ctx.log.warning("warned in between")
    ctx.progress(4711)
    return Produced(rows=ctx.con.sql("SELECT 1 AS n"))
"""


def shown_on_terminal(
    shop: Shop, *args: str, until: Callable[[str], bool] | None = None, **variables: str
) -> tuple[int, str]:
    """How a command ends on a terminal and all that it writes there; when ``until`` holds of that, it gets a Ctrl-C."""
    screen, terminal = pty.openpty()
    names = {"TERM": "xterm", "COLUMNS": "80", "LINES": "24", "NO_COLOR": "", **variables}
    process = subprocess.Popen(
        [OSIRIS, *args], cwd=shop.root, env=environment(names), stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    shown = b""
    try:
        with contextlib.suppress(OSError):  # how a terminal ends that nobody writes to any more
            while piece := os.read(screen, 65536):
                shown += piece
                if until is not None and until(shown.decode(errors="ignore")):
                    process.send_signal(signal.SIGINT)
                    until = None
        code = process.wait(DEADLINE_S)
    finally:
        process.kill()
        os.close(screen)
    return code, shown.decode().replace("\r\n", "\n")


def seen(written: str, lines: int = 24) -> list[str]:
    """What stands on a terminal, scrolled out lines included, after it got ``written``.

    It knows what the display uses: up (no further than the screen reaches) and clearing to the end of the screen.
    """
    rows, at = [""], 0
    for part in re.split(r"(\x1b\[\d*[A-Za-z]|\n)", re.sub(r"\x1b\[(\?7[lh]|[\d;]*m)", "", written)):
        if up := re.fullmatch(r"\x1b\[(\d+)F", part):
            at = max(at - int(up[1]), len(rows) - lines, 0)
        elif part == "\x1b[J":
            rows[at:] = [""]
        elif part == "\n":
            at += 1
            rows += [""] * (at == len(rows))
        else:
            assert not part.startswith("\x1b"), repr(part)
            rows[at] += part
    return rows


def drawn(written: str) -> list[list[str]]:
    """The lines of each time that the display was drawn."""
    return [click.unstyle(block).split("\n") for block in re.findall(r"\x1b\[\?7l(.*?)\x1b\[\?7h", written, re.S)]


def test_every_step_has_one_line_with_rows_their_rate_and_time(used: Shop) -> None:
    _, written = shown_on_terminal(used, "run", "orders")
    steps = [line for line in seen(written) if line.startswith("  ✓")]
    counted = r"  \d+ rows?, [\d,]+ rows/s, \d+ ms"
    for line, step, rows in zip(steps, ("orders", "by-customer", "write"), (3, 2, 2), strict=True):
        assert re.fullmatch(rf"  ✓ {step} *{counted}", line)
        assert f"  {rows} rows" in line


def test_the_time_of_a_running_step_goes_on_though_nothing_else_does(used: Shop) -> None:
    used.write("pipelines/orders.yaml", pipeline(ENDLESS))
    times = re.compile(r"▸ (?:\x1b\[0m)? *write .*?(\d+ ms|[\d.]+ s)\n?")
    code, written = shown_on_terminal(
        used, "run", "orders", until=lambda text: len(set(times.findall(click.unstyle(text)))) >= 3
    )
    assert code == 130
    assert [line.split()[:3] for line in seen(written) if line.startswith("  - ")] == [
        ["-", step, "cancelled"] for step in ("orders", "by-customer", "write")
    ]


def test_lines_are_cut_on_a_narrow_terminal_and_still_redrawn_in_place(used: Shop) -> None:
    _, written = shown_on_terminal(used, "run", "orders", COLUMNS="20")
    assert max(len(line) for block in drawn(written) for line in block) < 20
    assert [line.split()[1] for line in seen(written) if line.startswith("  ✓")] == ["orders", "by-custo…", "write"]


def test_more_steps_than_the_terminal_has_lines_are_counted_and_shown_at_the_end(used: Shop) -> None:
    writers = "".join(
        f"  - {{id: w{number}, component: filesystem.csv_writer, mode: write, "
        f'inputs: {{df: "${{by-customer.df}}"}}, config: {{path: out/{number}.csv}}}}\n'
        for number in range(20)
    )
    used.write("pipelines/orders.yaml", ORDERS + writers)
    _, written = shown_on_terminal(used, "run", "orders", LINES="10")
    *during, last = drawn(written)
    assert max(map(len, during)) < 10
    assert during[0][-1] == "  … 16 more"
    assert len(last) == 23
    assert sum(line.startswith("  ✓") for line in seen(written, lines=10)) == 23


def test_what_is_printed_meanwhile_stands_above_the_display_and_stays(used: Shop, tmp_path: Path) -> None:
    site = tmp_path / "site"
    dist = site / "acme-1.0.dist-info"
    dist.mkdir(parents=True)
    (site / "acme_speaker.py").write_text(SPEAKER)
    (dist / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (dist / "entry_points.txt").write_text("[osiris.components]\nacme.speaker = acme_speaker\n")
    speaking = ORDERS.replace("filesystem.csv_extractor", "acme.speaker").replace("{path: data/orders.csv}", "{}")
    query = (
        "SELECT customer, sum(amount) AS total\n        FROM df_orders WHERE amount >= ${params.minimum} GROUP BY ALL"
    )
    speaking = speaking.replace(f"{query} ORDER BY customer", "FROM df_orders")
    used.write("pipelines/orders.yaml", speaking)
    _, written = shown_on_terminal(used, "run", "orders", PYTHONPATH=str(site))
    lines = seen(written)
    first = next(place for place, line in enumerate(lines) if line.startswith("  ✓"))
    assert lines[first - 2 : first] == ["said in between", "warning: warned in between"]
    assert sum(line.startswith("  ✓") for line in lines) == 3


def test_a_pipe_and_a_dumb_terminal_get_a_line_when_a_step_ends(used: Shop) -> None:
    _, written = shown_on_terminal(used, "run", "orders", TERM="dumb")
    piped = used.run("run", "orders").err
    for text in (written, piped):
        assert "\x1b" not in text
        ended = re.findall(r"^([\w-]+): success, (\d+) rows?, [\d,]+ rows/s, \d+ ms$", text, re.MULTILINE)
        assert ended == [("orders", "3"), ("by-customer", "2"), ("write", "2")]
