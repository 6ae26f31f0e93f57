"""The scheduler: what applications enqueue, look up and change jobs with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from ..domain.durations import Duration
from ..domain.job import Attempt, Job, JobExplanation, Page
from ..domain.status import JobStatus
from ..engine.completions import Completions
from .directory import JobDirectory, job_filter
from .enqueueing import EnqueueMethods
from .explainer import Explainer
from .producer import Producer
from .requests import RequestDesk
from .waiting import wait_for, wait_for_async

__all__ = ["Scheduler"]


class Scheduler(EnqueueMethods):
    """Enqueue jobs, look at them, change them. Works as soon as the cluster is built, runtime started or not.

    Safe from any thread; after a fork the child opens connections of its own. Every method has an
    ``_async`` twin with the same parameters. A sync call inside a running event loop works and blocks it.
    """

    def __init__(
        self,
        desk: RequestDesk,
        producer: Producer,
        directory: JobDirectory,
        explainer: Explainer,
        completions: Completions,
    ) -> None:
        self._desk = desk
        self._producer = producer
        self._directory = directory
        self._explainer = explainer
        self._completions = completions
        self._run = producer.threads.run

    # -- looking up ------------------------------------------------------------------------------------

    def get_job(self, job_id: UUID) -> Job:
        """The job, live or finished. Raises ``JobNotFound``, and ``TransportUnavailable`` when it may be on a
        database that does not answer."""
        return self._directory.get(job_id)

    async def get_job_async(self, job_id: UUID) -> Job:
        """Async twin of :meth:`get_job`."""
        return await self._run(self._directory.get, job_id)

    def attempts(self, job_id: UUID) -> list[Attempt]:
        """The job's runs so far, oldest first. Raises ``JobNotFound``."""
        return self._directory.attempts(job_id)

    async def attempts_async(self, job_id: UUID) -> list[Attempt]:
        """Async twin of :meth:`attempts`."""
        return await self._run(self._directory.attempts, job_id)

    def find_jobs(
        self,
        *,
        status: JobStatus | str | Iterable[JobStatus | str] | None = None,
        lane: str | None = None,
        definition_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        schedule_id: str | None = None,
        scheduled_from: datetime | None = None,
        scheduled_to: datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Job]:
        """Jobs that fit all filters, newest first, ``limit`` (1 to 1000) per page.

        Pass the page's ``next_cursor`` to get the next one. ``scheduled_to`` is exclusive.

        >>> failed = scheduler.find_jobs(status=JobStatus.FAILED, lane="images")  # doctest: +SKIP
        """
        criteria = job_filter(
            self._desk, status, lane, definition_id, metadata, schedule_id, scheduled_from, scheduled_to
        )
        return self._directory.find(criteria, limit, cursor)

    async def find_jobs_async(
        self,
        *,
        status: JobStatus | str | Iterable[JobStatus | str] | None = None,
        lane: str | None = None,
        definition_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        schedule_id: str | None = None,
        scheduled_from: datetime | None = None,
        scheduled_to: datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page[Job]:
        """Async twin of :meth:`find_jobs`."""
        criteria = job_filter(
            self._desk, status, lane, definition_id, metadata, schedule_id, scheduled_from, scheduled_to
        )
        return await self._run(self._directory.find, criteria, limit, cursor)

    def count_jobs(
        self,
        *,
        status: JobStatus | str | Iterable[JobStatus | str] | None = None,
        lane: str | None = None,
        definition_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        schedule_id: str | None = None,
        scheduled_from: datetime | None = None,
        scheduled_to: datetime | None = None,
    ) -> int:
        """How many jobs fit all filters."""
        criteria = job_filter(
            self._desk, status, lane, definition_id, metadata, schedule_id, scheduled_from, scheduled_to
        )
        return self._directory.count(criteria)

    async def count_jobs_async(
        self,
        *,
        status: JobStatus | str | Iterable[JobStatus | str] | None = None,
        lane: str | None = None,
        definition_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        schedule_id: str | None = None,
        scheduled_from: datetime | None = None,
        scheduled_to: datetime | None = None,
    ) -> int:
        """Async twin of :meth:`count_jobs`."""
        criteria = job_filter(
            self._desk, status, lane, definition_id, metadata, schedule_id, scheduled_from, scheduled_to
        )
        return await self._run(self._directory.count, criteria)

    def explain(self, job_id: UUID) -> JobExplanation:
        """Why the job is where it is. Raises ``JobNotFound``."""
        return self._explainer.explain(self._directory.get(job_id))

    async def explain_async(self, job_id: UUID) -> JobExplanation:
        """Async twin of :meth:`explain`."""
        return await self._run(self.explain, job_id)

    # -- waiting ---------------------------------------------------------------------------------------

    def wait(self, job_id: UUID, timeout: Duration | None = None) -> Job:
        """Wait until the job has ended; ``timeout`` in seconds or a ``timedelta``, ``None`` for ever.

        Raises ``TimeoutError``, ``JobNotFound``.
        """
        return wait_for(
            job_id,
            timeout,
            lambda: self._directory.look(job_id),
            self._completions,
            self._producer.threads,
        )

    async def wait_async(self, job_id: UUID, timeout: Duration | None = None) -> Job:
        """Async twin of :meth:`wait`; occupies no thread while it waits."""
        return await wait_for_async(
            job_id,
            timeout,
            lambda: self._directory.look(job_id),
            self._completions,
            self._producer.threads,
        )

    # -- changing --------------------------------------------------------------------------------------

    def cancel_job(self, job_id: UUID) -> bool:
        """Cancel a waiting job at once, or ask a running one to stop. ``False`` when it has ended before.

        Raises ``JobNotFound``, ``ClusterArchived``.
        """
        return self._directory.cancel(job_id)

    async def cancel_job_async(self, job_id: UUID) -> bool:
        """Async twin of :meth:`cancel_job`."""
        return await self._run(self._directory.cancel, job_id)

    def reschedule(self, job_id: UUID, when: datetime) -> Job:
        """Move a waiting job to ``when`` (aware). Raises ``IllegalTransition`` when it runs or has ended."""
        return self._directory.reschedule(job_id, when)

    async def reschedule_async(self, job_id: UUID, when: datetime) -> Job:
        """Async twin of :meth:`reschedule`."""
        return await self._run(self._directory.reschedule, job_id, when)

    def retry_job(self, job_id: UUID) -> Job:
        """Run a finished job again, under its own id. Raises ``IllegalTransition`` when it has not ended."""
        return self._directory.retry(job_id)

    async def retry_job_async(self, job_id: UUID) -> Job:
        """Async twin of :meth:`retry_job`."""
        return await self._run(self._directory.retry, job_id)
