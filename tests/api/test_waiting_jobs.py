"""Jobs that nobody runs: looked up, changed, keyed, enqueued in transactions."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest

from jobmaster import (
    Cluster,
    ConfigurationError,
    DuplicateJob,
    IllegalTransition,
    InvalidJob,
    JobNotFound,
    JobRequest,
    JobStatus,
    MessageTooLarge,
    Priority,
    Retry,
    UnknownHandler,
)
from jobmaster.domain.ids import uuid7
from tests.api.conftest import configure
from tests.api.handlers import Add, Hello


def test_everything_about_a_job_survives(idle: Cluster) -> None:
    s = idle.scheduler
    data = {
        "text": "é\u0000\u2028 𝄞",
        "big": 2**80,
        "float": 0.1,
        "none": None,
        "nested": {"list": [1, True, {"x": "y"}]},
        "when": datetime(2026, 1, 2, tzinfo=UTC),
        "uuid": uuid4(),
        "decimal": Decimal("1.10"),
        "bytes": b"\x00\xff",
    }
    made = s.once_now("anything", data, priority=Priority.CRITICAL, lane="x", metadata={"a": [1, "b"]})
    job = s.get_job(made.id)
    assert job == made
    assert job.data["text"] == data["text"]
    assert job.data["big"] == 2**80
    assert job.data["nested"] == data["nested"]
    assert (job.lane, job.priority, job.metadata) == ("x", Priority.CRITICAL, {"a": [1, "b"]})


def test_find_and_count(idle: Cluster) -> None:
    s = idle.scheduler
    jobs = s.once_many(
        [
            JobRequest("f", {"n": n}, lane="a" if n % 2 else "b", metadata={"n": n, "odd": bool(n % 2)})
            for n in range(25)
        ]
    )
    ids = [job.id for job in reversed(jobs)]
    seen, cursor = [], None
    while True:
        page = s.find_jobs(limit=10, cursor=cursor)
        seen += [job.id for job in page]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ids
    assert s.count_jobs(lane="a") == 12
    assert s.count_jobs(metadata={"odd": True}) == 12
    assert [job.data["n"] for job in s.find_jobs(metadata={"n": 7})] == [7]
    assert s.count_jobs(metadata={"n": "7"}) == 0
    assert s.count_jobs(status=[JobStatus.READY, "failed"], definition_id="f") == 25
    assert s.count_jobs(scheduled_from=datetime.now(UTC) + timedelta(hours=1)) == 0
    with pytest.raises(ValueError, match="cursor"):
        s.find_jobs(cursor="nonsense")
    with pytest.raises(ValueError, match="limit"):
        s.find_jobs(limit=0)


def test_cancel_reschedule_retry(idle: Cluster) -> None:
    s = idle.scheduler
    job = s.once_after("x", timedelta(hours=1))
    moved = s.reschedule(job.id, datetime(2030, 1, 1, tzinfo=UTC))
    assert moved.scheduled_at == datetime(2030, 1, 1, tzinfo=UTC)
    with pytest.raises(IllegalTransition, match="only a finished job"):
        s.retry_job(job.id)
    assert s.cancel_job(job.id)
    assert not s.cancel_job(job.id)
    assert s.get_job(job.id).status is JobStatus.CANCELLED
    with pytest.raises(IllegalTransition, match="only a waiting job"):
        s.reschedule(job.id, datetime(2031, 1, 1, tzinfo=UTC))
    again = s.retry_job(job.id)
    assert (again.id, again.status, again.finished_at) == (job.id, JobStatus.READY, None)
    assert [a.outcome.value for a in s.attempts(job.id)] == ["retried"]
    for call in (s.cancel_job, s.retry_job, s.get_job, s.attempts, s.explain):
        with pytest.raises(JobNotFound):
            call(uuid7())


def test_unique_keys(idle: Cluster) -> None:
    s = idle.scheduler
    first = s.once_after("k", 60, {"n": 1}, unique_key="key")
    assert s.once_now("k", {"n": 2}, unique_key="key") == s.get_job(first.id)
    with pytest.raises(DuplicateJob) as caught:
        s.once_now("k", unique_key="key", on_conflict="raise")
    assert caught.value.job_id == first.id
    replaced = s.once_now("k", {"n": 3}, unique_key="key", on_conflict="replace", priority=Priority.HIGH)
    assert (replaced.id, replaced.data, replaced.priority) == (first.id, {"n": 3}, Priority.HIGH)
    assert replaced.scheduled_at < first.scheduled_at
    many = s.once_many([JobRequest("k", {"n": n}, unique_key="other") for n in range(3)])
    assert len({job.id for job in many}) == 1
    assert many[2].data == {"n": 0}
    assert s.cancel_job(first.id)
    assert s.once_now("k", unique_key="key").id != first.id
    with pytest.raises(DuplicateJob):
        s.retry_job(first.id)


def test_explain_says_why_a_job_waits(idle: Cluster) -> None:
    s = idle.scheduler
    later = s.explain(s.once_after("x", 3600).id)
    assert [reason.code for reason in later.reasons] == ["not_due", "no_worker"]
    now = s.once_now("x")
    assert "no worker of this cluster is alive" in str(s.explain(now.id))
    idle.set_mode("passive")
    assert [r.code for r in s.explain(now.id).reasons] == ["cluster_passive", "no_worker"]
    s.cancel_job(now.id)
    assert s.explain(now.id).reasons[0].code == "cancelled"


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda s: s.once_at("x", datetime(2026, 1, 1)), ValueError, "naive"),  # noqa: DTZ001
        (lambda s: s.once_at("x", "tomorrow"), TypeError, "aware datetime"),
        (lambda s: s.once_after("x", -1), ValueError, "between"),
        (lambda s: s.once_now("x", {"a": object()}), InvalidJob, "a"),
        (lambda s: s.once_now("x", {"a": float("nan")}), InvalidJob, "a"),
        (lambda s: s.once_now("x", {1: 2}), InvalidJob, "key"),
        (lambda s: s.once_now("x", [1]), InvalidJob, "mapping"),
        (lambda s: s.once_now("x", {"a": "\ud800"}), InvalidJob, "surrogate"),
        (lambda s: s.once_now("x", {"a": "x" * 200_000}), MessageTooLarge, "131072"),
        (lambda s: s.once_now("x", lane="no spaces"), InvalidJob, "lane"),
        (lambda s: s.once_now("x" * 201), InvalidJob, "definition id"),
        (lambda s: s.once_now("x", unique_key=""), InvalidJob, "unique_key"),
        (lambda s: s.once_now("x", priority=9), InvalidJob, "Priority"),
        (lambda s: s.once_now("x", timeout=0), InvalidJob, "timeout"),
        (lambda s: s.once_now("x", max_retries=-1), InvalidJob, "max_retries"),
        (lambda s: s.once_now("x", retry="soon"), InvalidJob, "retry"),
        (lambda s: s.once_now("x", retry=Retry.custom(lambda n, e: 1)), InvalidJob, "custom"),
        (lambda s: s.once_now("x", metadata={"a": "\x00"}), InvalidJob, "metadata"),
        (lambda s: s.once_now("x", agent_connection="nowhere"), ConfigurationError, "nowhere"),
        (lambda s: s.once_now("x", on_conflict="merge", unique_key="k"), ValueError, "on_conflict"),
        (lambda s: s.once_now(dict), UnknownHandler, "dict"),
        (lambda s: s.once_many([JobRequest("x"), "y"]), TypeError, "JobRequest"),
        (lambda s: s.get_job("not-an-id"), TypeError, "UUID"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(
    idle: Cluster, call: object, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=f"(?i){says}"):
        call(idle.scheduler)  # type: ignore[operator]
    assert idle.scheduler.count_jobs() == 0


async def test_async_twins_do_the_same(database_url: str) -> None:
    cluster = configure(database_url).build()
    s = cluster.scheduler
    try:
        job = await s.once_after_async(Hello, 60, {"name": "x"}, unique_key="k")
        assert await s.get_job_async(job.id) == job
        assert await s.once_now_async(Hello, {"name": "y"}, unique_key="k") == job
        assert [j.id for j in await s.find_jobs_async()] == [job.id]
        assert await s.count_jobs_async() == 1
        assert (await s.reschedule_async(job.id, datetime(2030, 1, 1, tzinfo=UTC))).scheduled_at.year == 2030
        assert await s.cancel_job_async(job.id)
        assert (await s.retry_job_async(job.id)).status is JobStatus.READY
        assert len(await s.once_many_async([JobRequest(Add, {"left": 1})] * 3, returning="ids")) == 3
        with pytest.raises(ValueError, match="naive"):
            await s.once_at_async(Hello, datetime(2026, 1, 1), {"name": "x"})  # noqa: DTZ001
        # a sync call inside a running loop works and blocks it
        assert s.count_jobs() == 4
    finally:
        await cluster.close_async()


@pytest.mark.sqlite
def test_jobs_in_the_callers_sqlite_transaction(sqlite_url: str) -> None:
    cluster = configure(sqlite_url).build()
    s = cluster.scheduler
    try:
        s.once_now("first")
        raw = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
        try:
            raw.execute("CREATE TABLE orders (id INTEGER)")
            raw.execute("INSERT INTO orders VALUES (1)")
            job = s.once_now("ship", {"order": 1}, connection=raw)
            raw.rollback()
            with pytest.raises(JobNotFound):
                s.get_job(job.id)
            raw.execute("INSERT INTO orders VALUES (2)")
            job = s.once_now("ship", {"order": 2}, connection=raw)
            raw.commit()
            assert s.get_job(job.id).data == {"order": 2}
        finally:
            raw.close()
        other = sqlite3.connect(":memory:")
        try:
            with pytest.raises(ConfigurationError):
                s.once_now("ship", connection=other)
        finally:
            other.close()
        with pytest.raises(ConfigurationError):
            s.once_now("ship", connection=object())
    finally:
        cluster.close()


@pytest.mark.postgres
async def test_jobs_in_the_callers_postgres_transaction(postgres_url: str) -> None:
    import psycopg
    import sqlalchemy
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
    from sqlalchemy.orm import Session

    cluster = configure(postgres_url).build()
    s = cluster.scheduler
    url = postgres_url.replace("postgresql://", "postgresql+psycopg://")
    engine = sqlalchemy.create_engine(url)
    async_engine = create_async_engine(url)
    try:
        s.once_now("first")
        with engine.connect() as connection:
            lost = s.once_now("x", connection=connection)
            connection.rollback()
            kept = s.once_now("x", {"n": 1}, unique_key="k", connection=connection)
            assert s.count_jobs() == 1
            connection.commit()
        with Session(engine) as session:
            same = s.once_now("x", {"n": 2}, unique_key="k", connection=session)
            many = s.once_many([JobRequest("x", {"n": n}) for n in range(3)], connection=session)
            session.commit()
        assert same.id == kept.id
        with psycopg.connect(postgres_url) as raw:
            third = s.once_now("x", connection=raw)
        async with async_engine.begin() as connection:
            fourth = await s.once_now_async("x", connection=connection)
        async with AsyncSession(async_engine) as session:
            fifth = await s.once_now_async("x", connection=session)
            await session.commit()
        async with await psycopg.AsyncConnection.connect(postgres_url) as raw_async:
            sixth = await s.once_now_async("x", connection=raw_async)
        for job in (kept, *many, third, fourth, fifth, sixth):
            assert s.get_job(job.id).status is JobStatus.READY
        with pytest.raises(JobNotFound):
            s.get_job(lost.id)
    finally:
        engine.dispose()
        await async_engine.dispose()
        await cluster.close_async()
