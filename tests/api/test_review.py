"""Promises of the API that only hold when calls meet: shared keys, odd values, archived clusters."""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest

from jobmaster import Cluster, JobContext, JobHandler, JobRequest
from jobmaster.errors import ClusterArchived, InvalidJob
from tests.api.conftest import configure
from tests.api.handlers import Hello
from tests.servers import mariadb, sqlserver

THREADS = 8
ROUNDS = 12
KEYS = [f"key-{number}" for number in range(24)]


def test_calls_that_share_keys_in_any_order_do_not_wait_for_each_other_forever(idle: Cluster) -> None:
    scheduler = idle.scheduler
    scheduler.count_jobs()
    faults: list[BaseException] = []
    gate = threading.Barrier(THREADS)

    def enqueue(seed: int) -> None:
        shuffled = random.Random(seed)
        try:
            gate.wait(30)
            for round_no in range(ROUNDS):
                keys = shuffled.sample(KEYS, 16)
                requests = [JobRequest(Hello, {"name": f"{seed}-{round_no}"}, unique_key=key) for key in keys]
                jobs = scheduler.once_many(requests, on_conflict="return" if seed % 2 else "replace")
                assert [job.unique_key for job in jobs] == keys
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=enqueue, args=(seed,)) for seed in range(THREADS)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    assert time.monotonic() - started < 20
    assert scheduler.count_jobs() == len(KEYS)


UUID_VALUE = UUID("12345678-1234-5678-1234-567812345678")
INSTANT = datetime(2026, 2, 3, 4, 5, 6, 789, UTC)


@pytest.mark.parametrize("value", [UUID_VALUE, INSTANT, {"deep": [UUID_VALUE, INSTANT]}], ids=repr)
def test_jobs_are_found_by_every_value_that_metadata_takes(idle: Cluster, value: Any) -> None:
    s = idle.scheduler
    wanted = s.once_now(Hello, {"name": "x"}, metadata={"u": value, "other": 1})
    s.once_now(Hello, {"name": "x"}, metadata={"u": "something else"})
    assert [job.id for job in s.find_jobs(metadata={"u": value}).items] == [wanted.id]
    assert s.count_jobs(metadata={"u": value}) == 1


@pytest.mark.parametrize(
    "criteria",
    [
        {"metadata": {"u": "\ud800"}},
        {"metadata": {"\ud800": 1}},
        {"metadata": {"u": float("nan")}},
        {"metadata": {"u": threading.Lock}},
        {"metadata": {"u": "a\x00b"}},
        {"metadata": [1]},
        {"schedule_id": "a\x00b"},
        {"schedule_id": "\ud800"},
        {"schedule_id": 7},
    ],
    ids=repr,
)
async def test_a_filter_that_fits_no_store_is_refused(idle: Cluster, criteria: dict[str, Any]) -> None:
    s = idle.scheduler
    for call in (s.find_jobs, s.count_jobs):
        with pytest.raises(InvalidJob):
            call(**criteria)
    for call_async in (s.find_jobs_async, s.count_jobs_async):
        with pytest.raises(InvalidJob):
            await call_async(**criteria)


async def test_an_unknown_policy_is_refused_with_and_without_a_key(idle: Cluster) -> None:
    s = idle.scheduler
    bad: Any = "zz"
    for key in (None, "k"):
        options: dict[str, Any] = {"unique_key": key, "on_conflict": bad}
        with pytest.raises(ValueError, match="on_conflict"):
            s.once_now(Hello, {"name": "x"}, **options)
        with pytest.raises(ValueError, match="on_conflict"):
            s.once_at(Hello, INSTANT, {"name": "x"}, **options)
        with pytest.raises(ValueError, match="on_conflict"):
            s.once_after(Hello, 1, {"name": "x"}, **options)
        with pytest.raises(ValueError, match="on_conflict"):
            await s.once_now_async(Hello, {"name": "x"}, **options)
        with pytest.raises(ValueError, match="on_conflict"):
            await s.once_at_async(Hello, INSTANT, {"name": "x"}, **options)
        with pytest.raises(ValueError, match="on_conflict"):
            await s.once_after_async(Hello, 1, {"name": "x"}, **options)
    with pytest.raises(ValueError, match="on_conflict"):
        s.once_many([], on_conflict=bad)
    with pytest.raises(ValueError, match="on_conflict"):
        await s.once_many_async([], on_conflict=bad)
    assert s.count_jobs() == 0


def test_an_archived_cluster_keeps_its_settings(idle: Cluster) -> None:
    idle.pin("default_max_retries", 3)
    idle.set_mode("archived")
    with pytest.raises(ClusterArchived):
        idle.pin("default_max_retries", 7)
    with pytest.raises(ClusterArchived):
        idle.unpin("default_max_retries")
    stored = idle.settings()["default_max_retries"]
    assert (stored.value, stored.pinned) == (3, True)
    idle.unpin("cluster_mode")
    idle.set_mode("active")
    idle.unpin("default_max_retries")
    assert not idle.settings()["default_max_retries"].pinned


class _Unspeakable(Exception):
    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __str__ = __repr__


class AsksBadly(JobHandler, definition_id="asks-badly"):
    async def handle(self, job: JobContext) -> None:
        raise LookupError("first")

    def should_retry(self, error: BaseException, job: JobContext) -> bool:
        raise _Unspeakable


def test_a_should_retry_that_raises_the_unspeakable_is_logged(
    database_url: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with configure(database_url, handlers=[AsksBadly]).add_worker().build() as cluster:
        job = cluster.scheduler.once_now(AsksBadly, max_retries=0)
        assert cluster.scheduler.wait(job.id, 15).error is not None
    assert "should_retry of 'asks-badly' raised" in caplog.text
    assert "_Unspeakable: <its text cannot be shown" in caplog.text
    assert "Logging error" not in capsys.readouterr().err


@contextmanager
def callers_connection(url: str) -> Iterator[Any]:
    opened: Any
    if url.startswith("sqlite"):
        opened = sqlite3.connect(url.removeprefix("sqlite:///"))
    elif url.startswith("mysql"):
        opened = mariadb.connect(url)
        opened.autocommit(False)
    elif url.startswith("mssql"):
        opened = sqlserver.connect(url)
    else:
        opened = psycopg.connect(url)
    try:
        yield opened
    finally:
        opened.close()


async def test_a_key_met_in_the_callers_transaction_gives_the_job_that_is_there(
    idle: Cluster, database_url: str
) -> None:
    s = idle.scheduler
    old = s.once_now(Hello, {"n": 1}, unique_key="a", metadata={"m": 1})
    with callers_connection(database_url) as connection:
        met = s.once_now(Hello, unique_key="a", connection=connection)
        assert (met.id, met.data, met.metadata) == (old.id, {"n": 1}, {"m": 1})
        moved = s.once_now(Hello, {"n": 2}, unique_key="a", on_conflict="replace", connection=connection)
        assert (moved.id, moved.data, moved.metadata) == (old.id, {"n": 2}, {})
        met = await s.once_now_async(Hello, unique_key="a", connection=connection)
        assert (met.id, met.data) == (old.id, {"n": 2})
        moved = await s.once_now_async(
            Hello, {"n": 3}, unique_key="a", on_conflict="replace", connection=connection
        )
        assert (moved.id, moved.data) == (old.id, {"n": 3})
        made = s.once_now(Hello, {"n": 4}, unique_key="b", connection=connection)
        requests = [JobRequest(Hello, unique_key=key) for key in ("b", "a", "b")]
        for jobs in (
            s.once_many(requests, connection=connection),
            await s.once_many_async(requests, connection=connection),
        ):
            assert [(job.id, job.data) for job in jobs] == [
                (made.id, {"n": 4}),
                (old.id, {"n": 3}),
                (made.id, {"n": 4}),
            ]
        connection.commit()
    assert s.get_job(old.id).data == {"n": 3}
    assert s.get_job(made.id).data == {"n": 4}
