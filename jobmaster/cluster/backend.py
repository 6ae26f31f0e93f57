"""The stores of one cluster, opened at first use, and the settings that live in them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..engine.clock import SystemClock
from ..engine.options import ClusterLimits
from ..ports import AgentTransport, Clock, MasterStore, Settlement
from .settingsboard import SettingsBoard

__all__ = ["Backend", "Stores"]

_FRESH_FOR = 5.0
"""Seconds for which settings read from the master are taken as true."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The adapters of one cluster, wired but not opened. In a standalone cluster all share one database."""

    master: MasterStore
    transport: AgentTransport
    settlement: Settlement
    open: Callable[[float], None]
    """Connect, provision or check the schema, check identity; waits at most the given seconds for the
    database. Idempotent."""
    close: Callable[[], None]
    describe: str
    """Where the data lies, without secrets."""
    clock: Clock | None = None
    """The clock that the stores live by, when it is not that of a real database."""

    @property
    def in_loop(self) -> bool:
        """Whether the stores block nobody and keep a clock of their own, so that all may run in one loop."""
        return self.clock is not None


class Backend:
    """Opens the stores once, for whoever comes first; keeps the cluster's settings fresh."""

    def __init__(
        self,
        cluster_id: str,
        stores: Stores,
        limits: ClusterLimits,
        declared: Mapping[str, Any],
        operation_timeout: float,
        logger: logging.Logger,
    ) -> None:
        self.cluster_id = cluster_id
        self.master = stores.master
        self.transport = stores.transport
        self.settlement = stores.settlement
        self.location = stores.describe
        self.limits = limits
        self.operation_timeout = operation_timeout
        self.clock: Clock = stores.clock if stores.clock is not None else SystemClock()
        self.in_loop = stores.in_loop
        self.board = SettingsBoard(limits, declared, logger)
        self._stores = stores
        self._lock = threading.RLock()
        self._opened = False
        self._refreshed_at = float("-inf")

    @property
    def is_open(self) -> bool:
        """Whether the stores were opened."""
        return self._opened

    @property
    def fresh(self) -> bool:
        """Whether the settings were read a moment ago."""
        return self._opened and self.clock.monotonic() - self._refreshed_at < _FRESH_FOR

    def open(self, wait: float) -> None:
        """Open the stores, waiting at most ``wait`` seconds for them. Raises what the stores raise."""
        if self._opened:
            return
        with self._lock:
            if self._opened:
                return
            try:
                self._stores.open(wait)
                asked_at = self.clock.monotonic()
                now = self.transport.now()
            except BaseException:
                # a store that was refused for its schema or identity has connections by then
                self._stores.close()
                raise
            self.clock.follow(now, asked_at, self.clock.monotonic())
            self._opened = True

    def close(self) -> None:
        """Release all connections; they are opened again when needed."""
        with self._lock:
            if self._opened:
                self._stores.close()
                self._opened = False
                self._refreshed_at = float("-inf")

    def refresh(self) -> None:
        """Read the settings from the master."""
        self.board.take(self.master.settings())
        self._refreshed_at = self.clock.monotonic()

    def declare(self) -> list[tuple[str, Any, Any]]:
        """Store what code declares; the changes, as (name, old, new)."""
        changes = self.master.declare_settings(self.board.declared)
        self.refresh()
        return changes
