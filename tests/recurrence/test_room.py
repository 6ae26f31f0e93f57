"""Kinds, identity, bounds, zones, descriptions: what is not a rule of time."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from importlib import metadata
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

import jobmaster
from jobmaster import recurrence as room
from jobmaster.recurrence import (
    Explanation,
    Recurrence,
    RecurrenceSyntaxError,
    bounded,
    cron,
    interval,
    kind_of,
    natural,
    occurrence_id,
    parse,
    rrule,
)
from jobmaster.recurrence.clock import Clock
from jobmaster.recurrence.elapsedform import first_hit
from jobmaster.recurrence.zones import official_names

from .oracle import utc

ANCHOR = datetime(2026, 3, 4, 10, 37, 12, tzinfo=UTC)


def test_every_public_name_is_there() -> None:
    assert sorted(room.__all__, key=str.lower) == sorted(set(room.__all__), key=str.lower)
    assert {name for name in room.__all__ if getattr(room, name, None) is None} == set()
    assert dir(room) == sorted(room.__all__)
    for name in ("Recurrence", "cron", "every", "interval", "natural", "rrule", "RecurrenceSyntaxError"):
        assert name in jobmaster.__all__
        assert getattr(jobmaster, name) is getattr(room, name)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = room.nothing


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("FREQ=DAILY", "rrule"),
        ("RRULE:FREQ=DAILY", "rrule"),
        ("DTSTART:20260301T090000Z RRULE:FREQ=DAILY", "rrule"),
        ("EXDATE:20260301T090000Z RRULE:FREQ=DAILY", "rrule"),
        ("5m", "interval"),
        ("1h 30m", "interval"),
        ("PT5M", "interval"),
        ("00:05:00", "interval"),
        ("1.00:00:00", "interval"),
        ("*/5 * * * *", "cron"),
        ("? * * * * *", "cron"),
        ("TZ=Europe/Paris 0 9 * * *", "cron"),
        ("CRON_TZ=Europe/Paris @daily", "cron"),
        ("@daily", "cron"),
        ("@reboot", "cron"),
        ("@Secondly", "natural"),
        ("@daily at 9am", "natural"),
        ("every day", "natural"),
        ("at 10:00", "natural"),
        ("* * * *", "natural"),
        ("90", "natural"),
        ("", "natural"),
    ],
)
def test_the_form_decides_the_kind(text: str, kind: str) -> None:
    assert kind_of(text) == kind


def test_other_kinds_come_from_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def factory(text: str, time_zone: str | None, anchor: datetime | None) -> Recurrence:
        asked.append((text, time_zone, anchor))
        return interval(text.removeprefix("tide "), anchor=anchor)

    class Entry:
        def load(self) -> object:
            return factory

    def entry_points(*, group: str, name: str) -> list[Entry]:
        return [Entry()] if (group, name) == ("jobmaster.recurrence", "tide") else []

    monkeypatch.setattr(metadata, "entry_points", entry_points)
    found = parse("tide 12h25m", kind="tide", time_zone="Europe/Brest", anchor=ANCHOR)
    assert asked == [("tide 12h25m", "Europe/Brest", ANCHOR)]
    assert found.next_after(ANCHOR) == ANCHOR + timedelta(hours=12, minutes=25)
    with pytest.raises(ValueError, match="unknown kind of recurrence 'moon'"):
        parse("full", kind="moon")


def test_an_occurrence_has_one_id() -> None:
    first = occurrence_id("orders", "nightly-report", utc(2026, 3, 8, 7))
    assert first == UUID("019ccc3e-e580-8330-bd94-974845484415")
    assert occurrence_id("orders", "nightly-report", utc(2026, 3, 9, 6, 30)) == UUID(
        "019cd149-ca40-8e22-9ecf-daa7e2ab080a"
    )
    elsewhere = utc(2026, 3, 8, 7).astimezone(timezone(timedelta(hours=-5)))
    assert occurrence_id("orders", "nightly-report", elsewhere) == first
    assert occurrence_id("orders", "nightly", utc(2026, 3, 8, 7)) != first
    assert occurrence_id("o", "rders\0nightly-report", utc(2026, 3, 8, 7)) != first
    assert occurrence_id("orders", "old", utc(1969, 12, 31)).version == 8


def test_bounds_and_excluded_dates_only_drop() -> None:
    inner = cron("0 9 * * *", time_zone="America/New_York")
    assert bounded(inner) is inner
    outer = bounded(
        inner,
        start_after=utc(2026, 3, 6, 14),
        end_before=utc(2026, 3, 12, 13),
        excluded_dates=[date(2026, 3, 8), date(2026, 3, 9)],
    )
    found, at = [], ANCHOR
    while (following := outer.next_after(at)) is not None:
        found.append(following)
        at = following
    assert found == [utc(2026, 3, 7, 14), utc(2026, 3, 10, 13), utc(2026, 3, 11, 13)]
    assert isinstance(outer, Recurrence)
    assert (outer.kind, outer.expression, outer.time_zone) == (inner.kind, inner.expression, inner.time_zone)
    assert outer.warnings == ()
    remarks = [occurrence.remark for occurrence in outer.explain(ANCHOR, 3).occurrences]
    assert remarks == ["", "excepted", "excepted", "", ""]
    assert "except on 2026-03-08, 2026-03-09" in outer.describe()
    assert outer == bounded(
        inner,
        start_after=utc(2026, 3, 6, 14),
        end_before=utc(2026, 3, 12, 13),
        excluded_dates=[date(2026, 3, 9), date(2026, 3, 8)],
    )
    assert hash(outer) == hash(outer)
    assert outer != inner


def test_an_excluded_date_is_skipped_at_once_and_by_its_nominal_date() -> None:
    seconds = bounded(
        interval("1s", anchor=ANCHOR), excluded_dates=[date(2026, 3, 5)], time_zone="Asia/Tokyo"
    )
    assert seconds.next_after(utc(2026, 3, 4, 15)) == utc(2026, 3, 5, 15)
    # The fire of 23:30 on Saturday 30 March 2024 is moved to Sunday 00:00 by a gap.
    moved = bounded(cron("30 23 * * *", time_zone="America/Nuuk"), excluded_dates=[date(2024, 3, 30)])
    assert moved.next_after(utc(2024, 3, 30, 12)) == utc(2024, 4, 1, 0, 30)


def test_a_naive_instant_is_a_type_error() -> None:
    naive = ANCHOR.replace(tzinfo=None)
    for recurrence in (
        cron("* * * * *"),
        natural("every day", anchor=ANCHOR),
        rrule("FREQ=DAILY", anchor=ANCHOR),
        interval("1d", anchor=ANCHOR),
    ):
        with pytest.raises(TypeError):
            recurrence.next_after(naive)
    with pytest.raises(TypeError, match="naive"):
        natural("every day", anchor=naive)


def test_without_an_anchor_only_cron_can_be_asked() -> None:
    assert cron("0 0 * * *").next_after(ANCHOR) == utc(2026, 3, 5)
    for recurrence in (natural("every day"), rrule("FREQ=DAILY"), interval("1d")):
        with pytest.raises(ValueError, match="needs an anchor"):
            recurrence.next_after(ANCHOR)
        assert recurrence.describe()
        later = recurrence.anchored(ANCHOR)
        assert later.next_after(ANCHOR) == ANCHOR + timedelta(days=1)
        assert later != recurrence
        assert later.expression == recurrence.expression


def test_the_zone_of_the_schedule_is_used_where_the_text_names_none() -> None:
    assert cron("0 9 * * *").anchored(ANCHOR, "Asia/Tokyo").time_zone == "Asia/Tokyo"
    assert natural("at 9am").anchored(ANCHOR, "asia/tokyo").time_zone == "Asia/Tokyo"
    assert rrule("FREQ=DAILY").anchored(ANCHOR, "Asia/Tokyo").time_zone == "Asia/Tokyo"
    with pytest.raises(RecurrenceSyntaxError):
        natural("at 9am tz Europe/Paris").anchored(ANCHOR, "Asia/Tokyo")
    with pytest.raises(ValueError, match='did you mean "Europe/London"'):
        cron("0 9 * * *", time_zone="Europe/Lodon")


def test_no_text_reaches_outside_the_tz_data() -> None:
    for name in ("../../etc/passwd", "/etc/passwd", "posixrules", "zones"):
        with pytest.raises(ValueError, match="unknown time zone"):
            cron("* * * * *", time_zone=name)


def test_equal_recurrences_are_equal_whatever_their_source() -> None:
    assert cron("0 18 * * MON-FRI") == cron(" 0 18  * * 1-5 ") == cron("0 0 18 * * 1-5")
    assert natural("EVERY 2 wks on wed,mon", anchor=ANCHOR) == natural(
        "on [mon, wed] every 2 weeks", anchor=ANCHOR
    )
    assert rrule("BYDAY=FR,MO;FREQ=WEEKLY", anchor=ANCHOR) == rrule("FREQ=WEEKLY;BYDAY=MO,FR", anchor=ANCHOR)
    assert interval("90s", anchor=ANCHOR) == interval(timedelta(seconds=90), anchor=ANCHOR)
    assert cron("0 18 * * *") != natural("at 18:00", anchor=ANCHOR)
    assert cron("0 18 * * *") != cron("0 18 * * *", time_zone="Europe/Paris")
    assert cron("0 18 * * *") != "0 18 * * *"
    assert repr(cron("0 18 * * *")) == "cron('0 18 * * *', time_zone='UTC')"


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("TZ=America/New_York 0 18 * * 1-5", "At 18:00 from Monday to Friday, America/New_York"),
        (
            "every day at 18:00 between mon and fri tz America/New_York",
            "At 18:00 from Monday to Friday, America/New_York",
        ),
        ("every 5 minutes", "Every 5 minutes, counted from 2026-03-04 10:37:12 UTC"),
        ("0 9 31 * *", "On the 31st of the month (months without one are skipped) at 09:00, UTC"),
        (
            "every month on 31st at 09:00",
            "On the 31st of the month (months without one are skipped) at 09:00, UTC",
        ),
        ("every month", "On the 4th of the month at 10:37:12, UTC"),
        ("*/5 9-17 * * *", "Every 5 minutes of the hours 9 to 17, UTC"),
        ("1d12h", "Every 1 day and 12 hours, counted from 2026-03-04 10:37:12 UTC"),
        (
            "FREQ=MONTHLY;BYDAY=-1FR;COUNT=3",
            "Every month on the last Friday of the month at 10:37:12, from 2026-03-04 10:37:12, 3 times, UTC",
        ),
    ],
)
def test_descriptions(text: str, description: str) -> None:
    assert parse(text, anchor=ANCHOR).describe() == description


def test_explaining_tells_what_happened_to_each_occurrence() -> None:
    spring = cron("30 2 * * *", time_zone="America/New_York").explain(utc(2026, 3, 8), 2)
    assert [occurrence.remark for occurrence in spring.occurrences] == [
        "02:30 does not exist; moved to 03:00",
        "",
    ]
    assert spring.occurrences[0].local.isoformat() == "2026-03-08T03:00:00-04:00"
    assert spring.classes == ("fixed", "hour-restricted")
    autumn = cron("*/30 * * * *", time_zone="America/New_York").explain(utc(2026, 11, 1, 5), 3)
    assert [occurrence.remark for occurrence in autumn.occurrences] == ["", "second pass", "second pass"]
    assert autumn.classes == ("interval-like", "all hours")
    excepted = natural("every 2 days at 06:00 except sun", anchor=ANCHOR).explain(ANCHOR, 6)
    assert [occurrence.remark for occurrence in excepted.occurrences] == [*[""] * 5, "excepted", ""]
    told = str(spring)
    assert "02:30 does not exist" in told
    assert "America/New_York" in told
    with pytest.raises(ValueError, match="count is 0 to 1000"):
        cron("* * * * *").explain(ANCHOR, 1001)


def test_a_warning_tells_of_the_first_weekday_of_the_month() -> None:
    (warning,) = natural("every month on friday", anchor=ANCHOR).warnings
    assert (warning.code, warning.start, warning.end) == ("first_weekday", 15, 21)
    assert "first" in str(warning)


def test_the_first_multiple_in_an_interval() -> None:
    for modulus in (1, 2, 7, 12, 30):
        for step in range(2 * modulus):
            for start in range(modulus):
                for low in range(modulus):
                    for high in range(low, min(modulus, low + 3)):
                        hits = [k for k in range(modulus) if low <= (start + k * step) % modulus <= high]
                        expected = hits[0] if hits else None
                        assert first_hit(start, step, modulus, low, high) == expected


def test_the_clock_knows_every_change_of_every_zone() -> None:
    """The offset by segments is the offset by zoneinfo, every five hours over some years, in many zones."""
    from zoneinfo import ZoneInfo

    for name in sorted(official_names().values())[::9]:
        clock, zone = Clock(name), ZoneInfo(name)
        for seconds in range(1_293_840_000, 1_293_840_000 + 3 * 366 * 86_400, 5 * 3600 + 7):
            offset = datetime.fromtimestamp(seconds, UTC).astimezone(zone).utcoffset()
            assert offset is not None
            assert clock.offset(seconds) == offset.total_seconds(), (name, seconds)


@pytest.mark.parametrize("zone", ["America/New_York", "Australia/Lord_Howe", "UTC"])
@pytest.mark.parametrize("hours", [3, 7, 59])
def test_runs_that_are_excepted_on_common_days_fire_when_a_change_of_clocks_shifts_them(
    zone: str, hours: int
) -> None:
    whole = f"every {hours} hours upto 12:00"
    excepted = [time(hour) for hour in (0, 3, 6, 7, 9, 12)]
    text = whole + " except at " + ", ".join(f"{at:%H:%M}" for at in excepted)
    midnight = datetime(2026, 3, 4, tzinfo=ZoneInfo(zone))
    plain = natural(whole, time_zone=zone, anchor=midnight)
    end = midnight + timedelta(days=500)
    expected: list[datetime] = []
    at = plain.next_after(midnight - timedelta(seconds=1))
    while at is not None and at < end:
        if at.astimezone(ZoneInfo(zone)).time() not in excepted:
            expected.append(at)
        at = plain.next_after(at)
    if zone == "UTC":
        assert not expected
        with pytest.raises(RecurrenceSyntaxError, match="every time that this comes to is excepted"):
            natural(text, time_zone=zone, anchor=midnight)
        return
    assert bool(expected) is (hours < 59)
    if not expected:
        return
    found: list[datetime] = []
    rule = natural(text, time_zone=zone, anchor=midnight)
    at = rule.next_after(midnight - timedelta(seconds=1))
    while at is not None and at < end:
        found.append(at)
        at = rule.next_after(at)
    assert found == expected


def test_a_void_text_with_an_anchor_inside_its_run_fires_there_alone() -> None:
    text = "every 59 hours from noon except on noon"
    with pytest.raises(RecurrenceSyntaxError, match="every time that this comes to is excepted"):
        natural(text, time_zone="Europe/London", anchor=ANCHOR)
    late = ANCHOR + timedelta(hours=8)
    rule = natural(text, time_zone="Europe/London", anchor=late)
    assert (rule.next_after(late - timedelta(seconds=1)), rule.next_after(late)) == (late, None)


def test_many_excluded_dates_in_a_row_are_passed_at_once() -> None:
    days = [date(2026, 1, 1) + timedelta(days=n) for n in range(36_000)]
    asked: list[datetime] = []
    inner = cron("0 9 * * *")

    class Counted:
        kind, expression, time_zone, warnings = inner.kind, inner.expression, "UTC", ()

        def next_after(self, instant: datetime) -> datetime | None:
            asked.append(instant)
            return inner.next_after(instant)

        def describe(self) -> str:
            return inner.describe()

        def explain(self, after: datetime, count: int = 5) -> Explanation:
            return inner.explain(after, count)

    outer = bounded(Counted(), excluded_dates=[*days, date.max])
    last = datetime.combine(days[-1], time(9), UTC)
    assert outer.next_after(datetime(2026, 1, 1, tzinfo=UTC)) == last + timedelta(days=1)
    assert len(asked) == 2
