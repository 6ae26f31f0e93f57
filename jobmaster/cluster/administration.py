"""Looking at the whole cluster and setting its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..domain.status import ClusterMode
from ..errors import TransientStoreError, TransportUnavailable
from ..ports import BucketInfo, ClusterSetting, QueueDepth, WorkerInfo
from .backend import Backend
from .producer import Producer

__all__ = ["Administration", "AgentInfo", "ClusterStatus"]


@dataclass(frozen=True, slots=True)
class AgentInfo:
    """One agent connection. ``location`` carries no secret."""

    name: str
    location: str
    reachable: bool


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """The cluster at one moment, by the master's clock."""

    cluster_id: str
    mode: ClusterMode
    at: datetime
    depths: tuple[QueueDepth, ...]
    workers: tuple[WorkerInfo, ...]
    buckets: tuple[BucketInfo, ...]


class Administration:
    """The sync core of the administrative calls of ``Cluster``. Blocking."""

    def __init__(
        self, backend: Backend, producer: Producer, wake: Callable[[str | None], None]
    ) -> None:
        self._backend = backend
        self._producer = producer
        self._wake = wake

    def settings(self) -> Mapping[str, ClusterSetting]:
        """What the master keeps."""
        self._producer.ready()
        return self._backend.master.settings()

    def pin(self, name: str, value: Any) -> None:
        """Set and pin; takes effect here at once. ``ClusterArchived`` for all but the mode."""
        stored = self._backend.board.parse(name, value)
        self._check_writable(name)
        self._backend.master.pin_setting(name, stored)
        self._backend.refresh()
        self._wake(None)

    def unpin(self, name: str) -> None:
        """Unpin; what code declares holds again at once. ``ClusterArchived`` for all but the mode."""
        self._backend.board.check_name(name)
        self._check_writable(name)
        self._backend.master.unpin_setting(name)
        self._backend.declare()
        self._wake(None)

    def _check_writable(self, name: str) -> None:
        """An archived cluster is read-only, but for the one setting that leads out of it."""
        if name == "cluster_mode":
            self._producer.ready()
        else:
            self._producer.check_writable()

    def workers(self) -> list[WorkerInfo]:
        """The registry."""
        self._producer.ready()
        return self._backend.master.workers()

    def buckets(self) -> list[BucketInfo]:
        """The buckets of the agent."""
        self._producer.ready()
        return self._backend.transport.buckets()

    def agents(self) -> list[AgentInfo]:
        """The agent connections and whether they answer."""
        try:
            self._producer.ready()
            self._backend.transport.now()
        except (TransportUnavailable, TransientStoreError):
            reachable = False
        else:
            reachable = True
        return [AgentInfo(self._backend.transport.name, self._backend.location, reachable)]

    def status(self) -> ClusterStatus:
        """Everything at once."""
        self._producer.ready()
        self._backend.refresh()
        return ClusterStatus(
            self._backend.cluster_id,
            self._backend.limits.mode,
            self._backend.master.now(),
            tuple(self._backend.master.depths()),
            tuple(self._backend.master.workers()),
            tuple(self._backend.transport.buckets()),
        )
