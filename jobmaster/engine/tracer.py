"""Looks for jobs that the master knows to live on an agent, and of which the agent knows nothing.

There are none as long as servers keep what they have acknowledged. One that does not (a NATS server that is
killed before its files are on disk, a database that was told not to wait for its disk) forgets jobs; the
master still has those that it mirrored or placed, and they are placed on the same agent once more.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from uuid import UUID

from ..errors import ConfigurationError, StoreError
from ..ports import AgentTransport, Clock, MasterStore
from .roster import Roster
from .storethreads import StoreCalls
from .supervisor import Service
from .together import together

__all__ = ["Tracer"]

_EVERY = 10.0
_PAGE = 500
"""Jobs of one agent that are looked for at a time."""


class Tracer:
    """One per coordinating process; ``tick`` belongs to a :class:`Service`.

    Goes through the mirrors of each agent, a page at a time. A job that was missing at one look and is
    missing at the next is gone: no move and no end of a job takes so long between its two stores."""

    def __init__(
        self,
        agents: Mapping[str, AgentTransport],
        master: MasterStore,
        roster: Roster,
        calls: StoreCalls,
        clock: Clock,
        logger: logging.Logger,
    ) -> None:
        self._agents = agents
        self._master = master
        self._roster = roster
        self._calls = calls
        self._logger = logger
        self._after: dict[str, UUID | None] = {}
        """The last job of the last page, by agent; ``None``: the next page is the first."""
        self._missed: dict[str, frozenset[UUID]] = {}
        """What was missing at the last look at a page, by agent: that page is looked at again."""
        self.service = Service("tracer", self.tick, _EVERY, clock, logger, first_after=_EVERY)

    async def tick(self) -> float | None:
        """A page of each agent that answers."""
        await together(self._look(name) for name in self._agents if not self._roster.is_down(name))
        return None

    async def _look(self, name: str) -> None:
        try:
            doubted = await self._calls.run(self._page, name)
        except (StoreError, ConfigurationError) as fault:
            self._logger.debug("agent %r cannot be looked through now: %s", name, fault)
            return
        if doubted:
            self._logger.warning(
                "agent %r has lost %d jobs that it had taken: they are placed there again", name, doubted
            )

    def _page(self, name: str) -> int:
        """Look at the next page, or once more at one from which something was missing; how many are gone."""
        transport, after = self._agents[name], self._after.get(name)
        mirrors = self._master.mirrors(transport.key, after, _PAGE)
        absent = transport.absent(mirrors)
        missed = self._missed.pop(name, None)
        if absent and missed is None:
            self._missed[name] = absent
            return 0
        self._after[name] = mirrors[-1].id if len(mirrors) == _PAGE else None
        gone = absent & (missed or frozenset())
        return self._master.doubt(transport.key, gone) if gone else 0
