"""What becomes of the jobs of a worker that vanished."""

from __future__ import annotations

from datetime import timedelta

from ...domain.job import AttemptOutcome, ClaimedJob
from ...domain.status import BucketStatus, JobStatus
from ...ports import Rescue, RunningMark
from .stores import Holder, Stores

__all__ = ["RescueConformance"]


def _start(stores: Stores, job: ClaimedJob) -> None:
    stores.transport.mark([RunningMark(job.id, job.bucket_id, job.claim_no, stores.transport.now())])


def _vanish(stores: Stores, *, start: bool) -> Holder:
    holder = stores.holder()
    for job in holder.claim():
        if start:
            _start(stores, job)
    holder.expire()
    return holder


class RescueConformance:
    """Needs a fixture ``stores``."""

    def test_living_buckets_are_left_alone(self, stores: Stores) -> None:
        stores.enqueue()
        holder = stores.holder()
        (claimed,) = holder.claim()
        rescue = stores.settlement.rescue(5)
        assert (rescue.buckets, rescue.released, rescue.failed) == (0, 0, 0)
        assert not holder.settle(holder.succeeded(claimed)).refused

    def test_the_jobs_of_a_dead_worker_wait_again_charged(self, stores: Stores) -> None:
        ids = stores.enqueue(3)
        holder = _vanish(stores, start=False)
        rescue = stores.settlement.rescue(5)
        assert (rescue.buckets, rescue.released, rescue.failed) == (5, 3, 0)
        assert {bucket.status for bucket in stores.transport.buckets()} == {BucketStatus.READY_TO_DELETE}
        assert {bucket.jobs for bucket in stores.transport.buckets()} == {0}
        for job_id in ids:
            job = stores.job(job_id)
            assert job.status is JobStatus.READY
            assert (job.attempt, job.failures, job.losses) == (1, 0, 1)
            (attempt,) = stores.master.attempts(job_id)
            assert attempt.outcome is AttemptOutcome.LOST
            assert attempt.worker_id == holder.id
        assert len(stores.holder().claim()) == 3

    def test_emptied_buckets_are_deleted_by_the_next_rescue(self, stores: Stores) -> None:
        stores.enqueue(3)
        _vanish(stores, start=False)
        assert stores.settlement.rescue(5).buckets == 5
        assert stores.settlement.rescue(5) == Rescue(0, 0, 0)
        assert stores.transport.buckets() == []
        assert stores.settlement.rescue(5) == Rescue(0, 0, 0)

    def test_an_emptied_bucket_takes_no_claim_and_no_renewal(self, stores: Stores) -> None:
        holder = _vanish(stores, start=False)
        stores.settlement.rescue(5)
        stores.enqueue()
        assert holder.claim() == []
        buckets = list(holder.buckets.values())
        assert not stores.transport.renew(holder.id, buckets, timedelta(seconds=15)).valid

    def test_a_job_lost_before_is_charged_only_when_it_had_started(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        _vanish(stores, start=False)
        stores.settlement.rescue(5)
        _vanish(stores, start=False)
        stores.settlement.rescue(5)
        assert (stores.job(job_id).losses, stores.job(job_id).attempt) == (1, 1)
        _vanish(stores, start=True)
        stores.settlement.rescue(5)
        assert (stores.job(job_id).losses, stores.job(job_id).attempt) == (2, 2)
        assert len(stores.master.attempts(job_id)) == 2

    def test_a_start_mark_does_not_outlive_its_claim(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        _vanish(stores, start=True)
        stores.settlement.rescue(5)
        assert stores.job(job_id).started_at is None
        _vanish(stores, start=False)
        stores.settlement.rescue(5)
        assert stores.job(job_id).losses == 1

    def test_a_job_that_keeps_losing_its_worker_fails(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        failed = 0
        for _ in range(3):
            _vanish(stores, start=True)
            failed += stores.settlement.rescue(2).failed
        assert failed == 1
        job = stores.job(job_id)
        assert job.status is JobStatus.FAILED
        assert job.error is not None
        assert job.error.type == "lost"
        assert (job.losses, job.attempt) == (3, 3)
        assert stores.holder().claim() == []

    def test_a_request_to_cancel_outlives_the_worker(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        holder = stores.holder()
        holder.claim()
        stores.settlement.cancel(job_id, "stop")
        holder.expire()
        stores.settlement.rescue(5)
        assert stores.job(job_id).status is JobStatus.CANCELLED

    def test_a_completing_worker_may_die_too(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        holder = stores.holder()
        holder.claim()
        stores.transport.complete_buckets(holder.id)
        holder.expire()
        assert stores.settlement.rescue(5).released == 1
        assert stores.job(job_id).status is JobStatus.READY

    def test_more_jobs_than_one_step_takes(self, stores: Stores) -> None:
        stores.enqueue(25)
        _vanish(stores, start=False)
        rescue = stores.settlement.rescue(5, limit=10)
        assert (rescue.buckets, rescue.released) == (5, 25)

    def test_many_dead_workers(self, stores: Stores) -> None:
        stores.enqueue(30)
        holders = [stores.holder() for _ in range(10)]
        for holder in holders:
            holder.claim(3)
            holder.expire()
        rescue = stores.settlement.rescue(5)
        assert (rescue.buckets, rescue.released) == (50, 30)

    def test_a_retry_that_lost_its_worker_is_still_a_retry(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        holder = stores.holder()
        (claimed,) = holder.claim()
        now = stores.transport.now()
        holder.settle(holder.failed(claimed, now - now))
        _vanish(stores, start=True)
        stores.settlement.rescue(5)
        job = stores.job(job_id)
        assert job.status is JobStatus.RETRYING
        assert (job.attempt, job.failures, job.losses) == (2, 1, 1)
        assert [a.outcome for a in stores.master.attempts(job_id)] == [
            AttemptOutcome.FAILED,
            AttemptOutcome.LOST,
        ]
