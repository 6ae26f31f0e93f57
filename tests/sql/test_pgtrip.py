"""Transactions that go to PostgreSQL in one trip: never half done, and the connection serves the next."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from jobmaster import JobStatus
from jobmaster.errors import TransientStoreError
from jobmaster.sql import Database, pgsettle
from jobmaster.sql.gateway import ContentRefused
from jobmaster.testing.conformance.stores import new_job
from tests.sql.conftest import stores_of

JOBS = 20


@pytest.fixture
def database(postgres_url: str, make_database: Any) -> Database:
    database: Database = make_database(postgres_url, operation_timeout=5, pool_size=1)
    database.open()
    return database


def execute(database: Database, *statements: str) -> None:
    """On the only connection of its pool, outside a transaction."""

    def work(tx: Any) -> None:
        for statement in statements:
            tx.cursor.execute(statement)

    database.gateway.read("test", work)


def named(database: Database) -> set[str]:
    """What is prepared on that connection."""
    found: list[Any] = database.gateway.read(
        "test", lambda tx: tx.cursor.execute("SELECT name FROM pg_prepared_statements").fetchall()
    )
    return {name for (name,) in found if name.startswith("jobmaster_")}


def test_a_settle_takes_one_trip_and_prepares_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = stores_of(database)
    stores.enqueue(JOBS)
    holder = stores.holder()
    first, *others = holder.claim(JOBS // 2)
    holder.settle(holder.succeeded(first), claim=holder.request(1))
    assert {name.rsplit("_", 1)[0] for name in named(database)} == {
        "jobmaster_succeed",
        "jobmaster_claim",
        "jobmaster_now",
    }
    waits: list[str] = []
    wait = psycopg.Connection.wait

    def counted(connection: Any, *args: Any, **kwargs: Any) -> Any:
        waits.append("wait")
        return wait(connection, *args, **kwargs)

    monkeypatch.setattr(psycopg.Connection, "wait", counted)
    before = named(database)
    changes = [holder.succeeded(job) for job in others]
    waits.clear()
    settled = holder.settle(*changes, claim=holder.request(JOBS))
    assert len(waits) == 1
    assert not settled.refused
    assert len(settled.claimed) == JOBS // 2 - 1
    assert named(database) == before


def test_what_was_prepared_may_go_away(database: Database) -> None:
    stores = stores_of(database)
    stores.enqueue(JOBS)
    holder = stores.holder()
    first, second = holder.claim(2)
    holder.settle(holder.succeeded(first))
    execute(database, "DEALLOCATE ALL")
    settled = holder.settle(holder.succeeded(second), claim=holder.request(JOBS))
    assert not settled.refused
    assert len(settled.claimed) == JOBS - 2


def test_an_error_in_it_leaves_nothing_behind(database: Database) -> None:
    """NUL in a result is refused by the server: the settle is done again, change by change."""
    stores = stores_of(database)
    ids = stores.enqueue(3)
    holder = stores.holder()
    good, bad = holder.claim(2)
    changes = [holder.succeeded(good), holder.succeeded(bad, '"\x00"')]
    with pytest.raises(ContentRefused):
        database.gateway.transaction(
            "settle",
            pgsettle.in_one_trip(changes, holder.request(JOBS)).run,
            whole=True,
        )
    assert [stores.job(job_id).finished_at for job_id in ids] == [None] * 3
    settled = holder.settle(*changes, claim=holder.request(JOBS))
    assert set(settled.poisoned) == {bad.id}
    assert stores.job(good.id).finished_at is not None
    assert len(settled.claimed) == 1


def test_a_lock_that_is_not_had_in_time_is_no_ambiguity(database: Database, postgres_url: str) -> None:
    stores = stores_of(database)
    stores.enqueue(1)
    holder = stores.holder()
    (job,) = holder.claim()
    table = database.gateway.names.table("job")
    execute(database, "SET lock_timeout = 50")
    with psycopg.connect(postgres_url) as other:
        other.execute(f"SELECT 1 FROM {table} FOR UPDATE")
        with pytest.raises(TransientStoreError) as caught:
            database.gateway.transaction(
                "settle",
                pgsettle.in_one_trip([holder.succeeded(job)], None).run,
                timeout=0.3,
                whole=True,
            )
    assert not caught.value.ambiguous
    assert not holder.settle(holder.succeeded(job)).refused


def terminate_when_it_waits(postgres_url: str, pid: int) -> None:
    """End a session as soon as it waits for a lock."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        waits = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
        while connection.execute(waits, (pid,)).fetchone() is None:
            connection.execute("SELECT pg_sleep(0.01)")
        connection.execute("SELECT pg_terminate_backend(%s)", (pid,))


def test_a_server_that_goes_away_in_the_middle_of_it_leaves_a_doubt(
    database: Database, postgres_url: str
) -> None:
    stores = stores_of(database)
    stores.enqueue(1)
    holder = stores.holder()
    (job,) = holder.claim()
    table = database.gateway.names.table("job")
    (pid,) = database.gateway.read("test", lambda tx: tx.cursor.execute("SELECT pg_backend_pid()").fetchone())
    with psycopg.connect(postgres_url) as other:
        other.execute(f"SELECT 1 FROM {table} FOR UPDATE")
        terminator = threading.Thread(target=terminate_when_it_waits, args=(postgres_url, pid))
        terminator.start()
        with pytest.raises(TransientStoreError) as caught:
            holder.settle(holder.succeeded(job))
        terminator.join()
    assert caught.value.ambiguous
    assert not holder.settle(holder.succeeded(job)).refused


def test_more_than_any_buffer_takes(database: Database) -> None:
    """Neither side waits for the other to read while both write."""
    stores = stores_of(database)
    size = 300_000
    text = '"' + "x" * size + '"'
    stores.transport.enqueue([new_job(data=text) for _ in range(2 * JOBS)])
    holder = stores.holder()
    claimed = holder.claim(JOBS)
    settled = holder.settle(*(holder.succeeded(job, text) for job in claimed), claim=holder.request(JOBS))
    assert not settled.refused
    assert [len(job.data) for job in settled.claimed] == [size + 2] * JOBS
    assert stores.job(claimed[0].id).finished_at - claimed[0].run_at < timedelta(minutes=1)


def test_a_claim_that_rides_along_brings_nothing_that_has_ended(database: Database) -> None:
    """A job that was enqueued again after an ambiguous answer, when it had run already."""
    stores = stores_of(database)
    twice, other = new_job(), new_job()
    stores.transport.enqueue([twice, other])
    holder = stores.holder()
    first, second = holder.claim()
    assert not holder.settle(holder.succeeded(first)).refused
    stores.transport.enqueue([twice._replace(recheck=True)])
    settled = holder.settle(holder.succeeded(second), claim=holder.request())
    assert (settled.refused, settled.claimed) == (frozenset(), [])
    assert holder.claim() == []
    assert stores.job(twice.id).status is JobStatus.SUCCEEDED
