"""Looking at the whole cluster and setting its settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..domain.status import ClusterMode
from ..errors import ConfigurationError, StoreError, TransientStoreError, TransportUnavailable
from ..ports import BucketInfo, ClusterSetting, QueueDepth, WorkerInfo
from .answering import answering
from .backend import Agent, Backend
from .locator import Locator
from .producer import Producer

__all__ = ["Administration", "AgentInfo", "ClusterStatus"]


@dataclass(frozen=True, slots=True)
class AgentInfo:
    """One agent connection. ``location`` carries no secret."""

    name: str
    location: str
    reachable: bool
    draining: bool = False
    """Whether it is being emptied and takes nothing new."""
    unshipped: int = 0
    """Jobs that ended there and that the master has not been told of yet."""
    fault: str | None = None
    """Why it is not reachable."""


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """The cluster at one moment, by the master's clock."""

    cluster_id: str
    mode: ClusterMode
    at: datetime
    depths: tuple[QueueDepth, ...]
    workers: tuple[WorkerInfo, ...]
    buckets: tuple[BucketInfo, ...]
    agents: tuple[AgentInfo, ...] = ()


class Administration:
    """The sync core of the administrative calls of ``Cluster``. Blocking."""

    def __init__(
        self,
        backend: Backend,
        locator: Locator,
        producer: Producer,
        wake: Callable[[str | None], None],
    ) -> None:
        self._backend = backend
        self._locator = locator
        self._producer = producer
        self._wake = wake

    def settings(self) -> Mapping[str, ClusterSetting]:
        """What the master keeps."""
        self._producer.ready()
        with answering("the settings cannot be read"):
            return self._backend.master.settings()

    def pin(self, name: str, value: Any) -> None:
        """Set and pin; takes effect here at once. ``ClusterArchived`` for all but the mode."""
        stored = self._backend.board.parse(name, value)
        self._check_writable(name)
        with answering(f"setting {name} is perhaps not pinned"):
            self._backend.master.pin_setting(name, stored)
            self._backend.refresh()
        self._wake(None)

    def unpin(self, name: str) -> None:
        """Unpin; what code declares holds again at once. ``ClusterArchived`` for all but the mode."""
        self._backend.board.check_name(name)
        self._check_writable(name)
        with answering(f"setting {name} is perhaps still pinned"):
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
        with answering("the registry of workers cannot be read"):
            return self._backend.master.workers()

    def buckets(self) -> list[BucketInfo]:
        """The buckets of every agent that answers."""
        self._producer.ready()
        if not self._backend.distributed:
            with answering("the buckets cannot be read"):
                return self._backend.held.transport.buckets()
        found: list[BucketInfo] = []
        for agent in self._backend.reachable():
            try:
                found += agent.transport.buckets()
            except StoreError as fault:
                self._backend.silent(agent.name, fault)
        return found

    def agents(self) -> list[AgentInfo]:
        """The agent connections and whether they answer."""
        backend = self._backend
        if not backend.distributed:
            return [self._standalone(backend.held)]
        try:
            self._producer.ready()
            draining = {record.name for record in backend.master.agents() if record.draining}
        except (TransportUnavailable, TransientStoreError):
            draining = set(backend.roster.draining)
        return [self._agent(name, name in draining) for name in backend.agents]

    def _agent(self, name: str, draining: bool) -> AgentInfo:
        location = self._backend.agents[name].location
        try:
            unshipped, _ = self._backend.agent(name).transport.unshipped()
        except (StoreError, ConfigurationError) as fault:
            # a store that is not the one meant is as far away as one that does not answer
            return AgentInfo(name, location, False, draining, fault=str(fault))
        return AgentInfo(name, location, True, draining, unshipped)

    def _standalone(self, agent: Agent) -> AgentInfo:
        try:
            self._producer.ready()
            agent.transport.now()
        except (TransportUnavailable, TransientStoreError) as fault:
            return AgentInfo(agent.name, self._backend.location, False, fault=str(fault))
        return AgentInfo(agent.name, self._backend.location, True)

    def status(self) -> ClusterStatus:
        """Everything at once."""
        self._producer.ready()
        with answering("the master does not answer"):
            self._backend.refresh()
            return ClusterStatus(
                self._backend.cluster_id,
                self._backend.limits.mode,
                self._backend.master.now(),
                tuple(self._locator.depths()),
                tuple(self._backend.master.workers()),
                tuple(self.buckets()),
                tuple(self.agents()),
            )
