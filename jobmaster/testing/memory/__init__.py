"""Stores that live in memory: the contracts of the ports at their plainest, for tests.

::

    database = MemoryDatabase(FakeClock())
    stores = MemoryTransport(database), MemorySettlement(database), MemoryMasterStore(database)
"""

from .database import MemoryDatabase
from .master import MemoryMasterStore
from .schedules import MemoryScheduleStore
from .settlement import MemoryAgentSettlement, MemorySettlement
from .transport import MemoryTransport

__all__ = [
    "MemoryAgentSettlement",
    "MemoryDatabase",
    "MemoryMasterStore",
    "MemoryScheduleStore",
    "MemorySettlement",
    "MemoryTransport",
]
