"""The scheduler's calls about schedules, on each engine."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from jobmaster import (
    Cluster,
    ClusterArchived,
    ClusterConfig,
    ConfigurationError,
    ConflictError,
    InvalidJob,
    JobContext,
    JobHandler,
    JobStatus,
    MessageTooLarge,
    MisfirePolicy,
    OverlapPolicy,
    Priority,
    RecurrenceSyntaxError,
    Retry,
    ScheduleNotFound,
    Scheduler,
    ScheduleStatus,
    UnknownHandler,
    cron,
    every,
    natural,
    rrule,
)
from jobmaster.ports import Decision
from jobmaster.recurrence import bounded, interval, occurrence_id
from tests.cluster.conftest import Site
from tests.databases import execute

HOUR = timedelta(hours=1)


class Beat(JobHandler, definition_id="beat", priority=Priority.LOW, metadata={"team": "a"}):
    async def handle(self, job: JobContext) -> list[object]:
        return [job.is_catchup, job.missed_count, None if job.occurrence_at is None else "occurrence"]


class Elsewhere(JobHandler, definition_id="elsewhere"):
    async def handle(self, job: JobContext) -> None:
        raise AssertionError("not registered")


def config(site: Site) -> ClusterConfig:
    return site.config("calls").add_handlers(Beat)


@pytest.fixture
def cluster(lone: Site) -> Iterator[Cluster]:
    """A cluster that nobody works for."""
    built = config(lone).build()
    yield built
    built.close()


@pytest.fixture
def s(cluster: Cluster) -> Scheduler:
    return cluster.scheduler


def back(cluster: Cluster, schedule_id: str, by: timedelta) -> None:
    """As if nobody had planned a schedule for so long."""
    store = cluster._backend.schedules

    def decide(record: Any, now: datetime, runs: Any) -> Decision:
        cursor = record.cursor_at - by
        return Decision(replace(record, cursor_at=cursor, next_run_at=cursor, due_at=cursor))

    store.change(schedule_id, decide)


def test_many_may_declare_and_cancel_one_schedule_at_once(s: Scheduler) -> None:
    """Whoever inserts a moment later than another meets what that one made."""
    together = threading.Barrier(6)

    def declare(number: int) -> None:
        for turn in range(15):
            together.wait(30)
            s.recurring(Beat, "0 0 1 1 *", {"n": number if turn % 2 else 0}, id="raced")
            if number == 0:
                s.cancel_recurring("raced")

    with ThreadPoolExecutor(6) as callers:
        for done in [callers.submit(declare, number) for number in range(6)]:
            done.result(120)


def test_a_schedule_is_stored_with_all_it_was_given(s: Scheduler) -> None:
    start = datetime.now(UTC) + HOUR
    made = s.recurring(
        Beat,
        "every day between mon and fri at 18:00",
        {"n": 1},
        id="report",
        time_zone="america/new_york",
        start_after=start,
        end_before=start + timedelta(days=100),
        misfire="fire_all",
        misfire_grace=5,
        misfire_cap=7,
        catchup_window=HOUR,
        overlap=OverlapPolicy.BUFFER_ALL,
        buffer_limit=3,
        jitter=30,
        excluded_dates=[date(2026, 12, 25), "2027-01-01"],
        priority=Priority.CRITICAL,
        lane="reports",
        timeout=60,
        max_retries=2,
        retry=Retry.fixed(5),
        metadata={"kind": "nightly"},
    )
    assert s.get_schedule("report") == made
    assert (made.id, made.definition_id, made.kind, made.version) == ("report", "beat", "natural", 1)
    assert made.time_zone == "America/New_York"
    assert made.expression == "every 1 day at 18:00 between mon and fri tz America/New_York"
    assert (made.start_after, made.end_before) == (start, start + timedelta(days=100))
    assert (made.misfire, made.misfire_grace, made.misfire_cap) == (
        MisfirePolicy.FIRE_ALL,
        timedelta(seconds=5),
        7,
    )
    assert (made.catchup_window, made.overlap, made.buffer_limit) == (HOUR, OverlapPolicy.BUFFER_ALL, 3)
    assert (made.jitter, made.excluded_dates) == (
        timedelta(seconds=30),
        (date(2026, 12, 25), date(2027, 1, 1)),
    )
    assert (made.priority, made.lane, made.timeout) == (Priority.CRITICAL, "reports", timedelta(seconds=60))
    assert (made.data, made.metadata) == ({"n": 1}, {"team": "a", "kind": "nightly"})
    assert made.next_run_at is not None
    assert made.next_run_at > start


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (timedelta(minutes=5), "interval"),
        ("PT5M", "interval"),
        ("*/5 * * * *", "cron"),
        (cron("*/5 * * * *"), "cron"),
        ("FREQ=DAILY;BYHOUR=9", "rrule"),
        (rrule("FREQ=DAILY;BYHOUR=9"), "rrule"),
        ("every day at 9:00", "natural"),
        (natural("every day at 9:00"), "natural"),
        (every(1).day().at("9:00"), "natural"),
    ],
)
def test_any_form_of_schedule_is_taken(s: Scheduler, given: Any, kind: str) -> None:
    made = s.recurring(Beat, given)
    assert made.kind == kind
    assert s.recurring(Beat, given) == made
    assert s.next_occurrences(made, 1) == [made.next_run_at]


def test_the_zone_of_the_cluster_is_that_of_schedules_that_name_none(lone: Site) -> None:
    cluster = config(lone).time_zone("Asia/Tokyo").build()
    try:
        s = cluster.scheduler
        assert s.recurring(Beat, "0 9 * * *").time_zone == "Asia/Tokyo"
        assert s.recurring(Beat, "TZ=UTC 0 9 * * *").time_zone == "UTC"
        assert s.recurring(Beat, "0 9 * * *", time_zone="Europe/Paris").time_zone == "Europe/Paris"
        assert s.recurring(Beat, cron("0 9 * * *", time_zone="Asia/Kolkata")).time_zone == "Asia/Kolkata"
        assert s.next_occurrences("0 9 * * *", 1)[0].hour == 0
    finally:
        cluster.close()


UTC_NAMED = (
    "DTSTART:20260101T090000Z RRULE:FREQ=DAILY",
    "DTSTART;TZID=UTC:20260101T090000 RRULE:FREQ=DAILY",
    "TZ=UTC 0 9 * * *",
    "every day at 09:00 tz UTC",
    cron("0 9 * * *", time_zone="UTC"),
    every(1).day().at("09:00").in_time_zone("UTC"),
    every(1).day().at("09:00").in_time_zone("utc").build(),
    rrule("FREQ=DAILY;BYHOUR=9;BYMINUTE=0;BYSECOND=0", time_zone="UTC"),
    rrule("DTSTART:20260101T090000Z RRULE:FREQ=DAILY"),
)


@pytest.mark.parametrize("given", UTC_NAMED, ids=str)
def test_utc_may_be_named_in_a_cluster_of_another_zone(lone: Site, given: Any) -> None:
    cluster = config(lone).time_zone("Asia/Tokyo").build()
    try:
        made = cluster.scheduler.recurring(Beat, given)
        assert made.time_zone == "UTC"
        (at,) = cluster.scheduler.next_occurrences(made, 1)
        assert (at.hour, at.minute) == (9, 0)
        assert cluster.scheduler.next_occurrences(given, 1) == [at]
    finally:
        cluster.close()


def test_two_zones_are_refused(s: Scheduler) -> None:
    clashing = (
        cron("0 9 * * *", time_zone="Asia/Kolkata"),
        cron("0 9 * * *", time_zone="UTC"),
        cron("TZ=UTC 0 9 * * *"),
        natural("every day at 09:00 tz UTC"),
        every(1).day().in_time_zone("UTC"),
        rrule("FREQ=DAILY", time_zone="UTC"),
        "DTSTART;TZID=UTC:20260101T090000 RRULE:FREQ=DAILY",
        bounded(interval("1h"), excluded_dates=[date(2026, 1, 1)], time_zone="Asia/Tokyo"),
    )
    for given in clashing:
        with pytest.raises(RecurrenceSyntaxError) as told:
            s.recurring(Beat, given, time_zone="Europe/Paris")
        assert told.value.problems[0].code == "zone_conflict", given
        with pytest.raises(RecurrenceSyntaxError):
            s.next_occurrences(given, time_zone="Europe/Paris")
    assert not s.find_schedules().items
    same = s.recurring(Beat, cron("0 9 * * *", time_zone="Europe/Paris"), time_zone="europe/paris")
    assert same.time_zone == "Europe/Paris"
    instant = "DTSTART:20260101T090000Z RRULE:FREQ=DAILY"
    for shown in (instant, rrule(instant)):
        assert s.recurring(Beat, shown, time_zone="Europe/Paris").time_zone == "Europe/Paris"


def test_a_bounded_recurrence_bounds_its_schedule(s: Scheduler) -> None:
    today = datetime.now(UTC).date()
    holidays = [today + timedelta(days=n) for n in range(3)]
    start, end = datetime.now(UTC) + HOUR, datetime.now(UTC) + timedelta(days=30)
    inside = bounded(cron("0 9 * * *"), excluded_dates=holidays, end_before=end)
    given = bounded(inside, start_after=start, end_before=end + HOUR, excluded_dates=[date(2030, 1, 1)])
    made = s.recurring(Beat, given, id="bounded")
    assert made.excluded_dates == (*holidays, date(2030, 1, 1))
    assert (made.start_after, made.end_before) == (start, end)
    assert made.next_run_at == given.next_after(datetime.now(UTC)) == s.next_occurrences(given, 1)[0]
    assert s.recurring(Beat, "0 9 * * *", id="bounded", start_after=start, end_before=end,
                       excluded_dates=made.excluded_dates) == made  # fmt: skip
    assert s.recurring(Beat, bounded(cron("0 8 * * *"), end_before=end), start_after=start).end_before == end
    far = bounded(interval("1h"), excluded_dates=[today], time_zone="Asia/Tokyo")
    assert s.recurring(Beat, far).time_zone == "Asia/Tokyo"
    twice: dict[str, Any] = {"start_after": start, "end_before": end, "excluded_dates": holidays}
    for name, value in twice.items():
        with pytest.raises(ValueError, match=f"{name} is given twice"):
            s.recurring(Beat, given, **{name: value})
    two = bounded(
        bounded(interval("1h"), excluded_dates=holidays, time_zone="Asia/Tokyo"),
        excluded_dates=holidays,
        time_zone="Europe/Paris",
    )
    with pytest.raises(ValueError, match="excluded dates of two time zones"):
        s.recurring(Beat, two)


def test_a_recurrence_that_its_text_does_not_say_is_refused(s: Scheduler) -> None:
    class Late:
        kind, expression, time_zone, warnings = "interval", "5m", None, ()

        def next_after(self, instant: datetime) -> datetime:
            return instant + HOUR

        def describe(self) -> str:
            return "late"

        def explain(self, after: datetime, count: int = 5) -> Any:
            raise AssertionError("never asked")

    for call in (lambda: s.recurring(Beat, Late()), lambda: s.next_occurrences(Late())):
        with pytest.raises(TypeError, match="a Late cannot be stored: its expression '5m' is read as"):
            call()
    assert not s.find_schedules().items


def test_updates_and_their_versions(s: Scheduler) -> None:
    first = s.recurring(Beat, "@hourly", id="v", expected_version=0)
    assert s.recurring(Beat, "@hourly", id="v") == first
    second = s.recurring(Beat, "@daily", id="v", expected_version=1)
    assert (second.version, second.created_at) == (2, first.created_at)
    with pytest.raises(ConflictError, match=r"schedule 'v' has version 2, not version 1"):
        s.recurring(Beat, "@weekly", id="v", expected_version=1)
    with pytest.raises(ConflictError, match="does not exist, not version 3"):
        s.recurring(Beat, "@weekly", id="new", expected_version=3)
    assert s.get_schedule("v") == second


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"schedule": "every 5 minuts"}, RecurrenceSyntaxError, 'did you mean "minutes"'),
        ({"schedule": 42}, TypeError, "a schedule is a text, a timedelta or a recurrence"),
        ({"schedule": every(5)}, TypeError, r"every\(5\) has no unit: give it one, as in every\(5\).minutes"),
        ({"time_zone": "Europe/Pariss"}, ValueError, "unknown time zone"),
        ({"schedule": "TZ=Asia/Tokyo 0 9 * * *", "time_zone": "UTC"}, RecurrenceSyntaxError, "time zone"),
        ({"start_after": datetime(2026, 1, 1)}, ValueError, "naive"),  # noqa: DTZ001
        (
            {"start_after": datetime(2027, 1, 1, tzinfo=UTC), "end_before": datetime(2026, 1, 1, tzinfo=UTC)},
            ValueError,
            "end_before must be later",
        ),
        ({"misfire": "sometimes"}, ValueError, "misfire must be one of 'fire_once', 'skip', 'fire_all'"),
        ({"overlap": "never"}, ValueError, "overlap must be one of"),
        ({"misfire_grace": -1}, ValueError, "misfire_grace"),
        ({"misfire_cap": 0}, ValueError, "misfire_cap must be a whole number from 1"),
        ({"buffer_limit": 1.5}, ValueError, "buffer_limit"),
        ({"jitter": "5s"}, TypeError, "jitter"),
        ({"excluded_dates": ["25.12.2026"]}, ValueError, "is not a date such as"),
        ({"excluded_dates": "2026-12-25"}, TypeError, "a collection of dates"),
        ({"id": ""}, InvalidJob, "schedule id must have 1 to 255 characters"),
        ({"id": " a"}, InvalidJob, "begins or ends with a blank"),
        ({"id": "a\nb"}, InvalidJob, "control characters"),
        ({"lane": "no lane"}, InvalidJob, "lane"),
        ({"metadata": {"jobmaster.x": 1}}, InvalidJob, "the library's own"),
        ({"agent_connection": "nowhere"}, ConfigurationError, "not configured"),
        ({"data": {"text": "x" * 200_000}}, MessageTooLarge, "bytes"),
        ({"handler": Elsewhere}, UnknownHandler, "not registered"),
        ({"expected_version": -1}, ValueError, "expected_version"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    s: Scheduler, options: dict[str, Any], error: type[Exception], text: str
) -> None:
    given = {"handler": Beat, "schedule": "@daily", **options}
    with pytest.raises(error, match=text):
        s.recurring(given.pop("handler"), given.pop("schedule"), **given)
    assert s.find_schedules().items == ()


def test_schedules_are_listed_by_pages(s: Scheduler) -> None:
    for number in range(5):
        s.recurring(Beat if number < 3 else "other", "@daily", id=f"s{number}")
    s.pause_recurring("s1")
    page = s.find_schedules(limit=2)
    assert ([x.id for x in page], page.next_cursor) == (["s0", "s1"], "s1")
    assert [x.id for x in s.find_schedules(limit=10, cursor=page.next_cursor)] == ["s2", "s3", "s4"]
    assert [x.id for x in s.find_schedules(status="paused")] == ["s1"]
    assert [x.id for x in s.find_schedules(definition_id="other")] == ["s3", "s4"]
    assert s.find_schedules(profile_id="p").items == ()
    for wrong in ({"limit": 0}, {"status": "asleep"}, {"definition_id": ""}, {"cursor": ""}):
        with pytest.raises(ValueError):
            s.find_schedules(**wrong)  # type: ignore[arg-type]


def test_an_unknown_id_is_told(s: Scheduler) -> None:
    for call in (s.get_schedule, s.pause_recurring, s.resume_recurring, s.run_now, s.next_occurrences):
        with pytest.raises(ScheduleNotFound, match="no schedule 'nobody'"):
            call("nobody")
    now = datetime.now(UTC)
    with pytest.raises(ScheduleNotFound):
        s.backfill("nobody", now - HOUR, now)
    assert not s.cancel_recurring("nobody")
    with pytest.raises(TypeError):
        s.get_schedule(7)  # type: ignore[arg-type]


def test_what_is_neither_an_id_nor_an_expression_is_told_as_an_expression(s: Scheduler) -> None:
    with pytest.raises(RecurrenceSyntaxError, match="this never fires") as told:
        s.next_occurrences("0 0 30 2 *")
    assert told.value.__notes__[0].startswith("it is the id of no schedule either: no schedule '0 0 30 2 *'")
    with pytest.raises(RecurrenceSyntaxError, match="five or six fields are expected"):
        s.recurring(Beat, "* * * * * * *")
    s.recurring(Beat, "@daily", id="0 0 30 2 *")
    assert len(s.next_occurrences("0 0 30 2 *")) == 5
    with pytest.raises(ValueError, match=r"^count must be a whole number from 1 to 1000, not 0"):
        s.next_occurrences("@daily", 0)
    for wrong in (5, UTC):
        with pytest.raises(TypeError, match="time_zone is the name of a zone"):
            s.recurring(Beat, "@daily", time_zone=wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="time_zone is the name of a zone"):
            cron("@daily", time_zone=wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="excluded_dates is a collection of dates, not 5"):
        s.recurring(Beat, "@daily", excluded_dates=5)  # type: ignore[arg-type]


def test_a_backfill_does_not_begin_with_the_calendar(s: Scheduler) -> None:
    s.recurring(Beat, "@yearly", id="old")
    for year in (1, 1899):
        with pytest.raises(ValueError, match="is too early: a backfill begins in 1900 or later"):
            s.backfill("old", datetime(year, 1, 1, tzinfo=UTC), datetime(1901, 1, 1, tzinfo=UTC))
    made = s.backfill("old", datetime(1900, 1, 1, tzinfo=UTC), datetime(1901, 1, 1, tzinfo=UTC))
    assert len(made) == 1


def test_pausing_resuming_cancelling(s: Scheduler) -> None:
    s.recurring(Beat, "@hourly", id="p")
    assert s.pause_recurring("p")
    assert not s.pause_recurring("p")
    paused = s.get_schedule("p")
    assert (paused.status, paused.next_run_at) == (ScheduleStatus.PAUSED, None)
    assert s.recurring(Beat, "@daily", id="p").status is ScheduleStatus.PAUSED
    assert s.resume_recurring("p")
    assert not s.resume_recurring("p")
    assert s.get_schedule("p").status is ScheduleStatus.ACTIVE
    assert s.cancel_recurring("p")
    assert not s.cancel_recurring("p")
    with pytest.raises(ScheduleNotFound):
        s.get_schedule("p")


def test_run_now_and_backfill_make_jobs(s: Scheduler) -> None:
    s.recurring(Beat, "@hourly", id="b")
    by_hand = s.run_now("b")
    assert (by_hand.schedule_id, by_hand.status) == ("b", JobStatus.READY)
    assert s.get_job(by_hand.id).definition_id == "beat"
    assert (by_hand.occurrence_at, by_hand.is_catchup, by_hand.missed_count) == (None, False, 0)
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    made = s.backfill("b", noon, noon + 3 * HOUR)
    assert [job.id for job in made] == [occurrence_id("calls", "b", noon + n * HOUR) for n in range(3)]
    for n, job in enumerate(made):
        assert (job.occurrence_at, job.is_catchup, job.missed_count) == (noon + n * HOUR, True, 0)
    found = {job.id: job for job in s.find_jobs(schedule_id="b")}
    for job in (by_hand, *made):
        for stored in (found[job.id], s.get_job(job.id)):
            said = (stored.occurrence_at, stored.is_catchup, stored.missed_count)
            assert said == (job.occurrence_at, job.is_catchup, job.missed_count)
    assert s.count_jobs(schedule_id="b") == 4
    assert s.backfill("b", noon, noon + 3 * HOUR) == []
    assert [r.code for r in s.explain(made[1].id).reasons] == ["waits_its_turn"]
    s.pause_recurring("b")
    assert [r.code for r in s.explain(made[1].id).reasons] == ["schedule_paused"]
    with pytest.raises(ValueError, match="end must be later than start"):
        s.backfill("b", noon, noon)
    assert s.cancel_recurring("b")
    assert s.count_jobs(schedule_id="b") == 1


def test_an_archived_cluster_refuses(cluster: Cluster, s: Scheduler) -> None:
    s.recurring(Beat, "@hourly", id="a")
    cluster.set_mode("archived")
    now = datetime.now(UTC)
    for change in (
        lambda: s.recurring(Beat, "@daily", id="a"),
        lambda: s.pause_recurring("a"),
        lambda: s.resume_recurring("a"),
        lambda: s.cancel_recurring("a"),
        lambda: s.run_now("a"),
        lambda: s.backfill("a", now - HOUR, now),
    ):
        with pytest.raises(ClusterArchived):
            change()
    assert s.get_schedule("a").version == 1


async def test_every_call_has_a_twin(s: Scheduler) -> None:
    made = await s.recurring_async(Beat, "@hourly", id="t")
    assert await s.get_schedule_async("t") == made
    assert (await s.find_schedules_async()).items == (made,)
    assert await s.next_occurrences_async("t", 2) == s.next_occurrences(made, 2)
    assert await s.pause_recurring_async("t")
    assert await s.resume_recurring_async("t", catch_up=True)
    assert (await s.run_now_async("t")).schedule_id == "t"
    now = datetime.now(UTC)
    assert len(await s.backfill_async("t", now - 2 * HOUR, now - HOUR)) == 1
    assert await s.cancel_recurring_async("t")
    names = [name for name in dir(Scheduler) if not name.startswith("_") and not name.endswith("_async")]
    for name in names:
        twin = inspect.signature(getattr(Scheduler, f"{name}_async"))
        assert twin.parameters == inspect.signature(getattr(Scheduler, name)).parameters, name


@pytest.mark.parametrize(
    ("policy", "results"),
    [("fire_once", [[True, 24, "occurrence"]]), ("skip", []), ("fire_all", [[True, 1, "occurrence"]] * 24)],
)
def test_rows_that_were_not_planned_for_a_day(lone: Site, policy: str, results: list[list[object]]) -> None:
    """The stored rows are a day old when a planner comes back to them."""
    cluster = config(lone).add_worker(concurrency=4).build()
    s = cluster.scheduler
    try:
        anchor = timedelta(hours=1)
        s.recurring(Beat, anchor, id="h", misfire=policy, misfire_grace=1, overlap="allow")
        back(cluster, "h", timedelta(days=1))
        # the anchor is of now, so that a day ago nothing was due: move it too
        store = cluster._backend.schedules
        store.change(
            "h",
            lambda r, now, runs: Decision(replace(r, anchor=r.anchor - timedelta(days=2, seconds=-30))),  # type: ignore[arg-type]
        )
        with cluster:
            end = time.monotonic() + 20
            while time.monotonic() < end and (
                s.get_schedule("h").next_run_at is None
                or s.get_schedule("h").next_run_at < datetime.now(UTC)  # type: ignore[operator]
                or s.count_jobs(schedule_id="h", status=JobStatus.SUCCEEDED) < len(results)
            ):
                time.sleep(0.05)
            jobs = s.find_jobs(schedule_id="h").items
            assert sorted((job.result for job in jobs), key=str) == sorted(results, key=str)
            for job in jobs:
                known = None if job.occurrence_at is None else "occurrence"
                assert [job.is_catchup, job.missed_count, known] == job.result
            shown = s.get_schedule("h")
            assert shown.missed == {"fire_once": 23, "skip": 24, "fire_all": 0}[policy]
    finally:
        cluster.close()


@pytest.mark.parametrize(
    ("column", "value"),
    [("options", "'{\"priority\": 77}'"), ("options", "'{\"max_retries\": 1099511627776}'")],
    ids=["cannot be read", "its job cannot be stored"],
)
def test_a_bad_row_stops_no_other(lone: Site, column: str, value: str) -> None:
    """It is set aside with the error, and its batch goes on."""
    cluster = config(lone).add_worker().build()
    s = cluster.scheduler
    any_number = lone.master.startswith("sqlite") and "max_retries" in value  # fits into any column there
    try:
        for name in ("bad", "good", "also-good"):
            s.recurring(Beat, timedelta(seconds=1), id=name, overlap="allow")
            back(cluster, name, timedelta(seconds=30 if name == "bad" else 10))
        table = cluster._backend.master._gateway.names.table("schedule")  # type: ignore[attr-defined]
        execute(lone.master, f"UPDATE {table} SET {column} = {value} WHERE schedule_id = 'bad'")
        with cluster:
            end = time.monotonic() + 20
            while time.monotonic() < end and any(
                s.count_jobs(schedule_id=n) < 2 for n in ("good", "also-good")
            ):
                time.sleep(0.05)
            assert all(s.count_jobs(schedule_id=n) >= 2 for n in ("good", "also-good"))
            failures, error = look(cluster)
            assert (failures > 0) is not any_number
            assert (len(s.find_jobs(schedule_id="bad")) > 0) is any_number
            assert any_number or error
    finally:
        cluster.close()


def look(cluster: Cluster) -> tuple[int, str | None]:
    """What is stored with the schedule ``bad``."""
    gateway = cluster._backend.master._gateway  # type: ignore[attr-defined]
    table = gateway.names.table("schedule")
    rows = gateway.read(
        "look", lambda tx: tx.query(f"SELECT failures, error FROM {table} WHERE schedule_id = 'bad'")
    )
    found: tuple[int, str | None] = rows[0]
    return found
