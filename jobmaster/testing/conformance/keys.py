"""Unique keys: one live job per key in the cluster."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import UUID

import pytest

from ...domain.status import JobStatus
from ...errors import DuplicateJob
from .stores import Stores, ended, new_job

__all__ = ["KeyConformance"]

HOUR = timedelta(hours=1)


class KeyConformance:
    """Needs a fixture ``stores``."""

    def test_the_first_of_a_key_is_inserted(self, stores: Stores) -> None:
        job = new_job(unique_key="k", delay=HOUR, data='{"n": 1}')
        (keyed,) = stores.settlement.enqueue_keyed([job], "return")
        assert keyed.job_id == job.id
        assert keyed.inserted
        assert keyed.run_at == keyed.enqueued_at + HOUR
        stored = stores.job(job.id)
        assert stored.unique_key == "k"
        assert (stored.scheduled_at, stored.enqueued_at) == (keyed.run_at, keyed.enqueued_at)

    def test_while_it_lives_the_key_is_taken(self, stores: Stores) -> None:
        first = new_job(unique_key="k")
        stores.settlement.enqueue_keyed([first], "return")
        for step in ("waiting", "claimed"):
            (keyed,) = stores.settlement.enqueue_keyed([new_job(unique_key="k")], "return")
            assert (keyed.job_id, keyed.inserted) == (first.id, False), step
            stores.holder().claim()

    def test_the_key_is_free_when_the_job_ends(self, stores: Stores) -> None:
        holder = stores.holder()
        stores.settlement.enqueue_keyed([new_job(unique_key="k")], "return")
        (claimed,) = holder.claim()
        holder.settle(holder.succeeded(claimed))
        second = new_job(unique_key="k")
        assert stores.settlement.enqueue_keyed([second], "return")[0].inserted
        stores.settlement.cancel(second.id, "")
        assert stores.settlement.enqueue_keyed([new_job(unique_key="k")], "raise")[0].inserted

    def test_raise_inserts_nothing(self, stores: Stores) -> None:
        first = new_job(unique_key="k")
        stores.settlement.enqueue_keyed([first], "return")
        others = [new_job(unique_key="a"), new_job(), new_job(unique_key="k"), new_job(unique_key="b")]
        with pytest.raises(DuplicateJob) as caught:
            stores.settlement.enqueue_keyed(others, "raise")
        assert caught.value.job_id == first.id
        assert caught.value.unique_key == "k"
        assert [stores.master.get_job(job.id) for job in others] == [None] * 4

    def test_replace_changes_a_waiting_job(self, stores: Stores) -> None:
        first = new_job(unique_key="k", data='{"n": 1}', priority=2, metadata='{"a": 1}')
        stores.settlement.enqueue_keyed([first], "return")
        newer = new_job(unique_key="k", data='{"n": 2}', priority=5, delay=HOUR, timeout=HOUR)
        (keyed,) = stores.settlement.enqueue_keyed([newer], "replace")
        assert (keyed.job_id, keyed.inserted) == (first.id, False)
        job = stores.job(first.id)
        assert (job.data, job.metadata, job.priority) == ({"n": 2}, {}, 5)
        assert job.scheduled_at == keyed.run_at
        assert job.scheduled_at > job.enqueued_at + HOUR / 2
        assert stores.master.get_job(newer.id) is None

    def test_replace_leaves_a_claimed_job_alone(self, stores: Stores) -> None:
        first = new_job(unique_key="k", data='{"n": 1}')
        stores.settlement.enqueue_keyed([first], "return")
        stores.holder().claim()
        newer = new_job(unique_key="k", data='{"n": 2}')
        (keyed,) = stores.settlement.enqueue_keyed([newer], "replace")
        assert (keyed.job_id, keyed.inserted) == (first.id, False)
        assert stores.job(first.id).data == {"n": 1}

    def test_the_first_of_a_call_wins_and_order_is_kept(self, stores: Stores) -> None:
        jobs = [
            new_job(unique_key="a"),
            new_job(),
            new_job(unique_key="a"),
            new_job(unique_key="b"),
        ]
        keyed = stores.settlement.enqueue_keyed(jobs, "raise")
        assert [k.job_id for k in keyed] == [jobs[0].id, jobs[1].id, jobs[0].id, jobs[3].id]
        assert [k.inserted for k in keyed] == [True, True, False, True]

    def test_the_same_call_again_finds_its_own_jobs(self, stores: Stores) -> None:
        jobs = [new_job(unique_key="a"), new_job(unique_key="b")]
        stores.settlement.enqueue_keyed(jobs, "raise")
        again = stores.settlement.enqueue_keyed(jobs, "raise")
        assert [k.job_id for k in again] == [job.id for job in jobs]

    def test_keys_differ_by_every_character(self, stores: Stores) -> None:
        keys = ["Key", "key", "key ", "kéy", "x" * 255, "x" * 254 + "y"]
        for key in keys:
            assert stores.settlement.enqueue_keyed([new_job(unique_key=key)], "raise")[0].inserted

    def test_of_many_at_once_one_inserts(self, stores: Stores) -> None:
        ready = threading.Barrier(4)
        inserted: list[UUID] = []
        named: set[UUID] = set()

        def run() -> None:
            ready.wait(10)
            for _ in range(5):
                (keyed,) = stores.settlement.enqueue_keyed([new_job(unique_key="k")], "return")
                named.add(keyed.job_id)
                if keyed.inserted:
                    inserted.append(keyed.job_id)

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(inserted) == 1
        assert named == set(inserted)

    def test_a_taken_key_stops_a_revival(self, stores: Stores) -> None:
        old = new_job(unique_key="k")
        stores.settlement.enqueue_keyed([old], "return")
        holder = stores.holder()
        holder.settle(*[holder.succeeded(job) for job in holder.claim()])
        newer = new_job(unique_key="k")
        stores.settlement.enqueue_keyed([newer], "return")
        with pytest.raises(DuplicateJob) as caught:
            stores.settlement.revive(old.id)
        assert caught.value.job_id == newer.id
        assert stores.job(old.id).status is JobStatus.SUCCEEDED
        stores.settlement.cancel(newer.id, "")
        assert stores.settlement.revive(old.id)
        assert not stores.settlement.enqueue_keyed([new_job(unique_key="k")], "return")[0].inserted

    def test_ended_jobs_keep_showing_their_key(self, stores: Stores) -> None:
        ended(stores)
        job = new_job(unique_key="k")
        stores.settlement.enqueue_keyed([job], "return")
        stores.settlement.cancel(job.id, "")
        assert stores.job(job.id).unique_key == "k"
