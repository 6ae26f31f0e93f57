"""Against other readers of the same texts, where they agree on what a text means.

croniter and cronsim differ in clock changes, in steps past the end of a field and in the weekday of a wrapped
range, so they are asked in UTC and in plain forms. python-dateutil expands the same rules in naive time.
"""

from __future__ import annotations

import warnings
from datetime import UTC, date, datetime, timedelta

import pytest
from croniter import croniter
from cronsim import CronSim
from dateutil.rrule import rrulestr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jobmaster.recurrence import RecurrenceSyntaxError, cron, rrule

from .strategies import instants, rrules

BASES = instants.map(lambda at: at.replace(microsecond=0))


def plain_field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    ranges = st.builds(
        "{}-{}".format, st.integers(low, (low + high) // 2), st.integers((low + high) // 2 + 1, high)
    )
    steps = st.integers(1, (high - low) // 2).map("*/{}".format)
    lists = st.lists(number, min_size=1, max_size=4, unique=True).map(lambda many: ",".join(map(str, many)))
    return st.one_of(st.just("*"), number.map(str), ranges, steps, lists)


FIELDS = st.tuples(
    plain_field(0, 59), plain_field(0, 23), plain_field(1, 28), plain_field(1, 12), plain_field(0, 6)
)


@settings(max_examples=150, deadline=None)
@given(FIELDS, BASES)
def test_cron_agrees_with_croniter(fields: tuple[str, ...], base: datetime) -> None:
    assume("*" in (fields[2], fields[4]) or "/" not in fields[2] + fields[4])  # it knows no AND of two fields
    text = " ".join(fields)
    ours, theirs = cron(text), croniter(text, base)
    at: datetime | None = base
    for _ in range(8):
        assert at is not None
        at = ours.next_after(at)
        assert at == theirs.get_next(datetime), text


@settings(max_examples=150, deadline=None)
@given(FIELDS, BASES)
def test_cron_agrees_with_cronsim(fields: tuple[str, ...], base: datetime) -> None:
    text = " ".join(fields)
    ours, theirs = cron(text), CronSim(text, base)
    at: datetime | None = base
    for _ in range(8):
        assert at is not None
        at = ours.next_after(at)
        assert at == next(theirs), text


@pytest.mark.parametrize("week", [1, 2, 26, 52, 53, -1, -53])
def test_weeks_of_the_year_are_those_of_iso_8601(week: int) -> None:
    ours = rrule(
        f"FREQ=YEARLY;BYWEEKNO={week};BYDAY=MO,TU,WE,TH,FR,SA,SU", anchor=datetime(1990, 1, 1, tzinfo=UTC)
    )
    at = datetime(1990, 1, 1, tzinfo=UTC) - timedelta(days=1)
    for number in range(15_000):
        day = datetime(1990, 1, 1, tzinfo=UTC) + timedelta(days=number)
        year, its_week, _ = day.isocalendar()
        weeks = date(year, 12, 28).isocalendar().week
        if week in (its_week, its_week - weeks - 1):
            at_next = ours.next_after(at)
            assert at_next == day
            at = day


@settings(max_examples=300, deadline=None)
@given(rrules(), BASES.filter(lambda at: 1990 < at.year < 2050))
def test_rrule_agrees_with_dateutil(text: str, start: datetime) -> None:
    try:
        ours = rrule(text, anchor=start)
    except RecurrenceSyntaxError:
        assume(False)
        return
    expected = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = rrulestr(f"{text};UNTIL=20600101T000000", dtstart=start.replace(tzinfo=None))
    for naive in theirs:
        expected.append(naive.replace(tzinfo=UTC))
        if len(expected) == 12:
            break
    at = start.replace(year=start.year - 1, day=1)
    if (
        "WEEKLY" in text and "BYSETPOS" in text
    ):  # dateutil begins its first week with DTSTART, not with the week
        at = start + timedelta(days=7 * 4)
        expected = [one for one in expected if one > at]
    for one in expected:
        following = ours.next_after(at)
        assert following == one, text
        at = following
