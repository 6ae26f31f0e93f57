"""The master: the source of truth about the cluster."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol
from uuid import UUID

from ..domain.copies import AgentKey, JobCopy, Mirror, Shipment
from ..domain.job import Attempt, Job, JobFilter
from ..domain.status import JobStatus, WorkerMode

__all__ = [
    "AgentRecord",
    "ClusterSetting",
    "JobReader",
    "MasterStore",
    "Placement",
    "QueueDepth",
    "Tended",
    "WorkerInfo",
]


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
    backlog: int = 0
    """How many jobs of its lane were due and unclaimed on its agent when it was last seen; capped."""


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """An agent connection as the master knows it. ``draining``: it is being emptied and takes nothing new."""

    key: AgentKey
    added_at: datetime
    draining: bool

    @property
    def name(self) -> str:
        """The permanent name of the agent connection."""
        return self.key.name


@dataclass(frozen=True, slots=True)
class Placement:
    """Held jobs that the master has given to an agent, committed, and that are to be inserted there."""

    agent: AgentKey
    copies: Sequence[JobCopy]


@dataclass(frozen=True, slots=True)
class ClusterSetting:
    """One stored cluster setting. ``pinned``: set through the API, survives what code declares."""

    name: str
    value: Any
    pinned: bool
    version: int


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """How many live jobs of one agent, lane, priority and status there are; without an agent, held on the
    master."""

    agent_connection: str | None
    lane: str
    priority: int
    status: JobStatus
    jobs: int
    oldest_due_at: datetime


class Tended(NamedTuple):
    """What a pass over the parts of a history left to do."""

    leeway: timedelta = timedelta(0)
    """How much longer than asked finished jobs may stay, because the whole part that they are in goes."""
    more: bool = False
    """There is more to do at once."""


class JobReader(Protocol):
    """What one store knows of jobs: those that live there, and those that have ended there."""

    def get_job(self, job_id: UUID) -> Job | None:
        """The job, live or finished."""
        ...

    def find_jobs(
        self, criteria: JobFilter, limit: int, after: UUID | None, without: Collection[UUID] = ()
    ) -> list[Job]:
        """Live and finished jobs, newest id first, that come after the id ``after`` in that order.

        ``without``: leave out the jobs that are known to be on the agents with these store ids."""
        ...

    def count_jobs(
        self, criteria: JobFilter, without: Collection[UUID] = (), excluding: Collection[UUID] = ()
    ) -> int:
        """How many jobs fit. ``without`` as above; finished jobs with ids in ``excluding`` do not count."""
        ...

    def ended(self, criteria: JobFilter, most: int) -> list[UUID]:
        """The ids of finished jobs that fit, at most ``most``, in no order."""
        ...

    def attempts(self, job_id: UUID) -> list[Attempt]:
        """The job's recorded runs, oldest first; a plain success is made up from its history row."""
        ...

    def depths(self, without: Collection[UUID] = ()) -> list[QueueDepth]:
        """Live jobs by agent, lane, priority and status."""
        ...


class MasterStore(JobReader, Protocol):
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

    def finished(self, job_ids: Collection[UUID]) -> frozenset[UUID]:
        """Which of these have ended."""
        ...

    def tend_history(self, retention: timedelta | None) -> Tended:
        """Where the history is kept in parts: make those to come, and delete whole ones, with the attempts of
        their jobs, all of whose jobs ended longer than ``retention`` ago. Never waits for long for somebody
        who uses the history, nor lets anybody wait; what cannot be done now is left to the next call.
        Elsewhere it does nothing."""
        ...

    def register_worker(self, worker: WorkerInfo, alive_for: timedelta) -> None:
        """Add a worker to the registry, seen now; it counts as alive for ``alive_for``."""
        ...

    def see_worker(
        self,
        worker_id: UUID,
        unknown_definitions: Sequence[str],
        alive_for: timedelta,
        backlog: int = 0,
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

    # --- agents -------------------------------------------------------------------------------------

    def agents(self) -> list[AgentRecord]:
        """The agent connections ever registered and not forgotten, by name."""
        ...

    def register_agent(self, agent: AgentKey) -> None:
        """Make an agent's store known. Raises ``ConfigurationError`` when the name is known with another
        store id: that store was wiped, restored, or is not the one meant; and when the store was given up."""
        ...

    def set_draining(self, name: str, draining: bool) -> bool:
        """Mark an agent as being emptied, or not. Held jobs that were asked for there may go anywhere from
        then on. ``False`` when no agent has this name."""
        ...

    def forget_agent(self, name: str, empty: bool = False) -> int | None:
        """Forget an agent's store and hold the jobs that were mirrored from it. How many those are; ``None``
        when no agent has this name. Held jobs that were asked for there may go anywhere from then on. Unless
        the store is known to be ``empty`` it is never taken back: its copies would run beside these jobs."""
        ...

    # --- jobs that live on agents -------------------------------------------------------------------

    def record(self, agent: AgentKey, shipment: Shipment) -> frozenset[UUID]:
        """Store how jobs ended on an agent, and their attempts; durable on return, idempotent.

        The first outcome of a job stays. Returns the ids of outcomes that were refused because the master
        has given the job elsewhere since, or was told that its claim was overtaken: the copy that ended was
        not the live one. A job whose claim was overtaken becomes an unconfirmed placement on its agent, since
        whoever overtook it may have died before it waited there again. Jobs that were returned are held here
        from now on."""
        ...

    def mirror(self, agent: AgentKey, copies: Sequence[JobCopy]) -> None:
        """Note that these jobs live on an agent. Jobs that the master knows already are left alone."""
        ...

    def unmirror(self, job_ids: Collection[UUID] | None = None, limit: int = 1000) -> int:
        """Delete mirrors of jobs (of all jobs: at most ``limit``) that have ended; how many."""
        ...

    def overtake(self, agent: AgentKey, copies: Sequence[JobCopy]) -> frozenset[UUID]:
        """Claims of these jobs on an agent were lost: from now on outcomes of claims below ``claim_no`` are
        refused. For an agent that cannot fence by itself. Returns the jobs that have ended, are held, or live
        elsewhere; nothing is noted of them."""
        ...

    def mirrors(self, agent: AgentKey, after: UUID | None, limit: int) -> list[Mirror]:
        """Jobs that live on an agent, which has confirmed each of them that was placed there: up to ``limit``
        in the order of their ids, those after ``after``."""
        ...

    def doubt(self, agent: AgentKey, job_ids: Collection[UUID]) -> int:
        """These jobs, which should live on an agent, are not there: unless they have ended or moved
        meanwhile, they become unconfirmed placements on it. How many."""
        ...

    def stale(
        self, agent: AgentKey, job_ids: Collection[UUID], timeout: float | None = None
    ) -> frozenset[UUID]:
        """Which of these jobs have ended, are held, or live elsewhere: copies on this agent must not run.
        Asked for ``timeout`` seconds, by default the operation timeout."""
        ...

    def place(
        self, lane: str, ahead: timedelta, limit: int, shares: Mapping[AgentKey, float]
    ) -> list[Placement]:
        """Give up to ``limit`` held jobs of a lane, due within ``ahead``, to agents by their shares; skips
        what another coordinator is placing. Committed, with ``placement`` raised, before it returns; a job
        whose caller asked for an agent goes to that one, or stays while it is not among the shares."""
        ...

    def confirm(self, agent: AgentKey, job_ids: Collection[UUID]) -> None:
        """These placements have arrived."""
        ...

    def unconfirmed(self, limit: int) -> list[Placement]:
        """Placements that nobody has confirmed: under way, or left by a coordinator that died."""
        ...

    def repeat(self, agent: AgentKey, copies: Sequence[JobCopy]) -> list[JobCopy]:
        """Those of these placements that still stand, to be delivered again by somebody else than who made
        them: committed, from before this returns they can no more be given back (:meth:`give_back`)."""
        ...

    def give_back(self, agent: AgentKey, copies: Sequence[JobCopy]) -> None:
        """Hold placements again which their agent certainly did not take from who made them, ``placement``
        raised. What somebody else repeats may have arrived all the same, and stays."""
        ...

    def take_back(self, agent: AgentKey, copies: Sequence[JobCopy]) -> None:
        """Hold jobs that lived on an agent, ``placement`` raised. Copies that were not the live ones change
        nothing."""
        ...

    def next_held(self, lane: str) -> tuple[datetime, datetime] | None:
        """The master's present instant and the earliest ``run_at`` of a held job of this lane; ``None``
        when none is held."""
        ...
