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
        self._suspects: dict[UUID, int] = {}

    @property
    def is_due(self) -> bool:
        """Whether it is time for another look."""
        return time.monotonic() - self._looked_at >= _EVERY

    async def look(self, session: Session) -> list[Found]:
        """Those met at this look and at the last, whose end is not on its way to the master."""
        self._looked_at = time.monotonic()
        found: list[Found] = []
        for consumer in await _consumers(session):
            floor = int(consumer["ack_floor"]["stream_seq"])
            if consumer["delivered"]["consumer_seq"]:
                there = await walk(session, 1, consumer["config"]["filter_subject"], _MOST, floor)
                found += there
        before, self._suspects = self._suspects, {item.envelope.copy.id: item.seq for item in found}
        again = [item for item in found if before.get(item.envelope.copy.id) == item.seq]
        if not again:
            return []
        ended = await whereabouts(session)
        return [item for item in again if not ended.tells_of(item.envelope.copy)]

    async def clear(self, session: Session, found: Collection[Found], stale: Collection[UUID]) -> int:
        """Delete those that the master says are not live, ``stale``, and let the others be delivered anew;
        how many of those there were."""
        dead = [item.seq for item in found if item.envelope.copy.id in stale]
        live = [item for item in found if item.envelope.copy.id not in stale]
        session.logger.warning(
            "%d messages that were acknowledged are still there: %d of them are of jobs that have not ended, "
            "which wait again",
            len(found),
            len(live),
        )
        with session.writing("clear_stranded"):
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
