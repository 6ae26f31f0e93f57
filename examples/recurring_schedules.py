"""Schedules that the code declares, and schedules that are made while it runs.

    python examples/recurring_schedules.py
"""

import asyncio
from collections import Counter
from datetime import timedelta

from jobmaster import (
    ClusterConfig,
    JobContext,
    JobHandler,
    ScheduleCollection,
    StaticSchedules,
    every,
)

runs: Counter[str] = Counter()


class Heartbeat(JobHandler, definition_id="heartbeat", schedule=timedelta(seconds=1)):
    """Its schedule stands with the handler."""

    async def handle(self, job: JobContext) -> None:
        runs["heartbeat"] += 1


class Report(JobHandler, definition_id="report"):
    async def handle(self, job: JobContext) -> None:
        runs[job.data.get_str("customer")] += 1


class Reports(StaticSchedules, profile_id="reports"):
    """Created, updated and retired with this code."""

    def configure(self, schedules: ScheduleCollection) -> None:
        schedules.add(Report, "every weekday at 18:00", {"customer": "all"}, time_zone="Europe/Paris")


cluster = (
    ClusterConfig("schedules")
    .use_sqlite("recurring_schedules.db")
    .add_handlers(Heartbeat, Report)
    .add_static_schedules(Reports())
    .add_worker()
    .build()
)


async def main() -> None:
    scheduler = cluster.scheduler
    async with cluster:
        # the same id again, at the next start for instance, changes nothing
        made = await scheduler.recurring_async(
            Report, every(1).second(), {"customer": "acme"}, id="report-acme", overlap="allow"
        )
        print(f"acme: {made.expression}, {made.status.value}")
        (declared,) = await scheduler.find_schedules_async(profile_id="reports")
        print(f"declared: {declared.expression}")
        while runs["acme"] < 3 or runs["heartbeat"] < 3:
            await asyncio.sleep(0.05)
        print("both have run three times")

        await scheduler.pause_recurring_async("report-acme")
        job = await scheduler.run_now_async("report-acme")
        done = await scheduler.wait_async(job.id, timeout=10)
        print(f"paused, and run once by hand: {done.status.value}")
        await scheduler.cancel_recurring_async("report-acme")
        left = [schedule.definition_id for schedule in await scheduler.find_schedules_async()]
        print(f"cancelled; left are {sorted(left)}")


if __name__ == "__main__":
    asyncio.run(main())
