"""What every store must do, as test classes to subclass.

::

    class TestMyStore(AgentTransportConformance, MasterStoreConformance, SettlementConformance):
        @pytest.fixture
        def stores(self) -> Iterator[Stores]:
            stores = Stores(MyTransport(...), MySettlement(...), MyMaster(...))
            stores.open()
            yield stores
            stores.close()

``stores`` is the only fixture: empty stores, fresh for each test. What a master and an agent of their own do
together is :class:`ClusterConformance`, whose only fixture is ``parties``; schedules are
:class:`ScheduleStoreConformance`, whose only fixture is ``timetable``. Nothing here waits for time to
pass: leases end by being renewed for no time at all.
"""

from .cluster import ClusterConformance
from .master import MasterStoreConformance
from .parties import Parties
from .schedules import ScheduleStoreConformance
from .settlement import SettlementConformance
from .stores import Holder, Stores
from .timetable import Timetable
from .transport import AgentTransportConformance

__all__ = [
    "AgentTransportConformance",
    "ClusterConformance",
    "Holder",
    "MasterStoreConformance",
    "Parties",
    "ScheduleStoreConformance",
    "SettlementConformance",
    "Stores",
    "Timetable",
]
