"""The stores of one cluster, opened at first use, and the settings that live in them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ..engine.clock import GuidedClock, SystemClock
from ..engine.options import ClusterLimits
from ..engine.roster import Roster
from ..errors import ConfigurationError, StoreError, TransientStoreError
from ..ports import (
    AgentRecord,
    AgentTransport,
    Clock,
    JobReader,
    MasterStore,
    ScheduleStore,
    Settlement,
)
from .settingsboard import SettingsBoard

__all__ = ["Agent", "Backend", "Stores"]

_FRESH_FOR = 5.0
"""Seconds for which what was read from the master is taken as true."""
_SILENT_FOR = 2.0
_TRIED_FOR = 1.0
"""Seconds for which an agent that could not be opened is not tried again."""


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent connection: its adapters, wired but not opened."""

    transport: AgentTransport
    settlement: Settlement
    reader: JobReader
    open: Callable[[float], None]
    """Connect, provision or check the schema, check identity; waits at most the given seconds. Idempotent."""
    close: Callable[[], None]
    location: str
    """Where its data lies, without secrets."""
    learn_clock: Callable[[Clock], None]
    """Compare the store's clock with one that follows the master."""

    @property
    def name(self) -> str:
        """The name of the agent connection."""
        return self.transport.name


@dataclass(frozen=True, slots=True)
class Stores:
    """The adapters of one cluster, wired but not opened."""

    master: MasterStore
    held: Agent
    """The master as the store of jobs that wait there: in a standalone cluster, of all of them."""
    schedules: ScheduleStore
    """The master as the store of schedules."""
    agents: Mapping[str, Agent] = field(default_factory=dict)
    """The agents by name; empty in a standalone cluster, where the master is its own agent."""
    clock: Clock | None = None
    """The clock that the stores live by, when it is not that of a real database."""

    @property
    def in_loop(self) -> bool:
        """Whether the stores block nobody and keep a clock of their own, so that all may run in one loop."""
        return self.clock is not None


class Backend:
    """Opens the stores once, for whoever comes first; keeps settings and roster fresh."""

    def __init__(
        self,
        cluster_id: str,
        stores: Stores,
        limits: ClusterLimits,
        declared: Mapping[str, Any],
        operation_timeout: float,
        threshold: timedelta,
        lease: timedelta,
        logger: logging.Logger,
    ) -> None:
        self.cluster_id = cluster_id
        self.master = stores.master
        self.schedules = stores.schedules
        self.held = stores.held
        self.distributed = bool(stores.agents)
        self.agents: Mapping[str, Agent] = stores.agents or {stores.held.name: stores.held}
        self.limits = limits
        self.operation_timeout = operation_timeout
        self.threshold = threshold
        self.lease = lease
        self.in_loop = stores.in_loop
        self.clock: Clock = stores.clock if stores.clock is not None else SystemClock()
        self.worker_clock: Clock = GuidedClock(self.clock) if self.distributed else self.clock
        self.board = SettingsBoard(limits, declared, logger)
        self.roster = Roster(self.agents, self.clock)
        self._logger = logger
        self._lock = threading.RLock()
        self._opening = {name: threading.Lock() for name in self.agents}
        self._opened = False
        self._open_agents: set[str] = set()
        self._registered: set[str] = set()
        self._silent: dict[str, tuple[float, str]] = {}
        self._failed: dict[str, tuple[float, Exception]] = {}
        self._refreshed_at = float("-inf")

    @property
    def location(self) -> str:
        """Where the master's data lies, without secrets."""
        return self.held.location

    @property
    def is_open(self) -> bool:
        """Whether the master was opened."""
        return self._opened

    @property
    def fresh(self) -> bool:
        """Whether settings and roster were read a moment ago."""
        return self._opened and self.clock.monotonic() - self._refreshed_at < _FRESH_FOR

    def open(self, wait: float) -> None:
        """Open the master, waiting at most ``wait`` seconds for it. Raises what it raises."""
        if self._opened:
            return
        with self._lock:
            if self._opened:
                return
            try:
                self.held.open(wait)
                self._follow_master()
            except BaseException:
                # a store that was refused for its schema or identity has connections by then
                self.held.close()
                raise
            self._opened = True

    def _follow_master(self) -> None:
        asked_at = self.clock.monotonic()
        now = self.master.now()
        self.clock.follow(now, asked_at, self.clock.monotonic())

    def ahead_of(self, name: str) -> timedelta:
        """How long before they are due an agent takes jobs."""
        horizon = self.agents[name].transport.horizon
        return self.threshold if horizon is None else min(horizon, self.threshold)

    def is_agent_open(self, name: str) -> bool:
        """Whether an agent was opened."""
        return name in self._open_agents

    def agent(self, name: str, wait: float = 0.0) -> Agent:
        """An agent, open. Waits at most ``wait`` seconds for it, and tries one that failed a moment ago only
        when it may wait. Raises ``TransientStoreError``, or ``ConfigurationError`` for a store that is not
        the one meant."""
        agent = self.agents[name]
        if not self.distributed:
            self.open(wait)
            return agent
        if self.roster.is_forgotten(name):
            # this process's workers may still hold it open: it is left alone until they stop
            raise ConfigurationError(f"agent {name!r} was given up, and is worked with no more")
        if name in self._open_agents and name in self._registered:
            return agent
        with self._opening[name]:
            failed = self._failed.get(name)
            if failed is not None and wait <= 0 and self.clock.monotonic() - failed[0] < _TRIED_FOR:
                raise failed[1]
            try:
                self._open_agent(agent, wait)
            except (TransientStoreError, ConfigurationError) as fault:
                self._failed[name] = (self.clock.monotonic(), fault)
                self.roster.down(name)
                raise
            self._failed.pop(name, None)
        return agent

    def _open_agent(self, agent: Agent, wait: float) -> None:
        if agent.name not in self._open_agents:
            agent.open(wait)
            agent.learn_clock(self.clock)
            self._open_agents.add(agent.name)
        if self._opened:
            try:
                self.master.register_agent(agent.transport.key)
            except TransientStoreError as fault:
                # the stamp says whose it is; whether it is the very same store is checked when both answer
                self._logger.debug("agent %r could not be registered: %s", agent.name, fault)
                return
            except ConfigurationError:
                self._open_agents.discard(agent.name)
                agent.close()
                raise
            self._registered.add(agent.name)

    def forget(self, name: str, empty: bool) -> None:
        """The master has forgotten an agent. An empty one may become known again; any other is worked with no
        more."""
        if not empty:
            self.roster.forget(name)
        if name in self._opening:
            with self._opening[name]:
                self._open_agents.discard(name)
                self._registered.discard(name)
                self.agents[name].close()

    def reachable(self) -> list[Agent]:
        """The agents that can be asked now: open, or opened at once, and not found silent a moment ago."""
        found = []
        for name in self.agents:
            if self.silence(name) is not None:
                continue
            try:
                found.append(self.agent(name))
            except (StoreError, ConfigurationError) as fault:
                self._logger.debug("agent %r is left out: %s", name, fault)
        return found

    def silent(self, name: str, fault: object = "it does not answer") -> None:
        """An agent did not answer a question: others are not kept waiting by it for a moment."""
        self._silent[name] = (self.clock.monotonic() + _SILENT_FOR, str(fault))
        self.roster.down(name)

    def silence(self, name: str) -> str | None:
        """Why an agent is not asked now: what it said, a moment ago, instead of an answer."""
        until, fault = self._silent.get(name, (float("-inf"), ""))
        return fault if until > self.clock.monotonic() else None

    def close(self) -> None:
        """Release all connections; they are opened again when needed."""
        with self._lock:
            if self.distributed:
                for agent in self.agents.values():
                    agent.close()
            self._open_agents.clear()
            self._registered.clear()
            if self._opened:
                self.held.close()
                self._opened = False
                self._refreshed_at = float("-inf")

    def refresh(self) -> None:
        """Read settings and roster from the master, and learn how far the agents' clocks are off."""
        self.board.take(self.master.settings())
        if self.distributed:
            self._follow_master()
            records = self.master.agents()
            self._part_with_forgotten(records)
            self.roster.take(self.master.workers(), records)
        self._refreshed_at = self.clock.monotonic()

    def _part_with_forgotten(self, records: Sequence[AgentRecord]) -> None:
        """An agent that was given up elsewhere is worked with no more, though it may answer again."""
        known = {record.name: record.key for record in records}
        for name in sorted(self._registered):
            if known.get(name) != self.agents[name].transport.key:
                self._registered.discard(name)
                if not self.roster.is_forgotten(name):
                    self.roster.forget(name)
                    self._logger.error(
                        "agent %r was given up: nothing is given to it and nothing claimed there any more; "
                        "its store can be used again, empty, after a restart",
                        name,
                    )

    def learn_clocks(self) -> None:
        """Compare the clocks of the open agents with the master's."""
        for name in sorted(self._open_agents):
            if not self.roster.is_down(name):
                try:
                    self.agents[name].learn_clock(self.clock)
                except TransientStoreError as fault:
                    self.silent(name, fault)
                    self._logger.debug("agent %r: %s", name, fault)

    def declare(self) -> list[tuple[str, Any, Any]]:
        """Store what code declares; the changes, as (name, old, new)."""
        changes = self.master.declare_settings(self.board.declared)
        self.refresh()
        return changes
