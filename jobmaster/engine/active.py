"""One job that runs, or is about to, in a slot of a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from ..domain.verdict import RetryRules
from ..handlers import Run

__all__ = ["Active", "mean_age"]


class Active:
    """One running job: the run that its handler sees, and what the engine keeps beside it."""

    __slots__ = ("began_at", "deadline_at", "entered", "nudged_at", "rules", "run", "task")

    def __init__(self, run: Run, rules: RetryRules, began_at: float, deadline_at: float) -> None:
        self.run = run
        self.rules = rules
        self.began_at = began_at
        """Monotonic instant of its start."""
        self.deadline_at = deadline_at
        """Monotonic instant at which it times out."""
        self.entered = False
        """Whether its task has taken its first step: one cancelled before that would end unheard."""
        self.nudged_at = float("inf")
        """When it was last asked to stop."""
        self.task: asyncio.Task[None] | None = None


def mean_age(running: Collection[Active], now: float) -> float:
    """For how many seconds these have run on the average, at this monotonic instant; 0 for none."""
    return sum([now - active.began_at for active in running]) / len(running) if running else 0.0
