"""What the engine asks of clocks and stores. The contracts stand in the docstrings of the protocols.

All store methods are synchronous and may block for as long as the operation timeout; the engine calls them
from threads of its own, never from the event loop. Every method raises :class:`TransientStoreError` for a
fault that may pass (after the adapter's own bounded retries), :class:`StoreError` otherwise.
"""

from .clock import Clock
from .master import ClusterSetting, MasterStore, QueueDepth, WorkerInfo
from .settlement import (
    CancelResult,
    Keyed,
    OnConflict,
    Rescue,
    Settled,
    Settlement,
)
from .transport import (
    AgentTransport,
    BucketInfo,
    ClaimRequest,
    Listener,
    Marked,
    Renewal,
    RunningMark,
)

__all__ = [
    "AgentTransport",
    "BucketInfo",
    "CancelResult",
    "ClaimRequest",
    "Clock",
    "ClusterSetting",
    "Keyed",
    "Listener",
    "Marked",
    "MasterStore",
    "OnConflict",
    "QueueDepth",
    "Renewal",
    "Rescue",
    "RunningMark",
    "Settled",
    "Settlement",
    "WorkerInfo",
]
