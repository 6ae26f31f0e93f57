"""Every call about a job on an agent that is away: a clear error or what is known, and soon."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from jobmaster import Cluster, ClusterConfig, JobNotFound, JobStatus, TransportUnavailable
from tests.cluster.conftest import MakeUrl
from tests.cluster.handlers import Counted
from tests.databases import use
from tests.servers import MariaDbServer, PostgresServer, ServerAbsent, absent

SOON = 8.0
"""Seconds: a look waits two, and its thread may get the processor late."""


@pytest.fixture(
    params=[
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def server(request: pytest.FixtureRequest) -> Iterator[PostgresServer | MariaDbServer]:
    """A server that nobody else uses."""
    try:
        with PostgresServer() if request.param == "postgres" else MariaDbServer() as started:
            yield started
    except ServerAbsent as reason:
        absent(request.param, reason)


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def refuses(says: str, call: Callable[..., Any], *args: Any, **options: Any) -> None:
    began = time.monotonic()
    with pytest.raises(TransportUnavailable, match=says):
        call(*args, **options)
    assert time.monotonic() - began < SOON


def test_what_is_asked_about_jobs_on_an_agent_that_is_away(
    server: PostgresServer | MariaDbServer, make_url: MakeUrl
) -> None:
    agents = {"gone": server.create_database(), "here": make_url("sqlite")}
    config = use(
        ClusterConfig("away").lease(3).grace_period(1).operation_timeout(2), make_url("sqlite"), agents
    )
    cluster = config.add_handlers(Counted).add_worker("gone").add_worker("here").build()
    with cluster:
        s = cluster.scheduler
        saved = s.once_after(Counted, 300, {"n": 1}, agent_connection="gone", unique_key="k")
        until(lambda: s.get_job(saved.id).status is JobStatus.READY)
        lost = uuid4()
        with pytest.raises(JobNotFound):
            s.get_job(lost)
        server.kill()
        # a job that no store that answers knows may be there
        began = time.monotonic()
        with pytest.raises(TimeoutError, match=r"after 1 s: it is not reachable"):
            s.wait(lost, timeout=1)
        assert time.monotonic() - began < 3
        for call in (s.get_job, s.explain, s.cancel_job, s.retry_job, s.attempts):
            refuses(r"may be where nobody answers: agent 'gone'", call, lost)
        refuses(r"may be where nobody answers: agent 'gone'", s.reschedule, lost, datetime.now(UTC))
        # of one that the master knows it says what it knows, and changes nothing
        began = time.monotonic()
        assert s.get_job(saved.id).status is JobStatus.READY
        explained = s.explain(saved.id)
        assert "agent_down" in [reason.code for reason in explained.reasons]
        assert s.once_now(Counted, {"n": 2}, unique_key="k").id == saved.id
        assert time.monotonic() - began < SOON
        refuses(r"on agent 'gone', which does not answer", s.cancel_job, saved.id)
        refuses(r"on agent 'gone', which does not answer", s.reschedule, saved.id, datetime.now(UTC))
        refuses(
            r"cannot be replaced now: it is on agent 'gone'",
            s.once_now,
            Counted,
            {"n": 2},
            unique_key="k",
            on_conflict="replace",
        )
        with pytest.raises(TransportUnavailable, match=r"'gone' is away and cannot be drained"):
            cluster.drain("gone", hold=True)
        assert not any(agent.draining for agent in cluster.agents())
    cluster.close()


@pytest.mark.postgres
def test_an_agent_that_can_only_be_read_is_not_marked_as_draining(
    postgres_server: PostgresServer, make_url: MakeUrl
) -> None:
    agents = {"north": make_url("postgres")}
    config = use(ClusterConfig("readonly").operation_timeout(1), make_url("sqlite"), agents)
    cluster: Cluster = config.add_handlers(Counted).build()
    assert cluster.agents()[0].reachable
    name = agents["north"].rsplit("/", 1)[1]
    with psycopg.connect(postgres_server.url, autocommit=True) as admin:
        admin.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        with pytest.raises(TransportUnavailable, match=r"'north' cannot be drained, since it cannot be writ"):
            cluster.drain("north", hold=True)
        assert not cluster.agents()[0].draining
        admin.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    cluster.close()
