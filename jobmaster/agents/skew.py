"""Agents whose clock is not the master's.

Due-ness goes by the clock of the store that holds a job; everything else in a cluster speaks of the master's
time. So instants are converted where a job crosses the border of a store whose clock differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from ..domain.alike import kinds_of
from ..domain.job import ClaimedJob, Job, NewJob
from ..ports.transport import ClaimRequest

__all__ = ["LEAST", "Skew"]

LEAST = timedelta(milliseconds=100)
"""Clocks that differ by no more count as equal."""
_NONE = timedelta(0)


class Skew:
    """How far a store's clock is ahead of the master's; shared by the adapters of one store."""

    def __init__(self) -> None:
        self.ahead = _NONE

    def learn(self, store_now: datetime, master_now: datetime, uncertain_by: timedelta) -> None:
        """Both told the time at about the same moment, give or take ``uncertain_by``.

        A difference that changed by less than what counts at all is left as it was, so that instants
        which go out and come back do not wander.
        """
        ahead = store_now - master_now
        if abs(ahead - self.ahead) > LEAST + uncertain_by:
            self.ahead = ahead if abs(ahead) > LEAST + uncertain_by else _NONE

    def inward(self, instant: datetime) -> datetime:
        """By the store's clock."""
        return instant + self.ahead

    def outward(self, instant: datetime) -> datetime:
        """By the master's clock."""
        return instant - self.ahead

    def new_jobs(self, jobs: Sequence[NewJob]) -> Sequence[NewJob]:
        """On their way into the store."""
        if not self.ahead or all(job.run_at is None for job in kinds_of(jobs)):
            return jobs
        return [job if job.run_at is None else job._replace(run_at=self.inward(job.run_at)) for job in jobs]

    def claim(self, claim: ClaimRequest | None) -> ClaimRequest | None:
        """With its cursor by the store's clock."""
        if not self.ahead or claim is None or not claim.after:
            return claim
        after = {p: (self.inward(run_at), job_id) for p, (run_at, job_id) in claim.after.items()}
        return replace(claim, after=after)

    def claimed(self, jobs: list[ClaimedJob]) -> list[ClaimedJob]:
        """On their way out."""
        if not self.ahead:
            return jobs
        return [
            job._replace(run_at=self.outward(job.run_at), enqueued_at=self.outward(job.enqueued_at))
            for job in jobs
        ]

    def shown(self, job: Job) -> Job:
        """As users see it."""
        if not self.ahead:
            return job
        return replace(
            job, scheduled_at=self.outward(job.scheduled_at), enqueued_at=self.outward(job.enqueued_at)
        )
