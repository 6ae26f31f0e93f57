"""Clocks that are wrong: of workers' hosts, and of agents' servers."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from jobmaster import JobRequest, JobStatus
from tests.cluster.conftest import MakeUrl, Site
from tests.cluster.handlers import COUNT, Counted
from tests.harness.checker import observer_of, until_all_ended, verify
from tests.harness.processes import Workers

_PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.postgres
@pytest.mark.parametrize("hours", [-1, 1])
def test_workers_whose_clock_is_an_hour_off_behave_like_any_other(
    make_url: MakeUrl, tmp_path: Path, hours: int
) -> None:
    site = Site(make_url("postgres"), {"north": make_url("postgres"), "south": make_url("postgres")})
    jobs = 200
    with (
        observer_of(site.master, site.agents, 10) as observer,
        Workers(site.master, tmp_path, site.agents, lease=2, threshold=10, clock_off=3600 * hours) as workers,
    ):
        workers.start(2, ["north::full", "south::full"])
        began = time.monotonic()
        # some due now, some soon, some held for a while; one worker dies and is rescued
        requests = [
            JobRequest("numbered", {"number": n}, delay=timedelta(seconds=(n % 12) if n % 2 else 0))
            for n in range(jobs)
        ]
        observer.scheduler.once_many(requests, returning="ids")
        time.sleep(2)
        workers.all[0].kill()
        until_all_ended(observer, jobs, 40)
        assert time.monotonic() - began >= 11
        marks = verify(observer, workers.record, jobs)
        for job in observer.scheduler.find_jobs(limit=jobs):
            late = (job.started_at - job.scheduled_at).total_seconds()
            assert -0.1 <= late < 8, f"{job.id} started {late} s after it was due"
            assert abs((job.finished_at - datetime.now(UTC)).total_seconds()) < 120
        assert len(marks) == jobs


def skewed(url: str, seconds: int) -> str:
    """The database, from now on with a server clock that is so many seconds ahead."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA skewed")
        for name in ("statement_timestamp", "now", "clock_timestamp"):
            connection.execute(
                f"CREATE FUNCTION skewed.{name}() RETURNS timestamptz STABLE LANGUAGE sql AS "
                f"$$ SELECT pg_catalog.{name}() + interval '{seconds} seconds' $$"
            )
        name = urlsplit(url).path.lstrip("/")
        connection.execute(f"ALTER DATABASE {name} SET search_path = public, skewed, pg_catalog")
    return url


@pytest.mark.postgres
async def test_agents_whose_clocks_differ_by_minutes_hand_jobs_over_at_the_right_time(
    make_url: MakeUrl, caplog: pytest.LogCaptureFixture
) -> None:
    COUNT.reset()
    site = Site(
        make_url("postgres"),
        {"ahead": skewed(make_url("postgres"), 300), "behind": skewed(make_url("postgres"), -240)},
    )
    config = site.config().add_handlers(Counted).transient_threshold(60)
    config.add_worker("ahead").add_worker("behind")
    async with config.build() as cluster:
        s = cluster.scheduler
        told = [record.getMessage() for record in caplog.records]
        ahead = [float(text.split()[6]) for text in told if text.startswith("the clock of this agent")]
        assert [round(seconds, -1) for seconds in sorted(ahead)] == [-240, 300]
        now = await asyncio.to_thread(_now, site.master)
        direct = [
            await s.once_at_async(Counted, now + timedelta(seconds=3), {"n": n}, agent_connection=name)
            for n, name in enumerate(site.agents)
        ]
        delayed = [
            await s.once_after_async(Counted, 3, {"n": 2 + n}, agent_connection=name)
            for n, name in enumerate(site.agents)
        ]
        keyed = [
            await s.once_at_async(
                Counted, now + timedelta(seconds=3), {"n": 4 + n}, unique_key=name, agent_connection=name
            )
            for n, name in enumerate(site.agents)
        ]
        assert [job.scheduled_at for job in direct] == [now + timedelta(seconds=3)] * 2
        shown = await s.get_job_async(direct[0].id)
        assert shown.scheduled_at == direct[0].scheduled_at
        # one is moved from the agent that is ahead to the one that is behind
        handed = await s.once_at_async(
            Counted, now + timedelta(seconds=6), {"n": 6}, agent_connection="ahead"
        )
        assert (await cluster.drain_async("ahead")).empty
        for job in (*direct, *delayed, *keyed, handed):
            done = await s.wait_async(job.id, 20)
            assert done.status is JobStatus.SUCCEEDED
            late = (done.started_at - job.scheduled_at).total_seconds()
            assert -0.2 <= late < 2.5, f"{done} started {late} s after it was due"
            assert abs((done.scheduled_at - job.scheduled_at).total_seconds()) < 0.2
        assert (await s.get_job_async(handed.id)).agent_connection == "behind"
        assert set(COUNT.runs.values()) == {1}


def _now(url: str) -> datetime:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT now()").fetchone()
        assert row is not None
        found: datetime = row[0]
        return found.astimezone(UTC)


def test_the_harness_shifts_the_clock_of_its_workers() -> None:
    """Without it the tests above would show nothing."""
    program = (
        "from tests.harness.clockshift import shift; shift(3600.0);"
        "import json, time; from datetime import datetime, UTC;"
        "print(json.dumps([time.time(), time.time_ns() / 1e9, datetime.now(UTC).timestamp()]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=_PROJECT, capture_output=True, text=True, check=True
    )
    for told in json.loads(done.stdout):
        assert abs(told - time.time() - 3600) < 30
