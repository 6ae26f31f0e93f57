"""What the stores in memory share: rows, buckets, time and wake-ups."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid4

from ...domain.copies import AgentKey
from ...domain.job import ClaimedJob, Job, JobError, NewJob, Progress
from ...domain.occurrence import catchup_of
from ...domain.schedule import ScheduleRecord
from ...domain.status import BucketStatus, JobStatus, Priority, WorkerMode
from ...domain.verdict import AttemptRecord
from ...ports import AgentRecord, Clock, ClusterSetting, WorkerInfo

__all__ = ["Bucket", "Listening", "MemoryDatabase", "Row"]


@dataclass
class Row:
    """A job, live (``status`` is ``None``) or finished."""

    new: NewJob
    run_at: datetime
    enqueued_at: datetime
    bucket_id: UUID | None = None
    claim_no: int = 0
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    started_at: datetime | None = None
    progress: Progress | None = None
    cancel_requested: bool = False
    cancel_reason: str = ""
    unknown_since: datetime | None = None
    error: JobError | None = None
    status: JobStatus | None = None
    finished_at: datetime | None = None
    result: str | None = None
    worker_id: UUID | None = None
    placement: int = 0
    unsynced: bool = False
    """Whether the other side, master or agent, may not know."""
    agent: str | None = None
    """The agent on which it ended."""

    @property
    def order(self) -> tuple[datetime, UUID]:
        """Its place in the ready index of its lane and priority."""
        return self.run_at, self.new.id

    def free(self) -> None:
        """Give its claim up."""
        self.bucket_id = self.started_at = self.progress = None

    def claimed(self) -> ClaimedJob:
        """As its holder sees it."""
        new = self.new
        assert self.bucket_id is not None
        return ClaimedJob(
            new.id,
            self.bucket_id,
            self.claim_no,
            new.definition_id,
            new.lane,
            int(new.priority),
            self.run_at,
            self.enqueued_at,
            self.attempt,
            self.failures,
            self.losses,
            new.recheck,
            self.cancel_requested,
            new.data,
            new.metadata,
            None if new.timeout is None else int(new.timeout.total_seconds() * 1000),
            new.max_retries,
            new.retry,
            self.unknown_since,
            new.schedule_id,
            new.occurrence_at,
        )


@dataclass
class Bucket:
    """A bucket; its lease holds while ``lease_until`` is later than now."""

    id: UUID
    worker_id: UUID
    worker_name: str
    lane: str
    priority: int
    lease_until: datetime
    status: BucketStatus = BucketStatus.ACTIVE
    mode: WorkerMode = WorkerMode.FULL


@dataclass
class MemoryDatabase:
    """Everything, behind one lock. Time is that of ``clock``."""

    clock: Clock
    name: str = "standalone"
    role: Literal["standalone", "master", "agent"] = "standalone"
    store_id: UUID = field(default_factory=uuid4)
    agents: dict[str, AgentRecord] = field(default_factory=dict)
    given_up: set[AgentKey] = field(default_factory=set)
    """Stores of agents that were forgotten with all that they may hold."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    live: dict[UUID, Row] = field(default_factory=dict)
    history: dict[UUID, Row] = field(default_factory=dict)
    attempts: dict[UUID, dict[int, AttemptRecord]] = field(default_factory=dict)
    buckets: dict[UUID, Bucket] = field(default_factory=dict)
    workers: dict[UUID, tuple[WorkerInfo, datetime]] = field(default_factory=dict)
    settings: dict[str, ClusterSetting] = field(default_factory=dict)
    schedules: dict[str, ScheduleRecord] = field(default_factory=dict)
    _listeners: tuple[Listening, ...] = ()

    @property
    def key(self) -> AgentKey:
        """Its name and store id."""
        return AgentKey(self.name, self.store_id)

    def placed_on(self, row: Row) -> str | None:
        """The agent on which a row of the master lives."""
        for record in self.agents.values():
            if record.key.store_id == row.bucket_id:
                return record.name
        return None

    def status_of(self, row: Row) -> JobStatus:
        """Its status, as PROTOCOL section 11 names it."""
        if row.status is not None:
            return row.status
        placed = self.placed_on(row) is not None
        if row.bucket_id is not None and not placed:
            return JobStatus.ASSIGNED_TO_BUCKET if row.started_at is None else JobStatus.PROCESSING
        if self.role == "master" and not placed:
            return JobStatus.HELD_ON_MASTER
        if row.failures:
            return JobStatus.RETRYING
        return JobStatus.SAVE_PENDING if row.unsynced and self.role == "agent" else JobStatus.READY

    def agent_of(self, row: Row) -> str | None:
        """The agent connection of a row, as users see it."""
        if row.status is not None and row.agent is not None:
            return row.agent
        return self.placed_on(row) or (row.new.agent if self.role == "master" else self.name)

    def claims(self, buckets: Collection[UUID]) -> list[Row]:
        """The live rows that these buckets hold."""
        return [row for row in self.live.values() if row.bucket_id in buckets]

    def strays(self, living: Collection[UUID]) -> list[Row]:
        """The live rows that a bucket holds which is none of these."""
        held = [row for row in self.live.values() if row.bucket_id is not None]
        return [row for row in held if row.bucket_id not in living]

    def ready(self, lane: str, priority: int) -> Iterator[Row]:
        """The waiting rows of a lane and priority, due or not, in order."""
        waiting = [
            row
            for row in self.live.values()
            if row.bucket_id is None and row.new.lane == lane and row.new.priority == priority
        ]
        return iter(sorted(waiting, key=lambda row: row.order))

    def holder_of(self, unique_key: str) -> Row | None:
        """The live row that has this key."""
        return next((row for row in self.live.values() if row.new.unique_key == unique_key), None)

    def note(self, record: AttemptRecord) -> None:
        """Keep a record of a run, the first of its claim."""
        self.attempts.setdefault(record.job_id, {}).setdefault(record.claim_no, record)

    def end(self, row: Row, status: JobStatus, finished_at: datetime, **facts: Any) -> None:
        """Move a live row to the history. An outcome that is there already stays."""
        del self.live[row.new.id]
        row.bucket_id = None
        row.status, row.finished_at = status, finished_at
        row.started_at = facts.get("started_at")
        row.result, row.error = facts.get("result"), facts.get("error")
        row.worker_id = facts.get("worker_id")
        self.history.setdefault(row.new.id, row)

    def cancel(self, row: Row, now: datetime, **facts: Any) -> None:
        """End a live row as cancelled."""
        error = JobError("cancelled", row.cancel_reason or "cancelled")
        self.end(row, JobStatus.CANCELLED, now, error=error, **facts)

    def show(self, row: Row) -> Job:
        """The row as users see it."""
        new = row.new
        worker = row.worker_id
        if row.bucket_id is not None and row.bucket_id in self.buckets:
            worker = self.buckets[row.bucket_id].worker_id
        return Job(
            new.id,
            self.status_of(row),
            new.definition_id,
            json.loads(new.data),
            {} if new.metadata is None else json.loads(new.metadata),
            new.lane,
            Priority(new.priority),
            row.run_at,
            row.enqueued_at,
            row.started_at,
            row.finished_at,
            row.attempt,
            row.failures,
            row.losses,
            None if row.result is None else json.loads(row.result),
            row.error,
            row.progress,
            self.agent_of(row),
            worker,
            new.schedule_id,
            new.unique_key,
            new.occurrence_at,
            *catchup_of(new.metadata),
        )

    # --- wake-ups -----------------------------------------------------------------------------------

    def wake(self, lanes: Collection[str]) -> None:
        """Tell every listener that these lanes may have work. Not to be called with the lock held."""
        for listening in self._listeners:
            for lane in lanes:
                listening.hear(lane)

    def listen(self, on_wake: Callable[[str | None], None]) -> Listening:
        """Call ``on_wake`` from now on."""
        listening = Listening(self, on_wake)
        with self.lock:
            self._listeners = (*self._listeners, listening)
        return listening

    def leave(self, listening: Listening) -> None:
        """Take a listener out."""
        with self.lock:
            self._listeners = tuple(other for other in self._listeners if other is not listening)


class Listening:
    """One subscription."""

    def __init__(self, database: MemoryDatabase, on_wake: Callable[[str | None], None]) -> None:
        self._database = database
        self._on_wake = on_wake
        self._lock = threading.RLock()
        self._open = True

    def hear(self, lane: str | None) -> None:
        """Pass a wake-up on, unless closed."""
        with self._lock:
            if self._open:
                self._on_wake(lane)

    def close(self) -> None:
        """Stop; no call-back comes after this returns."""
        with self._lock:
            self._open = False
        self._database.leave(self)
