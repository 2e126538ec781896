"""The time axis: how long it is, and where its round ticks stand."""

from __future__ import annotations

import math

import msgspec

_MOST_TICKS = 7
_SECOND, _MINUTE, _HOUR, _DAY = 1000, 60_000, 3_600_000, 86_400_000
_STEPS = (
    *(factor * power for power in (1, 10, 100) for factor in (1, 2, 5)),
    *(_SECOND * factor for factor in (1, 2, 5, 10, 15, 30)),
    *(_MINUTE * factor for factor in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * factor for factor in (1, 2, 3, 6, 12)),
)
_PARTS = ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"))


class Axis(msgspec.Struct, frozen=True, kw_only=True):
    """From 0 to ``span_ms``, with a tick at every multiple of ``step_ms``."""

    span_ms: int
    step_ms: int

    @property
    def ticks(self) -> range:
        """Where the ticks stand, in milliseconds from the start."""
        return range(0, self.span_ms + 1, self.step_ms)

    def percent(self, at_ms: float) -> float:
        """How far along the axis ``at_ms`` is, 0 to 100."""
        return min(100.0, max(0.0, 100 * at_ms / self.span_ms))


def axis_of(longest_ms: float) -> Axis:
    """The axis for what takes ``longest_ms``: at least 1 ms long, with two to eight round ticks."""
    span = max(1, math.ceil(longest_ms))
    step = next((step for step in _STEPS if span <= step * _MOST_TICKS), 0)
    if not step:
        days = math.ceil(span / _DAY / _MOST_TICKS)
        power = 10 ** (len(str(days)) - 1)
        step = _DAY * next(power * factor for factor in (1, 2, 5, 10) if days <= power * factor)
    return Axis(span_ms=span, step_ms=step)


def tick_label(at_ms: int, axis: Axis) -> str:
    """``0``, ``20 ms``, ``1.5 s``, ``4 min``, ``2 h 30 min``, ``3 d``."""
    if at_ms == 0:
        return "0"
    if axis.span_ms < _SECOND:
        return f"{at_ms} ms"
    if axis.span_ms < _MINUTE:
        return f"{at_ms / _SECOND:.1f} s" if axis.step_ms % _SECOND else f"{at_ms // _SECOND} s"
    parts, rest = [], at_ms
    for length, name in _PARTS:
        if rest >= length:
            parts.append(f"{rest // length} {name}")
            rest %= length
    if rest:
        parts.append(f"{rest // _SECOND} s")
    return " ".join(parts)
