"""Handlers of the test applications."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from jobmaster import ClusterConfig, JobContext, JobHandler, job


@job("double", max_retries=0)
async def double(job: JobContext[Any]) -> int:
    return job.data.get_int("n") * 2


@job("in-thread", max_retries=0)
def in_thread(job: JobContext[Any]) -> str:
    return threading.current_thread().name


class Greet(JobHandler, definition_id="greet", max_retries=0):
    async def handle(self, job: JobContext[Any]) -> str:
        return f"Hello {job.data['name']}"


def configure(path: Path, *handlers: Any) -> ClusterConfig:
    """A cluster in an SQLite file."""
    served = handlers or (double, in_thread, Greet)
    return ClusterConfig("web").use_sqlite(path / "jobs.db").grace_period(1).add_handlers(*served)
