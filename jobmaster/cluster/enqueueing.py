"""The enqueue half of the scheduler: ``once_now``, ``once_at``, ``once_after``, ``once_many``, and twins.

Sync and async twins share everything but the way they wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, overload
from uuid import UUID

from ..domain.durations import Duration, as_timedelta
from ..domain.job import Job, NewJob
from ..domain.retry import RetryPolicy
from ..domain.status import Priority
from ..ports import OnConflict
from .producer import Producer, check_policy
from .requests import HandlerReference, JobOptions, JobRequest, RequestDesk, aware_utc

__all__ = ["EnqueueMethods"]


class EnqueueMethods:
    """Enqueue calls of :class:`Scheduler`. Every job is stored durably when the call returns."""

    _desk: RequestDesk
    _producer: Producer

    def once_now(
        self,
        handler: HandlerReference,
        data: Any = None,
        *,
        priority: Priority | None = None,
        lane: str | None = None,
        timeout: Duration | None = None,
        max_retries: int | None = None,
        retry: RetryPolicy | None = None,
        metadata: Mapping[str, Any] | None = None,
        unique_key: str | None = None,
        on_conflict: OnConflict = "return",
        agent_connection: str | None = None,
        connection: object | None = None,
    ) -> Job:
        """Enqueue a job that is due at once.

        ``timeout`` is a ``timedelta`` or seconds. With ``connection=`` the job becomes part of the caller's
        own transaction. Raises ``InvalidJob``, ``UnknownHandler``, ``ClusterArchived``,
        ``DuplicateJob`` (``on_conflict="raise"``), ``TransportUnavailable``.

        >>> scheduler.once_now(ResizeHandler, {"url": "a.png"}, lane="images")  # doctest: +SKIP
        """
        options = JobOptions(
            priority, lane, timeout, max_retries, retry, metadata, unique_key, agent_connection
        )
        return self._enqueue(self._desk.new_job(handler, data, options), on_conflict, connection)

    async def once_now_async(
        self,
        handler: HandlerReference,
        data: Any = None,
        *,
        priority: Priority | None = None,
        lane: str | None = None,
        timeout: Duration | None = None,
        max_retries: int | None = None,
        retry: RetryPolicy | None = None,
        metadata: Mapping[str, Any] | None = None,
        unique_key: str | None = None,
        on_conflict: OnConflict = "return",
        agent_connection: str | None = None,
        connection: object | None = None,
    ) -> Job:
        """Async twin of :meth:`once_now`."""
        options = JobOptions(
            priority, lane, timeout, max_retries, retry, metadata, unique_key, agent_connection
        )
        return await self._enqueue_async(self._desk.new_job(handler, data, options), on_conflict, connection)

    def once_at(
        self,
        handler: HandlerReference,
        when: datetime,
        data: Any = None,
        *,
        priority: Priority | None = None,
        lane: str | None = None,
        timeout: Duration | None = None,
        max_retries: int | None = None,
        retry: RetryPolicy | None = None,
        metadata: Mapping[str, Any] | None = None,
        unique_key: str | None = None,
        on_conflict: OnConflict = "return",
        agent_connection: str | None = None,
        connection: object | None = None,
    ) -> Job:
        """Enqueue a job that is due at ``when``, an aware datetime (``ValueError`` otherwise)."""
        options = JobOptions(
            priority, lane, timeout, max_retries, retry, metadata, unique_key, agent_connection
        )
        new = self._desk.new_job(handler, data, options, run_at=aware_utc(when, "when"))
        return self._enqueue(new, on_conflict, connection)

    async def once_at_async(
        self,
        handler: HandlerReference,
        when: datetime,
        data: Any = None,
        *,
        priority: Priority | None = None,
        lane: str | None = None,
        timeout: Duration | None = None,
        max_retries: int | None = None,
        retry: RetryPolicy | None = None,
        metadata: Mapping[str, Any] | None = None,
        unique_key: str | None = None,
        on_conflict: OnConflict = "return",
        agent_connection: str | None = None,
        connection: object | None = None,
    ) -> Job:
        """Async twin of :meth:`once_at`."""
        options = JobOptions(
            priority, lane, timeout, max_retries, retry, metadata, unique_key, agent_connection
        )
        new = self._desk.new_job(handler, data, options, run_at=aware_utc(when, "when"))
        return await self._enqueue_async(new, on_conflict, connection)

    def once_after(
        self,
        handler: HandlerReference,
        delay: Duration,
        data: Any = None,
        *,
        priority: Priority | None = None,
        lane: str | None = None,
        timeout: Duration | None = None,
        max_retries: int | None = None,
        retry: RetryPolicy | None = None,
        metadata: Mapping[str, Any] | None = None,
        unique_key: str | None = None,
        on_conflict: OnConflict = "return",
        agent_connection: str | None = None,
        connection: object | None = None,
    ) -> Job:
        """Enqueue a job that is due ``delay`` (``timedelta`` or seconds) from now, by the store's clock."""
        options = JobOptions(
            priority, lane, timeout, max_retries, retry, metadata, unique_key, agent_connection
        )
        new = self._desk.new_job(handler, data, options, delay=as_timedelta(delay, "delay"))
        return self._enqueue(new, on_conflict, connection)

    async def once_after_async(
        self,
        handler: HandlerReference,
        delay: Duration,
        data: Any = None,
        *,
        priority: Priority | None = None,
        lane: str | None = None,
        timeout: Duration | None = None,
        max_retries: int | None = None,
        retry: RetryPolicy | None = None,
        metadata: Mapping[str, Any] | None = None,
        unique_key: str | None = None,
        on_conflict: OnConflict = "return",
        agent_connection: str | None = None,
        connection: object | None = None,
    ) -> Job:
        """Async twin of :meth:`once_after`."""
        options = JobOptions(
            priority, lane, timeout, max_retries, retry, metadata, unique_key, agent_connection
        )
        new = self._desk.new_job(handler, data, options, delay=as_timedelta(delay, "delay"))
        return await self._enqueue_async(new, on_conflict, connection)

    @overload
    def once_many(
        self,
        requests: Iterable[JobRequest],
        *,
        returning: Literal["jobs"] = "jobs",
        on_conflict: OnConflict = "return",
        connection: object | None = None,
    ) -> list[Job]: ...
    @overload
    def once_many(
        self,
        requests: Iterable[JobRequest],
        *,
        returning: Literal["ids"],
        on_conflict: OnConflict = "return",
        connection: object | None = None,
    ) -> list[UUID]: ...
    def once_many(
        self,
        requests: Iterable[JobRequest],
        *,
        returning: Literal["jobs", "ids"] = "jobs",
        on_conflict: OnConflict = "return",
        connection: object | None = None,
    ) -> list[Job] | list[UUID]:
        """Enqueue many jobs in one transaction: all or none, answers in the order given.

        ``returning="ids"`` is the fast way for bulk. Of several requests with one ``unique_key`` the first
        wins and its job is returned for the others.
        """
        check_policy(on_conflict)
        news = self._requested(requests, returning)
        if not news:
            return []
        self._producer.check_writable()
        if connection is not None:
            keyed = self._producer.enqueue_in(connection, news, on_conflict)
        elif returning == "ids":
            return self._producer.enqueue_ids(news, on_conflict)
        else:
            keyed = self._producer.enqueue_many(news, on_conflict)
        if returning == "ids":
            return [item.job_id for item in keyed]
        return self._producer.jobs(news, keyed)

    @overload
    async def once_many_async(
        self,
        requests: Iterable[JobRequest],
        *,
        returning: Literal["jobs"] = "jobs",
        on_conflict: OnConflict = "return",
        connection: object | None = None,
    ) -> list[Job]: ...
    @overload
    async def once_many_async(
        self,
        requests: Iterable[JobRequest],
        *,
        returning: Literal["ids"],
        on_conflict: OnConflict = "return",
        connection: object | None = None,
    ) -> list[UUID]: ...
    async def once_many_async(
        self,
        requests: Iterable[JobRequest],
        *,
        returning: Literal["jobs", "ids"] = "jobs",
        on_conflict: OnConflict = "return",
        connection: object | None = None,
    ) -> list[Job] | list[UUID]:
        """Async twin of :meth:`once_many`."""
        check_policy(on_conflict)
        news = self._requested(requests, returning)
        if not news:
            return []
        run = self._producer.threads.run
        await run(self._producer.check_writable)
        if connection is not None:
            keyed = await self._producer.enqueue_in_async(connection, news, on_conflict)
        elif returning == "ids":
            return await run(self._producer.enqueue_ids, news, on_conflict)
        else:
            keyed = await run(self._producer.enqueue_many, news, on_conflict)
        if returning == "ids":
            return [item.job_id for item in keyed]
        return await run(self._producer.jobs, news, keyed)

    # -- shared ----------------------------------------------------------------------------------------

    def _requested(self, requests: Iterable[JobRequest], returning: str) -> Sequence[NewJob]:
        if returning not in ("jobs", "ids"):
            raise ValueError(f'returning must be "jobs" or "ids", not {returning!r}')
        return self._desk.from_requests(requests)

    def _enqueue(self, new: NewJob, on_conflict: OnConflict, connection: object | None) -> Job:
        check_policy(on_conflict)
        self._producer.check_writable()
        if connection is not None:
            keyed = self._producer.enqueue_in(connection, [new], on_conflict)
            return self._producer.jobs([new], keyed)[0]
        if new.unique_key is not None:
            return self._producer.enqueue_one_keyed(new, on_conflict)
        return self._producer.enqueue_one(new)

    async def _enqueue_async(self, new: NewJob, on_conflict: OnConflict, connection: object | None) -> Job:
        check_policy(on_conflict)
        if not self._producer.writable_now:
            await self._producer.threads.run(self._producer.check_writable)
        if connection is not None:
            keyed = await self._producer.enqueue_in_async(connection, [new], on_conflict)
            return (await self._producer.threads.run(self._producer.jobs, [new], keyed))[0]
        if new.unique_key is not None:
            return await self._producer.threads.run(self._producer.enqueue_one_keyed, new, on_conflict)
        return await self._producer.enqueue_one_async(new)
