"""Many schedules: looks that do not depend on their number, and a thousand due in every second."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from jobmaster import Cluster, ClusterConfig
from jobmaster.sql.schedulerows import row_values
from tests.databases import execute, use
from tests.schedules.beats import Beat

PERIOD = 100


@pytest.fixture
def cluster(postgres_url: str) -> Iterator[Cluster]:
    """A cluster with a coordinator and nobody who runs jobs."""
    config = use(ClusterConfig("scale").add_handlers(Beat), postgres_url)
    built = config.add_worker(mode="coordinator").build()
    yield built
    built.close()


def fill(cluster: Cluster, url: str, count: int, begin: datetime) -> None:
    """So many schedules of 100 s each, evenly spread over the 100 s from ``begin`` on."""
    cluster.scheduler.recurring(Beat, timedelta(seconds=PERIOD), id="template")
    template = cluster._backend.schedules.get("template")
    assert template is not None
    cluster.scheduler.cancel_recurring("template")
    values = row_values(template)
    names = ", ".join(values)
    with psycopg.connect(url, autocommit=True) as connection:
        with connection.cursor().copy(f"COPY jm_schedule ({names}) FROM STDIN") as copy:
            for number in range(count):
                first = begin + timedelta(seconds=number % PERIOD)
                before = first - timedelta(seconds=PERIOD)
                own: dict[str, Any] = {"schedule_id": f"s{number}", "next_run_at": first, "due_at": first}
                copy.write_row({**values, **own, "anchor": before, "cursor_at": before}.values())
        connection.execute("VACUUM ANALYZE jm_schedule")


@pytest.mark.postgres
def test_looking_and_claiming_read_an_index_and_no_more(cluster: Cluster, postgres_url: str) -> None:
    fill(cluster, postgres_url, 20_000, datetime.now(UTC) + timedelta(hours=1))
    texts = cluster._backend.master._gateway.texts  # type: ignore[attr-defined]
    with psycopg.connect(postgres_url) as connection:
        for name, values in (("schedule_look", {}), ("schedule_due", {"limit": 1000})):
            explain = "EXPLAIN (ANALYZE, BUFFERS) " + texts[name].sql
            plan = "\n".join(row[0] for row in connection.execute(explain, values))
            assert "jm_schedule_due" in plan, plan
            assert "Seq Scan" not in plan, plan
            assert "Rows Removed" not in plan, plan


@pytest.mark.sqlite
def test_the_live_runs_of_a_batch_are_read_from_their_index(sqlite_url: str) -> None:
    """Which holds the jobs of schedules and no others."""
    cluster = use(ClusterConfig("scale").add_handlers(Beat), sqlite_url).build()
    try:
        cluster.scheduler.recurring(Beat, "@hourly")
        text = cluster._backend.master._gateway.texts["schedule_runs"].sql  # type: ignore[attr-defined]
        asked = text.replace(":far", "0").replace(":schedules", "'a'")
        plan = execute(sqlite_url, f"EXPLAIN QUERY PLAN {asked}")
        assert "jm_job_schedule" in plan[0][3]
    finally:
        cluster.close()


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("schedules", "seconds", "latest"),
    [
        (2_000, 4, 2.0),
        pytest.param(100_000, 60, 2.0, marks=[pytest.mark.long, pytest.mark.timeout(300)]),
    ],
)
def test_a_thousand_due_in_a_second_are_planned_in_time(
    cluster: Cluster, postgres_url: str, schedules: int, seconds: int, latest: float
) -> None:
    """By one coordinator; none twice, none left out."""
    begin = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=5 + schedules // 4_000)
    fill(cluster, postgres_url, schedules, begin)
    with cluster:
        time.sleep(max(0.0, (begin - datetime.now(UTC)).total_seconds()) + seconds - 0.5 + latest)
    query = (
        "SELECT count(*), count(DISTINCT schedule_id), max(extract(epoch FROM enqueued_at - occurrence_at)) "
        f"FROM jm_job WHERE occurrence_at < '{begin + timedelta(seconds=seconds)}'"
    )
    ((jobs, distinct, longest),) = execute(postgres_url, query)
    assert jobs == distinct == seconds * schedules // PERIOD
    print(f"{jobs} occurrences, the latest {longest:.3f} s after its instant")
    assert longest <= latest
