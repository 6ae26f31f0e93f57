"""Looking at jobs and deleting old ones reads what is shown or deleted, however many there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jobmaster.agents.same_database import SameDatabaseSettlement
from jobmaster.domain.ids import uuid7
from jobmaster.domain.job import JobFilter
from jobmaster.domain.status import JobStatus
from jobmaster.sql import Database
from jobmaster.sql.finding import find_jobs
from jobmaster.sql.gateway import Tx
from tests.sql.test_plans import LATER, SIZES, Explained, fill, nodes

PAGE = 50
FAILED = JobFilter(status=frozenset({JobStatus.FAILED}))
OF_SCHEDULE = JobFilter(status=frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED}), schedule_id="nightly")
PLANS = {
    "find": lambda database: find_jobs(database, JobFilter(), PAGE, None),
    "next page": lambda database: find_jobs(database, JobFilter(), PAGE, uuid7()),
    "failed": lambda database: find_jobs(database, FAILED, PAGE, None),
    "of a schedule": lambda database: find_jobs(database, OF_SCHEDULE, PAGE, None),
    "expired": lambda database: SameDatabaseSettlement(database).clean(LATER, 1000),
    "dropped": lambda database: database.gateway.transaction("drop", _drop("history")),
    "attempts dropped": lambda database: database.gateway.transaction("drop", _drop("attempt")),
}
"""What is explained: ways to call the library."""


def _drop(table: str) -> Callable[[Tx], int]:
    return lambda tx: tx.run(f"{table}_drop", ids=[uuid7() for _ in range(200)])


def explained(database: Database, prefix: str, what: str) -> list[Any]:
    """The plans of the statements that the library sends, none of which is really run."""
    plans: list[Any] = []

    def instead_of(kept: Callable[..., Any]) -> Callable[..., Any]:
        def call(name: str, work: Callable[[Tx], Any], **options: Any) -> Any:
            def explain(tx: Tx) -> Any:
                if isinstance(tx, Explained):  # one way leads through the other
                    return work(tx)
                explaining = Explained(tx, prefix)
                result = work(explaining)
                plans.extend(explaining.cursor.plans)
                return result

            return kept(name, explain, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for way in ("read", "transaction"):
            patch.setattr(database.gateway, way, instead_of(getattr(database.gateway, way)))
        PLANS[what](database)
    assert plans
    return plans


@pytest.mark.postgres
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.timeout(600)
def test_postgres(postgres_url: str, make_database: Any, size: int) -> None:
    database = make_database(postgres_url)
    database.open()
    for _ in range(2):
        ways = {what: _postgres_ways(database, what) for what in PLANS}
        assert ways["expired"] == [("jm_history", "jm_history_finished")]
        assert ways["dropped"] == [("jm_history", "jm_history_pkey")]
        assert ways["attempts dropped"] == [("jm_attempt", "jm_attempt_pkey")]
        assert (
            ways["next page"]
            == ways["find"]
            == [("jm_job", "jm_job_pkey"), ("jm_history", "jm_history_pkey")]
        )
        assert ways["failed"] == [("jm_history", "jm_history_unsuccessful")]
        assert ways["of a schedule"] == [("jm_history", "jm_history_schedule")]
        fill(database, "job", size, 86_400)
        fill(database, "history", size, -3600)
        # statistics that come late must not lead elsewhere either
        database.gateway.read("analyze", _analyze, timeout=300)


def _analyze(tx: Tx) -> None:
    tx.cursor.execute("ANALYZE jm_job, jm_history")


def _postgres_ways(database: Database, what: str) -> list[tuple[str, str | None]]:
    """Which index leads to which of the two tables that grow; nothing may be sorted."""
    found = []
    for plan in explained(database, "EXPLAIN (FORMAT JSON) ", what):
        steps = nodes(plan[0][0][0]["Plan"])
        assert not [step for step in steps if "Sort" in step["Node Type"]], (what, steps)
        for step in steps:
            if step["Node Type"] == "Seq Scan":
                assert step["Relation Name"] in ("jm_bucket", "jm_agent"), (what, step)
            if (
                step.get("Relation Name") in ("jm_job", "jm_history", "jm_attempt")
                and "Scan" in step["Node Type"]
            ):
                found.append((step["Relation Name"], step.get("Index Name")))
    return found


@pytest.mark.sqlite
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.timeout(600)
def test_sqlite(sqlite_url: str, make_database: Any, size: int) -> None:
    database = make_database(sqlite_url)
    database.open()
    for _ in range(2):
        for what, index in {
            "expired": "jm_history_finished",
            "failed": "jm_history_unsuccessful",
            "of a schedule": "jm_history_schedule",
        }.items():
            steps = _sqlite_steps(database, what)
            assert any(f"INDEX {index}" in step for step in steps), (what, steps)
        for what in PLANS:
            steps = _sqlite_steps(database, what)
            assert not [step for step in steps if "TEMP B-TREE" in step], (what, steps)
        for what in ("dropped", "attempts dropped"):
            assert not [step for step in _sqlite_steps(database, what) if step.startswith("SCAN")]
        fill(database, "job", size, 86_400)
        fill(database, "history", size, -3600)


def _sqlite_steps(database: Database, what: str) -> list[str]:
    return [row[3] for plan in explained(database, "EXPLAIN QUERY PLAN ", what) for row in plan]


@pytest.mark.mariadb
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.timeout(600)
def test_mysql(mariadb_url: str, make_database: Any, size: int) -> None:
    database = make_database(mariadb_url)
    database.open()
    fill(database, "job", size, 86_400)
    fill(database, "history", size, -3600)
    for what, index in {
        "find": "PRIMARY",
        "next page": "PRIMARY",
        "failed": "jm_history_unsuccessful",
        "of a schedule": "jm_history_schedule",
        "expired": "jm_history_finished",
        "dropped": "PRIMARY",
    }.items():
        seen = set()
        for row in [row for plan in explained(database, "EXPLAIN ", what) for row in plan]:
            # id, kind, table, type, possible keys, key, length, ref, rows, extra
            table, key, extra = row[2], row[5], str(row[9] or "")
            assert "filesort" not in extra, (what, row)
            assert "temporary" not in extra, (what, row)
            if table in ("j", "t", "jm_history", "jm_job", "jm_attempt"):
                assert row[3] != "ALL", (what, row)
                seen.add(key)
        assert seen == {index}, (what, seen)
