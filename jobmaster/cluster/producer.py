"""Stores validated jobs: shared inserts, keyed inserts, inserts in the caller's own transaction."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import TypeVar
from uuid import UUID

from ..domain.alike import AlikeJobs, kinds_of, part_of
from ..domain.job import Job, NewJob
from ..domain.status import ClusterMode
from ..engine.backoff import Backoff
from ..engine.enqueuer import NotStored
from ..engine.storethreads import StoreThreads
from ..errors import (
    ClusterArchived,
    ConfigurationError,
    ConflictError,
    DuplicateJob,
    StoreError,
    TransientStoreError,
    TransportUnavailable,
)
from ..ports import Keyed, OnConflict
from ..sql.gateway import ContentRefused
from .backend import Backend
from .connections import enqueue_in, enqueue_in_async
from .locator import Locator
from .requests import snapshot
from .routing import Router, Target

__all__ = ["Producer", "check_policy"]

T = TypeVar("T")
_POLICIES = ("return", "raise", "replace")


class Producer:
    """The write path of one scheduler. Synchronous; ``threads`` runs it for event loops."""

    def __init__(
        self,
        backend: Backend,
        wake: Callable[[str | None], None],
        locator: Locator,
        logger: logging.Logger,
    ) -> None:
        self._backend = backend
        self._wake = wake
        self._locator = locator
        self._logger = logger
        self._timeout = backend.operation_timeout
        self.threads = StoreThreads(8, "jobmaster-scheduler")
        self._router = Router(backend, logger)
        self._refreshing: threading.Thread | None = None
        self._tried_at = float("-inf")

    def close(self) -> None:
        """Store what is queued, then end all threads."""
        self._router.close()
        self.threads.close()
        refreshing = self._refreshing
        if refreshing is not None:
            refreshing.join(timeout=2 * self._timeout)

    # -- may we write ----------------------------------------------------------------------------------

    @property
    def writable_now(self) -> bool:
        """Whether it is known, without asking the master, that changes are accepted."""
        backend = self._backend
        if backend.distributed and backend.roster.known and not backend.fresh:
            self._refresh_behind()
        elif not backend.fresh:
            return False
        return backend.limits.mode is not ClusterMode.ARCHIVED

    def check_writable(self) -> None:
        """Open the master when need be; raise ``ClusterArchived`` when the cluster is read-only.

        With agents a master that does not answer stops nobody: what was last known of it stands."""
        backend = self._backend
        if backend.distributed and backend.roster.known:
            if not backend.fresh:
                self._refresh_behind()
        elif not backend.fresh and time.monotonic() - self._tried_at >= 1.0:
            try:
                self.ready()
                backend.refresh()
            except (TransientStoreError, TransportUnavailable) as fault:
                if not backend.distributed and not backend.is_open:
                    raise
                # the mode last known stands; the write itself will tell whether the store is there
                self._tried_at = time.monotonic()
                self._logger.debug("settings could not be refreshed: %s", fault)
        if backend.limits.mode is ClusterMode.ARCHIVED:
            raise ClusterArchived(f"cluster {backend.cluster_id!r} is archived: it can be read, not changed")

    def ready(self) -> None:
        """Open the master at first use; ``TransportUnavailable`` when it cannot be reached in time."""
        try:
            self._backend.open(self._timeout)
        except TransientStoreError as fault:
            raise TransportUnavailable(str(fault)) from fault

    def _refresh_behind(self) -> None:
        """Read settings and roster again without keeping anybody waiting."""
        running = self._refreshing
        if (running is not None and running.is_alive()) or time.monotonic() - self._tried_at < 1.0:
            return
        self._tried_at = time.monotonic()
        self._refreshing = threading.Thread(
            target=self._refresh_quietly, name="jobmaster-refresh", daemon=True
        )
        self._refreshing.start()

    def _refresh_quietly(self) -> None:
        try:
            self._backend.refresh()
        except StoreError as fault:
            self._logger.debug("settings could not be refreshed: %s", fault)

    # -- storing ---------------------------------------------------------------------------------------

    def enqueue_one(self, new: NewJob) -> Job:
        """One job without a key, sharing an insert with other callers."""
        new = self._router.admit(new)
        attempt = _Attempt(self._backend.operation_timeout, [new])
        while True:
            for target in self._router.targets(new):
                try:
                    self._open(target)
                    now = target.enqueuer.submit([new]).result()
                except (NotStored, StoreError, ConfigurationError) as fault:
                    self._pass_over(attempt, target, fault)
                else:
                    return self._stored(new, now, target)
            time.sleep(attempt.pause())

    async def enqueue_one_async(self, new: NewJob) -> Job:
        """The same; occupies no thread while it waits."""
        new = self._router.admit(new)
        attempt = _Attempt(self._backend.operation_timeout, [new])
        while True:
            for target in self._router.targets(new):
                try:
                    if not self._is_open(target):
                        await self.threads.run(self._open, target)
                    now = await target.enqueuer.submit_async([new])
                except (NotStored, StoreError, ConfigurationError) as fault:
                    self._pass_over(attempt, target, fault)
                else:
                    return self._stored(new, now, target)
            await self.threads.run(time.sleep, attempt.pause())

    def _pass_over(self, attempt: _Attempt, target: Target, fault: Exception) -> None:
        """Go on to the next store, unless it is the jobs that are at fault, or there is no other."""
        theirs = isinstance(fault, (NotStored, TransientStoreError, ConfigurationError))
        if not theirs:
            if not self._backend.distributed or isinstance(fault, (ConflictError, ContentRefused)):
                raise fault
        attempt.missed(target, fault)
        self._router.failed(target)

    def _is_open(self, target: Target) -> bool:
        if target.agent is None or not self._backend.distributed:
            return self._backend.is_open
        return self._backend.is_agent_open(target.agent)

    def _open(self, target: Target) -> None:
        """Open the store of a target when need be; raises what it raises."""
        if self._is_open(target):
            return
        if target.agent is None or not self._backend.distributed:
            self._backend.open(0.0 if self._backend.distributed else self._timeout)
        else:
            self._backend.agent(target.agent)

    def _stored(self, new: NewJob, now: datetime, target: Target) -> Job:
        self._router.stored(target, [new])
        self._wake(new.lane)
        return self._snapshot(new, now, target)

    def _snapshot(self, new: NewJob, now: datetime, target: Target) -> Job:
        return snapshot(new, now, target.status, target.agent)

    def enqueue_one_keyed(self, new: NewJob, on_conflict: OnConflict) -> Job:
        """One job with a unique key."""
        new = self._router.admit(new)
        return self.jobs([new], self._store_keyed([new], on_conflict))[0]

    def enqueue_many(self, news: Sequence[NewJob], on_conflict: OnConflict) -> list[Keyed]:
        """Many jobs, one transaction per store; with keys all of them in one, on the master."""
        check_policy(on_conflict)
        news = self._admitted(news)
        if any(new.unique_key is not None for new in kinds_of(news)):
            return self._store_keyed(news, on_conflict)
        answers: dict[int, Keyed] = {}
        for places, now, target in self._store_parts(news):
            for place in places:
                new = news[place]
                answers[place] = Keyed(new.id, True, new.run_at or now + new.delay, now, agent=target.agent)
        return [answers[place] for place in range(len(news))]

    def enqueue_ids(self, news: Sequence[NewJob], on_conflict: OnConflict) -> list[UUID]:
        """The same, with no more said of each job than its id."""
        if any(new.unique_key is not None for new in kinds_of(news)):
            return [item.job_id for item in self.enqueue_many(news, on_conflict)]
        self._store_parts(self._admitted(news))
        return news.ids() if isinstance(news, AlikeJobs) else [new.id for new in news]

    def _admitted(self, news: Sequence[NewJob]) -> Sequence[NewJob]:
        if isinstance(news, AlikeJobs) and news.like.agent is None:
            return news
        return [self._router.admit(new) for new in news]

    def _store_parts(self, news: Sequence[NewJob]) -> list[tuple[Sequence[int], datetime, Target]]:
        """Jobs without keys, one transaction per store: which of them went where, and when."""
        stored: list[tuple[Sequence[int], datetime, Target]] = []
        for targets, places in self._router.deal(news):
            part = part_of(news, places)
            try:
                now, target = self._store_part(targets, part)
            except TransportUnavailable as fault:
                if not stored:
                    raise
                accepted = [news[place].id for place in sorted(chain(*(there for there, _, _ in stored)))]
                raise TransportUnavailable(
                    f"{len(accepted)} of {len(news)} jobs were stored, named in `accepted`; of the others: "
                    f"{fault}",
                    fault.job_ids,
                    accepted,
                ) from fault
            stored.append((places, now, target))
        for lane in {new.lane for new in kinds_of(news)}:
            self._wake(lane)
        return stored

    def _store_part(self, targets: Sequence[Target], part: Sequence[NewJob]) -> tuple[datetime, Target]:
        if len(targets) == 1:
            only = targets[0]
            self._open_or_refuse(only)
            now = self._insist(only.store.transport.enqueue, part)
            self._router.stored(only, part)
            return now, only
        attempt = _Attempt(self._timeout, part)
        while True:
            for target in targets:
                try:
                    self._open(target)
                    now = self._insist(target.store.transport.enqueue, part, certain_at_once=True)
                except (NotStored, StoreError, ConfigurationError) as fault:
                    self._pass_over(attempt, target, fault)
                else:
                    self._router.stored(target, part)
                    return now, target
            time.sleep(attempt.pause())

    def _open_or_refuse(self, target: Target) -> None:
        try:
            self._open(target)
        except TransientStoreError as fault:
            raise TransportUnavailable(str(fault)) from fault

    def _store_keyed(self, news: Sequence[NewJob], on_conflict: OnConflict) -> list[Keyed]:
        check_policy(on_conflict)
        self._open_or_refuse(self._router.held)
        keyed = self._take_keys(news, on_conflict)
        if on_conflict == "replace" and self._backend.distributed:
            own = {item.job_id for item in keyed if item.inserted}
            for new, item in zip(news, keyed, strict=True):
                if item.job_id not in own:
                    self._locator.replace(item.job_id, new)
        for lane in {new.lane for new in kinds_of(news)}:
            self._wake(lane)
        return keyed

    def _take_keys(self, news: Sequence[NewJob], on_conflict: OnConflict) -> list[Keyed]:
        """Insert on the master. A key is free once its job has ended, whether the master was told or not: it
        is told, and the jobs that met such a key are tried again, until the operation timeout."""
        settlement = self._backend.held.settlement
        deadline, backoff = time.monotonic() + self._timeout, Backoff(0.01, 0.5)
        answers: dict[UUID, Keyed] = {}
        left = list(news)
        while True:
            try:
                keyed = self._insist(lambda jobs: settlement.enqueue_keyed(jobs, on_conflict), left)
            except DuplicateJob as fault:
                if not self._has_ended(fault.job_id):
                    raise
                met = [fault.job_id]
            else:
                answers.update({new.id: item for new, item in zip(left, keyed, strict=True)})
                # Only what was there before this call: what it inserted itself, for the first job of a key,
                # may have run and ended by now, and answers for the others of that key all the same.
                own = {item.job_id for item in answers.values() if item.inserted}
                ended = self._ended({answers[new.id].job_id for new in left} - own)
                left = [new for new in left if answers[new.id].job_id in ended]
                met = [answers[new.id].job_id for new in left]
            if not met:
                return [answers[new.id] for new in news]
            if time.monotonic() >= deadline:
                raise TransportUnavailable(
                    f"the master could not be told in time that job {met[0]} has ended, which had the key",
                    [new.id for new in left],
                    [new.id for new in news if new.id in answers and answers[new.id].inserted],
                )
            time.sleep(backoff.next())

    def _ended(self, job_ids: Collection[UUID]) -> set[UUID]:
        return {job_id for job_id in job_ids if self._has_ended(job_id)}

    def _has_ended(self, job_id: UUID) -> bool:
        return self._backend.distributed and self._locator.tell_of_end(job_id)

    def _insist(
        self, store: Callable[[Sequence[NewJob]], T], news: Sequence[NewJob], certain_at_once: bool = False
    ) -> T:
        """Try the same store again with the same ids while the answer is unknown (PROTOCOL, enqueue 1)."""
        deadline = time.monotonic() + self._timeout
        backoff = Backoff(0.05, 1.0)
        while True:
            try:
                return store(news)
            except TransientStoreError as fault:
                left = deadline - time.monotonic()
                perhaps = fault.ambiguous or news[0].recheck
                if certain_at_once and not perhaps:
                    raise NotStored(str(fault)) from fault
                if left <= 0:
                    raise TransportUnavailable(
                        f"the jobs were {'perhaps' if perhaps else 'not'} stored in time: {fault}",
                        [new.id for new in news] if perhaps else (),
                    ) from fault
                if fault.ambiguous:
                    news = [new if new.recheck else new._replace(recheck=True) for new in news]
                time.sleep(min(left, backoff.next()))

    # -- in the caller's transaction -------------------------------------------------------------------

    def enqueue_in(self, connection: object, news: Sequence[NewJob], on_conflict: OnConflict) -> list[Keyed]:
        """Insert through the caller's sync connection, without commit."""
        check_policy(on_conflict)
        return enqueue_in(self._backend, connection, news, on_conflict)

    async def enqueue_in_async(
        self, connection: object, news: Sequence[NewJob], on_conflict: OnConflict
    ) -> list[Keyed]:
        """Insert through the caller's connection, sync or async, without commit."""
        check_policy(on_conflict)
        return await enqueue_in_async(self._backend, connection, news, on_conflict)

    # -- answers ---------------------------------------------------------------------------------------

    def jobs(self, news: Sequence[NewJob], keyed: Sequence[Keyed]) -> list[Job]:
        """The jobs that live after a keyed enqueue, in order; those that a caller's transaction met, as that
        transaction sees them."""
        by_id: dict[UUID, Job] = {}
        for new, item in zip(news, keyed, strict=True):
            if item.inserted:
                job = self._snapshot(new, item.enqueued_at, self._router.target_of(item.agent))
                by_id[item.job_id] = replace(job, scheduled_at=item.run_at)
        answer: list[Job] = []
        for new, item in zip(news, keyed, strict=True):
            job_or_none = by_id.get(item.job_id) or item.job or self._locator.get(item.job_id)
            if job_or_none is None:
                # it ended and was cleaned up a moment ago
                job_or_none = replace(
                    self._snapshot(new, item.enqueued_at, self._router.held),
                    id=item.job_id,
                    scheduled_at=item.run_at,
                )
            by_id[item.job_id] = job_or_none
            answer.append(job_or_none)
        return answer


class _Attempt:
    """One call's way through the stores that may take its job."""

    __slots__ = ("_backoff", "_deadline", "_faults", "_jobs")

    def __init__(self, timeout: float, jobs: Sequence[NewJob]) -> None:
        self._jobs = jobs
        self._deadline = time.monotonic() + timeout
        # made when the first store has not taken it, which is seldom
        self._backoff: Backoff | None = None
        self._faults: dict[str, Exception] | None = None

    def missed(self, target: Target, fault: Exception) -> None:
        """A store did not take it."""
        if self._faults is None:
            self._faults = {}
        self._faults[f"agent {target.agent!r}" if target.agent else "the master"] = fault

    def pause(self) -> float:
        """Seconds until the next round; ``TransportUnavailable`` when time is up."""
        left = self._deadline - time.monotonic()
        if left <= 0:
            faults = self._faults or {}
            said = "; ".join(f"{name}: {fault}" for name, fault in faults.items())
            ids = [job.id for job in self._jobs]
            cause = next(iter(faults.values()), None)
            raise TransportUnavailable(f"no store accepted the job in time ({said})", ids) from cause
        if self._backoff is None:
            self._backoff = Backoff(0.05, 1.0)
        return min(left, self._backoff.next())


def check_policy(on_conflict: object) -> None:
    """Raise ``ValueError`` for what is no :data:`OnConflict`."""
    if on_conflict not in _POLICIES:
        raise ValueError(f"on_conflict must be one of {', '.join(map(repr, _POLICIES))}, not {on_conflict!r}")
