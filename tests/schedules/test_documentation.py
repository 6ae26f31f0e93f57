"""What the page on schedules shows is true."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from jobmaster import ClusterConfig, JobContext, JobHandler
from jobmaster.testing import MemoryCluster

PAGE = Path(__file__).resolve().parents[2] / "docs" / "schedules.md"


class Report(JobHandler, definition_id="report"):
    async def handle(self, job: JobContext) -> None:
        assert job.schedule_id is not None


def test_the_year_of_reports_is_counted_as_shown() -> None:
    block = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[-1]
    config = ClusterConfig("page").use_standalone().add_handlers(Report).add_worker()
    names: dict[str, Any] = {"config": config, "Report": Report}
    exec(compile(block, str(PAGE), "exec"), names)
    asyncio.run(names["test_the_report_is_made_on_weekdays"]())


async def count_backfilled(expression: str, now: datetime) -> int:
    config = ClusterConfig("page").use_standalone().add_handlers(Report).add_worker()
    async with MemoryCluster(config, now) as cluster:
        s = cluster.scheduler
        await s.recurring_async(Report, expression, id="report", overlap="allow")
        return len(await s.backfill_async("report", now - timedelta(hours=1), now))


def test_a_backfill_before_the_anchor_needs_another_anchor() -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    assert asyncio.run(count_backfilled("every 5 minutes", now)) == 0
    assert asyncio.run(count_backfilled("every 5 minutes starting 2026-01-01", now)) == 12
    assert asyncio.run(count_backfilled("*/5 * * * *", now)) == 12
