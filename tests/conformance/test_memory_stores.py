"""The suites on the stores in memory, with a clock that stands still."""

from __future__ import annotations

import pytest

from jobmaster.testing.clock import FakeClock
from jobmaster.testing.conformance import (
    AgentTransportConformance,
    MasterStoreConformance,
    ScheduleStoreConformance,
    SettlementConformance,
    Stores,
    Timetable,
)
from jobmaster.testing.memory import (
    MemoryDatabase,
    MemoryMasterStore,
    MemoryScheduleStore,
    MemorySettlement,
    MemoryTransport,
)


@pytest.fixture
def stores() -> Stores:
    """One database in both roles."""
    database = MemoryDatabase(FakeClock())
    return Stores(MemoryTransport(database), MemorySettlement(database), MemoryMasterStore(database))


@pytest.fixture
def timetable() -> Timetable:
    """The schedules of one database."""
    database = MemoryDatabase(FakeClock())
    stores = Stores(MemoryTransport(database), MemorySettlement(database), MemoryMasterStore(database))
    return Timetable(MemoryScheduleStore(database), stores)


class TestTransport(AgentTransportConformance):
    """Agents."""


class TestSettlement(SettlementConformance):
    """Settling."""


class TestMaster(MasterStoreConformance):
    """The master."""


class TestSchedules(ScheduleStoreConformance):
    """Schedules."""
