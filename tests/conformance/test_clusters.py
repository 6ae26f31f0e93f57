"""The suite for a master and an agent: in memory, and on SQL databases of each kind side by side."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from jobmaster.agents.agent_database import AgentDatabaseSettlement
from jobmaster.agents.same_database import SameDatabaseSettlement
from jobmaster.agents.skew import Skew
from jobmaster.agents.sql import SqlTransport
from jobmaster.master.sql import SqlMasterStore
from jobmaster.sql import open_database
from jobmaster.sql.reading import SqlJobReader
from jobmaster.testing import FakeClock
from jobmaster.testing.conformance import ClusterConformance, Parties, Stores
from jobmaster.testing.memory import (
    MemoryAgentSettlement,
    MemoryDatabase,
    MemoryMasterStore,
    MemorySettlement,
    MemoryTransport,
)
from tests.servers import sqlserver_wanted

_POSTGRES, _MARIADB, _SQLITE = pytest.mark.postgres, pytest.mark.mariadb, pytest.mark.sqlite
_SQLSERVER = pytest.mark.sqlserver
PAIRS = [
    pytest.param("sqlite", "sqlite", id="sqlite", marks=_SQLITE),
    pytest.param("postgres", "postgres", id="postgres", marks=_POSTGRES),
    pytest.param("mariadb", "mariadb", id="mariadb", marks=_MARIADB),
    pytest.param("postgres", "sqlite", id="postgres-sqlite", marks=[_POSTGRES, _SQLITE]),
    pytest.param("mariadb", "postgres", id="mariadb-postgres", marks=[_POSTGRES, _MARIADB]),
    pytest.param("sqlite", "mariadb", id="sqlite-mariadb", marks=[_SQLITE, _MARIADB]),
]
if sqlserver_wanted():
    PAIRS += [
        pytest.param("sqlserver", "sqlserver", id="sqlserver", marks=_SQLSERVER),
        pytest.param("sqlserver", "sqlite", id="sqlserver-sqlite", marks=[_SQLSERVER, _SQLITE]),
        pytest.param("postgres", "sqlserver", id="postgres-sqlserver", marks=[_SQLSERVER, _POSTGRES]),
    ]


class TestMemory(ClusterConformance):
    """In memory."""

    @pytest.fixture
    def parties(self) -> Parties:
        clock = FakeClock()
        home = MemoryDatabase(clock, role="master")
        away = MemoryDatabase(clock, name="agent", role="agent")
        master, reader = MemoryMasterStore(home), MemoryMasterStore(away)
        agent = Stores(MemoryTransport(away), MemoryAgentSettlement(away, master), master)
        parties = Parties(master, MemoryTransport(home), MemorySettlement(home), agent, reader)
        parties.open()
        return parties


@pytest.mark.parametrize(("home_kind", "away_kind"), PAIRS)
class TestSql(ClusterConformance):
    """On databases; master and agent."""

    @pytest.fixture
    def parties(self, request: pytest.FixtureRequest, home_kind: str, away_kind: str) -> Iterator[Parties]:
        urls = [request.getfixturevalue(f"{kind}_url") for kind in (home_kind, away_kind)]
        # two stores of one kind lie side by side in one database
        prefix = "agent_" if home_kind == away_kind else "jm_"
        home = open_database(urls[0], cluster_id="conformance", role="master")
        away = open_database(
            urls[1], cluster_id="conformance", name="agent", role="agent", table_prefix=prefix
        )
        master, skew = SqlMasterStore(home), Skew()
        settlement = AgentDatabaseSettlement(away, master, skew, None, logging.getLogger("conformance"))
        agent = Stores(SqlTransport(away, skew), settlement, master)
        parties = Parties(
            master, SqlTransport(home), SameDatabaseSettlement(home), agent, SqlJobReader(away, skew.shown)
        )
        parties.open()
        yield parties
        parties.close()
