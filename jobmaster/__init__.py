"""jobmaster: background jobs that do not get lost, on the databases you already have.

Public names are imported when they are first used (PEP 562), so that ``import jobmaster`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from .cluster.administration import AgentInfo, ClusterStatus
    from .cluster.cluster import Cluster
    from .cluster.config import ClusterConfig
    from .cluster.draining import DrainReport
    from .cluster.requests import HandlerReference, JobRequest
    from .cluster.scheduler import Scheduler
    from .cluster.schedulers import get_scheduler
    from .cluster.staticschedules import ScheduleCollection, StaticSchedules
    from .domain.events import Event, Observer
    from .domain.job import (
        Attempt,
        AttemptOutcome,
        Job,
        JobError,
        JobExplanation,
        Page,
        Progress,
        Reason,
    )
    from .domain.retry import Retry, RetryPolicy
    from .domain.schedule import MisfirePolicy, OverlapPolicy, Schedule, ScheduleStatus
    from .domain.status import BucketStatus, ClusterMode, JobStatus, Priority, WorkerMode
    from .errors import (
        ClusterArchived,
        ConfigurationError,
        ConflictError,
        DuplicateJob,
        IllegalTransition,
        InvalidJob,
        JobMasterError,
        JobNotFound,
        MessageTooLarge,
        RecurrenceSyntaxError,
        ScheduleNotFound,
        SerializationError,
        StoreError,
        TransientStoreError,
        TransportUnavailable,
        UnknownHandler,
    )
    from .handlers import (
        CallNext,
        CancelJob,
        FailJob,
        JobCancelled,
        JobContext,
        JobFunction,
        JobHandler,
        Middleware,
        RetryLater,
        Snooze,
        job,
    )
    from .recurrence import Recurrence, cron, every, interval, natural, rrule

_HOME = {
    "cluster.administration": ("AgentInfo", "ClusterStatus"),
    "cluster.cluster": ("Cluster",),
    "cluster.config": ("ClusterConfig",),
    "cluster.draining": ("DrainReport",),
    "cluster.requests": ("HandlerReference", "JobRequest"),
    "cluster.scheduler": ("Scheduler",),
    "cluster.schedulers": ("get_scheduler",),
    "cluster.staticschedules": ("ScheduleCollection", "StaticSchedules"),
    "domain.events": ("Event", "Observer"),
    "domain.job": (
        "Attempt",
        "AttemptOutcome",
        "Job",
        "JobError",
        "JobExplanation",
        "Page",
        "Progress",
        "Reason",
    ),
    "domain.retry": ("Retry", "RetryPolicy"),
    "domain.schedule": ("MisfirePolicy", "OverlapPolicy", "Schedule", "ScheduleStatus"),
    "domain.status": ("BucketStatus", "ClusterMode", "JobStatus", "Priority", "WorkerMode"),
    "errors": (
        "ClusterArchived",
        "ConfigurationError",
        "ConflictError",
        "DuplicateJob",
        "IllegalTransition",
        "InvalidJob",
        "JobMasterError",
        "JobNotFound",
        "MessageTooLarge",
        "RecurrenceSyntaxError",
        "ScheduleNotFound",
        "SerializationError",
        "StoreError",
        "TransientStoreError",
        "TransportUnavailable",
        "UnknownHandler",
    ),
    "handlers": (
        "CallNext",
        "CancelJob",
        "FailJob",
        "JobCancelled",
        "JobContext",
        "JobFunction",
        "JobHandler",
        "Middleware",
        "RetryLater",
        "Snooze",
        "job",
    ),
    "recurrence": ("Recurrence", "cron", "every", "interval", "natural", "rrule"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = [
    "AgentInfo",
    "Attempt",
    "AttemptOutcome",
    "BucketStatus",
    "CallNext",
    "CancelJob",
    "Cluster",
    "ClusterArchived",
    "ClusterConfig",
    "ClusterMode",
    "ClusterStatus",
    "ConfigurationError",
    "ConflictError",
    "DrainReport",
    "DuplicateJob",
    "Event",
    "FailJob",
    "HandlerReference",
    "IllegalTransition",
    "InvalidJob",
    "Job",
    "JobCancelled",
    "JobContext",
    "JobError",
    "JobExplanation",
    "JobFunction",
    "JobHandler",
    "JobMasterError",
    "JobNotFound",
    "JobRequest",
    "JobStatus",
    "MessageTooLarge",
    "Middleware",
    "MisfirePolicy",
    "Observer",
    "OverlapPolicy",
    "Page",
    "Priority",
    "Progress",
    "Reason",
    "Recurrence",
    "RecurrenceSyntaxError",
    "Retry",
    "RetryLater",
    "RetryPolicy",
    "Schedule",
    "ScheduleCollection",
    "ScheduleNotFound",
    "ScheduleStatus",
    "Scheduler",
    "SerializationError",
    "Snooze",
    "StaticSchedules",
    "StoreError",
    "TransientStoreError",
    "TransportUnavailable",
    "UnknownHandler",
    "WorkerMode",
    "__version__",
    "cron",
    "every",
    "get_scheduler",
    "interval",
    "job",
    "natural",
    "rrule",
]


def __getattr__(name: str) -> object:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'jobmaster' has no attribute {name!r}")
    value = getattr(import_module(f"jobmaster.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
