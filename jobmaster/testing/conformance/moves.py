"""What a master and an agent must do while a job is on its way from one to the other, or was given up."""

from __future__ import annotations

import threading
from datetime import timedelta
from uuid import UUID

import pytest

from ...domain.copies import AgentKey, JobCopy, Shipment
from ...domain.ids import uuid7
from ...domain.job import NewJob
from ...domain.status import JobStatus
from ...errors import ConfigurationError, TransientStoreError
from ...ports import CancelResult
from .parties import SOON, Parties
from .stores import new_job

__all__ = ["MovesConformance"]


class MovesConformance:
    """Part of :class:`.cluster.ClusterConformance`."""

    def test_a_saver_that_comes_late_deletes_no_newer_outcome(self, parties: Parties) -> None:
        """Another one ships the same outcome, and the job comes back and ends again, while it is away."""
        (job_id,) = parties.agent.enqueue()
        parties.run()
        key, again = parties.transport.key, 0

        def deliver_late(shipment: Shipment) -> None:
            nonlocal again
            parties.master.record(key, shipment)
            # where the outbox is locked meanwhile, nobody else gets at it
            if parties.ship() and parties.settlement.revive(job_id):
                parties.onboard()
                again = len(parties.run())

        parties.transport.ship(10, deliver_late)
        assert parties.ship() == again
        job = parties.on_master(job_id)
        assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 1 + again)

    def test_what_lives_on_an_agent_is_no_orphan_of_the_master(self, parties: Parties) -> None:
        """A coordinator sweeps the master too: jobs that it has placed, or mirrors, are not claims there."""
        placed, mirrored = parties.hold(), parties.agent.enqueue()
        parties.onboard()
        parties.save()
        rescued = parties.settlement.rescue(5)
        assert (rescued.released, rescued.failed) == (0, 0)
        for job_id in (*placed, *mirrored):
            job = parties.on_master(job_id)
            assert (job.agent_connection, job.attempt, job.losses) == ("agent", 0, 0)

    def test_a_placement_that_somebody_repeats_is_not_given_back(self, parties: Parties) -> None:
        """Who made it was slow and failed at last, while another coordinator delivered it: it runs there."""
        (job_id,) = parties.hold()
        (placement,) = parties.master.place("default", SOON, 10, {parties.transport.key: 1.0})
        (repeated,) = parties.master.unconfirmed(10)
        copies = parties.master.repeat(repeated.agent, repeated.copies)
        parties.transport.receive(copies)
        holder = parties.agent.holder()
        (claimed,) = holder.claim()
        parties.master.give_back(placement.agent, placement.copies)
        assert parties.on_master(job_id).agent_connection == "agent"
        assert parties.onboard() == []
        holder.settle(holder.succeeded(claimed, '"once"'))
        parties.ship()
        assert parties.on_master(job_id).status is JobStatus.SUCCEEDED

    def test_a_placement_that_was_given_back_is_not_repeated(self, parties: Parties) -> None:
        (job_id,) = parties.hold()
        (placement,) = parties.master.place("default", SOON, 10, {parties.transport.key: 1.0})
        (seen,) = parties.master.unconfirmed(10)
        # the number that travels is the one that the master keeps
        assert [copy.placement for copy in seen.copies] == [copy.placement for copy in placement.copies]
        parties.master.give_back(placement.agent, placement.copies)
        assert parties.on_master(job_id).agent_connection is None
        assert parties.master.repeat(seen.agent, seen.copies) == []
        # it can be placed, repeated and given back as before
        (again,) = parties.master.place("default", SOON, 10, {parties.transport.key: 1.0})
        parties.master.give_back(again.agent, again.copies)
        assert parties.on_master(job_id).agent_connection is None

    def test_what_comes_back_late_does_not_replace_what_was_placed_since(self, parties: Parties) -> None:
        """Who moved it lost the answer, and tells once more when the job is on an agent again."""
        (job_id,) = parties.agent.enqueue()
        bucket, copies = parties.take()
        parties.master.take_back(parties.transport.key, copies)
        parties.transport.let_go(bucket)
        parties.onboard()
        parties.master.take_back(parties.transport.key, copies)
        assert parties.on_master(job_id).agent_connection == parties.transport.name
        assert len(parties.run()) == 1
        parties.ship()
        assert parties.on_master(job_id).status is JobStatus.SUCCEEDED

    def test_a_job_whose_end_is_refused_is_offered_to_its_agent_again(self, parties: Parties) -> None:
        """Who overtook its claim told the master, and died before the job waited again on the agent."""
        parties.agent.enqueue()
        copies: list[JobCopy] = []
        parties.transport.save(timedelta(0), 10, copies.extend, lambda gone: None)
        self._refuse_and_offer_again(parties, *copies)

    def test_the_same_of_a_job_that_was_placed_a_moment_ago(self, parties: Parties) -> None:
        """Its agent has seen this very placement, and may not take it for one that needs nothing more."""
        parties.hold()
        self._refuse_and_offer_again(parties, *parties.onboard())

    def _refuse_and_offer_again(self, parties: Parties, copy: JobCopy) -> None:
        job_id = copy.id
        key, holder = parties.transport.key, parties.agent.holder()
        (claimed,) = holder.claim()
        assert not parties.master.overtake(key, [copy._replace(claim_no=copy.claim_no + 2)])
        assert not holder.settle(holder.succeeded(claimed, '"refused"')).refused
        parties.ship()
        assert not parties.on_master(job_id).status.is_final
        (placement,) = parties.master.unconfirmed(10)
        standing = parties.master.repeat(placement.agent, placement.copies)
        assert [again.id for again in standing] == [job_id]
        for _ in range(2):
            # where it is already, it changes nothing
            parties.transport.receive(standing)
        parties.master.confirm(key, [job_id])
        assert len(parties.run()) == 1
        parties.ship()
        job = parties.on_master(job_id)
        assert (job.status, job.result) == (JobStatus.SUCCEEDED, "done")
        assert parties.master.unconfirmed(10) == []

    def test_a_placement_that_arrives_twice_changes_nothing(self, parties: Parties) -> None:
        """Who repeats it does not know what has happened to the job since: it has failed once and waits for
        its next run, or it has come to its end."""
        parties.hold()
        copies = parties.onboard(confirm=False)
        holder = parties.agent.holder()
        (job,) = holder.claim()
        holder.settle(holder.failed(job, timedelta(0)))
        parties.transport.receive(copies)
        (job,) = holder.claim()
        assert (job.attempt, job.failures) == (1, 1)
        holder.settle(holder.succeeded(job, '"second"'))
        parties.transport.receive(copies)
        # where it is put beside its end, it is not run
        assert parties.run() == []
        parties.ship()
        found = parties.on_master(job.id)
        assert (found.status, found.attempt, found.result) == (JobStatus.SUCCEEDED, 2, "second")

    def test_a_job_that_its_agent_has_lost_is_offered_to_it_again(self, parties: Parties) -> None:
        """As of a server that forgets what it has acknowledged; the master knows those that were mirrored or
        placed there. What waits, runs or has ended there is not lost."""
        key = parties.transport.key
        lost = {*parties.agent.enqueue(), *parties.hold()}
        parties.save()
        parties.onboard()
        bucket, _ = parties.take()
        parties.transport.let_go(bucket)
        ended, running, waiting = parties.agent.enqueue(3)
        parties.save()
        holder = parties.agent.holder()
        jobs = {job.id: job for job in holder.claim(limit=2)}
        holder.settle(holder.succeeded(jobs[ended], '"done"'))
        mirrors = parties.master.mirrors(key, None, 10)
        assert {mirror.id for mirror in mirrors} == {*lost, ended, running, waiting}
        assert parties.master.mirrors(key, mirrors[1].id, 2) == mirrors[2:4]
        assert parties.transport.absent(mirrors) == lost
        assert parties.transport.absent([]) == frozenset()
        assert parties.master.doubt(key, lost) == 2
        (placement,) = parties.master.unconfirmed(10)
        assert {copy.id for copy in placement.copies} == lost
        parties.transport.receive(parties.master.repeat(key, placement.copies))
        parties.master.confirm(key, lost)
        assert parties.transport.absent(parties.master.mirrors(key, None, 10)) == frozenset()
        holder.settle(holder.succeeded(jobs[running], '"done"'))
        assert {job.id for job in parties.run()} == {*lost, waiting}
        parties.ship()
        # nothing is doubted that has ended
        assert parties.master.doubt(key, [*lost, ended]) == 0
        for job_id in (*lost, ended, running, waiting):
            assert parties.on_master(job_id).status is JobStatus.SUCCEEDED

    def test_a_job_on_its_way_is_cancelled_where_it_arrives(self, parties: Parties) -> None:
        (job_id,) = parties.agent.enqueue()
        bucket, copies = parties.take()
        answers: list[object] = []
        asking = threading.Event()

        def cancel() -> None:
            asking.set()
            try:
                answers.append(parties.agent.settlement.cancel(job_id, "not needed"))
            except TransientStoreError:
                answers.append(CancelResult.NOT_FOUND)

        thread = threading.Thread(target=cancel)
        thread.start()
        assert asking.wait(10)
        parties.master.take_back(parties.transport.key, copies)
        parties.transport.let_go(bucket)
        thread.join()
        assert answers == [CancelResult.NOT_FOUND]
        assert parties.settlement.cancel(job_id, "not needed") is CancelResult.CANCELLED

    def test_who_asked_for_an_agent_that_is_being_emptied_gets_another(self, parties: Parties) -> None:
        emptied, other = parties.transport.key, AgentKey("other", uuid7())
        parties.master.register_agent(other)
        assert parties.master.set_draining(emptied.name, True)
        job_id = self._held_for(parties, emptied.name)
        waits = self._held_for(parties, "unknown")
        (placement,) = parties.master.place("default", SOON, 10, {other: 1.0})
        assert placement.agent == other
        assert [(copy.id, copy.agent) for copy in placement.copies] == [(job_id, None)]
        assert parties.on_master(waits).status is JobStatus.HELD_ON_MASTER

    def test_who_asked_for_an_agent_that_does_not_answer_waits_for_it(self, parties: Parties) -> None:
        away, other = parties.transport.key, AgentKey("other", uuid7())
        parties.master.register_agent(other)
        self._held_for(parties, away.name)
        assert parties.master.place("default", SOON, 10, {other: 1.0}) == []
        assert len(parties.master.place("default", SOON, 10, {away: 1.0, other: 1.0})) == 1

    def _held_for(self, parties: Parties, agent: str) -> UUID:
        job: NewJob = new_job(agent=agent)
        parties.settlement.enqueue_keyed([job], "return")
        return job.id

    def test_a_store_that_was_given_up_is_not_taken_back(self, parties: Parties) -> None:
        key = parties.transport.key
        parties.agent.enqueue()
        parties.save()
        assert parties.master.forget_agent(key.name) == 1
        with pytest.raises(ConfigurationError, match="given up"):
            parties.master.register_agent(key)
        # another store may have its name
        parties.master.register_agent(AgentKey(key.name, uuid7()))

    def test_a_store_that_was_forgotten_empty_is_welcome_again(self, parties: Parties) -> None:
        key = parties.transport.key
        assert parties.master.forget_agent(key.name, empty=True) == 0
        assert parties.master.agents() == []
        parties.master.register_agent(key)
        assert [record.key for record in parties.master.agents()] == [key]
