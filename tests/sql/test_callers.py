"""Jobs inside a transaction that belongs to the caller."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    closing,
    contextmanager,
)
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pymysql
import pymysql.cursors
import pytest
import sqlalchemy as sa
from psycopg.rows import dict_row
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from jobmaster.errors import ConfigurationError, DuplicateJob
from jobmaster.sql import Database
from jobmaster.testing.conformance import Stores
from jobmaster.testing.conformance.stores import new_job
from tests.databases import sqlalchemy_url
from tests.servers import mariadb, sqlserver

Open = Callable[[str], AbstractContextManager[Any]]
OpenAsync = Callable[[str], AbstractAsyncContextManager[Any]]


def _sa_url(url: str, driver: str = "psycopg") -> str:
    if url.startswith("mssql"):
        return str(sqlalchemy_url(url))
    return url.replace("postgresql://", f"postgresql+{driver}://").replace("mysql://", "mysql+pymysql://")


@contextmanager
def sa_connection(url: str) -> Iterator[Any]:
    engine = sa.create_engine(_sa_url(url))
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def sa_session(url: str) -> Iterator[Any]:
    engine = sa.create_engine(_sa_url(url))
    try:
        with Session(engine) as session:
            yield session
    finally:
        engine.dispose()


@contextmanager
def raw(url: str) -> Iterator[Any]:
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.row_factory = sqlite3.Row
        try:
            yield connection
        finally:
            connection.close()
    elif url.startswith("mysql"):
        connection = mariadb.connect(url)
        connection.autocommit(False)
        connection.cursorclass = pymysql.cursors.DictCursor
        with connection:
            yield connection
    elif url.startswith("mssql"):
        with closing(sqlserver.connect(url)) as connection:
            yield connection
    else:
        with psycopg.connect(url, row_factory=dict_row) as opened:
            yield opened


SYNC = [sa_connection, sa_session, raw]


@pytest.mark.parametrize("connect", SYNC)
class TestSync:
    """Every kind of sync connection, on every engine."""

    def test_the_job_comes_with_the_callers_commit(
        self, connect: Open, database_url: str, stores: Stores
    ) -> None:
        jobs = [new_job(delay=timedelta(hours=1), data='{"a": "ü☃"}'), new_job(unique_key="k")]
        with connect(database_url) as connection:
            keyed = stores.settlement.enqueue_in(connection, jobs, "return")
            assert [k.job_id for k in keyed] == [job.id for job in jobs]
            assert all(k.inserted for k in keyed)
            assert stores.master.get_job(jobs[0].id) is None
            connection.commit()
        first = stores.job(jobs[0].id)
        assert first.data == {"a": "ü☃"}
        assert first.scheduled_at == first.enqueued_at + timedelta(hours=1) == keyed[0].run_at
        assert stores.job(jobs[1].id).unique_key == "k"

    def test_a_rollback_leaves_nothing(self, connect: Open, database_url: str, stores: Stores) -> None:
        job = new_job()
        with connect(database_url) as connection:
            stores.settlement.enqueue_in(connection, [job], "return")
            connection.rollback()
        assert stores.master.get_job(job.id) is None

    def test_keys_hold_against_what_is_committed(
        self, connect: Open, database_url: str, stores: Stores
    ) -> None:
        first = new_job(unique_key="k", data='{"n": 1}')
        stores.settlement.enqueue_keyed([first], "return")
        with connect(database_url) as connection:
            again = [new_job(unique_key="k", data='{"n": 2}')]
            (keyed,) = stores.settlement.enqueue_in(connection, again, "return")
            assert (keyed.job_id, keyed.inserted) == (first.id, False)
            other = new_job()
            with pytest.raises(DuplicateJob):
                stores.settlement.enqueue_in(connection, [other, *again], "raise")
            stores.settlement.enqueue_in(connection, again, "replace")
            connection.commit()
        assert stores.job(first.id).data == {"n": 2}
        assert stores.master.get_job(other.id) is None

    def test_what_is_met_is_shown_as_the_callers_transaction_sees_it(
        self, connect: Open, database_url: str, stores: Stores
    ) -> None:
        committed = new_job(unique_key="a", data='{"n": 1}', metadata='{"m": [1, "ü"]}')
        stores.settlement.enqueue_keyed([committed], "return")
        with connect(database_url) as connection:
            mine = new_job(unique_key="b", data='{"n": 2}')
            (made,) = stores.settlement.enqueue_in(connection, [mine], "return")
            assert made.inserted
            other = new_job(unique_key="b", data='{"n": 3}')
            met = stores.settlement.enqueue_in(
                connection, [new_job(unique_key="a"), other, other, new_job()], "return"
            )
            assert [(k.job_id, k.job and k.job.data) for k in met[:3]] == [
                (committed.id, {"n": 1}),
                (mine.id, {"n": 2}),
                (mine.id, {"n": 2}),
            ]
            assert met[3].job is None
            assert met[0].job == stores.job(committed.id)
            late = new_job(unique_key="a", data='{"n": 4}', delay=timedelta(hours=1), lane="moved")
            (moved,) = stores.settlement.enqueue_in(connection, [late], "replace")
            assert moved.job is not None
            assert (moved.job.id, moved.job.data, moved.job.lane) == (committed.id, {"n": 4}, "moved")
            assert moved.job.scheduled_at == moved.run_at
            connection.commit()
        assert stores.job(committed.id) == moved.job

    def test_another_database_is_refused_and_stays_usable(
        self, connect: Open, database_url: str, database: Database, make_database: Any
    ) -> None:
        other = make_database(database_url, table_prefix="other_")
        other.open()
        from tests.sql.conftest import stores_of

        with connect(database_url) as connection:
            table = other.gateway.names.table("meta")
            drop = f"DELETE FROM {table} WHERE name = 'store_id'"
            other.gateway.transaction("drop", lambda tx: tx.cursor.execute(drop))
            with pytest.raises(ConfigurationError, match=r"leads to another database.*other_\*"):
                stores_of(other).settlement.enqueue_in(connection, [new_job()], "return")
            job = new_job()
            stores_of(database).settlement.enqueue_in(connection, [job], "return")
            connection.commit()
        assert stores_of(database).job(job.id).id == job.id


@pytest.mark.postgres
def test_a_database_without_the_tables_is_refused_and_stays_usable(
    postgres_server: Any, postgres_url: str, make_database: Any
) -> None:
    from tests.sql.conftest import stores_of

    stores = stores_of(make_database(postgres_url))
    stores.open()
    elsewhere = postgres_server.create_database()
    try:
        with psycopg.connect(elsewhere) as connection:
            connection.execute("CREATE TABLE mine (n int)")
            with pytest.raises(ConfigurationError, match="leads to another database"):
                stores.settlement.enqueue_in(connection, [new_job()], "return")
            connection.execute("INSERT INTO mine VALUES (1)")
    finally:
        postgres_server.drop_database(elsewhere)


@pytest.mark.postgres
@pytest.mark.parametrize("year", [1969, 2026, 9999])
@pytest.mark.parametrize("style", ["SQL, DMY", "German", "Postgres, MDY"])
def test_how_the_caller_writes_dates_is_no_matter(
    postgres_url: str, make_database: Any, style: str, year: int
) -> None:
    from tests.sql.conftest import stores_of

    stores = stores_of(make_database(postgres_url))
    stores.open()
    due = datetime(year, 12, 31, 22, 59, 59, 999_999, UTC)
    with psycopg.connect(postgres_url) as connection:
        connection.execute(f"SET datestyle = '{style}'")
        connection.execute("SET timezone = 'Asia/Kathmandu'")
        made, plain = stores.settlement.enqueue_in(
            connection, [new_job(unique_key="k", run_at=due), new_job()], "return"
        )
        for policy in ("return", "replace"):
            again = new_job(unique_key="k", run_at=due)
            (met,) = stores.settlement.enqueue_in(connection, [again], policy)  # type: ignore[arg-type]
            assert met.job is not None
            assert (met.job.id, met.job.scheduled_at) == (made.job_id, due)
        connection.commit()
    assert stores.job(made.job_id).scheduled_at == made.run_at == due
    assert stores.job(plain.job_id).enqueued_at == plain.enqueued_at


def test_how_the_caller_reads_text_and_rows_is_no_matter(sqlite_url: str, make_database: Any) -> None:
    from tests.sql.conftest import stores_of

    stores = stores_of(make_database(sqlite_url))
    stores.open()
    with raw(sqlite_url) as connection:
        connection.text_factory = bytes
        (made,) = stores.settlement.enqueue_in(connection, [new_job(unique_key="k")], "return")
        (met,) = stores.settlement.enqueue_in(connection, [new_job(unique_key="k")], "return")
        assert met.job is not None
        assert (met.job_id, met.job.unique_key) == (made.job_id, "k")
        assert connection.text_factory is bytes
        connection.commit()
    engine = sa.create_engine(sqlite_url)
    event.listen(engine, "connect", lambda opened, _: setattr(opened, "text_factory", bytes))
    with engine.connect() as opened:
        (met,) = stores.settlement.enqueue_in(opened, [new_job(unique_key="k")], "return")
        assert met.job_id == made.job_id
    engine.dispose()


@asynccontextmanager
async def async_connection(url: str) -> AsyncIterator[Any]:
    engine = create_async_engine(_sa_url(url, "psycopg_async"))
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


@asynccontextmanager
async def async_session(url: str) -> AsyncIterator[Any]:
    engine = create_async_engine(_sa_url(url, "psycopg_async"))
    try:
        async with AsyncSession(engine) as session:
            yield session
    finally:
        await engine.dispose()


@asynccontextmanager
async def async_raw(url: str) -> AsyncIterator[Any]:
    async with await psycopg.AsyncConnection.connect(url, row_factory=dict_row) as connection:
        yield connection


@pytest.mark.postgres
@pytest.mark.anyio
@pytest.mark.parametrize("connect", [async_connection, async_session, async_raw])
async def test_asynchronous_connections(connect: OpenAsync, postgres_url: str, make_database: Any) -> None:
    from tests.sql.conftest import stores_of

    stores = stores_of(make_database(postgres_url))
    stores.open()
    kept, dropped = new_job(unique_key="k"), new_job()
    async with connect(postgres_url) as connection:
        with pytest.raises(ConfigurationError, match="use the _async method"):
            stores.settlement.enqueue_in(connection, [new_job()], "return")
        (keyed,) = await stores.settlement.enqueue_in_async(connection, [kept], "return")
        assert keyed.inserted
        await connection.commit()
        await stores.settlement.enqueue_in_async(connection, [dropped], "return")
        with pytest.raises(DuplicateJob):
            await stores.settlement.enqueue_in_async(connection, [new_job(unique_key="k")], "raise")
        await connection.rollback()
    assert stores.job(kept.id).unique_key == "k"
    assert stores.master.get_job(dropped.id) is None


@pytest.mark.anyio
async def test_the_async_method_takes_sync_connections(database_url: str, stores: Stores) -> None:
    job = new_job()
    with raw(database_url) as connection:
        await stores.settlement.enqueue_in_async(connection, [job], "return")
        connection.commit()
    assert stores.job(job.id).id == job.id


def test_what_is_no_connection_is_refused(database: Database, stores: Stores) -> None:
    with pytest.raises(ConfigurationError, match=r"connection= takes a SQLAlchemy Connection.*not object"):
        stores.settlement.enqueue_in(object(), [new_job()], "return")


@pytest.mark.postgres
def test_a_connection_of_another_engine_is_refused(postgres_url: str, make_database: Any) -> None:
    from tests.sql.conftest import stores_of

    stores = stores_of(make_database(postgres_url))
    connection = sqlite3.connect(":memory:")
    try:
        with pytest.raises(
            ConfigurationError, match="is a sqlite connection, but 'standalone' is a PostgreSQL"
        ):
            stores.settlement.enqueue_in(connection, [new_job()], "return")
    finally:
        connection.close()


@pytest.mark.postgres
def test_listeners_wake_at_the_callers_commit(postgres_url: str, make_database: Any) -> None:
    from jobmaster.testing.conformance.transport import Heard
    from tests.sql.conftest import stores_of

    stores = stores_of(make_database(postgres_url))
    stores.open()
    heard = Heard()
    listener = stores.transport.listen(heard)
    try:
        heard.hears(lambda: stores.enqueue(lane="first"), "first")
        with psycopg.connect(postgres_url) as connection:
            stores.settlement.enqueue_in(connection, [new_job(lane="mine")], "return")
            assert "mine" not in heard.lanes
            heard.hears(connection.commit, "mine")
    finally:
        listener.close()
