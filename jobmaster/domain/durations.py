"""Durations: a ``timedelta`` or a number of seconds, everywhere."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TypeAlias

__all__ = ["Duration", "as_timedelta", "describe_duration"]

Duration: TypeAlias = timedelta | float | int

_LONGEST = timedelta(days=36500)


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
        raise ValueError(
            f"{what} must be {_range(minimum, maximum)}, not {describe_duration(duration)}"
        )
    return duration


def _range(minimum: timedelta, maximum: timedelta) -> str:
    return f"between {describe_duration(minimum)} and {describe_duration(maximum)}"


def describe_duration(value: timedelta) -> str:
    """A short English text: ``5 min``, ``1.5 s``, ``2 h``, ``30 days``."""
    seconds = value.total_seconds()
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if abs(seconds) >= size and seconds % size == 0:
            return f"{int(seconds // size)} {unit}"
    return f"{seconds:g} s"
