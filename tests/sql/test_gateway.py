"""Transactions under faults: tried again, given up, or said to be ambiguous; never half done."""

from __future__ import annotations

import os
import sqlite3
import time
import warnings
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pymysql
import pytest

from jobmaster.errors import StoreError, TransientStoreError
from jobmaster.sql import Database, sqlite
from jobmaster.testing.conformance import Stores
from jobmaster.testing.conformance.stores import new_job
from tests.sql.conftest import stores_of


class Boom(Exception):
    """An error of nobody's."""


class Hook:
    """Counts the points it passes, and raises at one of them while it is told to."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.fail: dict[str, Callable[[], BaseException]] = {}
        self.times = 10**9

    def reach(self, name: str) -> None:
        self.seen[name] += 1
        if name in self.fail and self.times > 0:
            self.times -= 1
            raise self.fail[name]()


@pytest.fixture
def hook() -> Hook:
    return Hook()


@pytest.fixture
def hooked(database_url: str, make_database: Any, hook: Hook) -> Database:
    database: Database = make_database(database_url, faults=hook, operation_timeout=5)
    database.open()
    return database


def lost(database: Database) -> BaseException:
    """What the driver raises when the outcome of a COMMIT cannot be known."""
    if database.dialect.name == "sqlite":
        return sqlite3.OperationalError("disk I/O error")
    if database.dialect.name == "mysql":
        return pymysql.err.InterfaceError(0, "")
    if database.dialect.name == "mssql":
        import pyodbc

        return pyodbc.OperationalError("08S01", "[08S01] Communication link failure (0) (SQLExecDirectW)")
    import psycopg

    return psycopg.OperationalError("server closed the connection unexpectedly")


def test_a_passing_fault_is_tried_again(hooked: Database, hook: Hook) -> None:
    stores = stores_of(hooked)
    hook.fail["enqueue.before_commit"] = lambda: TransientStoreError("deadlock")
    hook.times = 2
    (job_id,) = stores.enqueue()
    assert hook.seen["enqueue.before_commit"] == 3
    assert stores.job(job_id).id == job_id
    assert len(stores.holder().claim()) == 1


def test_trying_ends_with_the_operation_timeout(database_url: str, make_database: Any, hook: Hook) -> None:
    database = make_database(database_url, faults=hook, operation_timeout=0.3)
    stores = stores_of(database)
    stores.open()
    hook.fail["enqueue.before_commit"] = lambda: TransientStoreError("deadlock")
    with pytest.raises(TransientStoreError) as caught:
        stores.enqueue()
    assert not caught.value.ambiguous
    assert hook.seen["enqueue.before_commit"] > 1
    hook.fail.clear()
    assert stores.holder().claim() == []


def test_an_unknown_outcome_is_said_and_not_tried_again(hooked: Database, hook: Hook) -> None:
    stores = stores_of(hooked)
    hook.fail["enqueue.after_commit"] = lambda: lost(hooked)
    job = new_job()
    with pytest.raises(TransientStoreError) as caught:
        stores.transport.enqueue([job])
    assert caught.value.ambiguous
    assert hook.seen["enqueue.after_commit"] == 1
    hook.fail.clear()
    assert stores.job(job.id).id == job.id


def test_a_connection_lost_before_the_commit_is_not_ambiguous(hooked: Database, hook: Hook) -> None:
    stores = stores_of(hooked)
    hook.fail["enqueue.before_commit"] = lambda: lost(hooked)
    hook.times = 1
    stores.enqueue()
    assert hook.seen["enqueue.before_commit"] == 2
    assert len(stores.holder().claim()) == 1


@pytest.mark.parametrize("point", ["writes.between", "settle.written", "settle.before_commit"])
def test_a_settle_that_dies_leaves_everything_as_it_was(hooked: Database, hook: Hook, point: str) -> None:
    stores = stores_of(hooked)
    ids = stores.enqueue(4)
    holder = stores.holder()
    claimed = holder.claim(3)
    changes = [
        holder.succeeded(claimed[0]),
        holder.failed(claimed[1]),
        holder.failed(claimed[2], timedelta(hours=1)),
    ]
    before = [stores.job(job_id) for job_id in ids]
    hook.fail[point] = Boom
    with pytest.raises(Boom):
        holder.settle(*changes, claim=holder.request())
    assert [stores.job(job_id) for job_id in ids] == before
    assert all(stores.master.attempts(job_id) == [] for job_id in ids)
    hook.fail.clear()
    settled = holder.settle(*changes, claim=holder.request())
    assert not settled.refused
    assert [job.id for job in settled.claimed] == ids[3:]


def test_what_waits_for_the_commit_does_not_follow_a_rollback(hooked: Database, hook: Hook) -> None:
    done: list[str] = []

    def work(tx: Any) -> None:
        tx.after_commit(lambda: done.append("rung"))

    hook.fail["x.before_commit"] = Boom
    with pytest.raises(Boom):
        hooked.gateway.transaction("x", work)
    assert done == []
    hook.fail.clear()
    hooked.gateway.transaction("x", work)
    assert done == ["rung"]


def test_the_child_of_a_fork_has_connections_of_its_own(database: Database, stores: Stores) -> None:
    stores.enqueue()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # no other thread is at work here
        child = os.fork()
    if child == 0:
        try:
            stores.enqueue(2)
            database.close()
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    stores.enqueue()
    assert len(stores.holder().claim()) == 4


@pytest.mark.postgres
def test_cut_connections_are_replaced(postgres_url: str, make_database: Any) -> None:
    import psycopg

    stores = stores_of(make_database(postgres_url))
    stores.open()
    holder = stores.holder()
    for _ in range(3):
        stores.enqueue()
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert len(holder.claim()) == 1


@pytest.mark.postgres
def test_a_busy_pool_says_so(postgres_url: str, make_database: Any) -> None:
    database = make_database(postgres_url, pool_size=1, operation_timeout=0.3)
    database.open()

    def work(_tx: Any) -> None:
        with pytest.raises(TransientStoreError, match="all 1 connections stayed busy; raise pool_size"):
            database.gateway.read("inner", lambda tx: tx.now())

    database.gateway.transaction("outer", work)


@pytest.mark.postgres
def test_a_lock_that_is_not_given_is_a_passing_fault(postgres_url: str, make_database: Any) -> None:
    import psycopg

    database = make_database(postgres_url, operation_timeout=1)
    stores = stores_of(database)
    stores.open()
    (job_id,) = stores.enqueue()
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT 1 FROM jm_job FOR UPDATE")
        assert stores.holder().claim() == []
        with pytest.raises(TransientStoreError, match="lock timeout"):
            stores.settlement.cancel(job_id, "")
    assert stores.settlement.cancel(job_id, "").value == "cancelled"


@pytest.mark.sqlite
def test_a_file_that_another_holds_is_a_passing_fault(sqlite_url: str, make_database: Any) -> None:
    database = make_database(sqlite_url, operation_timeout=0.3)
    stores = stores_of(database)
    stores.open()
    other = sqlite3.connect(database.dialect.url.path, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TransientStoreError, match="database is locked") as caught:
            stores.enqueue()
        assert not caught.value.ambiguous
        assert stores.master.depths() == []
    finally:
        other.close()
    stores.enqueue()
    assert len(stores.holder().claim()) == 1


@pytest.mark.sqlite
def test_who_waits_long_for_a_file_looks_as_often_as_the_others(
    sqlite_url: str, make_database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a few busy processes keep another from its heartbeats for seconds."""
    database = make_database(sqlite_url)
    stores = stores_of(database)
    stores.open()
    other = sqlite3.connect(database.dialect.url.path, isolation_level=None)
    now = 0.0
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        nonlocal now
        pauses.append(seconds)
        now += seconds
        if now > 3.0 and other.in_transaction:
            other.execute("COMMIT")

    monkeypatch.setattr(
        sqlite, "time", SimpleNamespace(monotonic=lambda: now, sleep=pause, time_ns=time.time_ns)
    )
    try:
        other.execute("BEGIN IMMEDIATE")
        (job,) = stores.enqueue()
    finally:
        other.close()
    assert sum(pauses) > 3.0
    assert max(pauses) <= 0.01
    late = pauses[len(pauses) // 2 :]
    assert max(late) <= 0.002
    assert [claimed.id for claimed in stores.holder().claim()] == [job]


@pytest.mark.sqlite
def test_a_full_disk_is_a_passing_fault(sqlite_url: str, make_database: Any) -> None:
    database = make_database(sqlite_url, operation_timeout=0.3)
    stores = stores_of(database)
    stores.open()
    (kept,) = stores.enqueue()

    def limit(pages: int) -> None:
        database.gateway.transaction(
            "limit", lambda tx: tx.cursor.execute(f"PRAGMA max_page_count = {pages}")
        )

    limit(60)
    with pytest.raises(TransientStoreError, match="full") as caught:
        stores.enqueue(50, data='{"x": "' + "x" * 20_000 + '"}')
    assert not caught.value.ambiguous
    assert [job.id for job in stores.holder().claim()] == [kept]
    limit(1_000_000)
    assert len(stores.enqueue(50)) == 50


def test_a_missing_table_says_how_to_make_it(database: Database, stores: Stores) -> None:
    stores.enqueue()
    table = database.gateway.names.table("attempt")
    database.gateway.transaction("drop", lambda tx: tx.cursor.execute(f"DROP TABLE {table}"))
    holder = stores.holder()
    (claimed,) = holder.claim()
    with pytest.raises(StoreError, match="jobmaster migrate"):
        holder.settle(holder.failed(claimed))
