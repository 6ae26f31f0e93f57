"""A master and one agent under test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from ...domain.copies import JobCopy, Shipment
from ...domain.ids import uuid7
from ...domain.job import ClaimedJob, Job
from ...domain.status import BucketStatus
from ...ports import AgentTransport, BucketInfo, JobReader, MasterStore, Settlement, TakeRequest
from .stores import LEASE, Stores

__all__ = ["Parties"]

SOON = timedelta(minutes=10)


@dataclass
class Parties:
    """The master, its settlement and its side that holds jobs; an agent with its settlement and reader."""

    master: MasterStore
    held: AgentTransport
    settlement: Settlement
    """Of the master: keys, revival."""
    agent: Stores
    """``agent.master`` is the master too."""
    reader: JobReader
    """What the agent itself knows of jobs."""

    def open(self) -> None:
        """Open both stores and make the agent known."""
        self.master.open()
        self.agent.transport.open()
        self.master.register_agent(self.transport.key)

    def close(self) -> None:
        """Close both."""
        self.agent.transport.close()
        self.master.close()

    @property
    def transport(self) -> AgentTransport:
        """The agent."""
        return self.agent.transport

    def ship(self, limit: int = 1000) -> int:
        """Tell the master what has ended."""
        key = self.transport.key

        def deliver(shipment: Shipment) -> None:
            self.master.record(key, shipment)

        return self.transport.ship(limit, deliver)

    def save(self) -> int:
        """Mirror what the master does not know."""
        key = self.transport.key

        def deliver(copies: Sequence[JobCopy]) -> None:
            self.master.mirror(key, copies)

        return self.transport.save(timedelta(0), 1000, deliver, lambda gone: None)

    def onboard(self, lane: str = "default", *, confirm: bool = True) -> list[JobCopy]:
        """Place what is held and deliver it."""
        placed: list[JobCopy] = []
        for placement in self.master.place(lane, SOON, 1000, {self.transport.key: 1.0}):
            self.transport.receive(placement.copies)
            if confirm:
                self.master.confirm(placement.agent, [copy.id for copy in placement.copies])
            placed += placement.copies
        return placed

    def take(self, request: TakeRequest | None = None) -> tuple[UUID, list[JobCopy]]:
        """Claim waiting jobs for a move; the bucket, and the jobs."""
        bucket = BucketInfo(
            uuid7(),
            uuid7(),
            "mover",
            "default",
            3,
            BucketStatus.ACTIVE,
            self.transport.now(),
            self.transport.name,
        )
        return bucket.id, self.transport.take(bucket, LEASE, request or TakeRequest())

    def run(self, lane: str = "default") -> list[ClaimedJob]:
        """Claim and succeed everything that may run; what did."""
        holder = self.agent.holder(lane)
        claimed = holder.claim()
        if claimed:
            holder.settle(*[holder.succeeded(job, '"done"') for job in claimed])
        self.transport.close_buckets(list(holder.buckets.values()))
        return claimed

    def on_master(self, job_id: UUID) -> Job:
        """The job as the master knows it."""
        found = self.master.get_job(job_id)
        assert found is not None, f"the master does not know {job_id}"
        return found

    def hold(self, count: int = 1, **options: object) -> list[UUID]:
        """Jobs that wait on the master."""
        return Stores(self.held, self.settlement, self.master).enqueue(count, **options)
