"""The contract of ``AgentTransport`` as tests."""

from __future__ import annotations

import threading
from datetime import timedelta

from ...domain.alike import AlikeJobs
from ...domain.ids import uuid7
from ...domain.job import Progress
from ...domain.status import BucketStatus, JobStatus
from ...ports import RunningMark
from .stores import Stores, new_job

__all__ = ["AgentTransportConformance"]

HOUR = timedelta(hours=1)
PATIENCE = 10.0
ODD = ["", "it's", '\\\\ and \\"quotes\\"', "\\\\'; --", "\\n %s %(rows)s :now", "é€😀"]
"""Pieces of JSON text that a statement may stumble over."""


class AgentTransportConformance:
    """Needs a fixture ``stores``."""

    # --- enqueue ------------------------------------------------------------------------------------

    def test_enqueue_answers_with_the_stores_present(self, stores: Stores) -> None:
        before = stores.transport.now()
        job = new_job()
        now = stores.transport.enqueue([job])
        assert before <= now <= stores.transport.now()
        stored = stores.transport.find_live(job.id)
        assert stored is not None
        assert stored.enqueued_at == now
        assert stored.scheduled_at == now
        assert stored.enqueued_at.utcoffset() == timedelta(0)

    def test_every_field_reaches_the_claimer_unchanged(self, stores: Stores) -> None:
        now = stores.transport.now()
        job = new_job(
            definition_id="räder/🚲",
            data='{"text": "naïve ☃ \U0001f600 \'quoted\' \\\\ %s :name {x}", "n": 1.5}',
            metadata='{"k": [1, null]}',
            lane="Lane-1",
            priority=4,
            run_at=now - timedelta(seconds=5, microseconds=1),
            timeout=timedelta(seconds=1.5),
            max_retries=7,
            retry='["fixed", 1.0, 0.0, 2.0, false]',
            schedule_id="every-minute",
            occurrence_at=now - timedelta(minutes=1),
        )
        enqueued = stores.transport.enqueue([job])
        shown = stores.job(job.id)
        assert (shown.schedule_id, shown.occurrence_at) == ("every-minute", job.occurrence_at)
        assert (shown.is_catchup, shown.missed_count) == (False, 0)
        (claimed,) = stores.holder("Lane-1").claim()
        assert claimed.id == job.id
        assert claimed.definition_id == job.definition_id
        assert claimed.data == job.data
        assert claimed.metadata == job.metadata
        assert (claimed.lane, claimed.priority) == ("Lane-1", 4)
        assert (claimed.run_at, claimed.enqueued_at) == (job.run_at, enqueued)
        assert (claimed.timeout_ms, claimed.max_retries, claimed.retry) == (1500, 7, job.retry)
        assert (claimed.schedule_id, claimed.occurrence_at) == ("every-minute", job.occurrence_at)
        assert (claimed.attempt, claimed.failures, claimed.losses) == (0, 0, 0)
        assert claimed.claim_no == 1
        assert claimed.recheck is False
        assert claimed.cancel_requested is False
        assert claimed.unknown_since is None
        assert claimed.run_at.utcoffset() == timedelta(0)

    def test_what_was_not_given_stays_unset(self, stores: Stores) -> None:
        stores.enqueue()
        (claimed,) = stores.holder().claim()
        assert claimed.metadata is None
        assert claimed.timeout_ms is None
        assert claimed.max_retries is None
        assert claimed.retry is None
        assert claimed.schedule_id is None
        assert claimed.occurrence_at is None

    def test_a_delayed_job_is_not_due(self, stores: Stores) -> None:
        (late,) = stores.enqueue(delay=HOUR)
        (due,) = stores.enqueue()
        assert [job.id for job in stores.holder().claim()] == [due]
        waiting = stores.transport.find_live(late)
        assert waiting is not None
        assert waiting.scheduled_at == waiting.enqueued_at + HOUR
        assert waiting.status is JobStatus.READY

    def test_run_at_beats_delay(self, stores: Stores) -> None:
        run_at = stores.transport.now() + HOUR
        (job_id,) = stores.enqueue(run_at=run_at, delay=timedelta(days=9))
        assert stores.job(job_id).scheduled_at == run_at

    def test_many_jobs_at_once_keep_their_delays(self, stores: Stores) -> None:
        jobs = [new_job(delay=timedelta(hours=number)) for number in range(150)]
        now = stores.transport.enqueue(jobs)
        for job in (jobs[0], jobs[75], jobs[149]):
            found = stores.job(job.id)
            assert found.scheduled_at == now + job.delay
            assert found.enqueued_at == now
        assert [job.id for job in stores.holder().claim(200)] == [jobs[0].id]

    def test_a_bulk_of_jobs_alike_comes_out_as_it_went_in(self, stores: Stores) -> None:
        like = new_job(lane="bulk", priority=4, metadata='{"k":"ß\'"}', timeout=timedelta(seconds=1.5))
        jobs = AlikeJobs(like, [f'{{"n":{number},"t":"{text}"}}' for number, text in enumerate(ODD * 30)])
        now = stores.transport.enqueue(jobs)
        claimed = stores.holder("bulk").claim(len(jobs) + 1)
        assert [(job.id, job.data) for job in claimed] == [(job.id, job.data) for job in jobs]
        assert {(job.lane, job.priority, job.metadata, job.timeout_ms) for job in claimed} == {
            ("bulk", 4, like.metadata, 1500)
        }
        assert {job.run_at for job in claimed} == {now}

    def test_an_id_that_is_stored_is_left_alone(self, stores: Stores) -> None:
        job = new_job(data='{"first": true}')
        stores.transport.enqueue([job])
        again = new_job(id=job.id, data='{"first": false}')
        fresh = [new_job() for _ in range(100)]
        stores.transport.enqueue([*fresh, again])
        assert stores.job(job.id).data == {"first": True}
        assert len(stores.holder().claim(200)) == 101

    def test_an_ambiguous_enqueue_is_repeated_without_harm(self, stores: Stores) -> None:
        job = new_job()
        stores.transport.enqueue([job])
        stores.transport.enqueue([new_job(id=job.id, recheck=True)])
        assert [claimed.id for claimed in stores.holder().claim()] == [job.id]

    def test_lanes_do_not_mix(self, stores: Stores) -> None:
        stores.enqueue(lane="a")
        assert stores.holder("b").claim() == []
        assert len(stores.holder("a").claim()) == 1

    # --- buckets ------------------------------------------------------------------------------------

    def test_buckets_are_listed_with_what_they_hold(self, stores: Stores) -> None:
        stores.enqueue(3, priority=2)
        holder = stores.holder("default", (2, 5))
        holder.claim()
        shown = {bucket.priority: bucket for bucket in stores.transport.buckets()}
        assert {p: b.id for p, b in shown.items()} == dict(holder.buckets)
        assert (shown[2].jobs, shown[5].jobs) == (3, 0)
        assert shown[2].status is BucketStatus.ACTIVE
        assert shown[2].worker_id == holder.id
        assert shown[2].lease_until > stores.transport.now()
        assert shown[2].agent_connection == stores.transport.name

    def test_renew_extends_the_lease(self, stores: Stores) -> None:
        holder = stores.holder(lease=timedelta(minutes=1))
        renewal = stores.transport.renew(holder.id, list(holder.buckets.values()), HOUR)
        assert renewal.valid
        for bucket in stores.transport.buckets():
            assert bucket.lease_until > renewal.now + timedelta(minutes=50)

    def test_renew_is_all_or_nothing(self, stores: Stores) -> None:
        holder = stores.holder()
        before = {b.id: b.lease_until for b in stores.transport.buckets()}
        assert not stores.transport.renew(holder.id, [*holder.buckets.values(), uuid7()], HOUR).valid
        assert not stores.transport.renew(uuid7(), list(holder.buckets.values()), HOUR).valid
        assert {b.id: b.lease_until for b in stores.transport.buckets()} == before

    def test_a_lease_that_ran_out_is_not_renewed(self, stores: Stores) -> None:
        holder = stores.holder()
        holder.expire()
        assert not stores.transport.renew(holder.id, list(holder.buckets.values()), HOUR).valid

    def test_completing_buckets_are_renewed_but_claim_nothing(self, stores: Stores) -> None:
        stores.enqueue()
        holder = stores.holder()
        stores.transport.complete_buckets(holder.id)
        assert holder.claim() == []
        assert stores.transport.renew(holder.id, list(holder.buckets.values()), HOUR).valid
        assert {b.status for b in stores.transport.buckets()} == {BucketStatus.COMPLETING}
        assert len(stores.holder().claim()) == 1

    def test_closing_gives_back_uncharged(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        before = stores.job(job_id).scheduled_at
        holder = stores.holder()
        (claimed,) = holder.claim()
        stores.transport.mark([RunningMark(job_id, claimed.bucket_id, claimed.claim_no, before)])
        assert stores.transport.close_buckets(list(holder.buckets.values())) == 1
        assert stores.transport.buckets() == []
        job = stores.job(job_id)
        assert job.status is JobStatus.READY
        assert job.started_at is None
        assert (job.attempt, job.failures, job.losses) == (0, 0, 0)
        assert job.scheduled_at == before
        assert stores.transport.close_buckets(list(holder.buckets.values())) == 0

    def test_closing_honours_a_request_to_cancel(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        holder = stores.holder()
        holder.claim()
        stores.settlement.cancel(job_id, "no longer wanted")
        stores.transport.close_buckets(list(holder.buckets.values()))
        assert stores.job(job_id).status is JobStatus.CANCELLED

    def test_claimed_in_reads_the_claims_back(self, stores: Stores) -> None:
        ids = stores.enqueue(3)
        holder, other = stores.holder(), stores.holder()
        mine = holder.claim(2)
        other.claim()
        read = stores.transport.claimed_in(list(holder.buckets.values()))
        assert sorted(read) == sorted(mine)
        assert {job.id for job in mine} <= set(ids)
        assert stores.transport.claimed_in([uuid7()]) == []
        assert stores.transport.claimed_in([]) == []

    def test_buckets_are_closed_one_by_one(self, stores: Stores) -> None:
        stores.enqueue(priority=2)
        stores.enqueue(priority=5)
        holder = stores.holder()
        claimed = {job.priority: job for job in holder.claim()}
        assert stores.transport.close_buckets([holder.buckets[2], uuid7()]) == 1
        assert holder.buckets[2] not in {bucket.id for bucket in stores.transport.buckets()}
        assert stores.job(claimed[2].id).status is JobStatus.READY
        assert not holder.settle(holder.succeeded(claimed[5])).refused
        assert stores.transport.close_buckets([]) == 0

    # --- looking ------------------------------------------------------------------------------------

    def test_next_due_is_the_earliest_waiting_job(self, stores: Stores) -> None:
        assert stores.transport.next_due("default") is None
        now = stores.transport.now()
        stores.enqueue(run_at=now + HOUR, priority=5)
        stores.enqueue(run_at=now + HOUR / 2, priority=1)
        stores.enqueue(run_at=now, lane="other")
        answer = stores.transport.next_due("default")
        assert answer is not None
        assert answer[1] == now + HOUR / 2
        assert now <= answer[0] <= stores.transport.now()

    def test_next_due_leaves_claimed_jobs_out(self, stores: Stores) -> None:
        stores.enqueue()
        stores.holder().claim()
        assert stores.transport.next_due("default") is None

    def test_find_live_shows_each_state(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue(metadata='{"team": "a"}')
        holder = stores.holder()

        def status() -> JobStatus | None:
            job = stores.transport.find_live(job_id)
            return None if job is None else job.status

        assert status() is JobStatus.READY
        (claimed,) = holder.claim()
        assert status() is JobStatus.ASSIGNED_TO_BUCKET
        started = stores.transport.now()
        stores.transport.mark([RunningMark(job_id, claimed.bucket_id, claimed.claim_no, started)])
        running = stores.transport.find_live(job_id)
        assert running is not None
        assert running.status is JobStatus.PROCESSING
        assert running.started_at == started
        assert running.worker_id == holder.id
        assert running.metadata == {"team": "a"}
        holder.settle(holder.failed(claimed, HOUR))
        assert status() is JobStatus.RETRYING
        assert stores.transport.find_live(uuid7()) is None

    def test_a_finished_job_is_not_live(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        holder = stores.holder()
        holder.settle(*[holder.succeeded(job) for job in holder.claim()])
        assert stores.transport.find_live(job_id) is None

    # --- marks --------------------------------------------------------------------------------------

    def test_the_first_start_mark_stays(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        (claimed,) = stores.holder().claim()
        first = stores.transport.now()
        for started in (first, first + HOUR):
            stores.transport.mark([RunningMark(job_id, claimed.bucket_id, claimed.claim_no, started)])
        assert stores.job(job_id).started_at == first

    def test_progress_is_written_only_when_given(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        (claimed,) = stores.holder().claim()
        now = stores.transport.now()
        mark = RunningMark(job_id, claimed.bucket_id, claimed.claim_no, now, Progress(0.25, "a quarter"))
        stores.transport.mark([mark])
        stores.transport.mark([RunningMark(job_id, claimed.bucket_id, claimed.claim_no, now)])
        assert stores.job(job_id).progress == Progress(0.25, "a quarter")

    def test_progress_does_not_outlive_the_claim(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        holder = stores.holder()
        (claimed,) = holder.claim()
        now = stores.transport.now()
        stores.transport.mark(
            [RunningMark(job_id, claimed.bucket_id, claimed.claim_no, now, Progress(0.5, "half"))]
        )
        holder.settle(holder.failed(claimed, timedelta(0)))
        job = stores.job(job_id)
        assert job.progress is None
        assert job.started_at is None

    def test_marks_tell_what_is_lost_and_what_is_to_be_cancelled(self, stores: Stores) -> None:
        ids = stores.enqueue(3)
        holder = stores.holder()
        claimed = {job.id: job for job in holder.claim()}
        now = stores.transport.now()
        marks = [RunningMark(j.id, j.bucket_id, j.claim_no, now) for j in claimed.values()]
        stores.settlement.cancel(ids[0], "enough")
        holder.settle(holder.handed_back(claimed[ids[1]]))
        answer = stores.transport.mark([*marks, RunningMark(uuid7(), uuid7(), 1, now)])
        assert answer.cancel == {ids[0]}
        assert ids[1] in answer.lost
        assert len(answer.lost) == 2
        assert stores.job(ids[1]).started_at is None
        nothing = stores.transport.mark([])
        assert not nothing.lost
        assert not nothing.cancel

    # --- wake-ups -----------------------------------------------------------------------------------

    def test_listeners_hear_of_new_work(self, stores: Stores) -> None:
        heard = Heard()
        listener = stores.transport.listen(heard)
        try:
            heard.hears(lambda: stores.enqueue(lane="loud"), "loud")
        finally:
            listener.close()

    def test_listeners_hear_of_a_request_to_cancel(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        stores.holder().claim()
        heard = Heard()
        listener = stores.transport.listen(heard)
        try:
            heard.hears(lambda: stores.settlement.cancel(job_id, "stop"), "default")
        finally:
            listener.close()

    def test_a_closed_listener_hears_nothing(self, stores: Stores) -> None:
        closed, open_ear = Heard(), Heard()
        stores.transport.listen(closed).close()
        listener = stores.transport.listen(open_ear)
        count = closed.count
        try:
            open_ear.hears(lambda: stores.enqueue(), "default")
        finally:
            listener.close()
        assert closed.count == count

    # --- life cycle ---------------------------------------------------------------------------------

    def test_open_and_close_are_idempotent(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        stores.transport.open()
        stores.transport.close()
        stores.transport.close()
        stores.transport.open()
        assert stores.transport.find_live(job_id) is not None


class Heard:
    """Remembers the lanes it was called with."""

    def __init__(self) -> None:
        self.lanes: list[str | None] = []
        self._changed = threading.Condition()

    @property
    def count(self) -> int:
        """How often it was called."""
        return len(self.lanes)

    def __call__(self, lane: str | None) -> None:
        with self._changed:
            self.lanes.append(lane)
            self._changed.notify_all()

    def hears(self, act: object, lane: str | None) -> None:
        """Act, and wait until a wake-up for this lane, or for all of them, has come."""
        assert callable(act)
        with self._changed:
            before = len(self.lanes)
        act()
        with self._changed:
            heard = self._changed.wait_for(
                lambda: any(other in (lane, None) for other in self.lanes[before:]), PATIENCE
            )
        assert heard, f"no wake-up for lane {lane!r} within {PATIENCE:g} s"
