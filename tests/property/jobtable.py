"""The job table as a machine: every operation against a model of what must be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from jobmaster.domain.job import ClaimedJob, JobFilter
from jobmaster.domain.status import JobStatus
from jobmaster.domain.verdict import lost_verdict
from jobmaster.errors import DuplicateJob
from jobmaster.ports import CancelResult, RunningMark
from jobmaster.testing.conformance import Holder, Stores
from jobmaster.testing.conformance.stores import new_job

MAX_LOSSES = 2
PAST = datetime(2020, 1, 1, tzinfo=UTC)
FUTURE = datetime(2999, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
OUTCOMES = ("success", "failure", "retry now", "retry later", "hand back")


@dataclass
class ModelJob:
    """What a job must look like."""

    id: UUID
    priority: int
    run_at: datetime
    key: str | None = None
    holder: int | None = None
    claim_no: int = 0
    attempt: int = 0
    failures: int = 0
    losses: int = 0
    started: bool = False
    cancel: bool = False
    end: JobStatus | None = None
    runs: int = 0
    """Records that its attempts must show."""

    @property
    def status(self) -> JobStatus:
        """As PROTOCOL names it."""
        if self.end is not None:
            return self.end
        if self.holder is not None:
            return JobStatus.PROCESSING if self.started else JobStatus.ASSIGNED_TO_BUCKET
        return JobStatus.RETRYING if self.failures else JobStatus.READY

    def free(self) -> None:
        """Its claim is given up; asked to stop, it ends instead."""
        self.holder, self.started = None, False
        if self.cancel:
            self.end, self.cancel = JobStatus.CANCELLED, False


class JobTable(RuleBasedStateMachine):
    """Give it ``stores`` and ``clear``, which empties them."""

    stores: Stores
    clear: Callable[[], None]

    def __init__(self) -> None:
        super().__init__()
        self.clear()
        self.jobs: list[ModelJob] = []
        self.holders: list[Holder | None] = []
        self.expired: set[int] = set()
        self.tickets: list[tuple[int, ClaimedJob]] = []

    # --- choosing -----------------------------------------------------------------------------------

    def _job(self, number: int) -> ModelJob:
        return self.jobs[number % len(self.jobs)]

    def _living(self) -> list[int]:
        return [n for n, holder in enumerate(self.holders) if holder is not None]

    def _holder(self, number: int) -> tuple[int, Holder]:
        living = self._living()
        index = living[number % len(living)]
        holder = self.holders[index]
        assert holder is not None
        return index, holder

    def _read_run_at(self, job: ModelJob) -> None:
        job.run_at = self.stores.job(job.id).scheduled_at

    @initialize()
    def begin_with_work(self) -> None:
        """Two workers that hold a few jobs each: most of what can go wrong begins there."""
        self.open_buckets()
        self.open_buckets()
        self.enqueue([3, 3, 3, 5], 0, False)
        self.claim(0, 2)
        self.claim(1, 2)

    # --- rules --------------------------------------------------------------------------------------

    @rule(
        priorities=st.lists(st.integers(1, 5), min_size=1, max_size=4),
        age=st.integers(0, 3),
        held=st.sampled_from([False, False, False, True]),
    )
    def enqueue(self, priorities: list[int], age: int, held: bool) -> None:
        run_at = FUTURE if held else PAST + timedelta(seconds=age)
        new = [new_job(priority=priority, run_at=run_at) for priority in priorities]
        self.stores.transport.enqueue(new)
        self.jobs += [ModelJob(job.id, job.priority, run_at) for job in new]

    @rule(key=st.sampled_from("ab"), how=st.sampled_from(["return", "raise", "replace"]))
    def enqueue_keyed(self, key: str, how: Any) -> None:
        job = new_job(unique_key=key, run_at=PAST, priority=3)
        holder = self._live_with(key)
        if how == "raise" and holder is not None:
            with pytest.raises(DuplicateJob) as caught:
                self.stores.settlement.enqueue_keyed([job], how)
            assert caught.value.job_id == holder.id
            return
        (keyed,) = self.stores.settlement.enqueue_keyed([job], how)
        assert keyed.inserted == (holder is None)
        if holder is None:
            self.jobs.append(ModelJob(job.id, 3, PAST, key))
            return
        assert keyed.job_id == holder.id
        if how == "replace" and holder.holder is None:
            holder.run_at, holder.priority = PAST, 3

    def _live_with(self, key: str) -> ModelJob | None:
        return next((job for job in self.jobs if job.key == key and job.end is None), None)

    @precondition(lambda self: len(self._living()) < 3)
    @rule()
    def open_buckets(self) -> None:
        self.holders.append(self.stores.holder())

    @precondition(lambda self: self._living())
    @rule(number=st.integers(0, 9), limit=st.integers(1, 4))
    def claim(self, number: int, limit: int) -> None:
        index, holder = self._holder(number)
        claimed = holder.claim(limit)
        expected: list[ModelJob] = []
        if index not in self.expired:
            now = self.stores.transport.now()
            for priority in (5, 4, 3, 2, 1):
                due = [
                    job
                    for job in self.jobs
                    if job.status.is_waiting and job.priority == priority and job.run_at <= now
                ]
                expected += sorted(due, key=lambda job: (job.run_at, job.id))[:limit]
        assert [job.id for job in claimed] == [job.id for job in expected]
        for ticket, job in zip(claimed, expected, strict=True):
            job.holder, job.claim_no = index, job.claim_no + 1
            assert ticket.claim_no == job.claim_no
            assert (ticket.attempt, ticket.failures, ticket.losses) == (job.attempt, job.failures, job.losses)
            assert ticket.bucket_id == holder.buckets[job.priority]
            self.tickets.append((index, ticket))

    def _owned(self, index: int, ticket: ClaimedJob) -> ModelJob | None:
        job = next(job for job in self.jobs if job.id == ticket.id)
        owned = job.end is None and job.holder == index and job.claim_no == ticket.claim_no
        return job if owned else None

    def _pool(self, owned: bool) -> list[tuple[int, ClaimedJob]]:
        """Tickets that are good, or those of live jobs that are not any more."""
        pool = [(n, ticket) for n, ticket in self.tickets if (self._owned(n, ticket) is not None) == owned]
        live = {job.id for job in self.jobs if job.end is None}
        return [(n, ticket) for n, ticket in pool if ticket.id in live]

    @precondition(lambda self: self._pool(owned=True))
    @rule(picks=st.lists(st.tuples(st.integers(0, 99), st.sampled_from(OUTCOMES)), min_size=1, max_size=4))
    def settle(self, picks: list[tuple[int, str]]) -> None:
        self._settle(self._pool(owned=True), picks)

    @precondition(lambda self: self._pool(owned=False))
    @rule(number=st.integers(0, 99), outcome=st.sampled_from(OUTCOMES))
    def settle_too_late(self, number: int, outcome: str) -> None:
        self._settle(self._pool(owned=False), [(number, outcome)])

    @precondition(lambda self: self.tickets)
    @rule(picks=st.lists(st.tuples(st.integers(0, 99), st.sampled_from(OUTCOMES)), min_size=2, max_size=5))
    def settle_good_and_bad_together(self, picks: list[tuple[int, str]]) -> None:
        self._settle(self.tickets, picks)

    @precondition(lambda self: self._pool(owned=True))
    @rule(number=st.integers(0, 99))
    def hand_back_and_claim_again(self, number: int) -> None:
        pool = self._pool(owned=True)
        index, ticket = pool[number % len(pool)]
        self._settle([(index, ticket)], [(0, "hand back")])
        if self.holders[index] is not None:
            self.claim(self._living().index(index), 4)

    def _settle(self, pool: list[tuple[int, ClaimedJob]], picks: list[tuple[int, str]]) -> None:
        chosen: dict[UUID, tuple[int, ClaimedJob, str]] = {}
        for number, outcome in picks:
            index, ticket = pool[number % len(pool)]
            chosen.setdefault(ticket.id, (index, ticket, outcome))
        maker = self.stores
        changes, refused, moved = [], set(), []
        for index, ticket, outcome in chosen.values():
            holder = self.holders[index] or Holder(maker, "default", {})
            match outcome:
                case "success":
                    change = holder.succeeded(ticket)
                case "failure":
                    change = holder.failed(ticket)
                case "retry now":
                    change = holder.failed(ticket, timedelta(0))
                case "retry later":
                    change = holder.failed(ticket, HOUR)
                case _:
                    change = holder.handed_back(ticket)
            changes.append(change)
            job = self._owned(index, ticket)
            if job is None:
                refused.add(ticket.id)
            else:
                moved.append((job, outcome))
        settled = self.stores.settlement.settle(changes, None)
        assert settled.refused == refused
        assert not settled.claimed
        assert not settled.poisoned
        for job, outcome in moved:
            self._apply(job, outcome)

    def _apply(self, job: ModelJob, outcome: str) -> None:
        if outcome != "hand back":
            job.attempt += 1
            job.runs += 1
        if outcome in ("failure", "retry now", "retry later"):
            job.failures += 1
        if outcome in ("success", "failure"):
            job.holder, job.started, job.cancel = None, False, False
            job.end = JobStatus.SUCCEEDED if outcome == "success" else JobStatus.FAILED
            return
        job.free()
        if job.end is None and outcome != "hand back":
            self._read_run_at(job)

    @precondition(lambda self: self.tickets)
    @rule(number=st.integers(0, 99))
    def mark(self, number: int) -> None:
        index, ticket = self.tickets[number % len(self.tickets)]
        now = self.stores.transport.now()
        answer = self.stores.transport.mark([RunningMark(ticket.id, ticket.bucket_id, ticket.claim_no, now)])
        job = self._owned(index, ticket)
        assert (ticket.id in answer.lost) == (job is None)
        if job is not None:
            job.started = True
            assert (ticket.id in answer.cancel) == job.cancel

    @precondition(lambda self: self.jobs)
    @rule(number=st.integers(0, 99))
    def cancel(self, number: int) -> None:
        job = self._job(number)
        answer = self.stores.settlement.cancel(job.id, "property")
        if job.end is not None:
            assert answer is CancelResult.FINAL
        elif job.holder is not None:
            assert answer is CancelResult.REQUESTED
            job.cancel = True
        else:
            assert answer is CancelResult.CANCELLED
            job.end = JobStatus.CANCELLED

    @precondition(lambda self: self.jobs)
    @rule(number=st.integers(0, 99), later=st.booleans())
    def reschedule(self, number: int, later: bool) -> None:
        job = self._job(number)
        run_at = FUTURE if later else PAST
        moved = self.stores.settlement.reschedule(job.id, run_at)
        assert moved == job.status.is_waiting
        if moved:
            job.run_at = run_at

    @precondition(lambda self: any(job.end for job in self.jobs))
    @rule(number=st.integers(0, 99))
    def revive(self, number: int) -> None:
        ended = [job for job in self.jobs if job.end is not None]
        job = ended[number % len(ended)]
        taken = None if job.key is None else self._live_with(job.key)
        if taken is not None:
            with pytest.raises(DuplicateJob) as caught:
                self.stores.settlement.revive(job.id)
            assert caught.value.job_id == taken.id
            return
        assert self.stores.settlement.revive(job.id)
        was_success = job.end is JobStatus.SUCCEEDED
        job.end, job.failures, job.losses, job.claim_no = None, 0, 0, job.claim_no + 1
        # The plain success was made up from the history row, which is gone now; the revival left a mark.
        job.runs += 1 - was_success
        self._read_run_at(job)

    # --- leases -------------------------------------------------------------------------------------

    @precondition(lambda self: self._living())
    @rule(number=st.integers(0, 9))
    def renew(self, number: int) -> None:
        index, holder = self._holder(number)
        renewal = self.stores.transport.renew(holder.id, list(holder.buckets.values()), HOUR)
        assert renewal.valid == (index not in self.expired)

    @precondition(lambda self: any(n not in self.expired for n in self._living()))
    @rule(number=st.integers(0, 9))
    def crash(self, number: int) -> None:
        fresh = [n for n in self._living() if n not in self.expired]
        index = fresh[number % len(fresh)]
        holder = self.holders[index]
        assert holder is not None
        holder.expire()
        self.expired.add(index)

    @precondition(lambda self: any(n not in self.expired for n in self._living()))
    @rule(number=st.integers(0, 9))
    def stop(self, number: int) -> None:
        fresh = [n for n in self._living() if n not in self.expired]
        index = fresh[number % len(fresh)]
        holder = self.holders[index]
        assert holder is not None
        held = [job for job in self.jobs if job.holder == index and job.end is None]
        assert self.stores.transport.close_buckets(list(holder.buckets.values())) == len(held)
        for job in held:
            job.free()
        self.holders[index] = None

    @precondition(lambda self: any(job.holder is not None and job.end is None for job in self.jobs))
    @rule(number=st.integers(0, 9))
    def lose_and_claim_again(self, number: int) -> None:
        """Several times over, a job changes from one vanishing worker to the next."""
        for _ in range(2):
            if any(n not in self.expired for n in self._living()):
                self.crash(number)
            self.rescue()
            self.open_buckets()
            self.claim(len(self._living()) - 1, 4)

    @precondition(lambda self: self.expired)
    @rule()
    def rescue(self) -> None:
        lost = [job for job in self.jobs if job.holder in self.expired and job.end is None]
        released = failed = 0
        for job in lost:
            started = True if job.started else (None if job.losses == 0 else False)
            after, over = lost_verdict(job.losses, started, MAX_LOSSES)
            if after > job.losses:
                job.attempt += 1
                job.runs += 1
            job.losses = after
            if over and not job.cancel:
                job.holder, job.started, job.end = None, False, JobStatus.FAILED
                failed += 1
            else:
                job.free()
                released += job.end is None
        answer = self.stores.settlement.rescue(MAX_LOSSES)
        assert answer.buckets == 5 * len(self.expired)
        assert (answer.released, answer.failed) == (released, failed)
        for index in self.expired:
            self.holders[index] = None
        self.expired = set()

    # --- what must always hold ----------------------------------------------------------------------

    @invariant()
    def the_store_shows_what_the_model_says(self) -> None:
        shown = {job.id: job for job in self.stores.master.find_jobs(JobFilter(), 10_000, None)}
        assert len(shown) == len(self.jobs)
        for job in self.jobs:
            found = shown[job.id]
            assert found.status is job.status
            assert (found.attempt, found.failures, found.losses) == (job.attempt, job.failures, job.losses)
            assert found.scheduled_at == job.run_at
            assert found.priority == job.priority
            assert (found.finished_at is None) == (job.end is None)

    @invariant()
    def claims_are_where_the_model_says(self) -> None:
        for index in self._living():
            holder = self.holders[index]
            assert holder is not None
            read = self.stores.transport.claimed_in(list(holder.buckets.values()))
            held = {job.id: job.claim_no for job in self.jobs if job.holder == index and job.end is None}
            assert {job.id: job.claim_no for job in read} == held

    def teardown(self) -> None:
        for job in self.jobs:
            attempts = self.stores.master.attempts(job.id)
            assert len(attempts) == job.runs
        super().teardown()
