"""The start of a run in folder names, the same under every locale."""

from __future__ import annotations

import locale
import re
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from osiris.config.naming import RUN_TS_DIRECTIVES
from osiris.layout.run_ts import render_run_ts

MOMENT = datetime(2025, 2, 1, 8, 2, 3, 4000, tzinfo=UTC)
MOMENTS = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2900, 1, 1), timezones=st.just(UTC))


def test_each_directive_is_what_strftime_gives_in_the_c_locale() -> None:
    assert locale.setlocale(locale.LC_TIME) == "C"
    for moment in (MOMENT, MOMENT + timedelta(days=151, hours=9)):
        for directive in sorted(RUN_TS_DIRECTIVES - {"s", "%"}):
            expected = re.sub(r"[^A-Za-z0-9_.+-]+", "-", moment.strftime(f"%{directive}"))
            assert render_run_ts(moment, f"%{directive}") == expected, directive
        assert render_run_ts(moment, "%s") == str(int(moment.timestamp()))


class Elsewhere(datetime):
    """A moment on a machine whose locale has other names for days, months and halves of the day."""

    def strftime(self, pattern: str) -> str:
        return "février" if pattern[-1] in "aAbBpcxX" else super().strftime(pattern)


def test_no_locale_reaches_a_name() -> None:
    moment = Elsewhere(2025, 2, 1, 8, 2, 3, tzinfo=UTC)
    assert moment.strftime("%B") == "février"
    assert render_run_ts(moment, "%a %A %b %B %p %H") == "Sat-Saturday-Feb-February-AM-08"


def test_an_offset_changes_nothing() -> None:
    assert render_run_ts(MOMENT.astimezone(), "%F %T") == "2025-02-01-08-02-03"


@given(MOMENTS, st.text(alphabet="%YmdHMSAbZ_/. \n-x", max_size=20))
def test_whatever_the_format_the_name_is_safe_and_not_empty(moment: datetime, text: str) -> None:
    rendered = render_run_ts(moment, text)
    assert re.fullmatch(r"[A-Za-z0-9_+][A-Za-z0-9_.+-]*", rendered)


def test_a_format_of_which_nothing_is_left_is_iso_basic() -> None:
    assert render_run_ts(MOMENT, "%%") == render_run_ts(MOMENT, "") == "20250201T080203Z"
