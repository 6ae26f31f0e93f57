"""The administrative calls of ``Cluster``, each with its async twin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ..domain.durations import Duration
from ..domain.status import ClusterMode
from ..ports import BucketInfo, ClusterSetting, WorkerInfo
from .administration import Administration, AgentInfo, ClusterStatus
from .draining import DrainReport, Drains
from .producer import Producer

__all__ = ["AdministrativeMethods"]

T = TypeVar("T")


class AdministrativeMethods:
    """Looks at the whole cluster and changes it, whether this process runs workers or not."""

    _administration: Administration
    _drains: Drains
    _producer: Producer

    def set_mode(self, mode: ClusterMode | str) -> None:
        """Switch the whole cluster to ``active``, ``passive`` (accept, do not run) or ``archived``
        (read-only). Pinned: it survives restarts until :meth:`unpin` is called for ``cluster_mode``.
        Workers elsewhere follow within about five seconds."""
        self._administration.pin("cluster_mode", mode)

    async def set_mode_async(self, mode: ClusterMode | str) -> None:
        """Async twin of :meth:`set_mode`."""
        await self._in_thread(self.set_mode, mode)

    def settings(self) -> Mapping[str, ClusterSetting]:
        """The settings stored on the master, by name."""
        return self._administration.settings()

    async def settings_async(self) -> Mapping[str, ClusterSetting]:
        """Async twin of :meth:`settings`."""
        return await self._in_thread(self.settings)

    def pin(self, name: str, value: Any) -> None:
        """Set a stored setting so that it wins over what code declares. Raises ``ConfigurationError``."""
        self._administration.pin(name, value)

    async def pin_async(self, name: str, value: Any) -> None:
        """Async twin of :meth:`pin`."""
        await self._in_thread(self.pin, name, value)

    def unpin(self, name: str) -> None:
        """Let the value declared in code win again."""
        self._administration.unpin(name)

    async def unpin_async(self, name: str) -> None:
        """Async twin of :meth:`unpin`."""
        await self._in_thread(self.unpin, name)

    def workers(self) -> list[WorkerInfo]:
        """The registered workers of the whole cluster, oldest first."""
        return self._administration.workers()

    async def workers_async(self) -> list[WorkerInfo]:
        """Async twin of :meth:`workers`."""
        return await self._in_thread(self.workers)

    def buckets(self) -> list[BucketInfo]:
        """The buckets of every agent."""
        return self._administration.buckets()

    async def buckets_async(self) -> list[BucketInfo]:
        """Async twin of :meth:`buckets`."""
        return await self._in_thread(self.buckets)

    def agents(self) -> list[AgentInfo]:
        """The agent connections; that of a standalone cluster is called ``standalone``."""
        return self._administration.agents()

    async def agents_async(self) -> list[AgentInfo]:
        """Async twin of :meth:`agents`."""
        return await self._in_thread(self.agents)

    def status(self) -> ClusterStatus:
        """Mode, depths per agent, lane, priority and status, workers and buckets, at one moment."""
        return self._administration.status()

    async def status_async(self) -> ClusterStatus:
        """Async twin of :meth:`status`."""
        return await self._in_thread(self.status)

    def drain(
        self,
        agent_connection: str,
        *,
        hold: bool = False,
        timeout: Duration | None = None,
        progress: Callable[[DrainReport], None] = lambda report: None,
    ) -> DrainReport:
        """Empty an agent while jobs flow: it takes nothing new, what waits there is placed elsewhere.

        Returns when nothing is left there, or after ``timeout`` with what is left; coordinators go on with it
        either way, until :meth:`undrain`. Refuses (``ConfigurationError``) to move jobs of a lane that nobody
        serves elsewhere, unless they are to be held on the master (``hold=True``), as on the way back to a
        standalone cluster. ``progress`` hears of every batch.

        >>> cluster.drain("postgres-1", timeout=600)                          # doctest: +SKIP
        """
        return self._drains.drain(agent_connection, hold, timeout, progress)

    async def drain_async(
        self,
        agent_connection: str,
        *,
        hold: bool = False,
        timeout: Duration | None = None,
        progress: Callable[[DrainReport], None] = lambda report: None,
    ) -> DrainReport:
        """Async twin of :meth:`drain`."""
        return await self._in_thread(self._drains.drain, agent_connection, hold, timeout, progress)

    def undrain(self, agent_connection: str) -> None:
        """Let an agent that was drained take jobs again."""
        self._drains.undo(agent_connection)

    async def undrain_async(self, agent_connection: str) -> None:
        """Async twin of :meth:`undrain`."""
        await self._in_thread(self.undrain, agent_connection)

    def forget_agent(self, agent_connection: str) -> int:
        """Give up an agent whose store is gone for good; how many jobs that were there are held again.

        Jobs that the master had not heard of, enqueued within about a second before, are lost with it. Raises
        ``ConfigurationError`` while the store answers and is not empty: such an agent is drained."""
        return self._drains.forget(agent_connection)

    async def forget_agent_async(self, agent_connection: str) -> int:
        """Async twin of :meth:`forget_agent`."""
        return await self._in_thread(self.forget_agent, agent_connection)

    async def _in_thread(self, function: Callable[..., T], *args: Any) -> T:
        return await self._producer.threads.run(function, *args)
