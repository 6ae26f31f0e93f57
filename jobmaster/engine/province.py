"""What a process does for the agents of its cluster: savers, onboarding, moves back to the master."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta

from ..errors import ConfigurationError, StoreError
from ..ports import AgentTransport, Clock, Listener, MasterStore
from .border import Border
from .mover import Mover
from .onboarder import Onboarder
from .options import ClusterLimits
from .roster import Roster
from .saver import Saver
from .signals import tell
from .storethreads import StoreCalls
from .supervisor import Service, Supervisor
from .together import together
from .tracer import Tracer
from .uninterrupted import keep_result

__all__ = ["Province"]

_MOVES_EVERY = 5.0
_CLOCKS_EVERY = 30.0


class Province:
    """The services of one process that stand between master and agents.

    ``own``: the agents of this process's workers. ``coordinates``: whether it cares for all of them.
    """

    def __init__(
        self,
        agents: Mapping[str, AgentTransport],
        own: Collection[str],
        coordinates: bool,
        master: MasterStore,
        held: AgentTransport,
        roster: Roster,
        limits: ClusterLimits,
        threshold: timedelta,
        lease: timedelta,
        calls: StoreCalls,
        clock: Clock,
        learn_clocks: Callable[[], None],
        logger: logging.Logger,
    ) -> None:
        cared_for = dict(agents) if coordinates else {name: agents[name] for name in own}
        self._own = tuple(own)
        self._held = held
        self._calls = calls
        self._logger = logger
        self._roster = roster
        self._coordinates = coordinates
        self._listener: Listener | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._savers = {
            name: Saver(transport, master, calls, clock, logger) for name, transport in cared_for.items()
        }
        self._onboarder = Onboarder(agents, master, roster, limits, threshold, calls, clock, logger)
        self._tracer = Tracer(agents, master, roster, calls, clock, logger)
        self.mover = Mover(cared_for, master, roster, threshold, lease, calls, clock, logger)
        self._clocks = Service("clocks", self._learn_clocks, _CLOCKS_EVERY, clock, logger)
        self._moves = Service("mover", self.mover.tick, _MOVES_EVERY, clock, logger, first_after=1.0)
        self._learn = learn_clocks

    async def start(self, supervisor: Supervisor) -> None:
        """Start the services of this process."""
        self._loop = asyncio.get_running_loop()
        for saver in self._savers.values():
            supervisor.start(saver.service.name, saver.service.run)
        supervisor.start(self._clocks.name, self._clocks.run)
        if self._coordinates or self.mover.emptied:
            supervisor.start(self._moves.name, self._moves.run)
        if self._coordinates:
            await keep_result(self._calls.run(self._held.listen, self.wake), self._hear)
            supervisor.start(self._onboarder.service.name, self._onboarder.service.run)
            supervisor.start(self._tracer.service.name, self._tracer.service.run)

    def _hear(self, listener: Listener) -> None:
        self._listener = listener

    async def stop(self) -> None:
        """After the workers have stopped: tell the master of their last outcomes, if it listens."""
        if self._listener is not None:
            await self._calls.run(self._listener.close)
            self._listener = None
        await together(self._flush(name) for name in self._own)
        await self._onboarder.stop()

    async def _flush(self, name: str) -> None:
        try:
            await self._savers[name].flush()
        except (StoreError, ConfigurationError) as fault:
            self._logger.warning("outcomes stay on agent %r until others ship them: %s", name, fault)

    def border(self, agent: str) -> Border:
        """What the workers of an agent have to do with all this."""
        saver, roster = self._savers[agent], self._roster

        def may_claim() -> bool:
            return not (saver.full or roster.is_draining(agent) or roster.is_forgotten(agent))

        return Border(may_claim, saver.ring)

    def wake(self, lane: str | None = None) -> None:
        """Jobs came to the master, or to an agent by way of this process. From any thread."""
        tell(self._loop, self._ring)

    def _ring(self) -> None:
        self._onboarder.service.ring()
        for saver in self._savers.values():
            saver.ring()

    async def _learn_clocks(self) -> float | None:
        await self._calls.run(self._learn)
        return None
