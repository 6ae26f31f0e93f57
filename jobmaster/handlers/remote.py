"""What travels between a worker and its child processes: JSON text, never pickled objects."""

from __future__ import annotations

import json
import time
import traceback
from datetime import datetime
from typing import Any
from uuid import UUID

from ..domain.job import ClaimedJob, JobError
from .control import CancelJob, ControlFlow, FailJob, JobCancelled, RetryLater, Snooze
from .reference import qualified_name
from .run import Run, storable

__all__ = [
    "RemoteHandlerError",
    "describe_raised",
    "describe_run",
    "raised_by",
    "read_job",
    "steady",
]

_LONGEST_MESSAGE = 8_000
_LONGEST_TRACEBACK = 32_000


def steady() -> float:
    """Seconds on a clock that all processes of this machine share; runs on while it is suspended."""
    return _boot_time() if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def _boot_time() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class RemoteHandlerError(Exception):
    """A handler raised in its child process. The original exception stayed there; ``job_error`` tells of it.

    ``type_name`` is its qualified type, so that ``Retry.custom`` can look at it; ``may_retry`` is what the
    handler's ``should_retry`` said.
    """

    def __init__(self, job_error: JobError, may_retry: bool) -> None:
        self.job_error = job_error
        self.type_name = job_error.type
        self.may_retry = may_retry
        super().__init__(job_error.message)

    def __str__(self) -> str:
        return self.job_error.message


# -- a run, from parent to child ---------------------------------------------------------------------------


def describe_run(number: int, run: Run) -> str:
    """All that a child needs to know to carry out ``run``."""
    site = run.site
    return json.dumps(
        {
            "number": number,
            "spec": run.bound.child_spec,
            "definition_id": run.bound.definition_id,
            "job": [_write(value) for value in run.job],
            "started_at": run.started_at.isoformat(),
            "timeout": run.timeout,
            "max_retries": run.max_retries,
            "site": {
                "cluster_id": site.cluster_id,
                "agent_connection": site.agent_connection,
                "worker_id": str(site.worker_id),
                "worker_name": site.worker_name,
                "lane": site.lane,
                "logger": site.logger.name,
            },
        }
    )


def read_job(values: list[Any]) -> ClaimedJob:
    """The claimed job that :func:`describe_run` wrote."""
    return ClaimedJob(*(_read(value) for value in values))


def _write(value: object) -> object:
    if isinstance(value, UUID):
        return ["id", str(value)]
    if isinstance(value, datetime):
        return ["at", value.isoformat()]
    return value


def _read(value: object) -> Any:
    if isinstance(value, list):
        kind, text = value
        return UUID(text) if kind == "id" else datetime.fromisoformat(text)
    return value


# -- an exception, from child to parent --------------------------------------------------------------------


def describe_raised(error: BaseException, may_retry: bool) -> dict[str, Any]:
    """An exception that a handler raised, as JSON values."""
    try:
        message = str(error)
    except Exception as fault:
        message = f"<its text cannot be shown: {type(fault).__name__}>"
    kind = type(error)
    frames = error.__traceback__
    while frames is not None and frames.tb_next is not None:
        if not frames.tb_frame.f_globals.get("__name__", "").startswith("jobmaster."):
            break
        frames = frames.tb_next
    name = kind.__qualname__ if kind.__module__ == "builtins" else qualified_name(kind)
    described: dict[str, Any] = {
        "type": storable(name.removeprefix("__mp_main__.")),
        "message": storable(message[:_LONGEST_MESSAGE]),
        "traceback": storable("".join(traceback.format_exception(kind, error, frames))[-_LONGEST_TRACEBACK:]),
        "may_retry": may_retry,
    }
    for flow, steering in _FLOWS.items():
        if isinstance(error, steering):
            described["flow"] = flow
            if isinstance(error, RetryLater | Snooze):
                described["delay"] = error.delay.total_seconds()
            if not isinstance(error, Snooze):
                described["reason"] = storable(getattr(error, "reason", ""))
            break
    return described


_FLOWS: dict[str, type[ControlFlow]] = {
    "stopped": JobCancelled,
    "cancel": CancelJob,
    "fail": FailJob,
    "retry_later": RetryLater,
    "snooze": Snooze,
}
"""Control flow by the name it travels under; a subclass stands before its base."""


def raised_by(kind: str, value: Any) -> BaseException:
    """What a child's reply of this kind is raised as in the parent: the equivalent of what
    :func:`describe_raised` described, or the reason for which a coroutine was cancelled there."""
    if kind == "stopped":
        return JobCancelled(value)
    match value.get("flow"):
        case "retry_later":
            return RetryLater(value["delay"], value["reason"])
        case "snooze":
            return Snooze(value["delay"])
        case "stopped" | "cancel" | "fail" as flow:
            return _FLOWS[flow](value["reason"])
        case _:
            error = JobError(value["type"], value["message"], value["traceback"])
            return RemoteHandlerError(error, value["may_retry"])
