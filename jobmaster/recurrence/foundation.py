"""What the built-in recurrences share: identity, asking a form, anchoring."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from typing import Protocol

from ..errors import Problem, RecurrenceSyntaxError
from .calendarform import Fire
from .clock import DAY, EPOCH, FIRST_START, LAST_START, Clock, clock_of, naive_of
from .protocol import MOST_EXPLAINED, Explanation, Occurrence
from .zones import nearest_zone, official_name, zone_of

LONGEST_TEXT = 1000


class Form(Protocol):
    """A compiled recurrence, in whole seconds."""

    def next(self, instant: int) -> Fire | None: ...

    def instant_after(self, instant: int) -> int | None: ...


class Rule(ABC):
    """A recurrence over a form. Equal rules have the same kind, canonical text, zone and anchor.

    A rule without its anchor can be described and stored, but not asked for occurrences; ``anchored`` gives
    it one.
    """

    kind: str
    named_zone: str | None = None
    """The zone that the text or the caller named, UTC included; ``None`` when ``time_zone`` is UTC because
    nobody said anything."""
    zone_is_free: bool = False
    """Whether the zone named is that of an instant, which any other zone can show too."""

    def __init__(
        self,
        expression: str,
        time_zone: str | None,
        anchor: datetime | None,
        warnings: tuple[Problem, ...] = (),
    ) -> None:
        self.expression = expression
        self.time_zone = time_zone
        self.anchor = anchor
        self.warnings = warnings

    @abstractmethod
    def next_after(self, instant: datetime) -> datetime | None:
        """The first occurrence after an instant."""

    @abstractmethod
    def anchored(self, anchor: datetime, time_zone: str | None = None) -> Rule:
        """The same recurrence counted from another anchor, in ``time_zone`` if its text names no zone."""

    @abstractmethod
    def describe(self) -> str:
        """One line of English."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Which rules for clock changes apply."""
        return ()

    def explain(self, after: datetime, count: int = 5) -> Explanation:
        if not 0 <= count <= MOST_EXPLAINED:
            raise ValueError(f"count is 0 to {MOST_EXPLAINED}, not {count}")
        occurrences: list[Occurrence] = []
        instant = after
        for _ in range(count):
            found = self.next_after(instant)
            occurrences.extend(self._excepted(instant, found, MOST_EXPLAINED - len(occurrences)))
            if found is None:
                break
            occurrences.append(Occurrence(found, self._local(found), self._remark(found, instant)))
            instant = found
        return Explanation(
            self.kind,
            self.expression,
            self.describe(),
            self.time_zone,
            self.anchor,
            self.classes,
            self.warnings,
            tuple(occurrences),
        )

    def _unexcepted(self) -> Rule | None:
        """The same rule without its exceptions; ``None`` if it has none."""
        return None

    def _excepted(self, after: datetime, before: datetime | None, most: int) -> list[Occurrence]:
        """What exceptions drop between two instants, at most so many."""
        rule = self._unexcepted()
        dropped: list[Occurrence] = []
        found = None if rule is None else rule.next_after(after)
        while rule is not None and found is not None and len(dropped) < most:
            if before is not None and found >= before:
                break
            dropped.append(Occurrence(found, self._local(found), "excepted"))
            found = rule.next_after(found)
        return dropped

    def _local(self, instant: datetime) -> datetime:
        return instant.astimezone(UTC if self.time_zone is None else zone_of(self.time_zone))

    def _remark(self, instant: datetime, before: datetime) -> str:
        return ""

    def _identity(self) -> tuple[object, ...]:
        return (self.kind, self.expression, self.time_zone, self.anchor)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Rule):
            return NotImplemented
        return self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        anchor = "" if self.anchor is None else f", anchor={self.anchor.isoformat()}"
        zone = "" if self.time_zone is None else f", time_zone={self.time_zone!r}"
        return f"{self.kind}({self.expression!r}{zone}{anchor})"


class WallClockRule(Rule):
    """A rule that reads a wall clock: cron and natural."""

    time_zone: str

    def __init__(
        self,
        expression: str,
        time_zone: str,
        anchor: datetime | None,
        form: Form | None,
        warnings: tuple[Problem, ...] = (),
        named_zone: str | None = None,
    ) -> None:
        super().__init__(expression, time_zone, anchor, warnings)
        self._form = form
        self.named_zone = named_zone

    def next_after(self, instant: datetime) -> datetime | None:
        since = instant - EPOCH  # a TypeError if it is naive
        if self._form is None:
            raise ValueError(f"{self.expression!r} needs an anchor: {self.kind}(text, anchor=...)")
        found = self._form.instant_after(since.days * DAY + since.seconds)
        return None if found is None else EPOCH + timedelta(0, found)

    @property
    def clock(self) -> Clock:
        return clock_of(self.time_zone)

    def nominal(self, instant: datetime) -> datetime:
        """The wall time, naive, that the first occurrence after an instant was meant for."""
        since = instant - EPOCH
        found = self.fire_after(since.days * DAY + since.seconds)
        if found is None:
            raise ValueError(f"nothing follows {instant.isoformat()}")
        return naive_of(found.wall)

    def fire_after(self, instant: int) -> Fire | None:
        """The first occurrence after an instant in seconds, with the wall time that was meant."""
        if self._form is None:
            raise ValueError(f"{self.expression!r} needs an anchor: {self.kind}(text, anchor=...)")
        return self._form.next(instant)

    def _remark(self, instant: datetime, before: datetime) -> str:
        since = before - EPOCH
        found = None if self._form is None else self._form.next(since.days * DAY + since.seconds)
        if found is None:
            return ""
        shown = self.clock.wall(found.instant)
        if shown != found.wall:
            return f"{_shown(found.wall, shown)} does not exist; moved to {_shown(shown, found.wall)}"
        passes = self.clock.instants(shown)
        return "second pass" if len(passes) > 1 and found.instant != passes[0] else ""


def _shown(wall: int, other: int) -> str:
    at = naive_of(wall)
    time = f"{at:%H:%M:%S}" if wall % 60 or other % 60 else f"{at:%H:%M}"
    return time if wall // DAY == other // DAY else f"{at:%Y-%m-%d} {time}"


def checked_zone(name: str | None) -> str | None:
    """The official spelling of the zone that a schedule names; ``ValueError`` if there is no such zone."""
    if name is None:
        return None
    if not isinstance(name, str):
        raise TypeError(f'time_zone is the name of a zone, such as "Europe/Paris", not {name!r}')
    official = official_name(name)
    if official is None:
        hint = nearest_zone(name)
        raise ValueError(f"unknown time zone {name!r}" + (f"; did you mean {hint}?" if hint else ""))
    return official


def agreed_zone(text: str, named: str | None, place: tuple[int, int], given: str | None) -> str | None:
    """The zone that an expression or its schedule names, which must not contradict each other."""
    if named is not None and given is not None and named != given:
        message = f'the schedule has the time zone "{given}"'
        raise RecurrenceSyntaxError(text, [Problem("zone_conflict", message, *place, (given,))])
    return named or given


def checked_text(text: str) -> str:
    """The text, if it is one and not too long."""
    if not isinstance(text, str):
        raise TypeError(f"an expression is a str, not {type(text).__name__}")
    if len(text) > LONGEST_TEXT:
        message = f"an expression has at most {LONGEST_TEXT} characters"
        raise RecurrenceSyntaxError(text, [Problem("too_long", message, LONGEST_TEXT, len(text))])
    return text


def checked_anchor(anchor: datetime | None, whole_seconds: bool = True) -> datetime | None:
    """The anchor in UTC, cut to the second unless its fraction counts; a naive one is a ``TypeError``, and
    one from which no zone can count a ``ValueError``."""
    if anchor is None:
        return None
    if anchor.tzinfo is None or anchor.utcoffset() is None:
        raise TypeError(f"an anchor is an aware datetime, {anchor!r} is naive")
    if not FIRST_START <= anchor.year <= LAST_START:
        raise ValueError(f"an anchor is in the years {FIRST_START} to {LAST_START}, not {anchor.isoformat()}")
    anchor = anchor.astimezone(UTC)
    return anchor.replace(microsecond=0) if whole_seconds else anchor


def checked_bound(bound: datetime | None, what: str) -> datetime | None:
    """An instant that bounds a schedule, in UTC; a naive one is a ``TypeError``."""
    if bound is None:
        return None
    if bound.tzinfo is None or bound.utcoffset() is None:
        raise TypeError(f"{what} is an aware datetime, {bound!r} is naive")
    try:
        return bound.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{what} is outside of the years 1 to 9999 in UTC: {bound.isoformat()}") from None
