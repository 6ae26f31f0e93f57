"""What becomes of a claim when its holder settles, and of single jobs that somebody changes meanwhile."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from ...domain.ids import uuid7
from ...domain.job import AttemptOutcome, JobError
from ...domain.status import JobStatus
from ...ports import CancelResult
from .stores import Stores, ended

__all__ = ["SettleConformance"]

HOUR = timedelta(hours=1)


class SettleConformance:
    """Needs a fixture ``stores``."""

    def test_a_success_moves_to_the_history(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue(data='{"n": 1}', metadata='{"m": 2}', priority=4)
        holder = stores.holder()
        (claimed,) = holder.claim()
        change = holder.succeeded(claimed, '{"answer": 42}')
        settled = holder.settle(change)
        assert not settled.refused
        assert not settled.poisoned
        job = stores.job(job_id)
        assert job.status is JobStatus.SUCCEEDED
        assert job.result == {"answer": 42}
        assert (job.data, job.metadata, job.priority) == ({"n": 1}, {"m": 2}, 4)
        assert (job.attempt, job.failures, job.losses) == (1, 0, 0)
        assert (job.started_at, job.finished_at) == (change.started_at, change.finished_at)
        assert job.worker_id == holder.id
        assert job.error is None
        assert stores.transport.claimed_in(list(holder.buckets.values())) == []

    def test_settling_twice_is_refused(self, stores: Stores) -> None:
        stores.enqueue()
        holder = stores.holder()
        (claimed,) = holder.claim()
        holder.settle(holder.succeeded(claimed, "1"))
        again = holder.settle(holder.failed(claimed))
        assert again.refused == {claimed.id}
        assert holder.settle(holder.succeeded(claimed, "2")).refused == {claimed.id}
        assert stores.job(claimed.id).result == 1

    def test_a_claim_that_went_to_another_is_refused(self, stores: Stores) -> None:
        stores.enqueue()
        slow, quick = stores.holder(), stores.holder()
        (old,) = slow.claim()
        slow.expire()
        stores.settlement.rescue(5)
        (new,) = quick.claim()
        for change in (
            slow.succeeded(old),
            slow.failed(old),
            slow.failed(old, HOUR),
            slow.handed_back(old),
        ):
            assert slow.settle(change).refused == {old.id}
        wrong_number = new._replace(claim_no=new.claim_no + 1)
        assert quick.settle(quick.succeeded(wrong_number)).refused == {new.id}
        assert quick.settle(quick.handed_back(wrong_number)).refused == {new.id}
        assert not quick.settle(quick.succeeded(new)).refused
        assert stores.job(new.id).worker_id == quick.id

    def test_a_refused_change_does_not_hold_up_the_others(self, stores: Stores) -> None:
        ids = stores.enqueue(6)
        holder = stores.holder()
        claimed = {job.id: job for job in holder.claim()}
        holder.settle(holder.succeeded(claimed[ids[0]]), holder.failed(claimed[ids[1]]))
        settled = holder.settle(
            holder.succeeded(claimed[ids[0]]),
            holder.failed(claimed[ids[1]]),
            holder.succeeded(claimed[ids[2]]),
            holder.failed(claimed[ids[3]]),
            holder.failed(claimed[ids[4]], HOUR),
            holder.handed_back(claimed[ids[5]]),
        )
        assert settled.refused == {ids[0], ids[1]}
        assert [stores.job(job_id).status for job_id in ids] == [
            JobStatus.SUCCEEDED,
            JobStatus.FAILED,
            JobStatus.SUCCEEDED,
            JobStatus.FAILED,
            JobStatus.RETRYING,
            JobStatus.READY,
        ]

    def test_settle_and_claim_in_one_go(self, stores: Stores) -> None:
        ids = stores.enqueue(4)
        holder = stores.holder()
        first = holder.claim(2)
        settled = holder.settle(*[holder.succeeded(job) for job in first], claim=holder.request(2))
        assert [job.id for job in settled.claimed] == ids[2:]
        assert not settled.refused

    def test_what_is_handed_back_may_be_claimed_in_the_same_go(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        holder = stores.holder()
        (claimed,) = holder.claim()
        settled = holder.settle(holder.handed_back(claimed), claim=holder.request())
        assert [(job.id, job.claim_no) for job in settled.claimed] == [(job_id, 2)]

    def test_a_failure_keeps_its_error_and_its_attempt(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        holder = stores.holder()
        (claimed,) = holder.claim()
        change = holder.failed(claimed)
        holder.settle(change)
        job = stores.job(job_id)
        assert job.status is JobStatus.FAILED
        assert job.error == change.error
        assert (job.attempt, job.failures) == (1, 1)
        (attempt,) = stores.master.attempts(job_id)
        assert attempt.number == 1
        assert attempt.outcome is AttemptOutcome.FAILED
        assert attempt.error == change.error
        assert attempt.log == "a line"
        assert attempt.worker_id == holder.id

    def test_a_retry_waits_for_its_delay(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        holder = stores.holder()
        (claimed,) = holder.claim()
        settled = holder.settle(holder.failed(claimed, HOUR))
        job = stores.job(job_id)
        assert job.status is JobStatus.RETRYING
        assert settled.now - timedelta(minutes=1) < job.scheduled_at - HOUR <= settled.now
        assert job.error == JobError("ValueError", "went wrong", "Traceback …")
        assert job.worker_id is None
        assert holder.claim() == []
        stores.settlement.reschedule(job_id, settled.now)
        (again,) = holder.claim()
        assert (again.attempt, again.failures, again.claim_no) == (1, 1, 2)
        assert not holder.settle(holder.succeeded(again)).refused
        outcomes = [attempt.outcome for attempt in stores.master.attempts(job_id)]
        assert outcomes == [AttemptOutcome.FAILED, AttemptOutcome.SUCCEEDED]

    def test_handing_back_changes_nothing_but_the_claim(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        before = stores.job(job_id)
        holder = stores.holder()
        (claimed,) = holder.claim()
        holder.settle(holder.handed_back(claimed))
        assert stores.job(job_id) == before
        assert stores.master.attempts(job_id) == []

    def test_a_deferred_job_remembers_since_when_it_is_unknown(self, stores: Stores) -> None:
        stores.enqueue()
        holder = stores.holder()
        (claimed,) = holder.claim()
        since = stores.transport.now()
        holder.settle(holder.handed_back(claimed)._replace(delay=timedelta(0), unknown_since=since))
        (again,) = holder.claim()
        assert again.unknown_since == since
        stores.transport.close_buckets(list(holder.buckets.values()))
        other = stores.holder()
        assert [job.unknown_since for job in other.claim()] == [since]
        other.expire()
        stores.settlement.rescue(5)
        assert [job.unknown_since for job in stores.holder().claim()] == [since]

    def test_a_success_that_logged_keeps_one_attempt(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        holder = stores.holder()
        (claimed,) = holder.claim()
        record = holder.failed(claimed).record
        assert record is not None
        logged = replace(record, outcome=AttemptOutcome.SUCCEEDED, error=None, log="hello")
        holder.settle(holder.succeeded(claimed)._replace(record=logged))
        (attempt,) = stores.master.attempts(job_id)
        assert attempt.outcome is AttemptOutcome.SUCCEEDED
        assert attempt.log == "hello"

    def test_a_plain_success_shows_one_attempt(self, stores: Stores) -> None:
        (job_id,) = ended(stores)
        (attempt,) = stores.master.attempts(job_id)
        assert attempt.outcome is AttemptOutcome.SUCCEEDED
        assert attempt.number == 1
        assert attempt.finished_at == stores.job(job_id).finished_at

    def test_text_that_the_store_cannot_keep_blocks_no_neighbour(self, stores: Stores) -> None:
        ids = stores.enqueue(5)
        holder = stores.holder()
        claimed = {job.id: job for job in holder.claim()}
        bad = JobError("ValueError", "half a character: \ud800")
        settled = holder.settle(
            holder.succeeded(claimed[ids[0]]),
            holder.failed(claimed[ids[1]], error=bad),
            holder.failed(claimed[ids[2]]),
            holder.failed(claimed[ids[3]], HOUR, error=bad),
            holder.succeeded(claimed[ids[4]], '"\ud800"'),
        )
        assert set(settled.poisoned) == {ids[1], ids[3], ids[4]}
        assert not settled.refused
        assert stores.job(ids[0]).status is JobStatus.SUCCEEDED
        assert stores.job(ids[2]).status is JobStatus.FAILED
        again = holder.settle(*[holder.failed(claimed[ids[n]]) for n in (1, 3, 4)])
        assert not again.refused
        assert not again.poisoned

    def test_the_first_end_of_a_job_stays(self, stores: Stores) -> None:
        (job_id,) = ended(stores)
        stores.enqueue(id=job_id)  # not marked as doubtful: it runs a second time
        holder = stores.holder()
        (claimed,) = holder.claim()
        (neighbour,) = stores.enqueue()
        (beside,) = holder.claim()
        settled = holder.settle(holder.succeeded(claimed, '"second"'), holder.succeeded(beside))
        assert not settled.poisoned
        assert stores.job(job_id).result is None
        assert stores.transport.find_live(job_id) is None
        assert stores.job(neighbour).status is JobStatus.SUCCEEDED

    # --- cancel -------------------------------------------------------------------------------------

    def test_cancel_of_a_waiting_job_ends_it(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        assert stores.settlement.cancel(job_id, "not needed") is CancelResult.CANCELLED
        job = stores.job(job_id)
        assert job.status is JobStatus.CANCELLED
        assert job.error is not None
        assert "not needed" in job.error.message
        assert job.finished_at is not None
        assert stores.settlement.cancel(job_id, "again") is CancelResult.FINAL
        assert stores.settlement.cancel(uuid7(), "who?") is CancelResult.NOT_FOUND
        assert stores.holder().claim() == []

    def test_cancel_of_a_claimed_job_is_a_request(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        holder = stores.holder()
        (claimed,) = holder.claim()
        assert stores.settlement.cancel(job_id, "stop") is CancelResult.REQUESTED
        assert stores.job(job_id).status is JobStatus.ASSIGNED_TO_BUCKET
        assert not holder.settle(holder.succeeded(claimed)).refused
        assert stores.job(job_id).status is JobStatus.SUCCEEDED

    def test_a_job_asked_to_stop_does_not_wait_again(self, stores: Stores) -> None:
        ids = stores.enqueue(2)
        holder = stores.holder()
        claimed = {job.id: job for job in holder.claim()}
        for job_id in ids:
            stores.settlement.cancel(job_id, "stop")
        holder.settle(holder.handed_back(claimed[ids[0]]), holder.failed(claimed[ids[1]], HOUR))
        for job_id in ids:
            job = stores.job(job_id)
            assert job.status is JobStatus.CANCELLED
            assert job.error is not None
            assert "stop" in job.error.message
        assert [a.outcome for a in stores.master.attempts(ids[1])] == [AttemptOutcome.FAILED]

    # --- reschedule, revive -------------------------------------------------------------------------

    def test_reschedule_moves_waiting_jobs_only(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        later = stores.transport.now() + HOUR
        assert stores.settlement.reschedule(job_id, later)
        assert stores.job(job_id).scheduled_at == later
        holder = stores.holder()
        assert holder.claim() == []
        assert stores.settlement.reschedule(job_id, later - 2 * HOUR)
        (claimed,) = holder.claim()
        assert not stores.settlement.reschedule(job_id, later)
        holder.settle(holder.succeeded(claimed))
        assert not stores.settlement.reschedule(job_id, later)
        assert not stores.settlement.reschedule(uuid7(), later)

    def test_revive_makes_a_finished_job_live_again(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue(data='{"n": 1}', metadata='{"m": 2}', priority=2, max_retries=4)
        holder = stores.holder()
        (claimed,) = holder.claim()
        holder.settle(holder.failed(claimed))
        before = stores.transport.now()
        assert stores.settlement.revive(job_id)
        job = stores.job(job_id)
        assert job.status is JobStatus.READY
        assert (job.attempt, job.failures, job.losses) == (1, 0, 0)
        assert (job.data, job.metadata, job.priority) == ({"n": 1}, {"m": 2}, 2)
        assert job.error is None
        assert job.scheduled_at >= before
        assert not stores.settlement.revive(job_id)
        (again,) = holder.claim()
        assert again.claim_no > claimed.claim_no
        assert again.max_retries == 4
        assert holder.settle(holder.succeeded(claimed)).refused
        holder.settle(holder.succeeded(again))
        assert [attempt.outcome for attempt in stores.master.attempts(job_id)] == [
            AttemptOutcome.FAILED,
            AttemptOutcome.RETRIED,
            AttemptOutcome.SUCCEEDED,
        ]
        assert stores.job(job_id).attempt == 2

    def test_revive_knows_finished_jobs_only(self, stores: Stores) -> None:
        assert not stores.settlement.revive(uuid7())
        (job_id,) = stores.enqueue()
        assert not stores.settlement.revive(job_id)
