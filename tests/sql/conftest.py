"""Databases for the tests of the SQL room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jobmaster.agents.same_database import SameDatabaseSettlement
from jobmaster.agents.sql import SqlTransport
from jobmaster.master.sql import SqlMasterStore
from jobmaster.sql import Database, open_database
from jobmaster.testing.conformance import Stores
from tests.servers import sqlserver_wanted

collect_ignore = [] if sqlserver_wanted() else ["test_sqlserver_live.py"]
"""Without a server, one test says so (tests/servers/test_sqlserver.py)."""

MakeDatabase = Callable[..., Database]


@pytest.fixture
def make_database() -> Iterator[MakeDatabase]:
    """Describes databases and closes them at the end."""
    made: list[Database] = []

    def make(url: str, **options: Any) -> Database:
        database = open_database(url, **{"cluster_id": "tests", **options})
        made.append(database)
        return database

    yield make
    for database in made:
        database.close()


@pytest.fixture
def database(database_url: str, make_database: MakeDatabase) -> Database:
    """An open database."""
    database = make_database(database_url)
    database.open()
    return database


def stores_of(database: Database) -> Stores:
    """Its adapters."""
    return Stores(SqlTransport(database), SameDatabaseSettlement(database), SqlMasterStore(database))


@pytest.fixture
def stores(database: Database) -> Stores:
    """The adapters of the open database."""
    return stores_of(database)
