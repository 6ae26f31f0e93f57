"""The syntax tree of natural expressions: what the parser reads, the builder builds and the compiler takes.

Nodes compare by what they say; where it stood in the text (``places``, ``at``) is kept for problems only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from .monthdays import MonthDay
from .words import DATE_FIELDS, FIELDS, TIME_FIELDS

Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Value:
    """A wall time by some of its fields. Months, weekdays and plain days are bit masks.

    ``hour_alone`` marks ``9am``, which joins a list of full times as 9:00.
    """

    year: int | None = None
    month: int | None = None
    day: int | MonthDay | None = None
    weekday: int | None = None
    hour: int | None = None
    minute: int | None = None
    second: int | None = None
    hour_alone: bool = field(default=False, compare=False)
    places: Mapping[str, Place] = field(default_factory=dict, compare=False)

    @property
    def fields(self) -> frozenset[str]:
        return frozenset(name for name in FIELDS if getattr(self, name) is not None)

    @property
    def start(self) -> int:
        return min((place[0] for place in self.places.values()), default=0)

    @property
    def end(self) -> int:
        return max((place[1] for place in self.places.values()), default=0)

    @property
    def day_mask(self) -> int:
        """The plain days as a mask; 0 for a special day or none."""
        return self.day if isinstance(self.day, int) else 0

    def place(self, name: str) -> Place:
        return self.places.get(name, (self.start, self.end))

    def joined(self, other: Value) -> Value:
        """Both values' fields; they name different ones."""
        given = {name: getattr(other, name) for name in other.fields}
        return replace(
            self,
            **given,
            hour_alone=self.hour_alone or other.hour_alone,
            places={**self.places, **other.places},
        )

    @property
    def is_full_date(self) -> bool:
        """Whether it names one year, month and day, and no weekday."""
        return (
            self.fields - TIME_FIELDS == DATE_FIELDS - {"weekday"}
            and isinstance(self.day, int)
            and self.day.bit_count() == 1
            and (self.month or 0).bit_count() == 1
        )

    @property
    def is_single(self) -> bool:
        """Whether every field names one value, so that it can be the end of a range."""
        masks = (self.month, self.weekday, self.day if isinstance(self.day, int) else None)
        return all(mask is None or mask.bit_count() == 1 for mask in masks)


@dataclass(frozen=True, slots=True)
class Cadence:
    """``every n units``, on a grid if ``anchor`` is given (a weekday counts from Sunday = 0).

    ``weekdays`` is the mask of ``every mon, wed`` (unit week) or of ``every weekday`` (unit day).
    """

    unit: str
    n: int = 1
    anchor: int | None = None
    weekdays: int | None = None
    at: Place = field(default=(0, 0), compare=False)
    n_at: Place = field(default=(0, 0), compare=False)
    anchor_at: Place = field(default=(0, 0), compare=False)


@dataclass(frozen=True, slots=True)
class Points:
    """One of some values, all of the same fields."""

    values: tuple[Value, ...]
    at: Place = field(default=(0, 0), compare=False)

    @property
    def fields(self) -> frozenset[str]:
        return self.values[0].fields


@dataclass(frozen=True, slots=True)
class Range:
    """From ``low`` to ``high``, both included; ``None`` for the first or last value of the other's fields."""

    low: Value | None
    high: Value | None

    @property
    def fields(self) -> frozenset[str]:
        return self.some.fields

    @property
    def some(self) -> Value:
        end = self.low if self.low is not None else self.high
        if end is None:
            raise ValueError("a range needs at least one end")
        return end


@dataclass(frozen=True, slots=True)
class Window:
    """One of some ranges, all of the same fields."""

    ranges: tuple[Range, ...]
    at: Place = field(default=(0, 0), compare=False)

    @property
    def fields(self) -> frozenset[str]:
        return self.ranges[0].fields


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Values or ranges whose wall times do not count."""

    items: tuple[Value | Range, ...]
    at: Place = field(default=(0, 0), compare=False)


@dataclass(frozen=True, slots=True)
class Expression:
    """A whole natural expression. ``zone`` is an official name."""

    cadence: Cadence | None = None
    points: tuple[Points, ...] = ()
    windows: tuple[Window, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    start: Value | None = None
    end: Value | None = None
    zone: str | None = None
    zone_at: Place = field(default=(0, 0), compare=False)
