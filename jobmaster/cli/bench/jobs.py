"""What the measured jobs do: next to nothing."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from ...handlers import JobContext, JobHandler
from ...sql.urls import parse_url

if TYPE_CHECKING:
    from ...cluster.config import ClusterConfig

__all__ = [
    "AGENT",
    "CLUSTER_ID",
    "DEFINITIONS",
    "NOTHING",
    "STAMP",
    "DoNothing",
    "Stamp",
    "agent_names",
    "agent_url",
    "config_for",
    "config_with_agents",
    "payload",
]

CLUSTER_ID = "jobmaster-bench"
AGENT = "bench"
"""The agent connection, where there is one."""
NOTHING = "bench.nothing"
STAMP = "bench.stamp"
DEFINITIONS = (NOTHING, STAMP)


class DoNothing(JobHandler, definition_id=NOTHING):
    """Decodes its data and is done; counts its runs and tells when as many as expected have begun."""

    runs = 0
    expected = 0
    first_at = 0.0
    reached_at = 0.0
    reached = asyncio.Event()

    @classmethod
    def expect(cls, runs: int) -> None:
        """Begin to count anew."""
        cls.runs, cls.expected = 0, runs
        cls.reached.clear()

    async def handle(self, job: JobContext) -> None:
        _ = job.data
        cls = DoNothing
        if not cls.runs:
            cls.first_at = time.time()
        cls.runs += 1
        if cls.runs == cls.expected:
            cls.reached_at = time.time()
            cls.reached.set()


class Stamp(JobHandler, definition_id=STAMP):
    """Notes when it began."""

    began: dict[int, float] = {}

    async def handle(self, job: JobContext) -> None:
        now = time.time()
        Stamp.began[job.data.get_int("number")] = now


def payload(number: int) -> dict[str, object]:
    """A payload of the size that jobs tend to have."""
    return {
        "number": number,
        "customer": "c-1029384756",
        "kind": "invoice",
        "amount": "129.90",
        "urgent": False,
    }


def agent_names(count: int) -> list[str]:
    """What several agent connections are called."""
    return [f"a{number}" for number in range(1, count + 1)]


def agent_url(url: str, name: str) -> str:
    """The database of one of several agents of the master of ``url``: a file of its own beside a file, and
    the same database elsewhere, where the agent gets tables of its own."""
    store = parse_url(url)
    return f"sqlite:///{store.path}-{name}" if store.kind == "sqlite" else url


def config_with_agents(url: str, table_prefix: str, agents: int) -> ClusterConfig:
    """The measured cluster, with the database of ``url`` as master of so many agents."""
    from ..standalone import configured

    config = configured(CLUSTER_ID, url, for_master=True).table_prefix(table_prefix)
    for name in agent_names(agents):
        config.add_agent_connection(name, agent_url(url, name))
    return config.add_handlers(DoNothing, Stamp)


def config_for(url: str, table_prefix: str, master: str | None = None) -> ClusterConfig:
    """The measured cluster: the library's defaults, with tables of its own; with ``master``, the URL is that
    of its only agent."""
    from ..standalone import configured

    if master is not None:
        config = configured(CLUSTER_ID, master, for_master=True).table_prefix(table_prefix)
        return config.add_agent_connection(AGENT, url).add_handlers(DoNothing, Stamp)
    return configured(CLUSTER_ID, url).table_prefix(table_prefix).add_handlers(DoNothing, Stamp)
