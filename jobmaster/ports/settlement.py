"""Every change that ends, moves or frees a live job: one port, so that no other code settles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Literal, NamedTuple, Protocol, TypeAlias
from uuid import UUID

from ..domain.job import ClaimedJob, Job, NewJob
from ..domain.verdict import StateChange
from ..errors import ConfigurationError
from .transport import ClaimRequest

__all__ = ["CancelResult", "Keyed", "OnConflict", "Rescue", "Settled", "Settlement", "StoreElsewhere"]

OnConflict: TypeAlias = Literal["return", "raise", "replace"]


@dataclass(frozen=True, slots=True)
class Settled:
    """Answer to a settle: what was refused because the claim was not owned any more, what was claimed
    along with it, and the store's present instant."""

    refused: frozenset[UUID]
    claimed: list[ClaimedJob]
    now: datetime
    poisoned: Mapping[UUID, str] = field(default_factory=dict)
    """Changes that the store can never take, with what it said: their jobs are claimed as before, everything
    else was written. Settle them again without the text that it refuses."""


class CancelResult(Enum):
    """What a request to cancel met."""

    CANCELLED = "cancelled"
    """It waited: it is in the history now."""
    REQUESTED = "requested"
    """It is claimed: its worker is asked to stop it."""
    FINAL = "final"
    """It had ended before."""
    NOT_FOUND = "not_found"


class Keyed(NamedTuple):
    """What became of one job of a keyed enqueue: the id that now lives, and whether this call made it."""

    job_id: UUID
    inserted: bool
    run_at: datetime
    enqueued_at: datetime
    job: Job | None = None
    """The job that was there before, as the caller's transaction sees it now; from :meth:`enqueue_in` only,
    for nobody else can see what that transaction changed."""
    agent: str | None = None
    """The agent on which this call stored it; ``None`` for the master or a standalone database."""


class StoreElsewhere(ConfigurationError):
    """A caller's connection leads to another database than this store's."""


@dataclass(frozen=True, slots=True)
class Rescue:
    """What one pass of rescue did."""

    buckets: int
    """Lost buckets adopted and emptied."""
    released: int
    """Jobs that wait again."""
    failed: int
    """Jobs that failed as lost."""


class Settlement(Protocol):
    """Records what became of claimed jobs and gives their claims up."""

    @property
    def abreast(self) -> int:
        """How many calls of :meth:`settle` one worker may have under way at once: 2 where the store works on
        them side by side, 1 where the second would wait for the first."""
        ...

    @property
    def at_once(self) -> int | None:
        """How many calls of :meth:`settle` one process should have under way at once, however many workers it
        has; ``None``: any number."""
        ...

    def settle(self, changes: Sequence[StateChange], claim: ClaimRequest | None) -> Settled:
        """Write all changes whose claim is still owned, and claim new jobs, durable on return.

        A change that is not owned is refused and changes nothing. A claim needs its buckets active with a
        valid lease in the same transaction, else nothing is claimed. A claimed job that carries the
        ``recheck`` mark and has ended already is dropped. The hot path: one transaction, one commit.

        Either everything or nothing took effect when this raises, unless ``ambiguous`` is set.
        """
        ...

    def recheck(self, claims: Sequence[ClaimedJob]) -> list[ClaimedJob]:
        """Of these claims those that may run: one that carries the ``recheck`` mark and has ended, or whose
        live copy is elsewhere, is dropped; one about which nobody can be asked now is handed back."""
        ...

    def enqueue_keyed(self, jobs: Sequence[NewJob], on_conflict: OnConflict) -> list[Keyed]:
        """Insert jobs, some of which have a unique key, all or none, in order.

        While a live job has the key: ``return`` answers with that job, ``raise`` raises
        :class:`DuplicateJob` and inserts nothing, ``replace`` changes that job in place (data, metadata,
        due time, options) when it waits, and answers with it either way.
        """
        ...

    def enqueue_in(self, connection: object, jobs: Sequence[NewJob], on_conflict: OnConflict) -> list[Keyed]:
        """The same through the caller's own sync connection, inside its transaction, without commit.

        Raises :class:`StoreElsewhere` when that connection leads to another database, and
        ``ConfigurationError`` when it is of an unsupported kind, or asynchronous."""
        ...

    async def enqueue_in_async(
        self, connection: object, jobs: Sequence[NewJob], on_conflict: OnConflict
    ) -> list[Keyed]:
        """The same for asynchronous connections; takes sync ones too."""
        ...

    def cancel(self, job_id: UUID, reason: str) -> CancelResult:
        """Cancel a waiting job at once, or ask the worker of a claimed one. One that is on its way to another
        store is waited for, and not found once it has left; ``TransientStoreError`` when that takes too
        long."""
        ...

    def reschedule(self, job_id: UUID, run_at: datetime) -> bool:
        """Move a waiting job to another instant; ``False`` when no waiting job has this id. One that is on
        its way to another store is waited for, as in :meth:`cancel`."""
        ...

    def revive(self, job_id: UUID) -> bool:
        """Make a finished job live again under its own id, due now, failures and losses 0, attempt kept;
        recorded as an attempt ``retried``. ``False`` when the history has no such job. Raises
        :class:`DuplicateJob` when its unique key is taken by a live job."""
        ...

    def rescue(self, max_losses: int, limit: int = 500) -> Rescue:
        """Adopt buckets whose lease ran out, and claims whose bucket does not exist. Emptied ones are ready
        to be deleted, which the next rescue does.

        Their jobs wait again, charged by :func:`lost_verdict`; those over ``max_losses`` fail as ``lost``.
        A charged job counts one more run. Works through at most ``limit`` jobs per transaction and skips
        what another rescuer holds."""
        ...

    def clean(self, older_than: timedelta, limit: int = 1000) -> int:
        """Delete up to ``limit`` finished jobs, with their attempts, that ended longer ago. The number."""
        ...
