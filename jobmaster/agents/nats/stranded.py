"""Messages that are still there though their consumer counts them as acknowledged.

A server whose disk was full can forget that it deleted a message and yet remember that it was acknowledged.
It delivers such a message to nobody, ever; lists and counts take its job for a live one. They are found below
the floor up to which their consumer has everything acknowledged.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any
from uuid import UUID

from ...domain.copies import Shipment
from .claiming import whereabouts
from .envelope import Envelope
from .store import Session
from .waiting import Found, delete, put_in_place, walk

__all__ = ["Stranded"]

_EVERY = 10.0
"""Seconds between looks. What is met at two of them is not just being deleted."""
_MOST = 200
"""Messages of one lane and priority that are looked at in one look."""


class Stranded:
    """What one process has seen of them."""

    def __init__(self) -> None:
        self._looked_at = float("-inf")
        self._jobs: dict[UUID, int] = {}
        self._outcomes: set[int] = set()

    @property
    def is_due(self) -> bool:
        """Whether it is time for another look."""
        return time.monotonic() - self._looked_at >= _EVERY

    async def look(self, session: Session) -> tuple[list[Found], dict[int, Shipment]]:
        """Those met at this look and at the last: jobs, and outcomes by the sequence of their message."""
        self._looked_at = time.monotonic()
        jobs: list[Found] = []
        for consumer in await _consumers(session):
            if consumer["delivered"]["consumer_seq"]:
                floor = int(consumer["ack_floor"]["stream_seq"])
                jobs += await walk(session, 1, consumer["config"]["filter_subject"], _MOST, floor)
        outcomes = await session.outbox.below_the_floor()
        before, self._jobs = self._jobs, {item.envelope.copy.id: item.seq for item in jobs}
        seen, self._outcomes = self._outcomes, set(outcomes)
        again = [item for item in jobs if before.get(item.envelope.copy.id) == item.seq]
        if again:
            # of those whose end is on its way the master will know at the next look
            ended = await whereabouts(session)
            again = [item for item in again if not ended.tells_of(item.envelope.copy)]
        return again, {seq: part for seq, part in outcomes.items() if seq in seen}

    async def clear(
        self,
        session: Session,
        found: Collection[Found],
        stale: Collection[UUID],
        outcomes: Collection[int] = (),
    ) -> int:
        """Delete the outcomes, which the master has heard, and the jobs that it says are not live, ``stale``;
        let the other jobs be delivered anew: how many those were."""
        dead = [item.seq for item in found if item.envelope.copy.id in stale]
        live = [item for item in found if item.envelope.copy.id not in stale]
        session.logger.warning(
            "%d messages that were acknowledged are still there: %d of them are of jobs that have not ended, "
            "which wait again",
            len(found) + len(outcomes),
            len(live),
        )
        with session.writing("clear_stranded"):
            await session.outbox.delete(outcomes)
            await delete(session, dead)
            fresh = [
                (
                    Envelope(item.envelope.copy, recheck=True),
                    item.seq,
                    f"{item.envelope.copy.id.hex}-{item.seq}-stranded",
                )
                for item in live
            ]
            if fresh:
                await put_in_place(session, fresh, session.timeout)
                await delete(session, [item.seq for item in live])
        for lane in {item.envelope.copy.lane for item in live}:
            await session.wake(lane)
        return len(live)


async def _consumers(session: Session) -> list[dict[str, Any]]:
    """What the server says of all consumers of the jobs."""
    found: list[dict[str, Any]] = []
    while True:
        answer = await session.link.api(f"CONSUMER.LIST.{session.names.jobs}", {"offset": len(found)})
        part = answer.get("consumers") or []
        found += part
        if not part or len(found) >= int(answer["total"]):
            return found
