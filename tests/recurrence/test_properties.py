"""Invariants of every recurrence, over random expressions, zones, anchors and instants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jobmaster.recurrence import Recurrence, RecurrenceSyntaxError, cron, interval, natural, parse, rrule

from .oracle import PlainCron, local, stretches, utc
from .strategies import CHANGES, crons, instants, naturals, rrules, zones

TICK = timedelta(microseconds=1)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


@st.composite
def recurrences(draw: st.DrawFn) -> Recurrence:
    """A recurrence of any kind with an anchor."""
    zone, anchor = draw(zones), draw(instants)
    made = draw(
        st.one_of(
            crons().map(lambda one: ("cron", one.text)),
            naturals().map(lambda text: ("natural", text)),
            naturals().map(lambda text: ("natural", text)),
            rrules().map(lambda text: ("rrule", text)),
            st.sampled_from(
                [("interval", "7h3m"), ("interval", "1500ms"), ("rrule", "FREQ=HOURLY;INTERVAL=5")]
            ),
        )
    )
    try:
        return parse(made[1], kind=made[0], time_zone=zone, anchor=anchor)
    except RecurrenceSyntaxError:
        assume(False)
        raise


@settings(max_examples=400, deadline=None)
@given(recurrences(), instants)
def test_it_goes_forward_and_never_answers_differently(recurrence: Recurrence, start: datetime) -> None:
    at, found = start, []
    for _ in range(8):
        following = recurrence.next_after(at)
        assert following == recurrence.next_after(at)
        if following is None:
            break
        assert following > at
        assert following.tzinfo is UTC
        found.append(following)
        at = following
    # In any order, from elsewhere, and from a fresh parse: the same answers.
    again = parse(
        recurrence.expression,
        kind=recurrence.kind,
        time_zone=recurrence.time_zone,
        anchor=getattr(recurrence, "anchor", None),
    )
    assert again == recurrence
    for before, after in reversed(list(zip([start, *found], found, strict=False))):
        middle = before + (after - before) / 2
        assert recurrence.next_after(middle) == after
        assert recurrence.next_after(after - TICK) == after
        assert again.next_after(before) == after
    if found:
        assert recurrence.next_after(start) == found[0]


@settings(max_examples=200, deadline=None)
@given(recurrences())
def test_it_can_always_be_described(recurrence: Recurrence) -> None:
    text = recurrence.describe()
    assert text == text.strip()
    assert "\n" not in text
    assert text[0].isupper() or text[0].isdigit()
    again = parse(
        recurrence.expression,
        kind=recurrence.kind,
        time_zone=recurrence.time_zone,
        anchor=getattr(recurrence, "anchor", None),
    )
    assert again.describe() == text


@settings(max_examples=60, deadline=None)
@given(crons(), zones, st.sampled_from(CHANGES), st.integers(-5_000, 3_000))
def test_cron_agrees_with_a_walk_over_every_second(
    plain: PlainCron, zone: str, change: datetime, seconds: int
) -> None:
    start = change + timedelta(seconds=seconds)
    end = start + timedelta(seconds=4_000)
    try:
        recurrence = cron(plain.text, time_zone=zone)
    except RecurrenceSyntaxError:
        assume(False)
        return
    expected = list(islice(plain.fires(start, end, zone), 500))
    found = []
    at = recurrence.next_after(start)
    while at is not None and at <= end and len(found) < 500:
        found.append(at)
        at = recurrence.next_after(at)
    assert found == expected


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 1439),
    st.integers(0, 1439),
    st.sampled_from([7 * 60, 20 * 60, 45 * 60, 90 * 60, 100]),
    zones,
    st.sampled_from(CHANGES),
    st.integers(-5_000, 1_000),
)
def test_elapsed_time_in_windows_agrees_with_a_walk_over_every_second(
    low: int, high: int, step: int, zone: str, change: datetime, seconds: int
) -> None:
    anchor = change + timedelta(seconds=seconds)
    end = anchor + timedelta(seconds=7_000)

    def inside(at: datetime) -> bool:
        minute = at.hour * 60 + at.minute
        return low <= minute <= high if low <= high else minute >= low or minute <= high

    text = f"every {step} seconds between {low // 60:02}:{low % 60:02} and {high // 60:02}:{high % 60:02}"
    recurrence = natural(text, time_zone=zone, anchor=anchor)
    expected = list(stretches(anchor, end, step, zone, inside))
    found = []
    at = recurrence.next_after(anchor - TICK)
    while at is not None and at <= end:
        found.append(at)
        at = recurrence.next_after(at)
    assert found == expected


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 6),
    st.sampled_from(["day", "week", "month"]),
    st.sets(st.integers(0, 6), min_size=1, max_size=4),
    instants.filter(lambda at: at.year < 2080),
)
def test_calendar_cadences_agree_with_a_walk_over_dates(
    n: int, unit: str, weekdays: set[int], anchor: datetime
) -> None:
    """At noon; weekdays filter days, name the days of a week, and mean the first ones of a month."""
    names = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
    text = f"every {n} {unit}s on [{', '.join(names[day] for day in sorted(weekdays))}] at 12:00"
    recurrence = natural(text, anchor=anchor)
    anchor = anchor.replace(microsecond=0)
    noon = anchor.replace(hour=12, minute=0, second=0)
    if noon < anchor:
        noon += timedelta(days=1)
    expected: list[datetime] = []
    origin: datetime | None = None
    run: datetime | None = None
    for number in range(500):
        at = noon + timedelta(days=number)
        if at.isoweekday() % 7 not in weekdays or (unit == "month" and at.day > 7):
            run = None
            continue
        if origin is None:
            origin = at
        if run is None:
            run = at
        if unit == "day":
            chosen = (at - run).days % n == 0
        elif unit == "week":
            sunday = origin - timedelta(days=origin.isoweekday() % 7)
            chosen = (at - sunday).days // 7 % n == 0
        else:
            chosen = ((at.year - origin.year) * 12 + at.month - origin.month) % n == 0
        if chosen:
            expected.append(at)
    assert expected[:20] == list(islice(iterated(recurrence, anchor - TICK), 20))[: len(expected[:20])]


def iterated(recurrence: Recurrence, at: datetime) -> list[datetime]:
    found = []
    for _ in range(25):
        following = recurrence.next_after(at)
        if following is None:
            break
        found.append(following)
        at = following
    return found


def test_every_minute_fires_once_in_every_minute_of_long_and_short_days() -> None:
    recurrence = cron("* * * * *", time_zone="America/New_York")
    for midnight, minutes in (
        (utc(2026, 3, 8, 5), 1380),
        (utc(2026, 3, 9, 4), 1440),
        (utc(2026, 11, 1, 4), 1500),
    ):
        date = local(midnight, "America/New_York").date()
        at, count = midnight - TICK, 0
        while True:
            following = recurrence.next_after(at)
            assert following is not None
            if local(following, "America/New_York").date() != date:
                break
            at, count = following, count + 1
        assert count == minutes


def test_an_interval_keeps_its_phase_over_any_distance() -> None:
    anchor = datetime(2016, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)
    recurrence = interval("7m", anchor=anchor)
    at = datetime(2091, 5, 4, 3, 2, 1, tzinfo=UTC)
    following = recurrence.next_after(at)
    assert following is not None
    assert at < following <= at + timedelta(minutes=7)
    assert (following - anchor) % timedelta(minutes=7) == timedelta(0)


def test_the_ends_of_the_calendar_end_every_recurrence() -> None:
    last = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    first = datetime(1, 1, 1, tzinfo=UTC)
    for recurrence in (
        cron("* * * * *"),
        cron("0 0 29 2 *", time_zone="Asia/Tokyo"),
        natural("every 5 minutes", anchor=utc(2026, 1, 1)),
        natural("every 2 months at 18:00", anchor=utc(2026, 1, 1), time_zone="America/New_York"),
        rrule("FREQ=DAILY", anchor=utc(2026, 1, 1)),
        rrule("FREQ=HOURLY", anchor=utc(2026, 1, 1)),
        interval("1d", anchor=utc(2026, 1, 1)),
    ):
        assert recurrence.next_after(last) is None
        early = recurrence.next_after(first)
        assert early is not None
        assert early > first
