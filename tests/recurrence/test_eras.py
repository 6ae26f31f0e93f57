"""Years that tests tell apart, and what the search for the next fire looks at: counted, not timed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest

from jobmaster.recurrence import RecurrenceSyntaxError, parse
from jobmaster.recurrence.clock import EPOCH_ORDINAL, Clock, clock_of
from jobmaster.recurrence.daterules import DateRule
from jobmaster.recurrence.dates import DateSet
from jobmaster.recurrence.eras import DayTests
from jobmaster.recurrence.monthdays import MonthDay
from jobmaster.recurrence.parser import Parser
from jobmaster.recurrence.rruleform import WallTimes
from jobmaster.recurrence.spans import bits, holds, second_mask, spans_of
from jobmaster.recurrence.syntax import Range, Value
from jobmaster.recurrence.walltests import AnyTest, RangeTest, exclusion_test, window_test

from .test_speed import BASE

_NAMES = ("year", "month", "day", "hour", "minute", "second")
WINDOWS = (
    "between 2027-03 and 2029-02",
    "between 2029-11-05 and 2027-02-10",
    "between year 2028 and year 2028",
    "between [2028-02-28 22:10 and 2028-03-01 03:20, 2031-05-06 07:08 and 2030-01-02 03:04]",
    "between nov-20 and feb-29",
    "between [LastDay - 3 08:00 and LastDay 09:00, 5th 10:00 and second tue 11:00]",
    "between second mon and 18th",
    "between mon 06:00 and fri 22:00",
    "between minute 50 and minute 10",
    "between [hour 3 second 20 and hour 1 second 40, hour 4 second 9 and hour 7 second 5]",
    "between mon and thu",
    "between jan-01 10:00 and dec-31 09:59",
    "between minute 59 second 48 and minute 3 second 23",
)


def moments(seed: str) -> Iterator[datetime]:
    draw = random.Random(seed)
    for _ in range(400):
        day = date(draw.randrange(2024, 2034), 1, 1) + timedelta(days=draw.randrange(366))
        at = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a wall time
        yield at + timedelta(seconds=draw.choice([0, 1, 36_000, 86_399, draw.randrange(86_400)]))


def number(value: Value | None, name: str, at: datetime, end: int) -> int:
    """A field of an end of a range; one that is left out allows every value."""
    found = None if value is None else getattr(value, name)
    if found is None:
        return 0 if end == 0 else 9999
    if isinstance(found, MonthDay):
        first = at.replace(day=1)
        following = (first + timedelta(days=31)).replace(day=1)
        return found.day(first.isoweekday() % 7, (following - first).days)
    return bits(found)[0] if name in ("day", "month") else int(found)


def inside(window: Range, at: datetime) -> bool:
    """Whether a wall time lies in a range, one field after the other."""
    fields = window.fields
    if "weekday" in fields:
        first = 0 if window.low is None else bits(window.low.weekday or 0)[0]
        last = 6 if window.high is None else bits(window.high.weekday or 0)[0]
        today = at.isoweekday() % 7
        if not (first <= today <= last if first <= last else today >= first or today <= last):
            return False
    names = [name for name in _NAMES if name in fields]
    low = [number(window.low, name, at, 0) for name in names]
    high = [number(window.high, name, at, 1) for name in names]
    here = [getattr(at, name) for name in names]
    special = any(isinstance(end.day, MonthDay) for end in (window.low, window.high) if end is not None)
    if special and 0 in (low[names.index("day")], high[names.index("day")]):
        return False
    if low <= high:
        return low <= here <= high
    return not special and (here >= low or here <= high)


def allowed(test: AnyTest) -> Callable[[datetime], bool]:
    """Whether a test holds a wall time."""
    dates = DateSet(DateRule(), DayTests([test]))
    always = None if test.dated else test.kinds(2000, 1, 6, 31)[0][1]

    def holds_at(at: datetime) -> bool:
        day = at.date().toordinal() - EPOCH_ORDINAL
        spans = dates.spans(day) if always is None else always
        return dates.has(day) and holds(spans, at.hour * 3600 + at.minute * 60 + at.second)

    return holds_at


@pytest.mark.parametrize("text", WINDOWS)
def test_a_window_holds_the_wall_times_between_its_ends(text: str) -> None:
    (window,) = Parser(f"every 7 seconds {text}").expression().windows
    within, outside = allowed(window_test(window)), allowed(exclusion_test(window.ranges))
    seen = set()
    for at in moments(text):
        expected = any(inside(one, at) for one in window.ranges)
        assert within(at) == expected, at
        assert outside(at) != expected, at
        seen.add(expected)
    assert seen == {True, False}


@pytest.mark.parametrize("seed", range(4))
def test_a_set_of_seconds_is_the_same_as_spans_and_as_bits(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(40):
        edges = sorted(draw.sample(range(86_401), 2 * draw.choice([1, 2, 9, 40, 700])))
        spans = tuple(zip(edges[::2], edges[1::2], strict=True))
        assert spans_of(second_mask(spans)) == spans
    every = sum(draw.getrandbits(60) << at for at in range(0, 86_400, 60))
    found = spans_of(every)
    assert second_mask(found) == every
    assert all(low < high for low, high in found)
    assert all(before[1] < after[0] for before, after in pairwise(found))


@pytest.mark.parametrize(
    ("text", "since", "expected"),
    [
        (
            "every day at 09:00 except between year 1970 and year 2999",
            2990,
            datetime(3000, 1, 1, 9, tzinfo=UTC),
        ),
        ("every 1000 years AnchoredOn 2500 on mar-01 at 09:00", 2499, datetime(2500, 3, 1, 9, tzinfo=UTC)),
        (
            "every hour upto aug-27 except between year 2100 and year 2096",
            2096,
            datetime(2097, 1, 1, tzinfo=UTC),
        ),
        ("on mon at 09:00 in [2200-01, 2300-01]", 2250, datetime(2300, 1, 1, 9, tzinfo=UTC)),
    ],
)
def test_what_fires_in_far_years_alone_is_no_text_that_never_fires(
    text: str, since: int, expected: datetime
) -> None:
    rule = parse(text, anchor=BASE)
    assert rule.next_after(datetime(since, 12, 1, tzinfo=UTC)) == expected


def test_a_run_of_whole_dates_goes_on_to_the_end_of_the_calendar() -> None:
    rule = parse("every 999983 hours from year 1999 except between dec and sep", anchor=BASE)
    assert rule.next_after(datetime(9990, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("text", "begin"),
    [
        ("every 31 minutes from 3000-03-19", datetime(3000, 3, 19, 4, tzinfo=UTC)),
        ("every 97 seconds between [hour 23 and hour 3, hour 4 and hour 23]", BASE),
        ("every 11 hours between jul and jun", BASE),
    ],
)
def test_a_run_of_centuries_is_not_walked_through(
    text: str, begin: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = 0
    look = Clock._look

    def counted(clock: Clock, chunk: int) -> object:
        nonlocal looked
        looked += 1
        return look(clock, chunk)

    clock_of.cache_clear()
    monkeypatch.setattr(Clock, "_look", counted)
    rule = parse(text, time_zone="America/New_York", anchor=BASE)
    asked = datetime(9970, 5, 5, 1, 2, 3, tzinfo=UTC)
    found = rule.next_after(asked)
    following = rule.next_after(asked + timedelta(days=1))
    assert found is not None
    assert following is not None
    step = timedelta(**{text.split()[2]: int(text.split()[1])})
    assert asked < found <= asked + step
    assert (found - begin) % step == timedelta(0)
    assert (following - found) % step == timedelta(0)
    assert looked <= 20


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("every 86399 weeks from year 2028 between fifth mon and 18th", 6 * 115),
        ("every 31 days upto LastWeekday upto jan-01 10:00 from FirstWeekday + 3 except aug", 9 * 91),
        (
            "at 9am except [" + ", ".join(f"year {year}" for year in range(2030, 9000, 120)) + "] on feb-29 "
            "on 28th",
            91,
        ),
        (
            "every day at 9am on mon except mon except [" + ", ".join(f"{y}-02" for y in range(2030, 2090)),
            91 * 99,
        ),
    ],
)
def test_a_text_that_never_fires_is_refused_by_the_kinds_of_its_months(
    text: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A month of every length and first weekday in every era, for each test and set of dates:
    so many suffice for any number of years."""
    asked = 0
    kinds = RangeTest.kinds

    def counted(test: RangeTest, *month: int) -> object:
        nonlocal asked
        asked += 1
        return kinds(test, *month)

    monkeypatch.setattr(RangeTest, "kinds", counted)
    with pytest.raises(RecurrenceSyntaxError):
        parse(text, anchor=BASE)
    assert asked <= most


def test_places_that_no_week_has_are_not_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WallTimes, "_all_picked", None)
    with pytest.raises(RecurrenceSyntaxError, match="never has a result"):
        parse("FREQ=WEEKLY;BYDAY=WE,FR;BYHOUR=9,12;BYSETPOS=5,-34", anchor=BASE)
