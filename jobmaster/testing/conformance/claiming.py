"""What a claim finds, in which order, and what it needs."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import UUID

from ...domain.ids import uuid7
from ...domain.status import JobStatus
from ...ports import ClaimRequest
from .stores import Stores, ended, new_job

__all__ = ["ClaimConformance"]


class ClaimConformance:
    """Needs a fixture ``stores``."""

    def test_claims_come_by_priority_then_due_time_then_id(self, stores: Stores) -> None:
        now = stores.transport.now()
        jobs = [
            new_job(priority=priority, run_at=now - timedelta(seconds=age))
            for priority in (3, 5, 1)
            for age in (1, 3, 2, 2)
        ]
        stores.transport.enqueue(jobs)
        claimed = stores.holder().claim()
        ordered = sorted(jobs, key=lambda job: (-job.priority, job.run_at or now, job.id))
        assert [job.id for job in claimed] == [job.id for job in ordered]

    def test_limits_hold_for_each_priority(self, stores: Stores) -> None:
        for priority in (1, 3, 5):
            stores.enqueue(5, priority=priority)
        claimed = stores.holder().claim(limits={1: 0, 3: 2, 5: 4})
        assert [job.priority for job in claimed] == [5, 5, 5, 5, 3, 3]

    def test_a_claim_without_room_finds_nothing(self, stores: Stores) -> None:
        stores.enqueue()
        assert stores.holder().claim(limits={3: 0}) == []
        assert stores.holder().claim(limits={}) == []

    def test_a_claim_goes_into_the_bucket_of_its_priority(self, stores: Stores) -> None:
        stores.enqueue(priority=2)
        stores.enqueue(priority=4)
        holder = stores.holder()
        assert {job.priority: job.bucket_id for job in holder.claim()} == {
            2: holder.buckets[2],
            4: holder.buckets[4],
        }

    def test_a_claimed_job_is_not_claimed_again(self, stores: Stores) -> None:
        stores.enqueue(10)
        first, second = stores.holder(), stores.holder()
        one, two = first.claim(4), second.claim(100)
        assert len(one) == 4
        assert len(two) == 6
        assert not {job.id for job in one} & {job.id for job in two}

    def test_claims_at_the_same_time_share_the_work(self, stores: Stores) -> None:
        ids = set(stores.enqueue(200))
        found: list[list[UUID]] = []
        ready = threading.Barrier(4)

        def run() -> None:
            holder = stores.holder()
            mine: list[UUID] = []
            ready.wait(10)
            while claimed := holder.claim(7):
                mine += [job.id for job in claimed]
            found.append(mine)

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # A claim that met only jobs which others were just taking may have found nothing: ask once more.
        found.append([job.id for job in stores.holder().claim(200)])
        everything = [job_id for mine in found for job_id in mine]
        assert len(everything) == len(set(everything))
        assert set(everything) == ids

    def test_the_cursor_skips_what_came_before(self, stores: Stores) -> None:
        ids = stores.enqueue(5)
        holder = stores.holder()
        first = holder.claim(2)
        last = first[-1]
        holder.settle(*[holder.handed_back(job) for job in first])
        onward = holder.claim(2, after={3: (last.run_at, last.id)})
        assert [job.id for job in onward] == ids[2:4]
        assert [job.id for job in holder.claim()] == [*ids[:2], ids[4]]

    def test_claim_numbers_grow(self, stores: Stores) -> None:
        stores.enqueue()
        holder = stores.holder()
        for number in (1, 2, 3):
            (claimed,) = holder.claim()
            assert claimed.claim_no == number
            holder.settle(holder.handed_back(claimed))

    def test_a_bucket_past_its_lease_claims_nothing(self, stores: Stores) -> None:
        (job_id,) = stores.enqueue()
        holder = stores.holder()
        holder.expire()
        assert holder.claim() == []
        assert stores.job(job_id).status is JobStatus.READY

    def test_a_bucket_that_does_not_exist_claims_nothing(self, stores: Stores) -> None:
        stores.enqueue()
        request = ClaimRequest("default", {3: uuid7()}, {3: 10})
        assert stores.settlement.settle([], request).claimed == []

    def test_one_dead_bucket_spoils_the_whole_claim(self, stores: Stores) -> None:
        stores.enqueue(priority=3)
        stores.enqueue(priority=5)
        holder = stores.holder()
        request = ClaimRequest("default", {3: holder.buckets[3], 5: uuid7()}, {3: 10, 5: 10})
        assert stores.settlement.settle([], request).claimed == []
        assert len(holder.claim()) == 2

    def test_an_adopted_bucket_claims_nothing(self, stores: Stores) -> None:
        stores.enqueue()
        holder = stores.holder()
        holder.expire()
        stores.settlement.rescue(5)
        assert holder.claim() == []

    def test_a_doubtful_job_that_has_ended_is_dropped(self, stores: Stores) -> None:
        (job_id,) = ended(stores)
        stores.transport.enqueue([new_job(id=job_id, recheck=True)])
        (other,) = stores.enqueue(recheck=True)
        claimed = stores.holder().claim()
        assert [job.id for job in claimed] == [other]
        assert claimed[0].recheck is True
        assert stores.job(job_id).status is JobStatus.SUCCEEDED
        assert stores.transport.find_live(job_id) is None

    def test_a_claim_tells_the_present(self, stores: Stores) -> None:
        holder = stores.holder()
        before = stores.transport.now()
        settled = stores.settlement.settle([], holder.request())
        assert before <= settled.now <= stores.transport.now()
        assert before <= stores.settlement.settle([], None).now
