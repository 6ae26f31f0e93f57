"""One running cluster on each engine; on NATS the jobs live there and the master is an SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from jobmaster import Cluster, ClusterConfig, JobContext, JobHandler, Retry
from tests.databases import use
from tests.servers import ExternalNats, NatsServer, sqlserver_wanted


class Echo(JobHandler, definition_id="robustness-echo"):
    """Returns what it was given."""

    async def handle(self, job: JobContext) -> Any:
        return {"data": dict(job.data), "metadata": dict(job.metadata)}


class Shout(JobHandler, definition_id="robustness-shout", retry=Retry.none()):
    """Fails with the text that it was given, escaped as in JSON, and logs it."""

    async def handle(self, job: JobContext) -> None:
        text = job.data.get_str("text").encode().decode("unicode_escape") * job.data.get_int("times")
        job.log(text)
        job.report_progress(0.5, text)
        raise RuntimeError(text)


ENGINES = [
    pytest.param("sqlite", marks=pytest.mark.sqlite),
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
    pytest.param("nats", marks=pytest.mark.nats),
    *([pytest.param("sqlserver", marks=pytest.mark.sqlserver)] if sqlserver_wanted() else []),
]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture
def nats_agent_url(nats_server: NatsServer | ExternalNats) -> Iterator[str]:
    """URL of an empty NATS server."""
    url = nats_server.create_database()
    yield url
    nats_server.drop_database(url)


@pytest.fixture
def config(engine: str, request: pytest.FixtureRequest) -> ClusterConfig:
    """A config with one worker."""
    made = ClusterConfig("robust").add_handlers(Echo, Shout).lease(5).operation_timeout(timedelta(seconds=5))
    if engine == "nats":
        agents = {"hot": request.getfixturevalue("nats_agent_url")}
        return use(made, request.getfixturevalue("sqlite_url"), agents).add_worker("hot")
    return use(made, request.getfixturevalue(f"{engine}_url")).add_worker()


@pytest.fixture
def cluster(config: ClusterConfig) -> Iterator[Cluster]:
    with config.max_message_bytes(None).build() as running:
        yield running
