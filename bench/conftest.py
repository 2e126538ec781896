"""Prints the pairs at the end of a benchmark session."""

from __future__ import annotations

import pytest

from bench.pairs import RESULTS


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line a pair: subject, floor, ratio, and what was promised."""
    if not RESULTS:
        return
    terminalreporter.section("subject beside floor (medians, in turn)")
    width = max(len(pair.what) for pair in RESULTS)
    for pair in RESULTS:
        figures = f"{pair.subject:10.3f} / {pair.floor:10.3f} {pair.unit:5} = {pair.ratio:6.2f} x"
        terminalreporter.write_line(f"{pair.what:{width}}  {figures}  {pair.limit}")
