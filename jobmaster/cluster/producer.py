"""Stores validated jobs: shared inserts, keyed inserts, inserts in the caller's own transaction."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from ..domain.job import Job, NewJob
from ..domain.status import ClusterMode, JobStatus
from ..engine.backoff import Backoff
from ..engine.enqueuer import Enqueuer
from ..engine.storethreads import StoreThreads
from ..errors import ClusterArchived, TransientStoreError, TransportUnavailable
from ..ports import Keyed, OnConflict
from .backend import Backend
from .requests import snapshot

__all__ = ["Producer", "check_policy"]

T = TypeVar("T")
_POLICIES = ("return", "raise", "replace")


class Producer:
    """The write path of one scheduler. Synchronous; ``threads`` runs it for event loops."""

    def __init__(self, backend: Backend, wake: Callable[[str | None], None], logger: logging.Logger) -> None:
        self._backend = backend
        self._wake = wake
        self._logger = logger
        self._timeout = backend.operation_timeout
        self.threads = StoreThreads(8, "jobmaster-scheduler")
        self._enqueuer = Enqueuer(backend.transport, self._timeout, backend.clock, logger)

    def close(self) -> None:
        """Store what is queued, then end all threads."""
        self._enqueuer.close()
        self.threads.close()

    # -- may we write ----------------------------------------------------------------------------------

    @property
    def writable_now(self) -> bool:
        """Whether it is known, without asking the store, that changes are accepted."""
        return self._backend.fresh and self._backend.limits.mode is not ClusterMode.ARCHIVED

    def check_writable(self) -> None:
        """Open the store when need be; raise ``ClusterArchived`` when the cluster is read-only."""
        self.ready()
        if not self._backend.fresh:
            try:
                self._backend.refresh()
            except TransientStoreError as fault:
                # the mode last known stands; the write itself will tell whether the store is there
                self._logger.debug("settings could not be refreshed: %s", fault)
        if self._backend.limits.mode is ClusterMode.ARCHIVED:
            raise ClusterArchived(
                f"cluster {self._backend.cluster_id!r} is archived: it can be read, not changed"
            )

    def ready(self) -> None:
        """Open the store at first use; ``TransportUnavailable`` when it cannot be reached in time."""
        try:
            self._backend.open(self._timeout)
        except TransientStoreError as fault:
            raise TransportUnavailable(str(fault)) from fault

    # -- storing ---------------------------------------------------------------------------------------

    def enqueue_one(self, new: NewJob) -> Job:
        """One job without a key, sharing an insert with other callers."""
        return self._stored(new, self._enqueuer.submit([new]).result())

    async def enqueue_one_async(self, new: NewJob) -> Job:
        """The same; occupies no thread while it waits."""
        return self._stored(new, await self._enqueuer.submit_async([new]))

    def _stored(self, new: NewJob, now: datetime) -> Job:
        self._wake(new.lane)
        return self._snapshot(new, now)

    def _snapshot(self, new: NewJob, now: datetime) -> Job:
        return snapshot(new, now, JobStatus.READY, self._backend.transport.name)

    def enqueue_one_keyed(self, new: NewJob, on_conflict: OnConflict) -> Job:
        """One job with a unique key."""
        return self.jobs([new], self._store_keyed([new], on_conflict))[0]

    def enqueue_many(self, news: Sequence[NewJob], on_conflict: OnConflict) -> list[Keyed]:
        """Many jobs in one transaction."""
        check_policy(on_conflict)
        if any(new.unique_key is not None for new in news):
            return self._store_keyed(news, on_conflict)
        now = self._insist(lambda jobs: self._backend.transport.enqueue(jobs), news)
        for lane in {new.lane for new in news}:
            self._wake(lane)
        return [Keyed(new.id, True, new.run_at or now + new.delay, now) for new in news]

    def _store_keyed(self, news: Sequence[NewJob], on_conflict: OnConflict) -> list[Keyed]:
        check_policy(on_conflict)
        keyed = self._insist(
            lambda jobs: self._backend.settlement.enqueue_keyed(jobs, on_conflict), news
        )
        for lane in {new.lane for new in news}:
            self._wake(lane)
        return keyed

    def _insist(self, store: Callable[[Sequence[NewJob]], T], news: Sequence[NewJob]) -> T:
        """Try the same store again with the same ids while the answer is unknown (PROTOCOL, enqueue 1)."""
        deadline = time.monotonic() + self._timeout
        backoff = Backoff(0.05, 1.0)
        while True:
            try:
                return store(news)
            except TransientStoreError as fault:
                left = deadline - time.monotonic()
                perhaps = fault.ambiguous or news[0].recheck
                if left <= 0:
                    raise TransportUnavailable(
                        f"the jobs were {'perhaps' if perhaps else 'not'} stored in time: {fault}",
                        [new.id for new in news] if perhaps else (),
                    ) from fault
                if fault.ambiguous:
                    news = [new if new.recheck else replace(new, recheck=True) for new in news]
                time.sleep(min(left, backoff.next()))

    # -- in the caller's transaction -------------------------------------------------------------------

    def enqueue_in(
        self, connection: object, news: Sequence[NewJob], on_conflict: OnConflict
    ) -> list[Keyed]:
        """Insert through the caller's sync connection, without commit."""
        check_policy(on_conflict)
        return self._backend.settlement.enqueue_in(connection, news, on_conflict)

    async def enqueue_in_async(
        self, connection: object, news: Sequence[NewJob], on_conflict: OnConflict
    ) -> list[Keyed]:
        """Insert through the caller's connection, sync or async, without commit."""
        check_policy(on_conflict)
        return await self._backend.settlement.enqueue_in_async(connection, news, on_conflict)

    # -- answers ---------------------------------------------------------------------------------------

    def jobs(self, news: Sequence[NewJob], keyed: Sequence[Keyed]) -> list[Job]:
        """The jobs that live after a keyed enqueue, in order; those that a caller's transaction met, as that
        transaction sees them."""
        by_id: dict[UUID, Job] = {}
        for new, item in zip(news, keyed, strict=True):
            if item.inserted:
                job = self._snapshot(new, item.enqueued_at)
                by_id[item.job_id] = replace(job, scheduled_at=item.run_at)
        answer: list[Job] = []
        for new, item in zip(news, keyed, strict=True):
            job_or_none = by_id.get(item.job_id) or item.job
            if job_or_none is None:
                job_or_none = self._backend.master.get_job(item.job_id)
            if job_or_none is None:
                # it ended and was cleaned up a moment ago
                job_or_none = replace(
                    self._snapshot(new, item.enqueued_at), id=item.job_id, scheduled_at=item.run_at
                )
            by_id[item.job_id] = job_or_none
            answer.append(job_or_none)
        return answer


def check_policy(on_conflict: object) -> None:
    """Raise ``ValueError`` for what is no :data:`OnConflict`."""
    if on_conflict not in _POLICIES:
        raise ValueError(f"on_conflict must be one of {', '.join(map(repr, _POLICIES))}, not {on_conflict!r}")
