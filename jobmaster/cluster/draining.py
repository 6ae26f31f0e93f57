"""Emptying an agent: its waiting jobs go back to the master, and from there to other agents."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..domain.durations import Duration, as_timedelta
from ..domain.ids import uuid7
from ..engine.backoff import Backoff
from ..engine.mover import move
from ..errors import ConfigurationError, StoreError, TransientStoreError, TransportUnavailable
from ..ports import TakeRequest
from .answering import answering
from .backend import Agent, Backend
from .locator import Locator
from .producer import Producer

__all__ = ["DrainReport", "Drains"]

_BATCH = 500


@dataclass(frozen=True, slots=True)
class DrainReport:
    """What a drain has come to. ``moved``: jobs that went back to the master; ``left``: jobs that are still
    on the agent, claimed by its workers; ``unshipped``: ended jobs that the master was not told of yet."""

    agent_connection: str
    moved: int
    left: int
    unshipped: int

    @property
    def empty(self) -> bool:
        """Whether nothing is left there: the agent may be taken out of the configuration."""
        return not self.left and not self.unshipped


class Drains:
    """Drains agents. Blocking."""

    def __init__(self, backend: Backend, locator: Locator, producer: Producer) -> None:
        self._backend = backend
        self._locator = locator
        self._producer = producer
        self._id = uuid7()

    def drain(
        self,
        name: str,
        hold: bool,
        timeout: Duration | None,
        progress: Callable[[DrainReport], None] = lambda report: None,
    ) -> DrainReport:
        """Mark the agent as draining, move what waits there, wait for what runs there.

        Nothing is marked when jobs would be stranded, or the agent cannot be read and written now."""
        end = None
        if timeout is not None:
            end = time.monotonic() + as_timedelta(timeout, "timeout").total_seconds()
        agent = self._open(name)
        backend = self._backend
        with answering(f"agent {name!r} is not drained, since the master is away"):
            backend.refresh()
        with answering(f"agent {name!r} is away and cannot be drained"):
            lanes = agent.transport.waiting_lanes()
        if not hold:
            self._refuse_stranding(name, lanes)
        with answering(f"agent {name!r} cannot be drained, since it cannot be written to"):
            # a write that changes nothing, for the id is no worker's
            agent.transport.complete_buckets(self._id)
        with answering(f"the master does not answer, so agent {name!r} may be marked as draining, or not"):
            backend.master.set_draining(name, True)
            backend.refresh()
        moved, backoff = 0, Backoff(0.05, 1.0)
        while True:
            try:
                batch = move(
                    agent.transport,
                    backend.master,
                    TakeRequest(limit=_BATCH),
                    backend.lease,
                    backend.clock,
                    self._id,
                )
                moved += batch
                if not batch:
                    # what dead workers hold waits again when their leases have run out
                    agent.settlement.rescue(backend.limits.max_losses)
                self._locator.ship(agent)
                report = self._report(agent, moved)
            except TransientStoreError as fault:
                raise TransportUnavailable(
                    f"agent {name!r} is draining, but not empty: {fault}; coordinators go on with it"
                ) from fault
            progress(report)
            if report.empty or (end is not None and time.monotonic() >= end):
                return report
            if batch:
                backoff.reset()
            else:
                time.sleep(backoff.next())

    def undo(self, name: str) -> None:
        """Let the agent take new jobs again."""
        self._known(name)
        self._producer.check_writable()
        with answering(f"the master does not answer, so agent {name!r} may be marked as draining, or not"):
            self._backend.master.set_draining(name, False)
            self._backend.refresh()

    def forget(self, name: str) -> int:
        """Give an agent's store up for good: jobs that the master knows to live there are held again. Those
        that it never heard of are lost with the store. How many are held."""
        self._producer.check_writable()
        empty = self._is_empty(name)
        with answering(f"the master does not answer, so agent {name!r} may be forgotten, or not"):
            held = self._backend.master.forget_agent(name, empty)
        if held is None:
            raise ConfigurationError(f"the master knows no agent {name!r}")
        self._backend.forget(name, empty)
        return held

    def _is_empty(self, name: str) -> bool:
        """Whether the store answers and holds nothing. One that answers and holds jobs is refused: it would
        run them beside those that are held again."""
        if name not in self._backend.agents or not self._backend.distributed:
            return False
        try:
            agent = self._backend.agent(name)
            agent.transport.now()
        except (StoreError, ConfigurationError):
            return False  # gone, or not the store that was meant
        try:
            with answering(f"agent {name!r} answers, and could not be looked at: try again"):
                report = self._report(agent, 0)
        except StoreError:
            return False  # its tables are gone
        if not report.empty:
            raise ConfigurationError(
                f"agent {name!r} answers and has {report.left} live jobs, and {report.unshipped} outcomes of "
                "which the master was not told: if it is forgotten its jobs run twice, so empty it with "
                f"`jobmaster drain {name}`"
            )
        return True

    def _known(self, name: str) -> None:
        if not self._backend.distributed:
            raise ConfigurationError(
                "a standalone cluster has no agents to drain: its jobs become held ones as soon as agents "
                "are added"
            )
        if name not in self._backend.agents:
            known = ", ".join(map(repr, self._backend.agents))
            raise ConfigurationError(f"there is no agent connection {name!r}; there is {known}")

    def _open(self, name: str) -> Agent:
        self._known(name)
        self._producer.check_writable()
        self._producer.ready()
        with answering(f"agent {name!r} is away and cannot be drained"):
            return self._backend.agent(name, self._backend.operation_timeout)

    def _refuse_stranding(self, name: str, waiting: Sequence[str]) -> None:
        roster = self._backend.roster
        stranded = [lane for lane in waiting if not set(roster.serving(lane)) - {name}]
        if stranded:
            lanes = ", ".join(map(repr, stranded))
            raise ConfigurationError(
                f"agent {name!r} has jobs on lane {lanes}, which no live worker on another agent "
                "serves: start a worker for it elsewhere, or drain with hold=True (on the command line "
                "--hold) to keep them on the master"
            )

    def _report(self, agent: Agent, moved: int) -> DrainReport:
        left = sum(depth.jobs for depth in agent.reader.depths())
        return DrainReport(agent.name, moved, left, agent.transport.unshipped()[0])
