"""Verdicts on their way to the store."""

from __future__ import annotations

from uuid import UUID

from ..domain.verdict import StateChange

__all__ = ["Outbox"]


class Outbox:
    """Collects verdicts until the next settle takes them; those of a settle that failed come back."""

    __slots__ = ("_changes", "_limit", "oldest_at")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._changes: list[StateChange] = []
        self.oldest_at = float("inf")
        """The monotonic instant at which the oldest waiting verdict was put in."""

    def __len__(self) -> int:
        return len(self._changes)

    def put(self, change: StateChange, now: float) -> None:
        """Add one verdict at monotonic instant ``now``."""
        if not self._changes:
            self.oldest_at = now
        self._changes.append(change)

    def take(self) -> list[StateChange]:
        """Take out the oldest verdicts, at most as many as one settle carries."""
        if len(self._changes) <= self._limit:
            taken, self._changes = self._changes, []
            self.oldest_at = float("inf")
        else:
            taken, self._changes = self._changes[: self._limit], self._changes[self._limit :]
        return taken

    def put_back(self, changes: list[StateChange], now: float) -> None:
        """A settle failed without effect: these go first again."""
        if changes:
            self.oldest_at = min(self.oldest_at, now)
            self._changes = changes + self._changes

    def ids(self) -> frozenset[UUID]:
        """The jobs whose verdicts wait here."""
        return frozenset(change.job.id for change in self._changes)

    def drop(self) -> list[UUID]:
        """Throw everything away, since the claims are no longer owned. The jobs concerned."""
        dropped = [change.job.id for change in self._changes]
        self._changes = []
        self.oldest_at = float("inf")
        return dropped
