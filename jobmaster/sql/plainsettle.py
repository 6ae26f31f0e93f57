"""A settle of plain successes whose values are made before its transaction and read after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

from ..domain.job import ClaimedJob
from ..domain.verdict import StateChange

if TYPE_CHECKING:
    from .gateway import Tx

__all__ = ["PlainOutcome", "PlainSettle", "refused_of"]

PlainOutcome: TypeAlias = tuple[frozenset[UUID], list[ClaimedJob], datetime]
"""What was not owned any more, what was claimed along, and the store's present instant."""


@dataclass(frozen=True, slots=True)
class PlainSettle:
    """The parts of one settle. What is not done in its transaction holds up nobody else's."""

    run: Callable[[Tx], Any]
    """Settle and claim; may run several times."""
    read: Callable[[Any], PlainOutcome]
    """Read what the run that was committed has given."""
    whole: bool = False
    """Whether ``run`` begins and commits by itself; see :meth:`.Gateway.transaction`."""


def refused_of(changes: Sequence[StateChange], owned: Set[UUID]) -> frozenset[UUID]:
    """Which of these jobs, each of which is there once, were not owned any more."""
    if len(owned) == len(changes):
        # as always but after a loss; looking for ids in sets is slow, since they hash in Python
        return frozenset()
    return frozenset(c.job.id for c in changes if c.job.id not in owned)
