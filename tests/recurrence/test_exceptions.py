"""Exceptions of real-time cadences: the search that jumps over what they drop finds what a walk finds."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from time import thread_time

import pytest

from jobmaster.recurrence import Recurrence, RecurrenceSyntaxError, bounded, parse
from jobmaster.recurrence.clock import clock_of
from jobmaster.recurrence.elapsedform import ElapsedForm

from .test_speed import BASE, LONGEST_CALL, MARGIN, read

CADENCES = [f"every {n} {unit}" for unit in ("minutes", "hours") for n in (1, 7, 12, 24, 30, 61, 90, 1440)]
FILTERS = (
    "",
    "on fri",
    "on [mon, wed, fri]",
    "on [sun, mon, tue, wed, thu, fri]",
    "on [31st, 1st]",
    "on [1st, 2nd, 3rd]",
    "on LastDay",
    "between 08:00 and 09:00",
    "between 22:00 and 06:00",
    "between [01:00 and 02:00, 02:30 and 03:30]",
    "between [mon 08:00 and mon 08:10, tue 09:00 and tue 09:10]",
    "between mon 08:00 and fri 17:00",
    "between oct-25 00:00 and nov-02 12:00",
    "at minute 30",
    "at minute [10, 40] on [mon, wed]",
)
EXCEPTIONS = (
    "mon",
    "[1st, 2nd]",
    "hour 0",
    "at minute 0",
    "[08:00, 22:00]",
    "between second 10 and second 5",
    "between 00:00 and 01:59",
    "[mon 00:00, wed 00:00, fri 00:00]",
    "between [mon 00:00 and mon 12:00, tue 00:00 and sat 12:00]",
    "[mon 10:37:12, tue 10:37:12, wed 10:37:12, thu 10:37:12, fri 10:37:12, sat 10:37:12]",
)
ZONES = ("UTC", "America/New_York", "Africa/Casablanca", "Australia/Lord_Howe", "Antarctica/Troll")
BASES = (
    BASE,
    datetime(2026, 10, 24, tzinfo=UTC),
    datetime(2027, 3, 27, 20, tzinfo=UTC),
    datetime(2031, 10, 31, 5, tzinfo=UTC),
)
MOST_WALKED = 1500


def walked(everything: Recurrence, allowed: Recurrence, at: datetime) -> tuple[bool, datetime | None]:
    """The first occurrence that is allowed, one after the other; and whether the walk reached so far."""
    found = everything.next_after(at)
    for _ in range(MOST_WALKED):
        if found is None or allowed.next_after(found - timedelta(seconds=1)) == found:
            return True, found
        found = everything.next_after(found)
    return False, None


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(2, 6))]
)
def test_the_search_finds_what_a_walk_finds(seed: int) -> None:
    draw = random.Random(seed)
    compared = 0
    for _ in range(25):
        cadence, filters = draw.choice(CADENCES), draw.choice(FILTERS)
        exceptions = draw.sample(EXCEPTIONS, draw.choice([1, 1, 2]))
        zone = draw.choice(ZONES)
        plain = f"{cadence} {filters}"
        text = " ".join([plain, *(f"except {one}" for one in exceptions)])
        found = read(text, zone)
        if found is None:
            continue
        everything = parse(plain, time_zone=zone, anchor=BASE)
        kept = " ".join(["every second", *(f"except {one}" for one in exceptions)])
        allowed = parse(kept, time_zone=zone, anchor=BASE - timedelta(days=1))
        for base in BASES:
            at = base
            for _ in range(3):
                reached, expected = walked(everything, allowed, at)
                if not reached:
                    break
                following = found.next_after(at)
                assert following == expected, (text, zone, at)
                compared += 1
                if following is None:
                    break
                at = following
    assert compared > 50


def test_a_change_of_half_an_hour_moves_the_cells_of_a_run() -> None:
    """From 11:00 to 12:00 on the clock before it, from 10:30 to 11:30 after it."""
    anchor = datetime(2026, 3, 4, tzinfo=UTC)
    text = "every 24 hours at minute [10, 40] except hour 10"
    rule = parse(text, time_zone="Australia/Lord_Howe", anchor=anchor)
    assert rule.next_after(datetime(2026, 3, 30, 12, tzinfo=UTC)) == datetime(2026, 3, 31, 0, 10, tzinfo=UTC)
    found = rule.next_after(datetime(2026, 4, 5, 20, tzinfo=UTC))
    assert found == datetime(2026, 4, 6, 0, 40, tzinfo=UTC)


HOSTILE = (
    "every 90 hours on fri except 29th except between second 48 and second 32 starting 2026-10-31 22:15",
    "every 61 minutes between [08:00 and 09:00, 10:00 and 11:00, 12:00 and 13:00] "
    "except at [08:00, 10:00, 12:00] except feb-29",
    "every 30 hours on [mon, wed, fri] except [mon 00:00, wed 00:00, fri 00:00]",
    "every 30 hours on [mon, wed, fri] between 08:00 and 09:00 except [mon 08:00, wed 08:00, fri 08:00]",
    "every 90 minutes on [mon, wed, fri] between 08:00 and 09:00 except [mon 08:00, wed 08:00, fri 08:00]",
    "every 1 hours between [mon 08:00 and mon 08:10, tue 09:00 and tue 09:10] except [mon 08:00, tue 09:00]",
    "every 12 hours between 22:00 and 06:00 except [08:00, 22:00]",
    "every 24 hours except [mon 10:37:12, tue 10:37:12, wed 10:37:12, thu 10:37:12, fri 10:37:12, "
    "sat 10:37:12, sun 10:37:12]",
    "every 86399 seconds except between [mon 00:00:00 and mon 23:59:58, tue 00:00:00 and sat 23:59:58, "
    "sun 00:00:00 and sun 23:59:58]",
    "every 997 minutes from year 3000 except between second 38 and second 35",
    "every 3600 seconds on [LastDay, 29th, fifth fri] upto jan except between second 27 and second 4",
    "on 08:34 except between second 21 and second 5 except mon",
    "FREQ=DAILY;BYMINUTE=5;BYSETPOS=45,43,8,19,16,2,12,36,9,30,33,3,366,-366,25,56",
    "FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA;BYSETPOS=330",
    "FREQ=YEARLY;BYDAY=SU,TH;BYWEEKNO=20,26,16,5,25,47;BYMINUTE=12,50,52,23,38,47,25,8,33;COUNT=10000",
    "FREQ=WEEKLY;BYDAY=MO;BYHOUR=3,23,9,2,17,4,18,12;BYSETPOS=36,1,47,59,52,30,46;COUNT=10000",
)


def longest_call(text: str, zone: str) -> float:
    """The seconds of this thread that the longest of the first calls takes, best of three."""
    longest = []
    for _ in range(3):
        clock_of.cache_clear()
        begun = thread_time()
        try:
            found: Recurrence | None = parse(text, time_zone=zone, anchor=BASE)
        except RecurrenceSyntaxError:
            found = None
        times = [thread_time() - begun]
        if found is not None:
            begun = thread_time()
            found.next_after(BASE)
            times.append(thread_time() - begun)
        longest.append(max(times))
    return min(longest)


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_makes_the_first_call_long(text: str, zone: str) -> None:
    assert longest_call(text, zone) <= LONGEST_CALL * MARGIN


@pytest.mark.parametrize("seed", range(3))
def test_no_drawn_text_makes_the_first_call_long(seed: int) -> None:
    draw = random.Random(f"long {seed}")
    for _ in range(60):
        cadence, filters, zone = draw.choice(CADENCES), draw.choice(FILTERS), draw.choice(ZONES)
        exceptions = " ".join(f"except {one}" for one in draw.sample(EXCEPTIONS, draw.choice([1, 2, 3])))
        text = f"{cadence} {filters} {exceptions}"
        assert longest_call(text, zone) <= LONGEST_CALL * MARGIN, (text, zone)


@pytest.mark.parametrize(
    ("text", "holds"),
    [("0 9 * * MON", lambda day: day.weekday() == 0), ("0 9 1-31/2 * *", lambda day: day.day % 2)],
)
def test_many_holidays_make_no_call_long(text: str, holds: object) -> None:
    assert callable(holds)
    days = [BASE.date() + timedelta(days=n) for n in range(19_000)]
    holidays = [day for day in days if holds(day)]
    rule = bounded(parse(text, time_zone="America/New_York"), excluded_dates=holidays)
    begun = thread_time()
    found = rule.next_after(BASE)
    assert thread_time() - begun <= LONGEST_CALL * MARGIN
    assert found is not None
    assert found.date() > days[-1]
    assert rule.next_after(found - timedelta(microseconds=1)) == found


@pytest.mark.parametrize("zone", ["UTC", "Pacific/Apia", "America/New_York"])
@pytest.mark.parametrize(
    "text",
    [
        "DTSTART:00010101T000000 RRULE:FREQ=DAILY",
        "DTSTART:99991231T235959 RRULE:FREQ=DAILY",
        "every day starting 9999-12-31",
        "every second starting 9999-12-31 23:59:59",
    ],
)
def test_nothing_begins_at_the_ends_of_the_calendar(text: str, zone: str) -> None:
    with pytest.raises(RecurrenceSyntaxError, match=r"starts? (is )?in the years"):
        parse(text, time_zone=zone, anchor=BASE)


def test_a_count_beyond_the_end_of_the_calendar_ends_there() -> None:
    rule = parse("DTSTART:99900101T000000 RRULE:FREQ=HOURLY;INTERVAL=100000;COUNT=1000", anchor=BASE)
    assert rule.next_after(datetime(9999, 12, 30, tzinfo=UTC)) is None


@pytest.mark.parametrize("year", [1, 9999])
def test_an_anchor_at_the_ends_of_the_calendar_is_refused(year: int) -> None:
    with pytest.raises(ValueError, match="an anchor is in the years 2 to 9998"):
        parse("5m", anchor=datetime(year, 1, 1, tzinfo=UTC))


def test_a_place_among_the_times_of_a_day_is_refused_where_no_day_has_it() -> None:
    rule = parse("FREQ=DAILY;INTERVAL=99991;BYDAY=SA;BYHOUR=3,4;BYSETPOS=2,5", anchor=BASE)
    assert rule.next_after(BASE) is None  # no such day in 50 years, but in others
    rule = parse("FREQ=DAILY;BYHOUR=3,4;BYMINUTE=0;BYSECOND=0;BYSETPOS=-1,7", anchor=BASE)
    assert rule.next_after(BASE) == datetime(2026, 3, 5, 4, tzinfo=UTC)
    with pytest.raises(RecurrenceSyntaxError, match="never has a result"):
        parse("FREQ=DAILY;BYHOUR=3,4;BYSETPOS=3", anchor=BASE)


@pytest.mark.parametrize(
    "text",
    [
        "every 86400 hours between mon and thu except mon",
        "every 86401 seconds at [tue, thu] from mar except between 14:52 and 00:00 except mon",
    ],
)
def test_a_search_among_exceptions_that_leave_nothing_is_given_up(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = 0
    look = ElapsedForm._next

    def counted(form: ElapsedForm, start: int, limit: int) -> int | None:
        nonlocal looked
        looked += 1
        return look(form, start, limit)

    monkeypatch.setattr(ElapsedForm, "_next", counted)
    assert parse(text, anchor=BASE).next_after(BASE) is None
    assert 100 < looked <= 250
