"""Moves waiting jobs from an agent back to the master, where they are held.

The master learns first, the agent's copy goes second. The jobs are claimed for the move, so that nobody
runs them meanwhile; when the mover dies, the lease of its bucket runs out and they wait again, marked to be
checked against the master before they run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

from ..domain.copies import JobCopy
from ..domain.ids import uuid7
from ..domain.status import BucketStatus, Priority
from ..errors import ConfigurationError, StoreError
from ..ports import AgentTransport, BucketInfo, Clock, MasterStore, TakeRequest
from .roster import Roster
from .storethreads import StoreCalls
from .together import together

__all__ = ["Mover", "move"]

_BATCH = 500
_UNSERVED = 60.0
"""Seconds for which a lane may have no worker on an agent before its jobs go where there is one."""
_FAR_EVERY = 60.0


def _unpinned(copy: JobCopy) -> JobCopy:
    return copy._replace(agent=None)


def move(
    transport: AgentTransport,
    master: MasterStore,
    request: TakeRequest,
    lease: timedelta,
    clock: Clock,
    mover: UUID,
    change: Callable[[JobCopy], JobCopy] = _unpinned,
) -> int:
    """Move one batch; how many jobs. Blocking. After ``lease`` whatever was not moved waits again.

    ``change`` says what they are on the master: by default, wherever they were asked for, they cannot stay
    there.
    """
    bucket = BucketInfo(
        uuid7(),
        mover,
        "mover",
        request.lane or "default",
        int(request.priority or Priority.MEDIUM),
        BucketStatus.ACTIVE,
        clock.now() + lease,
        transport.name,
    )
    copies = transport.take(bucket, lease, request)
    if copies:
        master.take_back(transport.key, [change(copy) for copy in copies])
        transport.let_go(bucket.id)
    return len(copies)


class Mover:
    """Empties agents that drain, takes lanes back that nobody serves any more where they wait, and jobs that
    are due too far ahead for an agent."""

    def __init__(
        self,
        agents: dict[str, AgentTransport],
        master: MasterStore,
        roster: Roster,
        threshold: timedelta,
        lease: timedelta,
        calls: StoreCalls,
        clock: Clock,
        logger: logging.Logger,
    ) -> None:
        self._agents = agents
        self._master = master
        self._roster = roster
        self._threshold = threshold
        self._lease = lease
        self._calls = calls
        self._clock = clock
        self._logger = logger
        self._id = uuid7()
        self._far_at = clock.monotonic()
        self._moved = 0
        self.emptied: dict[str, str | None] = {}
        """Agents with a drain worker here: the lane that it empties, ``None`` for every lane."""

    async def tick(self) -> float | None:
        """One batch for whatever is to be moved; at once again while there is more."""
        self._moved = 0
        far = self._clock.monotonic() - self._far_at >= _FAR_EVERY
        if far:
            self._far_at = self._clock.monotonic()
        await together(self._tidy(name, far) for name in self._agents if not self._roster.is_down(name))
        return 0.0 if self._moved else None

    async def _tidy(self, name: str, far: bool) -> None:
        requests = self._requests(name)
        if far and self._agents[name].horizon is None:
            # others do not keep what is due that far ahead
            requests += self._too_far()
        try:
            for request in requests:
                await self._move(self._agents[name], request)
        except (StoreError, ConfigurationError) as fault:
            # of the agent or of the master: what was taken waits there again when its lease has run out
            self._roster.down(name)
            self._logger.warning("jobs of agent %r cannot be moved now: %s", name, fault)

    def _requests(self, name: str) -> list[TakeRequest]:
        if self._roster.is_draining(name) or (name in self.emptied and self.emptied[name] is None):
            return [TakeRequest(limit=_BATCH)]
        lanes = self._roster.unserved(name, _UNSERVED)
        lane = self.emptied.get(name)
        if lane is not None and lane not in lanes:
            lanes.append(lane)
        return [TakeRequest(lane=lane, limit=_BATCH) for lane in lanes]

    async def _move(self, transport: AgentTransport, request: TakeRequest) -> None:
        moved = await self._calls.run(
            move, transport, self._master, request, self._lease, self._clock, self._id
        )
        self._moved += moved
        if moved:
            where = f"lane {request.lane}" if request.lane else "every lane"
            self._logger.info("%d jobs of %s moved from agent %r to the master", moved, where, transport.name)

    def _too_far(self) -> list[TakeRequest]:
        """A retry or a reschedule may have put a job farther ahead than agents keep them."""
        ahead = self._threshold + timedelta(seconds=_FAR_EVERY)
        return [
            TakeRequest(lane, ahead, priority=int(priority), limit=_BATCH)
            for lane in self._roster.lanes()
            for priority in Priority
        ]
