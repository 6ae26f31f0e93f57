"""Wake-ups across losses and processes."""

from __future__ import annotations

import sqlite3
from typing import Any

import psycopg
import pytest

from jobmaster.testing.conformance.transport import Heard
from tests.sql.conftest import stores_of


@pytest.mark.postgres
def test_a_cut_listener_comes_back_and_says_so(postgres_url: str, make_database: Any) -> None:
    stores = stores_of(make_database(postgres_url))
    stores.open()
    heard = Heard()
    listener = stores.transport.listen(heard)

    def cut() -> None:
        with psycopg.connect(postgres_url, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s "
                "AND datname = current_database()",
                ("jobmaster listener",),
            )

    try:
        heard.hears(lambda: stores.enqueue(lane="before"), "before")
        heard.hears(cut, None)
        count = heard.count
        heard.hears(lambda: stores.enqueue(lane="after"), "after")
        assert "after" in heard.lanes[count:]
    finally:
        listener.close()


@pytest.mark.postgres
def test_one_transaction_rings_once_for_each_lane(postgres_url: str, make_database: Any) -> None:
    from jobmaster.testing.conformance.stores import new_job

    stores = stores_of(make_database(postgres_url))
    stores.open()
    heard = Heard()
    listener = stores.transport.listen(heard)
    try:
        heard.hears(lambda: stores.enqueue(lane="ready"), "ready")
        count = heard.count
        jobs = [new_job(lane=lane) for lane in ("a", "b") for _ in range(100)]
        later = [new_job(lane="c", run_at=stores.transport.now().replace(year=2999))]
        stores.transport.enqueue([*jobs, *later])
        # notifications come in the order of the commits; the first and the last may be rung again
        heard.hears(lambda: stores.enqueue(lane="end"), "end")
        rung = [str(lane) for lane in heard.lanes[count:] if lane not in ("ready", "end")]
        assert sorted(rung) == ["a", "b"]
    finally:
        listener.close()


@pytest.mark.sqlite
def test_commits_of_other_connections_are_noticed(sqlite_url: str, make_database: Any) -> None:
    database = make_database(sqlite_url)
    stores = stores_of(database)
    stores.open()
    heard = Heard()
    listener = stores.transport.listen(heard)
    # As another process would: past everything that this process could know of.
    other = sqlite3.connect(database.dialect.url.path, isolation_level=None)
    try:
        heard.hears(
            lambda: other.execute("INSERT INTO jm_cluster (name, value) VALUES ('x', '1')"),
            None,
        )
    finally:
        other.close()
        listener.close()


@pytest.mark.sqlite
def test_clusters_of_one_process_hear_each_other_at_once(sqlite_url: str, make_database: Any) -> None:
    one, two = (stores_of(make_database(sqlite_url)) for _ in range(2))
    one.open()
    two.open()
    heard = Heard()
    listener = one.transport.listen(heard)
    try:
        two.enqueue(lane="near")
        assert "near" in heard.lanes  # on the enqueuing thread, before the call returned
    finally:
        listener.close()
