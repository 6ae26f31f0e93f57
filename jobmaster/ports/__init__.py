"""What the engine asks of clocks and stores. The contracts stand in the docstrings of the protocols.

All store methods are synchronous and may block for as long as the operation timeout; the engine calls them
from threads of its own, never from the event loop. Every method raises :class:`TransientStoreError` for a
fault that may pass (after the adapter's own bounded retries), :class:`StoreError` otherwise.
"""

from .clock import Clock
from .master import (
    AgentRecord,
    ClusterSetting,
    JobReader,
    MasterStore,
    Placement,
    QueueDepth,
    Tended,
    WorkerInfo,
)
from .schedules import PLANNERS, Change, Decide, DecideOne, Decision, Planned, Runs, ScheduleStore
from .settlement import (
    CancelResult,
    Keyed,
    OnConflict,
    Rescue,
    Settled,
    Settlement,
    StoreElsewhere,
)
from .transport import (
    AgentTransport,
    BucketInfo,
    ClaimRequest,
    Listener,
    Marked,
    Renewal,
    RunningMark,
    TakeRequest,
)

__all__ = [
    "PLANNERS",
    "AgentRecord",
    "AgentTransport",
    "BucketInfo",
    "CancelResult",
    "Change",
    "ClaimRequest",
    "Clock",
    "ClusterSetting",
    "Decide",
    "DecideOne",
    "Decision",
    "JobReader",
    "Keyed",
    "Listener",
    "Marked",
    "MasterStore",
    "OnConflict",
    "Placement",
    "Planned",
    "QueueDepth",
    "Renewal",
    "Rescue",
    "RunningMark",
    "Runs",
    "ScheduleStore",
    "Settled",
    "Settlement",
    "StoreElsewhere",
    "TakeRequest",
    "Tended",
    "WorkerInfo",
]
