"""Schedules declared in code follow it, and leave others alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobmaster import (
    ClusterConfig,
    ConfigurationError,
    JobContext,
    JobHandler,
    ScheduleCollection,
    StaticSchedules,
    every,
    job,
)
from jobmaster.testing import MemoryCluster
from jobmaster.testing.memory import MemoryDatabase

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
seen: list[str] = []


class Clean(JobHandler, definition_id="clean"):
    async def handle(self, job: JobContext) -> None:
        seen.append("clean")


class Sync(JobHandler, definition_id="sync"):
    async def handle(self, job: JobContext) -> None:
        seen.append(job.data.get_str("what", default="sync"))


class Hourly(JobHandler, definition_id="hourly", schedule="0 * * * *"):
    async def handle(self, job: JobContext) -> None:
        seen.append("hourly")


class NoLonger(JobHandler, definition_id="hourly"):
    async def handle(self, job: JobContext) -> None:
        seen.append("no longer")


class Inherits(Hourly, definition_id="inherits"):
    pass


@job("twice", schedule=[timedelta(minutes=20), every(30).minutes()])
async def twice(job: JobContext) -> None:
    seen.append("twice")


class Maintenance(StaticSchedules, profile_id="maint"):
    def __init__(self, *entries: tuple[Any, Any, dict[str, Any]]) -> None:
        self._entries = entries

    def configure(self, schedules: ScheduleCollection) -> None:
        for handler, schedule, options in self._entries:
            schedules.add(handler, schedule, **options)


class Other(StaticSchedules, profile_id="other"):
    def configure(self, schedules: ScheduleCollection) -> None:
        schedules.add(Clean, "@daily", id="others")


def config(*static: StaticSchedules, handlers: Any = (Clean, Sync)) -> ClusterConfig:
    return ClusterConfig("static").add_handlers(*handlers).add_static_schedules(*static).add_worker()


async def ids(cluster: MemoryCluster) -> list[str]:
    return [schedule.id for schedule in await cluster.scheduler.find_schedules_async()]


def again(config: ClusterConfig, database: MemoryDatabase) -> MemoryCluster:
    """The next deployment on the same stores."""
    return MemoryCluster(config, database=database)


async def test_static_schedules_are_created_updated_and_retired() -> None:
    day = (Clean, timedelta(days=1), {})
    sync = (Sync, "every 1 hour between 09:00 and 18:00", {"id": "hourly-sync", "data": {"what": "all"}})
    async with MemoryCluster(config(Maintenance(day, sync), Other()), NEW_YEAR) as cluster:
        await cluster.scheduler.recurring_async(Sync, "@weekly", id="dynamic")
        (derived,) = set(await ids(cluster)) - {"hourly-sync", "others", "dynamic"}
        assert derived.startswith("clean-")
        await cluster.advance(timedelta(hours=11))
        assert seen == ["all"] * 3
        await cluster.scheduler.pause_recurring_async("hourly-sync")
        database = cluster.database
    changed = (Sync, "every 1 hour between 09:00 and 18:00", {"id": "hourly-sync", "data": {"what": "new"}})
    async with again(config(Maintenance(changed)), database) as cluster:
        assert await ids(cluster) == ["dynamic", "hourly-sync", "others"]
        shown = await cluster.scheduler.get_schedule_async("hourly-sync")
        assert (shown.version, shown.profile_id, shown.data) == (3, "maint", {"what": "new"})
        assert shown.status.value == "paused"
    async with again(config(Maintenance()), database) as cluster:
        assert await ids(cluster) == ["dynamic", "others"]
    async with again(config(), database) as cluster:
        assert await ids(cluster) == ["dynamic", "others"]


async def test_an_unchanged_declaration_changes_nothing() -> None:
    static = Maintenance((Clean, timedelta(hours=5), {"id": "c"}))
    async with MemoryCluster(config(static), NEW_YEAR) as cluster:
        await cluster.advance(timedelta(hours=3))
        before = await cluster.scheduler.get_schedule_async("c")
        database = cluster.database
    async with again(config(static), database) as cluster:
        assert await cluster.scheduler.get_schedule_async("c") == before


async def test_a_handler_may_declare_its_own() -> None:
    seen.clear()
    handlers = (Hourly, Inherits, twice)
    async with MemoryCluster(config(handlers=handlers), NEW_YEAR) as cluster:
        found = (await cluster.scheduler.find_schedules_async()).items
        assert sorted((s.definition_id, s.profile_id) for s in found) == [
            ("hourly", "handler:hourly"),
            ("twice", "handler:twice"),
            ("twice", "handler:twice"),
        ]
        await cluster.advance(timedelta(hours=1, seconds=1))
        assert sorted(seen) == ["hourly", *["twice"] * 5]
        database = cluster.database
    async with again(config(handlers=(NoLonger,)), database) as cluster:
        found = (await cluster.scheduler.find_schedules_async()).items
        assert {s.definition_id for s in found} == {"twice"}


async def test_ids_of_others_are_not_taken_over() -> None:
    async with MemoryCluster(config(Other()), NEW_YEAR) as cluster:
        with pytest.raises(ConfigurationError, match="declared in code by profile 'other'"):
            await cluster.scheduler.recurring_async(Clean, "@daily", id="others")
        await cluster.scheduler.recurring_async(Clean, "@daily", id="mine")
        database = cluster.database
    with pytest.raises(ConfigurationError, match="exists already, made by a call of recurring"):
        await again(config(Maintenance((Clean, "@daily", {"id": "mine"}))), database).__aenter__()
    with pytest.raises(ConfigurationError, match="declared in code by profile 'other'"):
        await again(config(Maintenance((Clean, "@daily", {"id": "others"}))), database).__aenter__()


class Renamed(Maintenance, profile_id="renamed"):
    pass


async def test_a_schedule_moves_from_one_profile_to_another() -> None:
    entry = (Clean, "@daily", {"id": "x"})
    for before, after in (
        ((Maintenance(entry), Renamed()), (Maintenance(), Renamed(entry))),
        ((Renamed(), Maintenance(entry)), (Renamed(entry), Maintenance())),
    ):
        async with MemoryCluster(config(*before), NEW_YEAR) as cluster:
            database = cluster.database
        async with again(config(*after), database) as cluster:
            shown = await cluster.scheduler.get_schedule_async("x")
            assert shown.profile_id == "renamed"


async def test_a_renamed_profile_is_retired_by_an_empty_one() -> None:
    entry = (Clean, "@daily", {"id": "x"})
    async with MemoryCluster(config(Maintenance(entry)), NEW_YEAR) as cluster:
        database = cluster.database
    with pytest.raises(ConfigurationError, match="no profile 'maint' any more, retire it: declare it once"):
        await again(config(Renamed(entry)), database).__aenter__()
    async with again(config(Renamed(entry), Maintenance()), database) as cluster:
        assert (await cluster.scheduler.get_schedule_async("x")).profile_id == "renamed"
    async with again(config(Renamed(entry)), database) as cluster:
        assert await cluster.scheduler.cancel_recurring_async("x")


async def test_the_schedules_of_a_handler_that_is_no_more_are_retired_by_an_empty_profile() -> None:
    class Gone(StaticSchedules, profile_id="handler:hourly"):
        def configure(self, schedules: ScheduleCollection) -> None:
            """Nothing any more."""

    class Taken(Maintenance, profile_id="handler:other"):
        pass

    async with MemoryCluster(config(handlers=(Hourly, Clean)), NEW_YEAR) as cluster:
        assert len(await ids(cluster)) == 1
        database = cluster.database
    async with again(config(), database) as cluster:
        assert len(await ids(cluster)) == 1
    async with again(config(Gone()), database) as cluster:
        assert not await ids(cluster)
    for wrong in (config(Gone(), handlers=(Hourly,)), config(Taken((Clean, "@daily", {})))):
        with pytest.raises(
            ConfigurationError, match="begins with 'handler:' is that of a handler's schedule="
        ):
            MemoryCluster(wrong)


def test_whatever_a_profile_raises_is_told_by_build() -> None:
    class Bad(StaticSchedules, profile_id="bad"):
        def configure(self, schedules: ScheduleCollection) -> None:
            raise RuntimeError("boom")

    class Numbered(StaticSchedules, profile_id=5):  # type: ignore[arg-type]
        def configure(self, schedules: ScheduleCollection) -> None:
            raise AssertionError("never asked")

    class Broken:
        kind, time_zone, warnings = "interval", None, ()

        @property
        def expression(self) -> str:
            raise KeyError("lost")

        def next_after(self, instant: datetime) -> None:
            raise AssertionError("never asked")

        describe = explain = next_after

    faulty = config(
        Bad(),
        Numbered(),
        Maintenance(
            (Clean, "@daily", {"id": "zone", "time_zone": 5}),
            (Clean, "@daily", {"id": "dates", "excluded_dates": 5}),
            (Clean, Broken(), {"id": "broken"}),
        ),
    )
    with pytest.raises(ConfigurationError) as told:
        MemoryCluster(faulty)
    text = str(told.value)
    for part in (
        "Bad: configure() raised RuntimeError: boom",
        "Numbered: profile_id",
        "Maintenance: schedule 'zone': time_zone is the name of a zone",
        "Maintenance: schedule 'dates': excluded_dates is a collection of dates, not 5",
        "Maintenance: schedule 'broken': ",
    ):
        assert part in text, (part, text)


def test_build_tells_all_faults_of_static_schedules_at_once() -> None:
    class Nameless(StaticSchedules):
        def configure(self, schedules: ScheduleCollection) -> None:
            raise AssertionError("never asked")

    class Wrong(JobHandler, definition_id="wrong", schedule="every 5 minuts"):
        async def handle(self, job: JobContext) -> None:
            raise AssertionError("never run")

    faulty = config(
        Maintenance(
            (Clean, "0 0 31 2 *", {"id": "never"}),
            (Clean, "@daily", {"overlap": "maybe"}),
            (Hourly, "@daily", {}),
            (Clean, "@daily", {"id": "others"}),
        ),
        Other(),
        Other(),
        Nameless(),
        handlers=(Clean, Wrong),
    ).add_static_schedules(42)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError) as told:
        MemoryCluster(faulty)
    text = str(told.value)
    for part in (
        "Maintenance: schedule 'never': 0 0 31 2 *",
        "this never fires",
        "Maintenance: schedule 2: overlap must be one of 'skip', 'buffer_one'",
        "Hourly is not registered with this cluster",
        "two static schedules have the id 'others'",
        "two static schedules have the profile_id 'other'",
        "Nameless has no profile_id",
        "handler wrong: schedule 1: every 5 minuts",
        'did you mean "minutes"?',
        "add_static_schedules takes StaticSchedules objects, not 42",
    ):
        assert part in text, part
