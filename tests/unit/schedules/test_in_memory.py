"""Schedules on the virtual clock: the real planner, the real engine, no waiting."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from jobmaster import (
    ClusterConfig,
    ConflictError,
    Event,
    FailJob,
    JobContext,
    JobHandler,
    JobStatus,
    Priority,
    ScheduleStatus,
    cron,
    every,
)
from jobmaster.domain.events import OccurrencesMissed, OccurrencesSkipped, ScheduleFailing
from jobmaster.engine.planner import Planner
from jobmaster.ports import Decide, Planned
from jobmaster.recurrence import occurrence_id
from jobmaster.testing import MemoryCluster
from jobmaster.testing.memory import MemoryScheduleStore

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)

runs: dict[str | None, list[tuple[datetime | None, bool, int]]] = defaultdict(list)


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    yield
    runs.clear()
    gates.clear()


class Tick(JobHandler, definition_id="tick"):
    async def handle(self, job: JobContext) -> None:
        runs[job.schedule_id].append((job.occurrence_at, job.is_catchup, job.missed_count))


class Slow(JobHandler, definition_id="slow", timeout=timedelta(hours=12)):
    """Runs until the test lets it go, or it is asked to stop."""

    async def handle(self, job: JobContext) -> None:
        runs[job.schedule_id].append((job.occurrence_at, job.is_catchup, job.missed_count))
        await gates[job.id].wait()


gates: dict[Any, asyncio.Event] = defaultdict(asyncio.Event)


class Breaks(JobHandler, definition_id="breaks"):
    async def handle(self, job: JobContext) -> None:
        raise FailJob("always")


class Told:
    def __init__(self) -> None:
        self.events: list[Event] = []

    def on_event(self, event: Event) -> None:
        if isinstance(event, OccurrencesMissed | OccurrencesSkipped | ScheduleFailing):
            self.events.append(event)


def config(**worker: Any) -> ClusterConfig:
    return ClusterConfig("memory").add_handlers(Tick, Slow, Breaks).add_worker(**worker)


def instants(schedule_id: str) -> list[datetime]:
    return [at for at, _, _ in runs[schedule_id] if at is not None]


ZONES = {
    "America/New_York": 365,
    "Europe/Berlin": 365,
    "Australia/Lord_Howe": 365,
    "Asia/Kolkata": 365,
    "America/Sao_Paulo": 365,
    "Pacific/Auckland": 365,
}


async def test_a_year_in_six_time_zones_runs_in_seconds() -> None:
    """Every local day once, at half past two or, where that does not exist, right after the gap."""
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        for zone in ZONES:
            await cluster.scheduler.recurring_async(Tick, "30 2 * * *", id=zone, time_zone=zone)
        await cluster.advance(timedelta(days=365))
        for zone, expected in ZONES.items():
            local = [at.astimezone(ZoneInfo(zone)) for at in instants(zone)]
            assert len({at.date() for at in local}) == len(local) == expected
            moved = {at.strftime("%H:%M") for at in local} - {"02:30"}
            assert moved <= {"03:00"}
        assert {z for z in ZONES if any(a.astimezone(ZoneInfo(z)).hour == 3 for a in instants(z))} == {
            "America/New_York",
            "Europe/Berlin",
            "Pacific/Auckland",
        }


async def test_an_occurrence_is_a_job_with_its_own_id() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        made = await s.recurring_async(
            Tick, "0 * * * *", {"n": 1}, id="h", priority=Priority.HIGH, metadata={"team": "a"}
        )
        assert (made.status, made.version, made.next_run_at) == (ScheduleStatus.ACTIVE, 1, NEW_YEAR + HOUR)
        await cluster.advance(2 * HOUR + MINUTE)
        job = await s.get_job_async(occurrence_id("memory", "h", NEW_YEAR + HOUR))
        assert (job.status, job.schedule_id, job.priority) == (JobStatus.SUCCEEDED, "h", Priority.HIGH)
        assert (job.data, job.metadata, job.scheduled_at) == ({"n": 1}, {"team": "a"}, NEW_YEAR + HOUR)
        after = await s.get_schedule_async("h")
        assert (after.last_run_at, after.next_run_at) == (NEW_YEAR + 2 * HOUR, NEW_YEAR + 3 * HOUR)
        assert (await s.find_jobs_async(schedule_id="h")).items[1].id == job.id
        assert runs["h"] == [(NEW_YEAR + n * HOUR, False, 0) for n in (1, 2)]


async def test_intervals_do_not_drift() -> None:
    async with MemoryCluster(config(), NEW_YEAR + timedelta(microseconds=123)) as cluster:
        await cluster.scheduler.recurring_async(Tick, timedelta(seconds=90), id="i")
        await cluster.advance(HOUR)
        assert len(instants("i")) == 40
        assert {b - a for a, b in pairwise(instants("i"))} == {timedelta(seconds=90)}


@pytest.mark.parametrize(
    ("policy", "expected", "missed"),
    [
        ("fire_once", [(24, True, 24)], 23),
        ("skip", [], 24),
        ("fire_all", [(n, True, 1) for n in range(1, 25)], 0),
    ],
)
async def test_all_down_for_a_day(policy: str, expected: list[tuple[int, bool, int]], missed: int) -> None:
    """Nobody plans while the cluster is passive; then the policy decides about what was missed."""
    told = Told()
    async with MemoryCluster(config().add_observer(told), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Tick, "0 * * * *", id="h", misfire=policy, catchup_window=timedelta(days=2))
        cluster.cluster.set_mode("passive")
        await cluster.advance(24 * HOUR + 30 * MINUTE)
        assert runs["h"] == []
        cluster.cluster.set_mode("active")
        await cluster.advance(20 * MINUTE)
        assert runs["h"] == [(NEW_YEAR + n * HOUR, late, count) for n, late, count in expected]
        after = await s.get_schedule_async("h")
        assert after.missed == missed
        assert [e.count for e in told.events if isinstance(e, OccurrencesMissed)] == [missed] * (missed > 0)
        await cluster.advance(HOUR)
        assert runs["h"][-1] == (NEW_YEAR + 25 * HOUR, False, 0)


async def test_the_first_punctual_one_stands_for_those_missed_before() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        await cluster.scheduler.recurring_async(Tick, "0 * * * *", id="h", misfire_grace=600)
        cluster.cluster.set_mode("passive")
        await cluster.advance(3 * HOUR + 5 * MINUTE)
        cluster.cluster.set_mode("active")
        await cluster.advance(4 * MINUTE)
        assert runs["h"] == [(NEW_YEAR + 3 * HOUR, False, 2)]


async def test_skip_counts_what_meets_a_live_run() -> None:
    told = Told()
    async with MemoryCluster(config().add_observer(told), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Slow, "* * * * *", id="h")
        await cluster.advance(3 * MINUTE + SECOND)
        assert instants("h") == [NEW_YEAR + MINUTE]
        assert (await s.get_schedule_async("h")).skipped == 2
        gates[occurrence_id("memory", "h", NEW_YEAR + MINUTE)].set()
        await cluster.advance(MINUTE)
        assert instants("h") == [NEW_YEAR + MINUTE, NEW_YEAR + 4 * MINUTE]
        assert [e for e in told.events if isinstance(e, OccurrencesSkipped)] == [
            OccurrencesSkipped("h", 1)
        ] * 2
        gates[occurrence_id("memory", "h", NEW_YEAR + 4 * MINUTE)].set()


async def let_go(cluster: MemoryCluster, hour: int) -> None:
    gates[occurrence_id("memory", "h", NEW_YEAR + hour * MINUTE)].set()
    await cluster.advance(SECOND / 2)


@pytest.mark.parametrize(
    ("policy", "began", "skipped"), [("buffer_one", [1, 2], 2), ("buffer_all", [1, 2, 3, 4], 0)]
)
async def test_buffered_occurrences_run_one_after_the_other(
    policy: str, began: list[int], skipped: int
) -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Slow, "* * * * *", id="h", overlap=policy)
        await cluster.advance(4 * MINUTE + SECOND)
        assert instants("h") == [NEW_YEAR + MINUTE]
        waits = await s.get_job_async(occurrence_id("memory", "h", NEW_YEAR + 2 * MINUTE))
        assert waits.status is JobStatus.READY
        assert [r.code for r in (await s.explain_async(waits.id)).reasons] == ["waits_its_turn"]
        for number, hour in enumerate(began, start=1):
            assert instants("h") == [NEW_YEAR + n * MINUTE for n in began[:number]]
            await let_go(cluster, hour)
        assert (await s.get_schedule_async("h")).skipped == skipped


async def test_a_full_buffer_skips() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Slow, "* * * * *", id="h", overlap="buffer_all", buffer_limit=2)
        await cluster.advance(5 * MINUTE + SECOND)
        assert (await s.get_schedule_async("h")).skipped == 2
        for hour in (1, 2, 3):
            await let_go(cluster, hour)
        assert instants("h") == [NEW_YEAR + n * MINUTE for n in (1, 2, 3)]


async def test_allowed_runs_run_beside_each_other() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        await cluster.scheduler.recurring_async(Slow, "* * * * *", id="h", overlap="allow")
        await cluster.advance(3 * MINUTE + SECOND)
        assert instants("h") == [NEW_YEAR + n * MINUTE for n in (1, 2, 3)]
        for hour in (1, 2, 3):
            await let_go(cluster, hour)


async def test_a_new_run_stops_the_other() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Slow, "* * * * *", id="h", overlap="cancel_other")
        await cluster.advance(2 * MINUTE + SECOND)
        assert instants("h") == [NEW_YEAR + n * MINUTE for n in (1, 2)]
        first = await s.get_job_async(occurrence_id("memory", "h", NEW_YEAR + MINUTE))
        assert first.status is JobStatus.CANCELLED
        await let_go(cluster, 2)


async def test_a_new_run_gives_up_no_backfill() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Slow, "* * * * *", id="h", overlap="cancel_other")
        past = NEW_YEAR - HOUR
        assert len(await s.backfill_async("h", past, past + 3 * MINUTE)) == 3
        for number in range(3):
            await cluster.advance(2 * MINUTE)
            assert instants("h") == [past + n * MINUTE for n in range(number + 1)]
            gates[occurrence_id("memory", "h", past + number * MINUTE)].set()
        await cluster.advance(SECOND)
        assert instants("h")[3:] == [NEW_YEAR + 6 * MINUTE]
        assert (await s.get_schedule_async("h")).skipped == 5
        assert await s.count_jobs_async(schedule_id="h", status="cancelled") == 0
        await let_go(cluster, 6)


async def test_a_new_run_gives_up_none_that_makes_up_for_a_missed_one() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(
            Slow, "* * * * *", id="h", overlap="cancel_other", misfire="fire_all", misfire_grace=2
        )
        cluster.cluster.set_mode("passive")
        await cluster.advance(3 * MINUTE + 30 * SECOND)
        cluster.cluster.set_mode("active")
        await cluster.advance(2 * MINUTE)
        assert instants("h") == [NEW_YEAR + MINUTE]
        for number in (1, 2, 3):
            await let_go(cluster, number)
            await cluster.advance(SECOND)
        assert instants("h") == [NEW_YEAR + n * MINUTE for n in (1, 2, 3, 5)]
        await let_go(cluster, 5)


@pytest.mark.parametrize("forgotten", [1, 1000])
async def test_a_run_is_asked_to_stop_although_its_planner_dies(
    forgotten: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is written with the occurrence that waits for it, before anybody is told."""
    lost: list[object] = []
    stop = Planner._stop

    async def dies(planner: Planner, jobs: Collection[UUID]) -> None:
        if jobs and len(lost) < forgotten:
            lost.extend(jobs)
            return
        await stop(planner, jobs)

    monkeypatch.setattr(Planner, "_stop", dies)
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(
            Slow, "* * * * *", id="h", overlap="cancel_other", end_before=NEW_YEAR + 150 * SECOND
        )
        await cluster.advance(2 * MINUTE + 20 * SECOND)
        assert lost
        assert instants("h") == [NEW_YEAR + n * MINUTE for n in (1, 2)]
        first = await s.get_job_async(occurrence_id("memory", "h", NEW_YEAR + MINUTE))
        assert first.status is JobStatus.CANCELLED
        await let_go(cluster, 2)


async def test_a_loose_backfill_releases_none_that_waits_its_turn() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Slow, "0 * * * *", id="h", overlap="buffer_all")
        await cluster.advance(5 * HOUR + MINUTE)
        past = NEW_YEAR - 2 * HOUR
        await s.backfill_async("h", past, NEW_YEAR, overlap="allow")
        await cluster.advance(MINUTE)
        assert instants("h") == [NEW_YEAR + HOUR, past, past + HOUR]
        for at in (*instants("h"), *[NEW_YEAR + n * HOUR for n in (2, 3, 4, 5)]):
            gates[occurrence_id("memory", "h", at)].set()
        await cluster.advance(MINUTE)
        assert instants("h")[3:] == [NEW_YEAR + n * HOUR for n in (2, 3, 4, 5)]


async def test_without_grace_punctual_runs_run_as_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """No planner is there in the very instant."""
    plan = MemoryScheduleStore.plan

    def late(store: MemoryScheduleStore, decide: Decide, limit: int) -> Planned:
        return plan(store, lambda record, now, runs: decide(record, now + SECOND, runs), limit)

    monkeypatch.setattr(MemoryScheduleStore, "plan", late)
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        for policy in ("skip", "fire_once"):
            await s.recurring_async(Tick, "* * * * *", id=policy, misfire=policy, misfire_grace=0)
        await cluster.advance(3 * MINUTE + 5 * SECOND)
        for policy in ("skip", "fire_once"):
            assert runs[policy] == [(NEW_YEAR + n * MINUTE, False, 0) for n in (1, 2, 3)]


async def test_a_pause_is_a_change() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Tick, "0 * * * *", id="h")
        await s.pause_recurring_async("h")
        assert (await s.get_schedule_async("h")).version == 2
        await s.resume_recurring_async("h")
        assert (await s.get_schedule_async("h")).version == 3
        with pytest.raises(ConflictError, match="has version 3, not version 1"):
            await s.recurring_async(Tick, "5 * * * *", id="h", expected_version=1)


async def test_fire_all_never_runs_two_at_once_unless_allowed() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Slow, "* * * * *", id="h", misfire="fire_all", misfire_grace=1)
        cluster.cluster.set_mode("passive")
        await cluster.advance(3 * MINUTE + 30 * SECOND)
        cluster.cluster.set_mode("active")
        await cluster.advance(SECOND)
        for number in (1, 2, 3):
            assert instants("h") == [NEW_YEAR + n * MINUTE for n in range(1, number + 1)]
            await let_go(cluster, number)


async def test_a_pause_leaves_its_time_out_unless_asked_otherwise() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        for name in ("plain", "asked"):
            await s.recurring_async(Tick, "0 * * * *", id=name, misfire="fire_all")
            assert await s.pause_recurring_async(name)
            assert not await s.pause_recurring_async(name)
        await cluster.advance(3 * HOUR + 30 * MINUTE)
        paused = await s.get_schedule_async("plain")
        assert (paused.status, paused.next_run_at) == (ScheduleStatus.PAUSED, None)
        assert runs == {}
        assert await s.resume_recurring_async("plain")
        assert await s.resume_recurring_async("asked", catch_up=True)
        assert not await s.resume_recurring_async("plain")
        await cluster.advance(HOUR)
        assert instants("plain") == [NEW_YEAR + 4 * HOUR]
        assert instants("asked") == [NEW_YEAR + n * HOUR for n in (1, 2, 3, 4)]


async def test_run_now_is_no_occurrence() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Tick, "0 0 1 1 *", id="yearly", data={"a": 1})
        await s.pause_recurring_async("yearly")
        first, second = [await s.run_now_async("yearly") for _ in range(2)]
        assert first.id != second.id
        await cluster.run_due()
        assert runs["yearly"] == [(None, False, 0)] * 2
        assert (await s.get_job_async(first.id)).data == {"a": 1}


async def test_a_backfill_makes_what_was_not_there_one_after_the_other() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Tick, "0 * * * *", id="h")
        await cluster.advance(2 * HOUR + MINUTE)
        past = NEW_YEAR - 3 * HOUR
        made = await s.backfill_async("h", past, NEW_YEAR + 2 * HOUR)
        assert len(made) == 4
        assert [job.id for job in made[:2]] == [
            occurrence_id("memory", "h", past),
            occurrence_id("memory", "h", past + HOUR),
        ]
        await cluster.advance(MINUTE)
        assert instants("h")[2:] == [past + n * HOUR for n in (0, 1, 2, 3)]
        assert await s.backfill_async("h", past, NEW_YEAR + 2 * HOUR, overlap="allow") == []
        with pytest.raises(ValueError, match="about the past"):
            await s.backfill_async("h", NEW_YEAR, NEW_YEAR + 9 * HOUR)
        with pytest.raises(ValueError, match="at most 10000"):
            await s.backfill_async("h", NEW_YEAR - timedelta(days=4000), NEW_YEAR)


async def test_an_unchanged_schedule_keeps_its_anchor_and_its_place() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        first = await s.recurring_async(Tick, every(45).minutes())
        await cluster.advance(HOUR)
        again = await s.recurring_async(Tick, every(45).minutes())
        assert again.id == first.id
        assert (again.version, again.anchor, again.next_run_at) == (1, NEW_YEAR, NEW_YEAR + 90 * MINUTE)
        other = await s.recurring_async(Tick, every(45).minutes(), {"n": 2})
        assert other.id != first.id


async def test_an_edit_begins_now_and_keeps_what_both_have() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Tick, "0 * * * *", id="e")
        await cluster.advance(HOUR + MINUTE)
        edited = await s.recurring_async(Tick, "*/30 * * * *", {"n": 2}, id="e")
        assert (edited.version, edited.next_run_at) == (2, NEW_YEAR + HOUR + 30 * MINUTE)
        await cluster.advance(HOUR)
        assert instants("e") == [NEW_YEAR + HOUR * n for n in (1, 1.5, 2)]
        job = await s.get_job_async(occurrence_id("memory", "e", NEW_YEAR + 2 * HOUR))
        assert job.data == {"n": 2}


async def test_an_edit_rewrites_waiting_occurrences() -> None:
    """What has not begun becomes what the edited schedule says, and all of it runs."""
    async with MemoryCluster(config(lane="elsewhere"), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Tick, "0 * * * *", id="e", overlap="allow")
        await cluster.advance(2 * HOUR + MINUTE)
        assert await s.count_jobs_async(schedule_id="e") == 2
        await s.recurring_async(Tick, "0 * * * *", {"n": 2}, id="e", lane="elsewhere", overlap="allow")
        await cluster.advance(MINUTE)
        assert instants("e") == [NEW_YEAR + HOUR, NEW_YEAR + 2 * HOUR]
        for hour in (1, 2):
            job = await s.get_job_async(occurrence_id("memory", "e", NEW_YEAR + hour * HOUR))
            assert (job.data, job.metadata) == ({"n": 2}, {})
        assert (await s.get_schedule_async("e")).missed == 0


@pytest.mark.parametrize(
    "misfire", ["fire_all", *(pytest.param(name, marks=pytest.mark.long) for name in ("fire_once", "skip"))]
)
async def test_an_edit_loses_nothing_that_waits_its_turn(misfire: str) -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        options: dict[str, Any] = {"id": "h", "overlap": "buffer_all", "misfire": misfire}
        await s.recurring_async(Tick, "0 * * * *", lane="elsewhere", **options)
        await cluster.advance(10 * HOUR + MINUTE)
        assert await s.count_jobs_async(schedule_id="h") == 10
        edited = await s.recurring_async(Tick, "0 * * * *", {"n": 2}, **options)
        assert (edited.next_run_at, edited.missed) == (NEW_YEAR + 11 * HOUR, 0)
        await cluster.advance(5 * MINUTE)
        assert instants("h") == [NEW_YEAR + n * HOUR for n in range(1, 11)]
        assert (await s.get_schedule_async("h")).missed == 0


async def test_an_edit_keeps_an_occurrence_that_waits_for_its_jitter() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        options: dict[str, Any] = {"id": "j", "jitter": 50 * MINUTE, "misfire": "skip"}
        await s.recurring_async(Tick, "0 * * * *", **options)
        await cluster.advance(HOUR + 2 * MINUTE)
        assert instants("j") == []
        await s.recurring_async(Tick, "0 * * * *", {"n": 2}, **options)
        await cluster.advance(HOUR - 3 * MINUTE)
        assert instants("j") == [NEW_YEAR + HOUR]


async def test_an_edit_keeps_a_backfill() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Tick, "0 * * * *", id="h", lane="elsewhere")
        await cluster.advance(2 * HOUR)
        past = NEW_YEAR - timedelta(days=30)
        assert len(await s.backfill_async("h", past, past + 24 * HOUR)) == 24
        await s.recurring_async(Tick, "*/30 * * * *", {"n": 2}, id="h")
        await cluster.advance(20 * MINUTE)
        assert set(instants("h")) == {past + n * HOUR for n in range(24)} | {NEW_YEAR + HOUR}
        assert {late for at, late, _ in runs["h"] if at is not None and at < NEW_YEAR} == {True}
        assert (await s.get_schedule_async("h")).missed == 0


async def test_another_expression_makes_nothing_of_the_time_before_it() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Tick, "0 * * * *", id="h", lane="elsewhere")
        await cluster.advance(5 * HOUR + 5 * MINUTE)
        await s.recurring_async(Tick, "* * * * *", id="h", misfire="fire_all")
        await cluster.advance(2 * MINUTE)
        assert instants("h") == [NEW_YEAR + HOUR] + [NEW_YEAR + 5 * HOUR + n * MINUTE for n in (6, 7)]
        assert (await s.get_schedule_async("h")).missed == 0


@pytest.mark.parametrize("misfire", ["fire_once", "fire_all"])
async def test_an_edit_doubles_nothing(misfire: str) -> None:
    """One occurrence was put off; those after it have run, and their history is gone."""
    async with MemoryCluster(config().data_retention(HOUR), NEW_YEAR) as cluster:
        s = cluster.scheduler
        options: dict[str, Any] = {"id": "h", "overlap": "allow", "misfire": misfire, "jitter": 30 * MINUTE}
        await s.recurring_async(Tick, "0 * * * *", **options)
        await cluster.advance(HOUR + SECOND)
        await s.reschedule_async(occurrence_id("memory", "h", NEW_YEAR + HOUR), NEW_YEAR + 20 * HOUR)
        await cluster.advance(12 * HOUR)
        await s.recurring_async(Tick, "0 * * * *", {"n": 2}, **options)
        await cluster.advance(8 * HOUR)
        assert sorted(instants("h")) == [NEW_YEAR + n * HOUR for n in range(1, 21)]
        assert (await s.get_schedule_async("h")).missed == 0


async def test_bounds_and_holidays_move_neither_anchor_nor_place() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        weeks = await s.recurring_async(Tick, "every 2 weeks at 09:00", id="w")
        every_eight = await s.recurring_async(Tick, 8 * HOUR, id="i")
        await cluster.advance(timedelta(days=5, hours=3))
        before = {name: await s.next_occurrences_async(name, 3) for name in ("w", "i")}
        again = await s.recurring_async(Tick, "every 2 weeks at 09:00", id="w", excluded_dates=["2026-12-25"])
        assert (again.anchor, again.next_run_at) == (weeks.anchor, before["w"][0])
        for bounds in ({"end_before": datetime(2027, 1, 1, tzinfo=UTC)}, {"excluded_dates": ["2026-12-25"]}):
            again = await s.recurring_async(Tick, 8 * HOUR, id="i", **bounds)  # type: ignore[arg-type]
            assert (again.anchor, again.next_run_at) == (every_eight.anchor, before["i"][0])
        assert {name: await s.next_occurrences_async(name, 3) for name in ("w", "i")} == before


async def test_a_holiday_added_after_an_outage_hides_nothing_that_was_missed() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Tick, "0 * * * *", id="h")
        cluster.cluster.set_mode("passive")
        await cluster.advance(5 * HOUR + MINUTE * 30)
        await s.recurring_async(Tick, "0 * * * *", id="h", excluded_dates=["2026-12-25"])
        cluster.cluster.set_mode("active")
        await cluster.advance(MINUTE)
        assert runs["h"] == [(NEW_YEAR + 5 * HOUR, True, 5)]


async def test_bounds_that_are_loosened_bring_back_nothing_of_the_past() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        late = NEW_YEAR + timedelta(days=3)
        await s.recurring_async(Tick, "0 * * * *", id="start", start_after=late, misfire="fire_all")
        await s.recurring_async(
            Tick, "0 * * * *", id="end", end_before=NEW_YEAR + 90 * MINUTE, misfire="fire_all"
        )
        await cluster.advance(10 * HOUR + MINUTE)
        assert (await s.get_schedule_async("end")).status is ScheduleStatus.ENDED
        for name in ("start", "end"):
            found = await s.recurring_async(Tick, "0 * * * *", id=name, misfire="fire_all")
            assert found.next_run_at == NEW_YEAR + 11 * HOUR
        await cluster.advance(HOUR)
        assert instants("start") == [NEW_YEAR + 11 * HOUR]
        assert instants("end") == [NEW_YEAR + HOUR, NEW_YEAR + 11 * HOUR]
        assert (await s.get_schedule_async("start")).missed == 0


async def test_an_interval_that_gets_holidays_stays_one_schedule() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        plain = await s.recurring_async(Tick, HOUR)
        free = await s.recurring_async(Tick, HOUR, excluded_dates=["2026-12-25"], time_zone="Asia/Tokyo")
        assert (free.id, free.anchor, free.version) == (plain.id, plain.anchor, 2)


async def test_cancelling_deletes_what_has_not_begun() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Slow, "* * * * *", id="c", overlap="buffer_all")
        await cluster.advance(3 * MINUTE + SECOND)
        assert await s.count_jobs_async(schedule_id="c") == 3
        assert await s.cancel_recurring_async("c")
        assert not await s.cancel_recurring_async("c")
        (left,) = (await s.find_jobs_async(schedule_id="c")).items
        assert left.status is JobStatus.PROCESSING or left.status is JobStatus.ASSIGNED_TO_BUCKET
        gates[left.id].set()
        await cluster.advance(3 * MINUTE)
        assert instants("c") == [NEW_YEAR + MINUTE]


async def test_bounds_and_holidays_drop_occurrences() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        made = await s.recurring_async(
            Tick,
            cron("0 9 * * *"),
            id="b",
            time_zone="Asia/Tokyo",
            start_after=NEW_YEAR + timedelta(days=1),
            end_before=NEW_YEAR + timedelta(days=5),
            excluded_dates=[date(2026, 1, 4), "2026-01-30"],
        )
        assert made.expression == "TZ=Asia/Tokyo 0 9 * * *"
        await cluster.advance(timedelta(days=10))
        assert [at.astimezone(ZoneInfo("Asia/Tokyo")).day for at in instants("b")] == [3, 5]
        ended = await s.get_schedule_async("b")
        assert (ended.status, ended.next_run_at) == (ScheduleStatus.ENDED, None)


async def test_jitter_moves_the_start_and_not_the_occurrence() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Tick, "0 * * * *", id="j", jitter=600)
        await cluster.advance(3 * HOUR + 15 * MINUTE)
        jobs = [await s.get_job_async(occurrence_id("memory", "j", at)) for at in instants("j")]
        late = {job.started_at - at for job, at in zip(jobs, instants("j"), strict=True) if job.started_at}
        assert instants("j") == [NEW_YEAR + n * HOUR for n in (1, 2, 3)]
        assert len(late) == 1
        assert timedelta(0) < late.pop() < 10 * MINUTE


async def test_a_schedule_that_cannot_be_planned_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    async with MemoryCluster(config().add_observer(told), NEW_YEAR) as cluster:
        s = cluster.scheduler
        for name in ("bad", "good"):
            await s.recurring_async(Tick, "0 * * * *", id=name)
        whole = cluster.database.schedules["bad"]
        cluster.database.schedules["bad"] = replace(whole, expression="0 * * *")
        await cluster.advance(HOUR + MINUTE)
        assert instants("good") == [NEW_YEAR + HOUR]
        bad = await s.get_schedule_async("bad")
        assert bad.status is ScheduleStatus.ACTIVE
        assert bad.error is not None
        assert "RecurrenceSyntaxError" in bad.error
        tries = cluster.database.schedules["bad"].failures
        assert 3 <= tries <= 8
        assert [e.schedule_id for e in told.events if isinstance(e, ScheduleFailing)] == ["bad"]
        cluster.database.schedules["bad"] = replace(
            cluster.database.schedules["bad"], expression=whole.expression
        )
        await cluster.advance(5 * MINUTE)
        assert runs["bad"] == [(NEW_YEAR + HOUR, True, 1)]
        assert (await s.get_schedule_async("bad")).error is None


async def test_a_zone_that_vanished_pauses_its_schedule() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Tick, "0 9 * * *", id="z", time_zone="Europe/Paris")
        stored = cluster.database.schedules["z"]
        cluster.database.schedules["z"] = replace(
            stored, time_zone="Europe/Atlantis", expression="TZ=Europe/Atlantis 0 9 * * *"
        )
        await cluster.advance(timedelta(days=1))
        paused = await s.get_schedule_async("z")
        assert paused.status is ScheduleStatus.PAUSED
        assert paused.error is not None
        assert paused.error.startswith("unknown zone 'Europe/Atlantis'")
        await s.recurring_async(Tick, "0 9 * * *", id="z", time_zone="Europe/Paris")
        assert (await s.get_schedule_async("z")).status is ScheduleStatus.ACTIVE


async def test_an_unknown_handler_waits_and_says_so() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async("not-deployed-yet", "* * * * *", id="u", overlap="allow")
        await cluster.advance(30 * MINUTE)
        assert await s.count_jobs_async(schedule_id="u") < 5
        shown = await s.get_schedule_async("u")
        assert shown.error == "no live worker of lane 'default' knows definition id 'not-deployed-yet'"


async def test_a_run_that_fails_is_a_job_like_any_other() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Breaks, "0 * * * *", id="f")
        await cluster.advance(2 * HOUR + MINUTE)
        jobs = (await s.find_jobs_async(schedule_id="f", status="failed")).items
        assert len(jobs) == 2
        assert (await s.retry_job_async(jobs[0].id)).schedule_id == "f"


async def test_ended_schedules_are_cleaned_up_in_time() -> None:
    async with MemoryCluster(config().data_retention(HOUR), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Tick, "on 2026-01-01 at 00:05", id="once")
        await cluster.advance(10 * MINUTE)
        assert (await s.get_schedule_async("once")).status is ScheduleStatus.ENDED
        assert len(instants("once")) == 1
        await cluster.advance(2 * HOUR)
        assert (await s.find_schedules_async()).items == ()


async def test_new_tz_data_finds_the_next_occurrence_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stored next occurrence was found by rules that do not hold any more."""
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Tick, "0 9 * * *", id="z", time_zone="Europe/Paris")
        stored = cluster.database.schedules["z"]
        wrong = NEW_YEAR + 12 * HOUR
        cluster.database.schedules["z"] = replace(
            stored, next_run_at=wrong, due_at=wrong, zone_data="another release"
        )
        database = cluster.database
    async with MemoryCluster(config(), database=database) as cluster:
        await cluster.advance(10 * SECOND)
        renewed = database.schedules["z"]
        assert (renewed.next_run_at, renewed.zone_data) == (stored.next_run_at, stored.zone_data)
        assert stored.zone_data
        await cluster.advance(8 * HOUR + MINUTE)
        assert instants("z") == [NEW_YEAR + 8 * HOUR]


@pytest.mark.parametrize("policy", ["skip", "buffer_one", "buffer_all", "cancel_other"])
async def test_a_backfill_never_stops_its_own_runs(policy: str) -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Slow, "@yearly", id="y", overlap=policy)
        past = datetime(2020, 1, 1, tzinfo=UTC)
        made = await s.backfill_async("y", past, datetime(2023, 1, 1, tzinfo=UTC))
        assert len(made) == 3
        for number, job in enumerate(made, start=1):
            await cluster.advance(10 * SECOND)
            assert len(instants("y")) == number
            gates[job.id].set()
        await cluster.advance(10 * SECOND)
        jobs = (await s.find_jobs_async(schedule_id="y")).items
        assert [job.status for job in jobs] == [JobStatus.SUCCEEDED] * 3


async def test_a_backfill_of_a_schedule_that_allows_it_runs_at_once() -> None:
    async with MemoryCluster(config(), NEW_YEAR) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Slow, "@yearly", id="y", overlap="allow")
        past = datetime(2020, 1, 1, tzinfo=UTC)
        made = await s.backfill_async("y", past, datetime(2023, 1, 1, tzinfo=UTC), overlap="skip")
        await cluster.run_due()
        assert len(instants("y")) == len(made) == 3
        for job in made:
            gates[job.id].set()
        await cluster.run_due()
