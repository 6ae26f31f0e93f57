"""Handlers that the API tests share."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from dataclasses import dataclass

from pydantic import BaseModel

from jobmaster import CancelJob, FailJob, JobContext, JobHandler, Retry, RetryLater, Snooze, job

__all__ = [
    "Add",
    "AddArgs",
    "Blocks",
    "CancelsItself",
    "FailsForGood",
    "FailsTwice",
    "Hello",
    "InChild",
    "InThread",
    "Logs",
    "Naps",
    "RetriesLater",
    "Seen",
    "Snoozes",
    "double",
]


class Hello(JobHandler, definition_id="hello"):
    async def handle(self, job: JobContext) -> str:
        return f"Hello {job.data['name']}"


class AddArgs(BaseModel):
    left: int
    right: int = 1


class Add(JobHandler[AddArgs], definition_id="add", max_retries=0):
    async def handle(self, job: JobContext[AddArgs]) -> int:
        return job.data.left + job.data.right


@dataclass
class DoubleArgs:
    value: float


@job("double", max_retries=1)
async def double(job: JobContext[DoubleArgs]) -> float:
    return job.data.value * 2


class FailsTwice(JobHandler, definition_id="fails-twice", max_retries=3, retry=Retry.fixed(0.01)):
    async def handle(self, job: JobContext) -> int:
        if job.attempt < 3:
            raise ValueError(f"attempt {job.attempt} fails")
        return job.attempt


class FailsForGood(JobHandler, definition_id="fails-for-good"):
    async def handle(self, job: JobContext) -> None:
        raise FailJob("no such customer")


class CancelsItself(JobHandler, definition_id="cancels-itself"):
    async def handle(self, job: JobContext) -> None:
        raise CancelJob("withdrawn")


class Snoozes(JobHandler, definition_id="snoozes", max_retries=0):
    async def handle(self, job: JobContext) -> int:
        if job.attempt < 3:
            raise Snooze(0.01)
        return job.failures


class RetriesLater(JobHandler, definition_id="retries-later", max_retries=1):
    async def handle(self, job: JobContext) -> None:
        raise RetryLater(0.01, "not yet")


class Naps(JobHandler, definition_id="naps", max_retries=0):
    """Sleeps as long as it is told; says what it was cancelled by."""

    async def handle(self, job: JobContext) -> str:
        await job.progress(0.5, "half way")
        await asyncio.sleep(job.data.get_float("seconds"))
        return "rested"


class InThread(JobHandler, definition_id="in-thread", max_retries=0):
    def handle(self, job: JobContext) -> str:
        job.report_progress(0.25, "begun")
        return threading.current_thread().name


class Blocks(JobHandler, definition_id="blocks", max_retries=0):
    """A thread that looks now and then whether it is asked to stop."""

    def handle(self, job: JobContext) -> str:
        end = time.monotonic() + job.data.get_float("seconds")
        while time.monotonic() < end:
            job.check_cancelled()
            time.sleep(0.01)
        return "through"


class Logs(JobHandler, definition_id="logs"):
    async def handle(self, job: JobContext) -> None:
        job.log("one")
        job.log("two")


class Seen(JobHandler, definition_id="seen"):
    """Returns what its context shows."""

    async def handle(self, job: JobContext) -> dict[str, object]:
        return {
            "id": str(job.id),
            "definition_id": job.definition_id,
            "lane": job.lane,
            "priority": int(job.priority),
            "attempt": job.attempt,
            "max_retries": job.max_retries,
            "failures": job.failures,
            "metadata": dict(job.metadata),
            "cluster_id": job.cluster_id,
            "agent_connection": job.agent_connection,
            "worker_id": str(job.worker_id),
            "seconds_left": (job.deadline - job.started_at).total_seconds(),
            "ordered": job.enqueued_at <= job.started_at and job.scheduled_at <= job.started_at,
            "schedule_id": job.schedule_id,
            "cancelled": job.cancelled,
        }


class InChild(JobHandler[AddArgs], definition_id="in-child", execution="process", max_retries=0):
    """Runs in a process of its own and does there what its arguments say."""

    def handle(self, job: JobContext[AddArgs]) -> dict[str, int]:
        job.report_progress(0.5, "in a child")
        job.log("hello from a child")
        if job.data.left == 13:
            raise LookupError("no such thing")
        if job.data.left == 9:
            os.kill(os.getpid(), signal.SIGKILL)
        if job.data.left == 60:
            time.sleep(60)
        return {"sum": job.data.left + job.data.right, "pid": os.getpid()}
