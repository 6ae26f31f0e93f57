"""Durations: a ``timedelta`` or a number of seconds, everywhere."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TypeAlias

__all__ = ["Duration", "as_timedelta", "describe_about", "describe_duration"]

Duration: TypeAlias = timedelta | float | int

_LONGEST = timedelta(days=36500)
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def as_timedelta(
    value: object,
    what: str,
    *,
    minimum: timedelta = timedelta(0),
    maximum: timedelta = _LONGEST,
) -> timedelta:
    """``value`` as a ``timedelta``; a number counts seconds.

    Raises ``TypeError`` for anything else and ``ValueError`` outside ``minimum`` to ``maximum``.
    """
    if isinstance(value, timedelta):
        duration = value
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if not math.isfinite(value) or abs(value) > _LONGEST.total_seconds():
            raise ValueError(f"{what} must be {_range(minimum, maximum)}, not {value!r} seconds")
        duration = timedelta(seconds=value)
    else:
        raise TypeError(f"{what} must be a timedelta or a number of seconds, not {type(value).__name__}")
    if not minimum <= duration <= maximum:
        raise ValueError(f"{what} must be {_range(minimum, maximum)}, not {describe_duration(duration)}")
    return duration


def _range(minimum: timedelta, maximum: timedelta) -> str:
    return f"between {describe_duration(minimum)} and {describe_duration(maximum)}"


def describe_duration(value: timedelta) -> str:
    """A short English text that says it exactly: ``1.5 s``, ``5 min``, ``1 h 30 min``, ``30 days``."""
    if value < timedelta(0):
        return f"-{describe_duration(-value)}"
    minutes, seconds = divmod(value.seconds, _MINUTE)
    hours, minutes = divmod(minutes, _HOUR // _MINUTE)
    fraction = f"{value.microseconds:06}".rstrip("0")
    parts = [
        f"{value.days} {'day' if value.days == 1 else 'days'}" if value.days else "",
        f"{hours} h" if hours else "",
        f"{minutes} min" if minutes else "",
        f"{seconds}{'.' if fraction else ''}{fraction} s" if seconds or fraction else "",
    ]
    return " ".join(filter(None, parts)) or "0 s"


def describe_about(value: timedelta) -> str:
    """The same, rounded to what a reader wants to know: ``0.5 s``, ``12 s``, ``59 min 50 s``, ``3 h 20 min``,
    ``12 days 4 h``. What is not nothing is never called nothing."""
    seconds = abs(value.total_seconds())
    if not seconds:
        return "0 s"
    step = 0.1 if seconds < 10 else 1 if seconds < _HOUR else _MINUTE if seconds < _DAY else _HOUR
    rounded = timedelta(seconds=max(step, round(seconds / step) * step))
    return describe_duration(rounded if value > timedelta(0) else -rounded)
