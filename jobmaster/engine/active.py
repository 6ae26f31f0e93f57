"""One job that runs, or is about to, in a slot of a worker."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from ..domain.verdict import RetryRules
from ..handlers import Run

__all__ = ["Active", "begun_before"]


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


def begun_before(running: Iterable[Active], instant: float) -> int:
    """How many of these have run since before this monotonic instant."""
    return sum([active.began_at < instant for active in running])
