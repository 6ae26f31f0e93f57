"""Clusters of a master and agents on real databases."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from jobmaster import ClusterConfig
from tests.databases import use
from tests.leftovers import open_files, until_empty
from tests.servers import sqlserver_wanted

AGENTS = ("north", "south")


@dataclass
class Site:
    """The databases of one cluster."""

    master: str
    agents: Mapping[str, str] = field(default_factory=dict)

    def config(self, name: str = "harness") -> ClusterConfig:
        """A config on them, without workers; leases outlast the pauses of a busy machine."""
        return use(ClusterConfig(name).lease(8).grace_period(1).add_handlers(), self.master, self.agents)


MakeUrl = Callable[[str], str]


@pytest.fixture
def make_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeUrl]:
    """Fresh databases of a kind; at the end no connection to them may be open."""
    folder = tmp_path / "files"
    folder.mkdir()
    made: list[tuple[object, str]] = []
    numbers = itertools.count()

    def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{folder / f'{next(numbers)}.db'}"
        server = request.getfixturevalue(f"{kind}_server")
        url: str = server.create_database()
        made.append((server, url))
        return url

    yield make
    left = until_empty(lambda: open_files(folder))
    for server, url in made:
        left += until_empty(lambda server=server, url=url: server.sessions(url))  # type: ignore[misc]
        server.drop_database(url)  # type: ignore[attr-defined]
    if left:
        pytest.fail("the test left connections open:\n" + "\n".join(left), pytrace=False)


DATABASES = [
    pytest.param("sqlite", marks=pytest.mark.sqlite),
    pytest.param("postgres", marks=pytest.mark.postgres),
    pytest.param("mariadb", marks=pytest.mark.mariadb),
    *([pytest.param("sqlserver", marks=pytest.mark.sqlserver)] if sqlserver_wanted() else []),
]
ON_DATABASES = pytest.mark.parametrize("kind", DATABASES, indirect=True)
"""For tests of what only agents in databases do: jobs that wait there for longer than seconds, tables."""


@pytest.fixture(params=[*DATABASES, pytest.param("nats", marks=pytest.mark.nats)])
def kind(request: pytest.FixtureRequest) -> str:
    """The engine of every database of the cluster; of NATS the agents, with a master in SQLite."""
    chosen: str = request.param
    return chosen


@pytest.fixture
def site(kind: str, make_url: MakeUrl) -> Site:
    """A master and two agents on one engine."""
    return Site(make_url("sqlite" if kind == "nats" else kind), {name: make_url(kind) for name in AGENTS})
