"""Handlers for child processes. They stand at module level, where a child can import them.

Every cluster built in the same test run without ``add_handlers`` finds them too, so each must be without
fault by itself, with an id of its own.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobmaster.handlers import CancelJob, FailJob, JobContext, JobHandler, RetryLater, Snooze, job


@dataclass
class Resize:
    url: str
    width: int = 640


class Typed(JobHandler[Resize], definition_id="child-typed", execution="process"):
    def handle(self, job: JobContext[Resize]) -> Resize:
        return Resize(job.data.url, job.data.width * 2)


@job("child-facts", execution="process")
def facts(job: JobContext) -> dict[str, Any]:
    return {
        "pid": os.getpid(),
        "parent": os.getppid(),
        "thread": threading.current_thread() is threading.main_thread(),
        "data": dict(job.data),
        "metadata": dict(job.metadata),
        "id": str(job.id),
        "attempt": job.attempt,
        "max_retries": job.max_retries,
        "deadline": job.deadline.isoformat(),
        "worker_id": str(job.worker_id),
        "cluster_id": job.cluster_id,
        "descriptors": len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0,
    }


@job("child-coroutine", execution="process")
async def coroutine(job: JobContext) -> str:
    await asyncio.sleep(0)
    await job.progress(0.25, "a quarter")
    return "awaited"


@job("child-talks", execution="process")
def talks(job: JobContext) -> None:
    for step in range(1, 5):
        job.report_progress(step / 4, f"step {step}")
        job.log(f"line {step} ü\x00\ud800")
    job.log("x" * 100_000)


@job("child-raises", execution="process")
def raises(job: JobContext) -> object:
    match job.data["what"]:
        case "error":
            raise LookupError("no such thing: ü\x00")
        case "retry":
            raise RetryLater(90, "later")
        case "snooze":
            raise Snooze(30)
        case "cancel":
            raise CancelJob("withdrawn")
        case "fail":
            raise FailJob("never")
        case "exit":
            sys.exit(5)
        case "unprintable":
            raise Unprintable
        case "no-json":
            return {"a": object()}
        case "scheduler":
            return job.scheduler.once_now("x")
    raise AssertionError


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("cannot be shown")


class Picky(JobHandler, definition_id="child-picky", execution="process"):
    def handle(self, job: JobContext) -> None:
        raise LookupError(job.data["kind"])

    def should_retry(self, error: BaseException, job: JobContext) -> bool:
        return str(error) == "retry"


def _say(job: JobContext, text: str) -> None:
    Path(job.data["file"]).write_text(text)


def _wait_for_ever() -> None:
    threading.Event().wait()


@job("child-polite", execution="process")
def polite(job: JobContext) -> None:
    _say(job, f"{os.getpid()}")
    while True:
        job.check_cancelled()
        time.sleep(0.002)


@job("child-polite-coroutine", execution="process")
async def polite_coroutine(job: JobContext) -> None:
    _say(job, f"{os.getpid()}")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        job.log(f"cleaned up, cancelled: {job.cancelled}")
        raise


@job("child-finishing", execution="process")
def finishing(job: JobContext) -> str:
    _say(job, f"{os.getpid()}")
    while not job.cancelled:
        time.sleep(0.002)
    return "finished all the same"


@job("child-stubborn", execution="process")
def stubborn(job: JobContext) -> None:
    _say(job, f"{os.getpid()}")
    _wait_for_ever()


@job("child-with-grandchild", execution="process")
def with_grandchild(job: JobContext) -> None:
    grandchild = subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"])
    _say(job, f"{os.getpid()} {grandchild.pid}")
    _wait_for_ever()


@job("child-dies", execution="process")
def dies(job: JobContext) -> None:
    how = job.data["how"]
    if isinstance(how, int):
        os._exit(how)
    os.kill(os.getpid(), getattr(signal, how))
    _wait_for_ever()


@job("child-signalled", execution="process")
def signalled(job: JobContext) -> str:
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(os.getpid(), number)
    return "still here"


@job("child-echo", execution="process")
def echo(job: JobContext) -> object:
    return job.data["text"]


@job("child-own-children", execution="process")
def own_children(job: JobContext) -> int:
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return sum(pool.map(abs, [-1, -2]))


class Counter:
    """A cluster service: one for a child's whole life, and a file that tells of its end."""

    def __init__(self) -> None:
        self.runs = 0


def count_runs() -> Iterator[Counter]:
    counter = Counter()
    yield counter
    Path(os.environ["JOBMASTER_COUNTER_FILE"]).write_text(f"closed after {counter.runs} runs")


def broken_counter() -> Counter:
    raise OSError("no counter here")


class Session:
    def __init__(self, counter: Counter) -> None:
        self.counter = counter


async def open_session(counter: Counter, job: JobContext) -> AsyncIterator[Session]:
    await asyncio.sleep(0)
    counter.runs += 1
    yield Session(counter)


class Counts(JobHandler, definition_id="child-counts", execution="process"):
    def __init__(self, session: Session | None = None) -> None:
        self.session = session

    def handle(self, job: JobContext) -> int:
        assert self.session is not None
        return self.session.counter.runs


def resolve(kind: type[Any]) -> object:
    return kind(Session(Counter()))
