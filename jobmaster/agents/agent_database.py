"""Settlement on an SQL agent whose master is another database.

Everything that ends, frees or hands back a claim happens on the agent, in one transaction, as in a standalone
database; what has ended lies in the agent's outbox until it is shipped (see :mod:`.moves`). The master is
asked only about claims that may be of a copy that is not the live one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from ..domain.copies import AgentKey
from ..domain.job import ClaimedJob, NewJob
from ..domain.verdict import StateChange, hand_back
from ..errors import ConfigurationError, StoreError, TransientStoreError
from ..ports.master import MasterStore
from ..ports.settlement import Keyed, OnConflict, Settled
from ..ports.transport import ClaimRequest
from ..sql.database import Database
from .same_database import SameDatabaseSettlement
from .skew import Skew

__all__ = ["AgentDatabaseSettlement"]

_PATIENCE = 0.5
"""Seconds for which the master is asked about claims: all that was claimed with them waits meanwhile."""
_SILENT_FOR, _SILENT_AT_MOST = 1.0, 10.0
"""Seconds for which a master that did not answer is not asked again: twice as long each time."""


class AgentDatabaseSettlement(SameDatabaseSettlement):
    """``Settlement`` on an agent; ``master`` decides about claims that carry the ``recheck`` mark."""

    def __init__(
        self,
        database: Database,
        master: MasterStore,
        skew: Skew,
        settle_timeout: float | None,
        logger: logging.Logger,
    ) -> None:
        super().__init__(database, settle_timeout)
        self._master = master
        self._skew = skew
        self._logger = logger
        self._silence = _SILENT_FOR
        self._silent_until = float("-inf")

    def settle(self, changes: Sequence[StateChange], claim: ClaimRequest | None) -> Settled:
        settled = super().settle(changes, self._skew.claim(claim))
        claimed = self._skew.claimed(settled.claimed)
        if any(job.recheck for job in claimed):
            try:
                claimed = self._live_ones(claimed)
            except StoreError as fault:
                # What was settled is settled; the caller reads its claims back and asks about them again.
                raise TransientStoreError(str(fault), ambiguous=True) from fault
        return replace(settled, claimed=claimed, now=self._skew.outward(settled.now))

    def recheck(self, claims: Sequence[ClaimedJob]) -> list[ClaimedJob]:
        return self._live_ones(super().recheck(claims))

    def _live_ones(self, claims: Sequence[ClaimedJob]) -> list[ClaimedJob]:
        doubtful = [job for job in claims if job.recheck]
        if not doubtful:
            return list(claims)
        if (left := self._silent_until - time.monotonic()) > 0:
            return self._put_off(claims, left)
        key = AgentKey(self._database.name, self._database.store_id)
        try:
            stale = self._master.stale(key, [job.id for job in doubtful], _PATIENCE)
        except TransientStoreError as fault:
            self._logger.info("%d claims wait for the master to be checked: %s", len(doubtful), fault)
            pause = self._silence
            self._silence = min(2 * pause, _SILENT_AT_MOST)
            self._silent_until = time.monotonic() + pause
            return self._put_off(claims, pause)
        self._silence = _SILENT_FOR
        if stale:
            self._logger.info("%d claims were of copies that live elsewhere or have ended", len(stale))
            self._drop([job for job in doubtful if job.id in stale])
        return [job for job in claims if job.id not in stale]

    def _put_off(self, claims: Sequence[ClaimedJob], seconds: float) -> list[ClaimedJob]:
        """Hand back, for so long, what only the master can say about."""
        delay = timedelta(seconds=seconds + _PATIENCE)
        super().settle([hand_back(job)._replace(delay=delay) for job in claims if job.recheck], None)
        return [job for job in claims if not job.recheck]

    def reschedule(self, job_id: UUID, run_at: datetime) -> bool:
        return super().reschedule(job_id, self._skew.inward(run_at))

    def enqueue_keyed(self, jobs: Sequence[NewJob], on_conflict: OnConflict) -> list[Keyed]:
        raise ConfigurationError(
            "unique keys are unique in the whole cluster: such jobs begin on the master, not on agent "
            f"{self._database.name!r}"
        )

    def enqueue_in(self, connection: object, jobs: Sequence[NewJob], on_conflict: OnConflict) -> list[Keyed]:
        self._refuse(jobs)
        return super().enqueue_in(connection, list(self._skew.new_jobs(jobs)), on_conflict)

    async def enqueue_in_async(
        self, connection: object, jobs: Sequence[NewJob], on_conflict: OnConflict
    ) -> list[Keyed]:
        self._refuse(jobs)
        return await super().enqueue_in_async(connection, list(self._skew.new_jobs(jobs)), on_conflict)

    def _refuse(self, jobs: Sequence[NewJob]) -> None:
        here = self._database.name
        for job in jobs:
            if job.agent not in (None, here):
                raise ConfigurationError(
                    f"connection= leads to agent {here!r}, and agent_connection asks for {job.agent!r}"
                )
        if any(job.unique_key is not None for job in jobs):
            raise ConfigurationError(
                f"connection= leads to agent {self._database.name!r}, and unique_key needs the master, where "
                "keys are unique in the whole cluster: leave one of the two out, or pass a connection to the "
                "master"
            )

    def revive(self, job_id: UUID) -> bool:
        """Never here: what has ended belongs to the master."""
        return False

    def clean(self, older_than: timedelta, limit: int = 1000) -> int:
        """Never here: what has ended here is on its way to the master."""
        return 0
