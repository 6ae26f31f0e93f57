"""One job that runs, or is about to, in a slot of a worker."""

from __future__ import annotations

import asyncio

from ..domain.verdict import RetryRules
from ..handlers import Run

__all__ = ["Active"]


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
