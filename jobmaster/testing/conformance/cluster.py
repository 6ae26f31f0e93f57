"""What a master and an agent must do together: jobs move between them, and none is lost or run twice."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

import pytest

from ...domain.copies import AgentKey, JobCopy, Shipment
from ...domain.ids import uuid7
from ...domain.job import AttemptOutcome, JobFilter
from ...domain.status import JobStatus
from ...errors import ConfigurationError
from ...ports import CancelResult, TakeRequest
from .moves import MovesConformance
from .parties import SOON, Parties
from .stores import new_job

__all__ = ["ClusterConformance"]


class _Down(Exception):
    """The other store does not answer."""


class ClusterConformance(MovesConformance):
    """Subclass it with a fixture ``parties``: a master and an agent, empty and open, fresh for each test."""

    KEEPS_FAR_JOBS = True
    """Whether the agent takes jobs that are due in an hour; else they belong on the master."""
    RESCUE_ASKS_THE_MASTER = False
    """Whether a rescue drops copies that are not the live ones at once; else whoever claims them does."""

    # --- what has ended -----------------------------------------------------------------------------

    def test_what_ends_on_the_agent_is_told_to_the_master(self, parties: Parties) -> None:
        (job_id,) = parties.agent.enqueue(data='{"a": 1}', metadata='{"m": 2}')
        assert parties.master.get_job(job_id) is None
        assert parties.reader.get_job(job_id).status is JobStatus.SAVE_PENDING  # type: ignore[union-attr]
        parties.run()
        assert parties.transport.unshipped()[0] == 1
        assert parties.ship() == 1
        job = parties.on_master(job_id)
        assert (job.status, job.result, job.attempt) == (JobStatus.SUCCEEDED, "done", 1)
        assert (job.data, job.metadata) == ({"a": 1}, {"m": 2})
        assert job.agent_connection == parties.transport.name
        assert parties.reader.get_job(job_id) is None
        assert parties.transport.unshipped() == (0, 0)
        assert parties.ship() == 0

    def test_the_runs_of_a_job_are_told_before_its_end(self, parties: Parties) -> None:
        (job_id,) = parties.agent.enqueue()
        holder = parties.agent.holder()
        (first,) = holder.claim()
        holder.settle(holder.failed(first, timedelta(0)))
        assert parties.ship() == 1
        assert [run.outcome for run in parties.master.attempts(job_id)] == [AttemptOutcome.FAILED]
        (second,) = holder.claim()
        holder.settle(holder.failed(second))
        assert parties.ship() == 2
        assert [run.number for run in parties.master.attempts(job_id)] == [1, 2]
        assert parties.on_master(job_id).status is JobStatus.FAILED
        assert parties.reader.attempts(job_id) == []

    def test_a_shipment_that_is_not_taken_is_offered_again(self, parties: Parties) -> None:
        (job_id,) = parties.agent.enqueue()
        parties.run()

        def refuse(shipment: Shipment) -> None:
            raise _Down

        with pytest.raises(_Down):
            parties.transport.ship(10, refuse)
        assert parties.transport.unshipped()[0] == 1
        key = parties.transport.key

        def break_off(shipment: Shipment) -> None:
            parties.master.record(key, shipment)
            raise _Down

        with pytest.raises(_Down):
            parties.transport.ship(10, break_off)
        first = parties.on_master(job_id)
        assert parties.ship() == 1
        assert parties.on_master(job_id) == first
        assert parties.master.count_jobs(JobFilter()) == 1

    def test_no_more_than_asked_for_is_shipped_at_once(self, parties: Parties) -> None:
        parties.agent.enqueue(5)
        parties.run()
        assert parties.ship(2) == 2
        assert parties.transport.unshipped()[0] == 3
        assert parties.ship() == 3

    # --- mirrors ------------------------------------------------------------------------------------

    def test_jobs_that_stay_are_mirrored(self, parties: Parties) -> None:
        (job_id,) = parties.agent.enqueue(lane="mail", priority=5)
        assert parties.save() == 1
        assert parties.save() == 0
        job = parties.on_master(job_id)
        assert (job.status, job.lane, job.priority) == (JobStatus.READY, "mail", 5)
        assert job.agent_connection == parties.transport.name
        assert parties.reader.get_job(job_id).status is JobStatus.READY  # type: ignore[union-attr]
        parties.run("mail")
        parties.ship()
        assert parties.on_master(job_id).status is JobStatus.SUCCEEDED
        assert parties.master.count_jobs(JobFilter()) == 1

    def test_young_jobs_are_not_mirrored(self, parties: Parties) -> None:
        parties.agent.enqueue()

        def never(copies: Sequence[JobCopy]) -> None:
            raise AssertionError(copies)

        assert parties.transport.save(timedelta(minutes=1), 10, never, lambda gone: None) == 0

    def test_a_mirror_that_is_not_taken_is_offered_again(self, parties: Parties) -> None:
        parties.agent.enqueue()

        def refuse(copies: Sequence[JobCopy]) -> None:
            raise _Down

        with pytest.raises(_Down):
            parties.transport.save(timedelta(0), 10, refuse, lambda gone: None)
        assert parties.save() == 1

    def test_a_mirror_of_what_has_ended_is_taken_down(self, parties: Parties) -> None:
        (job_id,) = parties.agent.enqueue()
        copies: list[JobCopy] = []
        gone: list[UUID] = []

        def late(found: Sequence[JobCopy]) -> None:
            copies.extend(found)

        def retract(ids: Collection[UUID]) -> None:
            gone.extend(ids)

        parties.transport.save(timedelta(0), 10, late, retract)
        parties.run()
        parties.ship()
        # the mirror arrives after the outcome
        parties.master.mirror(parties.transport.key, copies)
        assert parties.on_master(job_id).status is JobStatus.SUCCEEDED
        assert parties.master.unmirror([job_id]) == 0
        assert parties.master.unmirror() == 0
        assert parties.master.count_jobs(JobFilter()) == 1

    # --- held jobs ----------------------------------------------------------------------------------

    def test_held_jobs_are_placed_delivered_and_run(self, parties: Parties) -> None:
        ids = parties.hold(3, metadata='{"k": true}')
        assert {parties.on_master(job_id).status for job_id in ids} == {JobStatus.HELD_ON_MASTER}
        assert [depth.agent_connection for depth in parties.master.depths()] == [None]
        placed = parties.onboard()
        assert sorted(copy.id for copy in placed) == sorted(ids)
        assert {copy.placement for copy in placed} == {1}
        assert parties.master.unconfirmed(10) == []
        for job_id in ids:
            assert parties.on_master(job_id).status is JobStatus.READY
            assert parties.on_master(job_id).agent_connection == parties.transport.name
        assert parties.onboard() == []
        claimed = parties.run()
        assert sorted(job.id for job in claimed) == sorted(ids)
        assert {job.recheck for job in claimed} == {True}
        parties.ship()
        assert {parties.on_master(job_id).metadata["k"] for job_id in ids} == {True}
        assert {parties.on_master(job_id).status for job_id in ids} == {JobStatus.SUCCEEDED}
        assert parties.master.depths() == []

    def test_only_what_is_due_soon_is_placed(self, parties: Parties) -> None:
        parties.hold(delay=SOON + timedelta(minutes=1))
        (near,) = parties.hold(delay=SOON - timedelta(minutes=1))
        assert [copy.id for copy in parties.onboard()] == [near]
        now, due = parties.master.next_held("default")  # type: ignore[misc]
        assert due - now > SOON
        assert parties.master.next_held("elsewhere") is None

    def test_a_job_that_asks_for_an_agent_waits_for_that_one(self, parties: Parties) -> None:
        (job_id,) = parties.hold(agent="elsewhere")
        (free,) = parties.hold()
        assert [copy.id for copy in parties.onboard()] == [free]
        assert parties.on_master(job_id).agent_connection == "elsewhere"
        elsewhere = AgentKey("elsewhere", uuid7())
        parties.master.register_agent(elsewhere)
        (placement,) = parties.master.place("default", SOON, 10, {elsewhere: 1.0, parties.transport.key: 5.0})
        assert (placement.agent, [copy.id for copy in placement.copies]) == (elsewhere, [job_id])

    def test_a_placement_that_was_not_confirmed_may_be_repeated(self, parties: Parties) -> None:
        (job_id,) = parties.hold()
        parties.onboard(confirm=False)
        (placement,) = parties.master.unconfirmed(10)
        assert placement.agent == parties.transport.key
        parties.transport.receive(placement.copies)
        assert len(parties.run()) == 1
        # it has ended there, and the master was not told: the repetition changes nothing
        parties.transport.receive(placement.copies)
        assert parties.run() == []
        parties.ship()
        # the master was told: the copy arrives once more, and is not run
        parties.transport.receive(placement.copies)
        assert parties.run() == []
        assert parties.reader.get_job(job_id) is None
        assert parties.on_master(job_id).attempt == 1
        assert parties.master.unconfirmed(10) == []

    def test_a_key_is_taken_until_the_master_knows_of_the_end(self, parties: Parties) -> None:
        job = new_job(unique_key="k")
        parties.settlement.enqueue_keyed([job], "raise")
        parties.onboard()
        (met,) = parties.settlement.enqueue_keyed([new_job(unique_key="k")], "return")
        assert (met.job_id, met.inserted) == (job.id, False)
        parties.run()
        parties.ship()
        assert parties.on_master(job.id).unique_key == "k"
        (fresh,) = parties.settlement.enqueue_keyed([new_job(unique_key="k")], "return")
        assert fresh.inserted

    # --- back to the master -------------------------------------------------------------------------

    def test_waiting_jobs_go_back_to_the_master(self, parties: Parties) -> None:
        direct = parties.agent.enqueue(2)
        held = new_job(unique_key="k").id
        parties.settlement.enqueue_keyed([new_job(id=held, unique_key="k")], "raise")
        parties.onboard()
        bucket, copies = parties.take()
        assert sorted(copy.id for copy in copies) == sorted([*direct, held])
        assert parties.run() == []
        parties.master.take_back(parties.transport.key, copies)
        parties.transport.let_go(bucket)
        assert parties.reader.depths() == []
        assert parties.transport.buckets() == []
        for job_id in (*direct, held):
            assert parties.on_master(job_id).status is JobStatus.HELD_ON_MASTER
        (met,) = parties.settlement.enqueue_keyed([new_job(unique_key="k")], "return")
        assert met.job_id == held
        assert len(parties.onboard()) == 3
        assert len(parties.run()) == 3

    def test_what_is_taken_may_be_chosen(self, parties: Parties) -> None:
        (mail,) = parties.agent.enqueue(lane="mail")
        far = parties.agent.enqueue(delay=timedelta(hours=2), priority=5) if self.KEEPS_FAR_JOBS else []
        (plain,) = parties.agent.enqueue()
        assert parties.transport.waiting_lanes() == ["default", "mail"]
        assert parties.transport.backlog("default", 10) == 1
        assert [copy.id for copy in parties.take(TakeRequest(lane="mail"))[1]] == [mail]
        request = TakeRequest(lane="default", due_after=timedelta(hours=1), priority=5)
        assert [copy.id for copy in parties.take(request)[1]] == far
        assert parties.take(TakeRequest(job_ids=(mail,)))[1] == []
        assert [copy.id for copy in parties.take(TakeRequest(job_ids=(plain, mail)))[1]] == [plain]
        assert parties.take()[1] == []

    def test_a_mover_that_dies_before_the_master_knows_changes_nothing(self, parties: Parties) -> None:
        (job_id,) = parties.agent.enqueue()
        self._abandon(parties)
        (claimed,) = parties.run()
        assert (claimed.id, claimed.losses, claimed.attempt, claimed.recheck) == (job_id, 0, 0, True)

    def test_a_mover_that_dies_after_the_master_knows_leaves_a_copy_that_never_runs(
        self, parties: Parties
    ) -> None:
        (job_id,) = parties.agent.enqueue()
        copies = self._abandon(parties, known=True)
        assert parties.on_master(job_id).status is JobStatus.HELD_ON_MASTER
        assert parties.run() == []
        assert parties.reader.get_job(job_id) is None
        # and does not stand in the way when the job comes back to the same agent
        parties.master.take_back(parties.transport.key, copies)
        assert len(parties.onboard()) == 1
        (claimed,) = parties.run()
        assert (claimed.id, claimed.losses) == (job_id, 0)
        parties.ship()
        assert parties.on_master(job_id).status is JobStatus.SUCCEEDED

    def test_a_copy_left_behind_becomes_the_live_one_when_the_job_is_placed_there_again(
        self, parties: Parties
    ) -> None:
        (job_id,) = parties.agent.enqueue()
        self._abandon(parties, known=True)
        assert len(parties.onboard()) == 1
        (claimed,) = parties.run()
        assert claimed.id == job_id
        parties.ship()
        job = parties.on_master(job_id)
        assert (job.status, job.attempt) == (JobStatus.SUCCEEDED, 1)
        assert parties.reader.depths() == []

    def test_a_job_that_comes_back_before_its_mover_has_let_go_is_there_as_it_comes(
        self, parties: Parties
    ) -> None:
        (job_id,) = parties.agent.enqueue(data='{"n": 1}')
        bucket, copies = parties.take()
        parties.master.take_back(parties.transport.key, [copies[0]._replace(data='{"n": 2}')])
        assert len(parties.onboard()) == 1
        parties.transport.let_go(bucket)
        (claimed,) = parties.run()
        assert (claimed.id, claimed.data) == (job_id, '{"n": 2}')
        assert parties.transport.buckets() == []

    def _abandon(self, parties: Parties, *, known: bool = False) -> list[JobCopy]:
        """A mover takes everything and dies, before or after the master has committed; it is rescued."""
        bucket, copies = parties.take()
        if known:
            parties.master.take_back(parties.transport.key, copies)
        holder = [info for info in parties.transport.buckets() if info.id == bucket]
        assert parties.transport.renew(holder[0].worker_id, [bucket], timedelta(0)).valid
        released = 0 if known and self.RESCUE_ASKS_THE_MASTER else len(copies)
        assert parties.agent.settlement.rescue(5).released == released
        return copies

    def test_the_outcome_of_a_copy_that_is_not_the_live_one_is_refused(self, parties: Parties) -> None:
        (job_id,) = parties.agent.enqueue()
        parties.save()
        holder = parties.agent.holder()
        (claimed,) = holder.claim()
        key = parties.transport.key
        # the master gives the job elsewhere while this agent cannot be reached
        assert parties.master.forget_agent(key.name) == 1
        other = AgentKey("other", uuid7())
        parties.master.register_agent(other)
        (placement,) = parties.master.place("default", SOON, 10, {other: 1.0})
        assert placement.copies[0].placement == 2
        holder.settle(holder.succeeded(claimed))
        refused: list[frozenset[UUID]] = []

        def deliver(shipment: Shipment) -> None:
            refused.append(parties.master.record(key, shipment))

        assert parties.transport.ship(10, deliver) == 1
        assert refused == [frozenset({job_id})]
        assert parties.on_master(job_id).agent_connection == "other"
        assert not parties.on_master(job_id).status.is_final

    # --- single jobs --------------------------------------------------------------------------------

    def test_a_finished_job_lives_again_under_its_own_id(self, parties: Parties) -> None:
        (job_id,) = parties.agent.enqueue()
        parties.run()
        assert not parties.settlement.revive(job_id)
        parties.ship()
        assert parties.settlement.revive(job_id)
        assert parties.on_master(job_id).status is JobStatus.HELD_ON_MASTER
        parties.onboard()
        (again,) = parties.run()
        assert (again.id, again.attempt) == (job_id, 1)
        parties.ship()
        assert parties.on_master(job_id).attempt == 2
        outcomes = [run.outcome for run in parties.master.attempts(job_id)]
        assert outcomes == [AttemptOutcome.RETRIED, AttemptOutcome.SUCCEEDED]

    def test_an_outcome_that_is_told_twice_does_not_end_the_job_again(self, parties: Parties) -> None:
        """The agent forgets a shipment only after the master has it, so it may come again, even late."""
        (job_id,) = parties.agent.enqueue()
        parties.run()
        shipments: list[Shipment] = []
        key = parties.transport.key

        def keep(shipment: Shipment) -> None:
            shipments.append(shipment)
            parties.master.record(key, shipment)

        parties.transport.ship(10, keep)
        assert parties.settlement.revive(job_id)
        assert parties.master.record(key, shipments[0]) == frozenset({job_id})
        parties.onboard()
        assert parties.master.record(key, shipments[0]) == frozenset({job_id})
        assert parties.on_master(job_id).status is JobStatus.READY

    def test_a_job_is_cancelled_where_it_lives(self, parties: Parties) -> None:
        (job_id,) = parties.agent.enqueue()
        parties.save()
        assert parties.agent.settlement.cancel(job_id, "cancelled") is CancelResult.CANCELLED
        assert parties.agent.settlement.cancel(job_id, "cancelled") is CancelResult.FINAL
        parties.ship()
        assert parties.on_master(job_id).status is JobStatus.CANCELLED
        assert parties.agent.settlement.cancel(job_id, "cancelled") is CancelResult.NOT_FOUND

    # --- looks and registry -------------------------------------------------------------------------

    def test_looks_at_the_master_can_leave_out_what_agents_answer_for(self, parties: Parties) -> None:
        ids = parties.agent.enqueue(2)
        parties.save()
        parties.hold()
        (way,) = parties.hold(lane="mail")
        parties.onboard("mail", confirm=False)
        master, without = parties.master, [parties.transport.key.store_id]
        assert master.count_jobs(JobFilter()) == 4
        assert master.count_jobs(JobFilter(), without) == 2
        assert way in [job.id for job in master.find_jobs(JobFilter(), 10, None, without)]
        assert sum(depth.jobs for depth in master.depths(without)) == 2
        assert parties.reader.count_jobs(JobFilter()) == 3
        parties.run()
        ended = parties.reader.ended(JobFilter(status=(JobStatus.SUCCEEDED,)), 10)
        assert sorted(ended) == sorted(ids)
        parties.ship()
        succeeded = JobFilter(status=(JobStatus.SUCCEEDED,))
        assert master.count_jobs(succeeded, without) == 2
        assert master.count_jobs(succeeded, without, ids[:1]) == 1

    def test_agents_are_known_by_name_and_store(self, parties: Parties) -> None:
        key = parties.transport.key
        master = parties.master
        assert [(record.key, record.draining) for record in master.agents()] == [(key, False)]
        master.register_agent(key)
        with pytest.raises(ConfigurationError, match=key.name):
            master.register_agent(AgentKey(key.name, uuid7()))
        (pinned,) = parties.hold(agent=key.name)
        assert master.set_draining(key.name, True)
        assert [record.draining for record in master.agents()] == [True]
        assert parties.on_master(pinned).agent_connection is None
        assert not master.set_draining("nobody", True)
        assert master.set_draining(key.name, False)
        parties.onboard()
        assert master.forget_agent(key.name) == 1
        assert parties.on_master(pinned).status is JobStatus.HELD_ON_MASTER
        assert master.forget_agent(key.name) is None
        master.register_agent(AgentKey(key.name, uuid7()))
