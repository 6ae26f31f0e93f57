"""Fluent expressions: the text of each call, the tree behind it, and errors that name the method."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time

import pytest

from jobmaster.recurrence import (
    Builder,
    Month,
    Recurrence,
    RecurrenceSyntaxError,
    Weekday,
    at,
    daily,
    every,
    hourly,
    minutely,
    monthly,
    natural,
    on,
    secondly,
    weekdays,
    weekends,
    weekly,
    yearly,
)
from jobmaster.recurrence.parser import Parser

ANCHOR = datetime(2026, 3, 4, 10, 37, 12, tzinfo=UTC)
TABLE: list[tuple[Builder, str]] = [
    (every(1).minutes(), "every 1 minute"),
    (every().hour(), "every 1 hour"),
    (every(30).seconds().anchored_on(10), "every 30 seconds AnchoredOn 10"),
    (
        every(2).months().anchored_on("jul").on("1st").at("noon"),
        "every 2 months AnchoredOn jul on 1st at 12:00",
    ),
    (
        every(1).day().at("18:00").between("mon", "fri").in_time_zone("america/new_york"),
        "every 1 day at 18:00 between mon and fri tz America/New_York",
    ),
    (every(2).weeks().on("mon", "wed").at("09:00"), "every 2 weeks on [mon, wed] at 09:00"),
    (every("mon", "wed"), "every mon, wed"),
    (weekdays(), "every weekday"),
    (weekends(), "every weekend"),
    (secondly(), "every 1 second"),
    (minutely(), "every 1 minute"),
    (hourly(), "every 1 hour"),
    (daily(), "every 1 day"),
    (weekly(), "every 1 week"),
    (yearly(), "every 1 year"),
    (monthly().on_day(15), "every 1 month on 15th"),
    (monthly().on_day(1, "last"), "every 1 month on [1st, LastDay]"),
    (monthly().on_last_day(-2), "every 1 month on LastDay - 2"),
    (monthly().on_nth("first", "mon", +1), "every 1 month on FirstMon + 1"),
    (monthly().on_nth(-1, Weekday.FRIDAY), "every 1 month on LastFri"),
    (monthly().on_nearest_weekday(15), "every 1 month on ClosestWeekdayTo 15"),
    (daily().in_month("jan", Month.JUNE).at("09:00"), "every 1 day in [jan, jun] at 09:00"),
    (hourly().between_times("09:00", time(17)), "every 1 hour between 09:00 and 17:00"),
    (
        hourly().between(("09:00", "10:00"), ("15:00", "16:00")),
        "every 1 hour between [09:00 and 10:00, 15:00 and 16:00]",
    ),
    (hourly().from_("22:00").upto("fri"), "every 1 hour from 22:00 upto fri"),
    (daily().except_("dec-25", "sat"), "every 1 day except [dec-25, sat]"),
    (hourly().except_between("12:00", "12:59"), "every 1 hour except between 12:00 and 12:59"),
    (
        hourly().starting(date(2026, 5, 1)).until(datetime.fromisoformat("2026-06-01T12:30:15")),
        "every 1 hour starting 2026-05-01 until 2026-06-01 12:30:15",
    ),
    (at("09:00", time(18, 30)), "at [09:00, 18:30]"),
    (on("15th"), "on 15th"),
]


@pytest.mark.parametrize(("builder", "text"), TABLE, ids=[text for _, text in TABLE])
def test_a_call_is_its_text(builder: Builder, text: str) -> None:
    assert str(builder) == text
    assert Builder(Parser(text).expression()) == builder
    assert hash(Builder(Parser(text).expression())) == hash(builder)
    assert natural(str(builder), anchor=ANCHOR) == builder.build(anchor=ANCHOR)
    assert builder.anchored(ANCHOR).next_after(ANCHOR) == natural(text, anchor=ANCHOR).next_after(ANCHOR)


def test_a_builder_is_a_recurrence() -> None:
    builder = every(1).day().at("18:00").starting("2026-04-01")
    assert isinstance(builder, Recurrence)
    assert builder.kind == "natural"
    assert builder.expression == str(builder)
    assert builder.time_zone == "UTC"
    assert builder.warnings == ()
    assert builder.next_after(ANCHOR) == datetime(2026, 4, 1, 18, tzinfo=UTC)
    assert builder.describe() == "Every day at 18:00, from 1 April 2026, UTC"
    assert len(builder.explain(ANCHOR, 3).occurrences) == 3
    assert repr(builder) == "<every 1 day at 18:00 starting 2026-04-01>"
    assert builder != "every 1 day"


def test_without_an_anchor_it_cannot_be_asked() -> None:
    with pytest.raises(ValueError, match="needs an anchor"):
        every(5).minutes().next_after(ANCHOR)


def test_a_call_changes_nothing() -> None:
    base = daily().at("09:00")
    base.between("mon", "fri")
    assert str(base) == "every 1 day at 09:00"


def test_the_zone_of_a_schedule_counts_where_none_is_named() -> None:
    plain, zoned = daily().at("09:00"), daily().at("09:00").in_time_zone("Europe/Paris")
    assert plain.anchored(ANCHOR, "Asia/Tokyo").time_zone == "Asia/Tokyo"
    assert zoned.anchored(ANCHOR, "Asia/Tokyo").time_zone == "Europe/Paris"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: daily().at("25:00"), "at(): the hour is 0 to 23"),
        (lambda: every(2).days().on_day(5), "on_day(): a point in the unit of the cadence"),
        (lambda: on("mon").between("9:00", "10:00"), "between(): a window needs a cadence"),
        (lambda: at("09:00 every day"), "at(): one clause is expected"),
        (lambda: every(0).days(), "every(): the number is 1 to 1000000"),
        (lambda: every("mon", "mun"), 'every(): unknown word "mun"; did you mean "mon"?'),
        (lambda: daily().in_time_zone("Mars/Base"), "in_time_zone(): unknown time zone"),
        (
            lambda: daily().in_time_zone("UTC").in_time_zone("UTC"),
            "in_time_zone(): there is a time zone already",
        ),
        (lambda: daily().starting("mon"), "starting(): a date with year, month and day is expected"),
        (
            lambda: daily().starting("2026-01-01").starting("2026-01-02"),
            "starting(): there is a start already",
        ),
        (lambda: daily().until("2026-01-01").until("2026-01-02"), "until(): there is an end already"),
        (lambda: daily().starting("2026-01-02").until("2026-01-01"), "until(): until is before starting"),
        (lambda: at("09:00").anchored_on(5), "anchored_on(): an anchor needs a cadence"),
        (lambda: every(5).minutes().anchored_on(61), "anchored_on(): the minute is 0 to 59"),
        (lambda: monthly().on_nth(6, "mon"), "on_nth(): the rank is 1 to 5"),
        (lambda: monthly().on(), "on(): a value is expected"),
        (lambda: hourly().between(), "between(): a value is expected"),
        (lambda: daily().at("10:00").between("11:00", "12:00").build(), "build(): no date and time"),
    ],
)
def test_errors_name_the_method(call: Callable[[], object], message: str) -> None:
    with pytest.raises(RecurrenceSyntaxError) as caught:
        call()
    assert str(caught.value).splitlines()[-1].startswith(message)
    assert caught.value.method == message.partition(":")[0]


@pytest.mark.parametrize(
    "call",
    [
        lambda: at(datetime(2026, 1, 1, tzinfo=UTC)),
        lambda: at(9),
        lambda: hourly().between("09:00", "10:00", "11:00"),
    ],
)
def test_only_texts_and_wall_times_are_values(call: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        call()
