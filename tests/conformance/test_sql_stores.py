"""The suites on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from jobmaster.agents.same_database import SameDatabaseSettlement
from jobmaster.agents.sql import SqlTransport
from jobmaster.master.schedules import SqlScheduleStore
from jobmaster.master.sql import SqlMasterStore
from jobmaster.sql import open_database
from jobmaster.testing.conformance import (
    AgentTransportConformance,
    MasterStoreConformance,
    ScheduleStoreConformance,
    SettlementConformance,
    Stores,
    Timetable,
)


@pytest.fixture
def stores(database_url: str) -> Iterator[Stores]:
    """A standalone database in both roles."""
    database = open_database(database_url, cluster_id="conformance")
    stores = Stores(SqlTransport(database), SameDatabaseSettlement(database), SqlMasterStore(database))
    stores.open()
    yield stores
    stores.close()


@pytest.fixture
def timetable(database_url: str) -> Iterator[Timetable]:
    """The schedules of a standalone database."""
    database = open_database(database_url, cluster_id="conformance")
    stores = Stores(SqlTransport(database), SameDatabaseSettlement(database), SqlMasterStore(database))
    stores.open()
    yield Timetable(SqlScheduleStore(database), stores)
    stores.close()


class TestTransport(AgentTransportConformance):
    """Agents."""


class TestSettlement(SettlementConformance):
    """Settling."""

    def test_a_claim_whose_bucket_does_not_exist_is_swept_up(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        holder = stores.holder()
        (claimed,) = holder.claim()
        transport, gone = stores.transport, list(holder.buckets.values())
        assert isinstance(transport, SqlTransport)
        gateway = transport._database.gateway
        gateway.transaction("bucket_gone", lambda tx: tx.run("bucket_delete", ids=gone))
        assert stores.settlement.rescue(5).released == 1
        assert holder.settle(holder.succeeded(claimed)).refused == {job_id}
        assert [job.id for job in stores.holder().claim()] == [job_id]


class TestMaster(MasterStoreConformance):
    """The master."""


class TestSchedules(ScheduleStoreConformance):
    """Schedules."""
