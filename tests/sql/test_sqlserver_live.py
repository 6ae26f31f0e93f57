"""What only a server can show: long texts, errors inside batches, blanks at the end, keys taken elsewhere."""

from __future__ import annotations

import json
from contextlib import closing
from typing import Any

import pytest

from jobmaster.domain.job import JobFilter
from jobmaster.errors import ConfigurationError, DuplicateJob, StoreError
from jobmaster.sql import Database
from jobmaster.testing.conformance import Stores
from jobmaster.testing.conformance.stores import new_job
from tests.servers.sqlserver import connect
from tests.sql.conftest import stores_of

pytestmark = pytest.mark.sqlserver
LONG = json.dumps({"text": "naïve ☃ \U0001f600 \"'\\\\\n" * 20_000}, ensure_ascii=False)


@pytest.fixture
def database(sqlserver_url: str, make_database: Any) -> Database:
    database: Database = make_database(sqlserver_url)
    database.open()
    return database


@pytest.fixture
def stores(database: Database) -> Stores:
    return stores_of(database)


def test_long_text_comes_back_whole(stores: Stores, sqlserver_url: str) -> None:
    plain, keyed = new_job(data=LONG, metadata=LONG), new_job(data=LONG, unique_key="k")
    stores.transport.enqueue([plain])
    with closing(connect(sqlserver_url)) as connection:
        stores.settlement.enqueue_in(connection, [keyed], "return")
        (met,) = stores.settlement.enqueue_in(connection, [new_job(unique_key="k")], "return")
        connection.commit()
    assert met.job is not None
    assert met.job.data == json.loads(LONG)
    holder = stores.holder()
    claimed = {job.id: job for job in holder.claim()}
    assert (claimed[plain.id].data, claimed[plain.id].metadata) == (LONG, LONG)
    holder.settle(*[holder.succeeded(job, result=LONG) for job in claimed.values()])
    assert stores.job(plain.id).result == json.loads(LONG)


def test_a_taken_key_leaves_the_callers_transaction_usable(stores: Stores, sqlserver_url: str) -> None:
    first, own = new_job(unique_key="k"), new_job()
    stores.settlement.enqueue_keyed([first], "return")
    with closing(connect(sqlserver_url)) as connection:
        connection.execute("SET XACT_ABORT ON")
        stores.settlement.enqueue_in(connection, [own], "return")
        (met,) = stores.settlement.enqueue_in(connection, [new_job(unique_key="k")], "return")
        assert (met.job_id, met.inserted) == (first.id, False)
        with pytest.raises(DuplicateJob):
            stores.settlement.enqueue_in(connection, [new_job(unique_key="k")], "raise")
        connection.commit()
    assert stores.job(own.id).id == own.id


def test_the_error_of_a_later_statement_undoes_the_batch(database: Database, stores: Stores) -> None:
    with pytest.raises(StoreError, match="zero"):
        database.gateway.transaction("fail", _divide)
    assert stores.transport.buckets() == []


def _divide(tx: Any) -> None:
    table = tx.names.table("cluster")
    tx.cursor.execute(
        f"INSERT INTO {table} (name, value) VALUES (?, N'1'); SELECT 1 / CAST(? AS INT)", ("x", 0)
    ).answers()


def test_blanks_at_the_end_count(stores: Stores) -> None:
    bare, blank = new_job(definition_id="a"), new_job(definition_id="a ")
    stores.transport.enqueue([bare, blank])
    for job in (bare, blank):
        criteria = JobFilter(definition_id=job.definition_id)
        assert [found.id for found in stores.master.find_jobs(criteria, 10, None)] == [job.id]
        assert stores.master.count_jobs(criteria) == 1


@pytest.mark.parametrize(
    "value", ["a", "a ", '"', 1, 1.5, True, None, [1, {"x": "y"}], {"b": 1, "a": [None]}]
)
def test_metadata_is_found_by_its_value(stores: Stores, value: Any) -> None:
    others = [new_job(metadata=json.dumps({"k": other})) for other in ("b", 2, False, [1], {"b": 1})]
    wanted = new_job(metadata=json.dumps({"z": 0, "k": value}))
    stores.transport.enqueue([*others, wanted])
    criteria = JobFilter(metadata={"k": value})
    assert [found.id for found in stores.master.find_jobs(criteria, 10, None)] == [wanted.id]
    assert stores.master.count_jobs(criteria) == 1


def test_nested_metadata_is_looked_for_page_by_page(stores: Stores) -> None:
    jobs = [new_job(metadata=json.dumps({"k": [number % 250]})) for number in range(500)]
    stores.transport.enqueue(jobs)
    found = stores.master.find_jobs(JobFilter(metadata={"k": [0]}), 2, None)
    assert [job.id for job in found] == [jobs[250].id, jobs[0].id]


def test_a_driver_that_is_not_there_is_told_at_the_start(sqlserver_url: str, make_database: Any) -> None:
    with pytest.raises(ConfigurationError, match="no ODBC driver 'Nowhere' on this machine; found: "):
        make_database(sqlserver_url, driver="Nowhere").open()


def test_a_wrong_password_is_refused_at_once(sqlserver_url: str, make_database: Any) -> None:
    wrong = sqlserver_url.replace("://", "://nobody-of-this-name", 1)
    with pytest.raises(ConfigurationError) as caught:
        make_database(wrong, startup_timeout=30).open()
    assert "Login failed" in str(caught.value) or "login failed" in str(caught.value)
