"""A cluster on each engine, with and without workers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest

from jobmaster import Cluster, ClusterConfig
from tests.api import handlers
from tests.databases import use

HANDLERS: list[Any] = [
    handlers.Hello,
    handlers.Add,
    handlers.double,
    handlers.FailsTwice,
    handlers.FailsForGood,
    handlers.CancelsItself,
    handlers.Snoozes,
    handlers.RetriesLater,
    handlers.Naps,
    handlers.InThread,
    handlers.Blocks,
    handlers.Logs,
    handlers.Seen,
]


def configure(url: str, name: str = "api", handlers: Sequence[Any] = HANDLERS) -> ClusterConfig:
    """A standalone cluster on this database, without workers."""
    config = ClusterConfig(name).use_standalone().lease(6).grace_period(1).add_handlers(*handlers)
    return use(config, url)


@pytest.fixture
async def cluster(database_url: str) -> AsyncIterator[Cluster]:
    """A running cluster with one worker."""
    built = configure(database_url).add_worker(name="w").build()
    async with built:
        yield built


@pytest.fixture
def idle(database_url: str) -> Iterator[Cluster]:
    """A cluster that nobody works for."""
    built = configure(database_url).build()
    yield built
    built.close()
