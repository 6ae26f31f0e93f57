"""Where runs happen: what all runs of one worker share."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol
from uuid import UUID

if TYPE_CHECKING:
    from .run import Run

__all__ = ["RunChildren", "RunThreads", "SiteClock", "ThreadCall", "WorkerSite"]


class SiteClock(Protocol):
    """The part of the worker's clock that runs use."""

    def now(self) -> datetime:
        """The present instant, aware UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start."""
        ...


class ThreadCall(Protocol):
    """One call on its way through a thread."""

    @property
    def future(self) -> asyncio.Future[Any]:
        """Has the outcome once the thread is through. Cancelling it stops nothing."""
        ...

    def withdraw(self) -> bool:
        """Take the call back unless a thread has begun it; whether that worked."""
        ...


class RunThreads(Protocol):
    """Threads for handlers."""

    def submit(self, function: Callable[..., Any], *args: Any) -> ThreadCall:
        """Hand a call over from the running event loop; the context variables go with it."""
        ...


class RunChildren(Protocol):
    """Child processes for handlers."""

    async def run(self, run: Run) -> str | None:
        """Run the handler of ``run`` in a child process; the JSON text of its result."""
        ...


class WorkerSite:
    """The constants of one worker that its runs see. ``scheduler`` is the cluster's scheduler."""

    __slots__ = (
        "agent_connection",
        "children",
        "clock",
        "cluster_id",
        "lane",
        "logger",
        "scheduler",
        "threads",
        "worker_id",
        "worker_name",
    )

    def __init__(
        self,
        *,
        cluster_id: str,
        agent_connection: str,
        worker_id: UUID,
        worker_name: str,
        lane: str,
        scheduler: Any,
        clock: SiteClock,
        threads: RunThreads,
        children: RunChildren,
        logger: logging.Logger,
    ) -> None:
        self.cluster_id = cluster_id
        self.agent_connection = agent_connection
        self.worker_id = worker_id
        self.worker_name = worker_name
        self.lane = lane
        self.scheduler = scheduler
        self.clock = clock
        self.threads = threads
        self.children = children
        self.logger = logger
