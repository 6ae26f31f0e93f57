"""What this process holds of a NATS agent: messages delivered to it, and the claims made of them."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Collection, Iterable, Iterator
from uuid import UUID

from ...domain.ids import uuid_of
from ...domain.job import ClaimedJob
from .envelope import Envelope, Letter
from .puller import Puller, sequence_of
from .registry import Held, Record, Running

__all__ = ["Claims", "Delivered", "Intake", "Stay"]


_LOOK_EVERY = 1.0
"""Seconds after which an intake is worth a pull again; see :attr:`Intake.forgotten`."""


class Delivered(Letter):
    """A job message that this process has in hand, and the claim that was made of it."""

    __slots__ = ("_envelope", "job", "reply", "seq", "subject", "times", "waited")

    job: ClaimedJob
    """As it was given to the engine; there is none before."""

    def __init__(self, lane: str, priority: int, subject: str, reply: str, body: bytes) -> None:
        super().__init__(lane, priority, uuid_of(int(subject[-32:], 16)), body)
        self.subject = subject
        self.reply = reply
        """Where it is acknowledged."""
        self.seq, self.times = sequence_of(reply)
        """How often it was delivered, this time included."""
        self.waited = False
        """Whether it was kept here until it was due."""
        self._envelope: Envelope | None = None

    @property
    def envelope(self) -> Envelope:
        """The job as its message says. Most are run and done with before anybody asks."""
        if self._envelope is None:
            self._envelope = self.open()
        return self._envelope


class Intake:
    """What is delivered here of one lane and priority, and has not been claimed."""

    def __init__(self, lane: str, priority: int, puller: Puller[Delivered]) -> None:
        self.lane = lane
        self.priority = priority
        self.puller = puller
        self.asked_at = time.monotonic()
        """When it was last claimed from, monotonic."""
        self.stirred = True
        """Whether the server may have more: a wake-up said so, or the last pull was answered in full."""
        self._pulled_at = float("-inf")
        self._later: list[tuple[int, int, Delivered]] = []
        self._count = itertools.count()

    def __len__(self) -> int:
        return len(self._later) + len(self.puller.fresh)

    @property
    def forgotten(self) -> bool:
        """Whether nothing was pulled for so long that a pull is worth it whatever is known: what was lost
        comes back unannounced."""
        return time.monotonic() - self._pulled_at >= _LOOK_EVERY

    async def pull(self, most: int) -> int:
        """See :meth:`Puller.pull`."""
        # a wake-up that comes while the answer is under way counts for the next pull
        self.stirred = False
        self._pulled_at = time.monotonic()
        arrived = 0
        try:
            arrived = await self.puller.pull(most)
        finally:
            if arrived >= most or not self.puller.sure:
                self.stirred = True
        return arrived

    @property
    def waiting(self) -> int:
        """How many are kept until they are due."""
        return len(self._later)

    @property
    def next_due(self) -> int | None:
        """When the first of those is due, in microseconds."""
        return self._later[0][0] if self._later else None

    def keep(self, delivered: Delivered, until: int) -> None:
        """Look at it again at that instant."""
        delivered.waited = True
        heapq.heappush(self._later, (until, next(self._count), delivered))

    def due(self, now: int, most: int) -> list[Delivered]:
        """Those kept that may be looked at now."""
        found: list[Delivered] = []
        while self._later and self._later[0][0] <= now and len(found) < most:
            found.append(heapq.heappop(self._later)[2])
        return found

    def arrived(self, most: int) -> list[Delivered]:
        """The oldest of what has arrived and was not looked at yet."""
        return self.puller.take(most)

    def replies(self) -> Iterator[str]:
        """Where all of them are acknowledged."""
        for _, _, delivered in self._later:
            yield delivered.reply
        for delivered in self.puller.fresh:
            yield delivered.reply

    def empty(self) -> list[Delivered]:
        """Take everything out."""
        left = [delivered for _, _, delivered in self._later]
        self._later.clear()
        return left + self.arrived(len(self.puller.fresh))


class Stay:
    """A worker's buckets from opening to closing or loss."""

    def __init__(self, record: Record, lease_end: float) -> None:
        self.record = record
        self.buckets = frozenset(bucket.id for bucket in record.buckets)
        self.lease_end = lease_end
        """Monotonic instant until which its claims may be acted upon, unless it is renewed."""
        self.claims: dict[UUID, Delivered] = {}
        self.running: dict[UUID, Running] = {}
        self.lock = asyncio.Lock()

    @property
    def trusted(self) -> bool:
        """Whether its lease has not run out."""
        return time.monotonic() < self.lease_end

    def owned(self, job: ClaimedJob) -> Delivered | None:
        """The claim, if it is still held."""
        claim = self.claims.get(job.id)
        if claim is None or claim.job is job:
            return claim
        same = claim.job.claim_no == job.claim_no and claim.job.bucket_id == job.bucket_id
        return claim if same else None

    def describe(self) -> None:
        """Bring the record up to what is held now."""
        running = [row for job_id, row in self.running.items() if job_id in self.claims]
        # whoever runs alone comes first, since a record that grows too large loses its end
        alone = {row.job_id for row in running if self.claims[row.job_id].job.losses}
        self.record.running = sorted(running, key=lambda row: row.job_id not in alone)
        order = [*alone, *(job_id for job_id in self.claims if job_id not in alone)]
        held = [(job_id, self.claims[job_id]) for job_id in order]
        self.record.held = [
            Held(job_id, c.job.bucket_id, c.job.lane, c.job.priority, c.seq, c.reply) for job_id, c in held
        ]

    def forget(self, job_ids: Iterable[UUID]) -> None:
        """These claims are given up."""
        claims, running = self.claims, self.running
        for job_id in job_ids:
            claims.pop(job_id, None)
            if running:
                running.pop(job_id, None)


class Claims:
    """All stays and intakes of this process on one agent; everything happens in the agent's loop."""

    def __init__(self) -> None:
        self.stays: list[Stay] = []
        self._by_bucket: dict[UUID, Stay] = {}
        self.intakes: dict[tuple[str, int], Intake] = {}

    @property
    def delivered(self) -> int:
        """How many jobs were delivered here so far."""
        return sum(intake.puller.delivered for intake in self.intakes.values())

    def stay_of(self, bucket_id: UUID) -> Stay | None:
        """The stay to which a bucket belongs."""
        return self._by_bucket.get(bucket_id)

    def add(self, stay: Stay) -> None:
        """A worker has opened its buckets."""
        self.stays.append(stay)
        self._by_bucket.update(dict.fromkeys(stay.buckets, stay))

    def close(self, stay: Stay, buckets: Collection[UUID]) -> None:
        """These buckets of a stay are no more; nor is the stay when they were its last."""
        for bucket in buckets:
            self._by_bucket.pop(bucket, None)
        stay.record.buckets = [row for row in stay.record.buckets if row.id not in buckets]
        stay.buckets -= frozenset(buckets)
        if not stay.record.buckets:
            self.stays.remove(stay)

    def in_buckets(self, buckets: Collection[UUID]) -> list[Delivered]:
        """What these buckets hold."""
        return [
            claim for stay in self.stays for claim in stay.claims.values() if claim.job.bucket_id in buckets
        ]

    def stir(self, lane: str | None, priorities: Collection[int] = ()) -> None:
        """There may be work of these priorities, or of any, in a lane, or in all."""
        for (name, priority), intake in self.intakes.items():
            if lane in (None, name) and (not priorities or priority in priorities):
                intake.stirred = True

    def lanes(self) -> set[str]:
        """The lanes of the stays."""
        return {stay.record.lane for stay in self.stays}

    def of_lane(self, lane: str) -> list[Intake]:
        """The intakes of a lane."""
        return [intake for (name, _), intake in self.intakes.items() if name == lane]
