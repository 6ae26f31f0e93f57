"""The suites on a history in parts: nothing but retention may tell it from one table."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from jobmaster.agents.same_database import SameDatabaseSettlement
from jobmaster.agents.sql import SqlTransport
from jobmaster.master.sql import SqlMasterStore
from jobmaster.sql import open_database
from jobmaster.testing.conformance import MasterStoreConformance, SettlementConformance, Stores


@pytest.fixture(
    params=[
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    """A standalone database in both roles, whose history has parts."""
    database = open_database(request.getfixturevalue(f"{request.param}_url"), cluster_id="conformance")
    stores = Stores(SqlTransport(database), SameDatabaseSettlement(database), SqlMasterStore(database))
    stores.open()
    if not database.schema.partitioned():  # by an earlier test
        database.schema.partition_history()
    assert stores.master.tend_history(timedelta(days=30)).leeway > timedelta(0)
    yield stores
    stores.close()


class TestSettlement(SettlementConformance):
    """Settling."""


class TestMaster(MasterStoreConformance):
    """The master."""
