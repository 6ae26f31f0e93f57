"""The master: the source of truth about the cluster."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from ..domain.job import Attempt, Job, JobFilter
from ..domain.status import JobStatus, WorkerMode

__all__ = ["ClusterSetting", "MasterStore", "QueueDepth", "WorkerInfo"]


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker as the registry shows it. ``alive`` is the store's own verdict on ``seen_at``."""

    id: UUID
    name: str
    agent_connection: str
    lane: str
    mode: WorkerMode
    host: str
    pid: int
    started_at: datetime
    seen_at: datetime
    slots: int
    alive: bool = True
    unknown_definitions: tuple[str, ...] = ()
    """Definition ids that this worker met and does not know."""


@dataclass(frozen=True, slots=True)
class ClusterSetting:
    """One stored cluster setting. ``pinned``: set through the API, survives what code declares."""

    name: str
    value: Any
    pinned: bool
    version: int


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How many live jobs of one agent, lane, priority and status there are."""

    agent_connection: str
    lane: str
    priority: int
    status: JobStatus
    jobs: int
    oldest_due_at: datetime


class MasterStore(Protocol):
    """Jobs as users ask for them, the worker registry and the cluster's settings."""

    def open(self) -> None:
        """Connect and check identity; see :meth:`AgentTransport.open`."""
        ...

    def close(self) -> None:
        """Release every connection and thread. Idempotent."""
        ...

    def now(self) -> datetime:
        """The master's present instant."""
        ...

    def get_job(self, job_id: UUID) -> Job | None:
        """The job, live or finished."""
        ...

    def find_jobs(self, criteria: JobFilter, limit: int, after: UUID | None) -> list[Job]:
        """Live and finished jobs, newest id first, that come after the id ``after`` in that order."""
        ...

    def count_jobs(self, criteria: JobFilter) -> int:
        """How many jobs fit."""
        ...

    def finished(self, job_ids: Collection[UUID]) -> frozenset[UUID]:
        """Which of these have ended."""
        ...

    def attempts(self, job_id: UUID) -> list[Attempt]:
        """The job's recorded runs, oldest first; a plain success is made up from its history row."""
        ...

    def depths(self) -> list[QueueDepth]:
        """Live jobs by agent, lane, priority and status."""
        ...

    def register_worker(self, worker: WorkerInfo, alive_for: timedelta) -> None:
        """Add a worker to the registry, seen now; it counts as alive for ``alive_for``."""
        ...

    def see_worker(
        self, worker_id: UUID, unknown_definitions: Sequence[str], alive_for: timedelta
    ) -> bool:
        """Note that a worker lives; it counts as alive for ``alive_for`` from the store's now. ``False``
        when the registry does not know it."""
        ...

    def forget_worker(self, worker_id: UUID) -> None:
        """Remove a worker that stopped."""
        ...

    def workers(self) -> list[WorkerInfo]:
        """The registry, oldest first. Workers not alive for a day are removed in passing."""
        ...

    def settings(self) -> Mapping[str, ClusterSetting]:
        """The stored settings by name."""
        ...

    def declare_settings(self, declared: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
        """Store what code declares; pinned ones and names not declared are left alone. Returns the changes
        as (name, old, new)."""
        ...

    def pin_setting(self, name: str, value: Any) -> None:
        """Set a value that survives restarts until unpinned."""
        ...

    def unpin_setting(self, name: str) -> None:
        """Let the next declared value win again; the value stays until then."""
        ...
