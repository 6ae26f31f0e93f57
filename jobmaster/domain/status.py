"""The states of jobs, buckets, workers and clusters, and the one table that says what may follow what."""

from __future__ import annotations

from enum import Enum, IntEnum

__all__ = ["TRANSITIONS", "BucketStatus", "ClusterMode", "JobStatus", "Priority", "WorkerMode", "may_follow"]


class Priority(IntEnum):
    """How urgent a job is. Higher runs first; when several compete, slots are shared 2:3:4:5:6."""

    VERY_LOW = 1
    LOW = 2
    MEDIUM = 3
    HIGH = 4
    CRITICAL = 5


class JobStatus(str, Enum):  # noqa: UP042 - prints with its class
    """Where a job stands in its life."""

    SAVE_PENDING = "save_pending"
    HELD_ON_MASTER = "held_on_master"
    READY = "ready"
    ASSIGNED_TO_BUCKET = "assigned_to_bucket"
    PROCESSING = "processing"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended: nothing changes it any more but an explicit retry."""
        return self in _FINAL

    @property
    def is_waiting(self) -> bool:
        """Whether the job waits for a worker: save pending, held, ready or retrying."""
        return self in _WAITING


_FINAL = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED})
_WAITING = frozenset({JobStatus.SAVE_PENDING, JobStatus.HELD_ON_MASTER, JobStatus.READY, JobStatus.RETRYING})

_S = JobStatus
TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    _S.SAVE_PENDING: frozenset({_S.READY, _S.ASSIGNED_TO_BUCKET, _S.HELD_ON_MASTER, _S.CANCELLED}),
    _S.HELD_ON_MASTER: frozenset({_S.READY, _S.CANCELLED}),
    _S.READY: frozenset({_S.ASSIGNED_TO_BUCKET, _S.HELD_ON_MASTER, _S.CANCELLED}),
    _S.RETRYING: frozenset({_S.ASSIGNED_TO_BUCKET, _S.HELD_ON_MASTER, _S.READY, _S.CANCELLED}),
    _S.ASSIGNED_TO_BUCKET: frozenset(
        {_S.PROCESSING, _S.READY, _S.RETRYING, _S.HELD_ON_MASTER, _S.SUCCEEDED, _S.FAILED, _S.CANCELLED}
    ),
    _S.PROCESSING: frozenset(
        {_S.READY, _S.RETRYING, _S.HELD_ON_MASTER, _S.SUCCEEDED, _S.FAILED, _S.CANCELLED}
    ),
    # An explicit retry, recorded as an attempt of kind "retried", is the only way out of an end.
    _S.SUCCEEDED: frozenset({_S.READY, _S.HELD_ON_MASTER}),
    _S.FAILED: frozenset({_S.READY, _S.HELD_ON_MASTER}),
    _S.CANCELLED: frozenset({_S.READY, _S.HELD_ON_MASTER}),
}
"""What may follow what. Code, SQL guards, tests and the diagram in the docs read this table."""


def may_follow(before: JobStatus, after: JobStatus) -> bool:
    """Whether a job in status ``before`` may come to status ``after`` in one step."""
    return after in TRANSITIONS[before]


class WorkerMode(str, Enum):  # noqa: UP042 - prints with its class
    """What a worker does: everything, only coordination, only execution, or emptying its agent."""

    FULL = "full"
    COORDINATOR = "coordinator"
    EXECUTION = "execution"
    DRAIN = "drain"


class ClusterMode(str, Enum):  # noqa: UP042 - prints with its class
    """Active: accept and run. Passive: accept, do not run. Archived: read-only."""

    ACTIVE = "active"
    PASSIVE = "passive"
    ARCHIVED = "archived"


class BucketStatus(str, Enum):  # noqa: UP042 - prints with its class
    """The life of a bucket: in use, handing back, without its worker, being adopted, empty."""

    ACTIVE = "active"
    COMPLETING = "completing"
    LOST = "lost"
    DRAINING = "draining"
    READY_TO_DELETE = "ready_to_delete"
