"""What a worker has to do with the rest of its cluster, besides its own agent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["ALONE", "Border"]


@dataclass(frozen=True, slots=True)
class Border:
    """Two things that the worker of a cluster with agents is told by others, or tells them."""

    may_claim: Callable[[], bool]
    """Whether new work may be begun: the agent is neither being emptied nor was it given up, and the master
    keeps up with it."""
    stored: Callable[[], None]
    """Called when outcomes were stored on the agent, of which the master is to be told."""


ALONE = Border(lambda: True, lambda: None)
"""Of a worker whose agent is the master."""
