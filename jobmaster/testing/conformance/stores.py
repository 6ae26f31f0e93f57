"""The stores under test, and a worker that a test moves by hand."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from ...domain.ids import uuid7
from ...domain.job import AttemptOutcome, ClaimedJob, Job, JobError, NewJob
from ...domain.status import BucketStatus, JobStatus, WorkerMode
from ...domain.verdict import AttemptRecord, StateChange, hand_back
from ...ports import AgentTransport, BucketInfo, ClaimRequest, MasterStore, Settled, Settlement

__all__ = ["Holder", "Stores", "ended", "new_job"]

_FAR = datetime(2000, 1, 1, tzinfo=UTC)
LEASE = timedelta(minutes=5)


def new_job(**options: Any) -> NewJob:
    """A job of no particular kind, due at once unless ``options`` say otherwise."""
    return NewJob(**{"id": uuid7(), "definition_id": "conformance", "data": "{}", **options})


@dataclass
class Stores:
    """An agent, a settlement and a master that belong together."""

    transport: AgentTransport
    settlement: Settlement
    master: MasterStore

    def open(self) -> None:
        """Open both stores."""
        self.master.open()
        self.transport.open()

    def close(self) -> None:
        """Close both."""
        self.transport.close()
        self.master.close()

    def enqueue(self, count: int = 1, **options: Any) -> list[UUID]:
        """Insert so many alike jobs; their ids, in order."""
        jobs = [new_job(**options) for _ in range(count)]
        self.transport.enqueue(jobs)
        return [job.id for job in jobs]

    def holder(
        self, lane: str = "default", priorities: Collection[int] = (1, 2, 3, 4, 5), lease: timedelta = LEASE
    ) -> Holder:
        """A worker with an open bucket for each priority."""
        holder = Holder(self, lane, {priority: uuid7() for priority in priorities})
        self.transport.open_buckets(
            [
                BucketInfo(
                    bucket,
                    holder.id,
                    "holder",
                    lane,
                    priority,
                    BucketStatus.ACTIVE,
                    _FAR,
                    self.transport.name,
                )
                for priority, bucket in holder.buckets.items()
            ],
            WorkerMode.FULL,
            lease,
        )
        return holder

    def job(self, job_id: UUID) -> Job:
        """The job, which must exist."""
        found = self.master.get_job(job_id)
        assert found is not None, f"no job {job_id}"
        return found


@dataclass
class Holder:
    """Claims and settles like a worker, one step at a time."""

    stores: Stores
    lane: str
    buckets: Mapping[int, UUID]
    id: UUID = field(default_factory=uuid7)

    def request(
        self,
        limit: int = 100,
        limits: Mapping[int, int] | None = None,
        after: Mapping[int, tuple[datetime, UUID]] | None = None,
    ) -> ClaimRequest:
        """A claim of up to ``limit`` jobs of each priority."""
        wanted = dict.fromkeys(self.buckets, limit) if limits is None else limits
        return ClaimRequest(self.lane, self.buckets, wanted, after or {})

    def claim(self, limit: int = 100, **options: Any) -> list[ClaimedJob]:
        """Claim, and nothing else."""
        return self.stores.settlement.settle([], self.request(limit, **options)).claimed

    def settle(self, *changes: StateChange, claim: ClaimRequest | None = None) -> Settled:
        """Settle these changes."""
        return self.stores.settlement.settle(changes, claim)

    def succeeded(self, job: ClaimedJob, result: str | None = None) -> StateChange:
        """A plain success."""
        now = self.stores.transport.now()
        return StateChange(
            job,
            JobStatus.SUCCEEDED,
            job.attempt + 1,
            job.failures,
            job.losses,
            now,
            now,
            result=result,
            worker_id=self.id,
        )

    def failed(
        self, job: ClaimedJob, delay: timedelta | None = None, error: JobError | None = None
    ) -> StateChange:
        """A failed run: tried again after ``delay``, or failed for good without one."""
        now = self.stores.transport.now()
        error = error or JobError("ValueError", "went wrong", "Traceback …")
        record = AttemptRecord(
            job.id,
            job.claim_no,
            job.attempt + 1,
            now,
            now,
            AttemptOutcome.FAILED,
            error,
            self.id,
            "a line",
        )
        return StateChange(
            job,
            JobStatus.FAILED if delay is None else JobStatus.RETRYING,
            job.attempt + 1,
            job.failures + 1,
            job.losses,
            now,
            now,
            delay=delay,
            error=error,
            record=record,
            worker_id=self.id,
        )

    def handed_back(self, job: ClaimedJob) -> StateChange:
        """Not started: given back."""
        return hand_back(job)

    def expire(self) -> None:
        """End the lease of every bucket now."""
        renewal = self.stores.transport.renew(self.id, list(self.buckets.values()), timedelta(0))
        assert renewal.valid


def ended(stores: Stores, count: int = 1, **options: Any) -> list[UUID]:
    """Jobs that have succeeded already."""
    ids = stores.enqueue(count, **options)
    lane: str = options.get("lane", "default")
    holder = stores.holder(lane)
    claimed: Sequence[ClaimedJob] = [job for job in holder.claim(count) if job.id in ids]
    holder.settle(*[holder.succeeded(job) for job in claimed])
    stores.transport.close_buckets(list(holder.buckets.values()))
    return ids
