"""Behind a pooler in transaction mode: nothing that needs a session of one's own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import psycopg
import pytest

from jobmaster.testing.conformance.stores import new_job
from tests.sql.conftest import stores_of

pytestmark = pytest.mark.postgres


def test_jobs_run_without_prepared_statements_or_session_settings(
    postgres_url: str, make_database: Any
) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(
            "ALTER ROLE CURRENT_USER IN DATABASE {} SET timezone = 'Asia/Kolkata'".format(
                psycopg.conninfo.conninfo_to_dict(postgres_url)["dbname"]
            )
        )
    database = make_database(postgres_url, pgbouncer=True)
    stores = stores_of(database)
    stores.open()
    now = stores.transport.enqueue([new_job() for _ in range(100)])
    assert now.utcoffset() == timedelta(0)
    holder = stores.holder()
    claimed = holder.claim()
    assert {job.run_at for job in claimed} == {now}
    assert {job.run_at.utcoffset() for job in claimed} == {timedelta(0)}
    assert not holder.settle(*[holder.succeeded(job) for job in claimed]).refused
    assert stores.job(claimed[0].id).enqueued_at.utcoffset() == timedelta(0)
    prepared = database.gateway.read(
        "look", lambda tx: tx.cursor.execute("SELECT count(*) FROM pg_prepared_statements").fetchall()
    )
    assert prepared == [(0,)]


def test_nothing_listens(postgres_url: str, make_database: Any) -> None:
    stores = stores_of(make_database(postgres_url, pgbouncer=True))
    stores.open()
    heard: list[str | None] = []
    listener = stores.transport.listen(heard.append)
    stores.enqueue()
    listener.close()
    assert heard == []
    with psycopg.connect(postgres_url) as other:
        rows = other.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'jobmaster listener' "
            "AND datname = current_database()"
        ).fetchall()
    assert rows == [(0,)]
