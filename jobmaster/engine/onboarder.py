"""Moves held jobs from the master to agents in time.

The master commits which agent gets a job, and only then is it inserted there. A crash in between leaves a
placement that nobody has confirmed; it is repeated on the same agent, where it changes nothing when the job
had arrived. An agent that certainly did not take its jobs gives them back, unless somebody has begun to
repeat the placement: then they may have arrived there by now.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from ..domain.copies import AgentKey, JobCopy
from ..domain.placement import Load, shares_of
from ..domain.status import ClusterMode
from ..errors import StoreError, TransientStoreError
from ..ports import AgentTransport, Clock, MasterStore, Placement
from .options import ClusterLimits
from .roster import Roster
from .storethreads import StoreCalls
from .supervisor import Service

__all__ = ["Onboarder"]

_BATCH = 1000
_LONGEST = 2.0
"""Seconds between looks at a lane; wake-ups are only hints."""
_BUSY = 0.05
"""Seconds until the next look where something was placed just now."""
_REPAIR_EVERY = 3.0
_REPAIRED = 1000


class Onboarder:
    """One per coordinating process. Any number of them share the work: each skips what another has locked."""

    def __init__(
        self,
        agents: Mapping[str, AgentTransport],
        master: MasterStore,
        roster: Roster,
        limits: ClusterLimits,
        threshold: timedelta,
        calls: StoreCalls,
        clock: Clock,
        logger: logging.Logger,
    ) -> None:
        self._agents = agents
        self._master = master
        self._roster = roster
        self._limits = limits
        self._threshold = threshold
        self._calls = calls
        self._clock = clock
        self._logger = logger
        self._repair_at = float("-inf")
        self._delivering: dict[tuple[str, str], asyncio.Task[None]] = {}
        """Placements on their way, by agent and lane: one agent that is silent, or a lane with much to place,
        keeps nobody else waiting."""
        self._awaited = False
        """Whether jobs may be due that wait for the end of a delivery."""
        self._suspects: dict[UUID, int] = {}
        """Placements that were unconfirmed at the last look, by job, with their numbers."""
        self.service = Service("onboarder", self.tick, _LONGEST, clock, logger)

    async def tick(self) -> float | None:
        """Place what is due within the threshold; seconds until the next look."""
        if self._limits.mode is ClusterMode.ARCHIVED:
            return None
        pauses = [_LONGEST]
        self._awaited = False
        lanes = self._roster.lanes()
        while lanes:
            # a batch of each in turn: a long queue on one lane does not keep the others waiting
            more = []
            for lane in lanes:
                pause = await self._batch(lane)
                if pause is None:
                    more.append(lane)
                else:
                    pauses.append(pause)
            await self._repair_now_and_then()
            lanes = more
        await self._repair_now_and_then()
        return min(pauses)

    async def _repair_now_and_then(self) -> None:
        now = self._clock.monotonic()
        if now - self._repair_at >= _REPAIR_EVERY:
            self._repair_at = now
            await self._repair()

    async def stop(self) -> None:
        """Wait for no placement that is on its way: whoever coordinates repeats what was not confirmed."""
        deliveries = list(self._delivering.values())
        for delivery in deliveries:
            delivery.cancel()
        await asyncio.gather(*deliveries, return_exceptions=True)

    async def _batch(self, lane: str) -> float | None:
        """Onboard a batch of one lane; seconds after which it is worth another look, ``None``: at once."""
        answer = await self._calls.run(self._master.next_held, lane)
        if answer is None:
            return _LONGEST
        now, due = answer
        serving = {
            name: load for name, load in self._roster.serving(lane).items() if not self._roster.is_down(name)
        }
        aheads = self._by_horizon(serving)
        early = min(((due - now - ahead).total_seconds() for ahead in aheads), default=0.0)
        if early > 0:
            return min(_LONGEST, early)
        loads = {name: load for name, load in serving.items() if (name, lane) not in self._delivering}
        self._awaited = self._awaited or len(loads) < len(serving)
        if serving and not loads:
            return _LONGEST
        pause, placements = await self._place(lane, due - now, loads)
        for placement in placements:
            self._send(placement, lane)
        if not placements:
            # all that is due is being placed by others, or waits for agents that cannot take it now
            return pause
        return _BUSY if sum(len(placement.copies) for placement in placements) < _BATCH else None

    async def _place(
        self, lane: str, due_in: timedelta, loads: Mapping[str, Load]
    ) -> tuple[float, list[Placement]]:
        """Place what is due soon enough for some agent; one placement for each, and when to look again."""
        pause = _LONGEST
        given: dict[AgentKey, list[JobCopy]] = {}
        for ahead, part in self._by_horizon(loads).items():
            early = (due_in - ahead).total_seconds()
            if early > 0:
                pause = min(pause, early)
                continue
            shares = shares_of(part, self._roster.keys)
            for placement in await self._calls.run(self._master.place, lane, ahead, _BATCH, shares):
                given.setdefault(placement.agent, []).extend(placement.copies)
        return pause, [Placement(agent, copies) for agent, copies in given.items()]

    def _send(self, placement: Placement, lane: str) -> None:
        way = (placement.agent.name, lane)
        delivery = asyncio.get_running_loop().create_task(self._sent(placement, lane))
        self._delivering[way] = delivery
        delivery.add_done_callback(lambda _: self._arrived(way))

    def _arrived(self, way: tuple[str, str]) -> None:
        self._delivering.pop(way, None)
        if self._awaited:
            self.service.ring()

    async def _sent(self, placement: Placement, lane: str) -> None:
        try:
            await self._calls.run(self._deliver, placement)
        except StoreError as fault:
            self._logger.warning(
                "%d placements on agent %r could not be confirmed and will be repeated: %s",
                len(placement.copies),
                placement.agent.name,
                fault,
            )
        except Exception:
            self._logger.exception("placing jobs on agent %r failed", placement.agent.name)
        else:
            self._roster.sent(placement.agent.name, lane, len(placement.copies))

    def _by_horizon(self, loads: Mapping[str, Load]) -> dict[timedelta, dict[str, Load]]:
        """How far ahead jobs may be placed, farthest first, and on which agents then."""
        aheads = {name: self._agents[name].horizon or self._threshold for name in loads}
        return {
            ahead: {name: load for name, load in loads.items() if aheads[name] >= ahead}
            for ahead in sorted({min(ahead, self._threshold) for ahead in aheads.values()}, reverse=True)
        }

    def _deliver(self, placement: Placement) -> None:
        transport = self._agents[placement.agent.name]
        try:
            transport.receive(placement.copies)
        except TransientStoreError as fault:
            self._roster.down(placement.agent.name)
            if fault.ambiguous:
                self._logger.warning(
                    "agent %r has perhaps taken %d jobs; they are offered to it again: %s",
                    placement.agent.name,
                    len(placement.copies),
                    fault,
                )
            else:
                self._logger.warning(
                    "agent %r did not take %d jobs, which are held again: %s",
                    placement.agent.name,
                    len(placement.copies),
                    fault,
                )
                self._master.give_back(placement.agent, placement.copies)
            return
        self._master.confirm(placement.agent, [copy.id for copy in placement.copies])

    async def _repair(self) -> None:
        """Repeat placements that were unconfirmed at the last look already: whoever made them has died."""
        found = await self._calls.run(self._master.unconfirmed, _REPAIRED)
        unconfirmed = {copy.id: copy.placement for placement in found for copy in placement.copies}
        busy = {name for name, _ in self._delivering}
        for placement in found:
            left = [copy for copy in placement.copies if self._suspects.get(copy.id) == copy.placement]
            name = placement.agent.name
            if not left or name not in self._agents or name in busy or self._roster.is_down(name):
                continue
            # whoever made them may be alive and slow: from here on it may not give them to another agent
            left = await self._calls.run(self._master.repeat, placement.agent, left)
            if not left:
                continue
            self._logger.warning("repeating %d placements on agent %r that nobody confirmed", len(left), name)
            try:
                await self._calls.run(self._agents[name].receive, left)
            except StoreError as fault:
                self._roster.down(name)
                self._logger.warning("agent %r: %s", name, fault)
                continue
            await self._calls.run(self._master.confirm, placement.agent, [copy.id for copy in left])
        self._suspects = unconfirmed
