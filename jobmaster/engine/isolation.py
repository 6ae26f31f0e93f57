"""Runs a job that lost its worker before alone in its bucket, so that the next death is charged exactly.

A bucket holds many jobs, and one of them may have killed the process. The first loss is charged to all of
them. From then on such a *suspect* starts only after its start mark is stored, and nothing else of its bucket
runs beside it; so a poison job fails as lost after ``max_losses`` + 1 runs, while an innocent neighbour is
charged once at most. The price is that the suspects of one bucket run one after the other: more buckets per
priority (``bucket_quantity``), or more workers, let more of them run at once.

A worker starts what it claims in order: of the jobs that one left behind, the first were running when it
died, and the last most likely had not begun. So suspects are gathered until no more come in, and the last
goes first; it waits neither for what was long under way nor for the one that kills.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from uuid import UUID

from ..domain.job import ClaimedJob
from ..domain.verdict import StateChange

__all__ = ["Isolation"]

_ROUNDS = 8
"""Claims over which suspects are gathered at most: others may bring work for ever."""


class Isolation:
    """Keeps account, per bucket, of what must run alone, and what has to wait for that. ``runs_in`` tells
    whether anything runs in a bucket, or waits in a slot to run; it is asked about suspects only."""

    def __init__(self, runs_in: Callable[[UUID], bool]) -> None:
        self._runs_in = runs_in
        self.alone: set[UUID] = set()
        """Buckets in which a suspect runs, waits to run, or has an outcome that is not stored yet."""
        self._unsettled: dict[UUID, UUID] = {}
        """Suspects that ran and whose outcome is not stored yet, with their buckets."""
        self._parked: dict[UUID, list[ClaimedJob]] = {}
        self._gathered: list[ClaimedJob] = []
        self._rounds = 0

    @property
    def closed(self) -> frozenset[UUID]:
        """Buckets that start nothing at present."""
        return frozenset(self.alone)

    @property
    def parked(self) -> list[ClaimedJob]:
        """Jobs that wait for a suspect of their bucket, in order, and suspects that are being gathered."""
        return [*(job for jobs in self._parked.values() for job in jobs), *self._gathered]

    @property
    def gathering(self) -> bool:
        """Whether suspects wait for others to come in."""
        return bool(self._gathered)

    def gather(self, suspects: Sequence[ClaimedJob]) -> None:
        """Keep what one claim brought until :meth:`gathered`."""
        self._gathered += suspects
        self._rounds += 1

    def gathered(self, *, more: bool) -> list[ClaimedJob]:
        """The suspects gathered so far, in the order in which they are to run: those lost least often first,
        among them the last first. None while ``more`` are likely to come in soon."""
        if more and self._rounds < _ROUNDS:
            return []
        found, self._gathered, self._rounds = self._gathered, [], 0
        found.reverse()
        found.sort(key=lambda job: job.losses)
        return found

    def admit(self, job: ClaimedJob) -> bool:
        """Whether the job may start now; otherwise it is parked here until :meth:`released` gives it out."""
        if not job.losses and not self.alone:
            return True
        bucket = job.bucket_id
        if bucket not in self.alone:
            if not job.losses:
                return True
            self.alone.add(bucket)
            if not self._runs_in(bucket):
                return True
        self._parked.setdefault(bucket, []).append(job)
        return False

    def ended(self, job: ClaimedJob, *, ran: bool) -> Sequence[ClaimedJob]:
        """The job left its slot; ``ran`` says whether its handler had begun. What may go on now, in order.

        The mark of a suspect says "ran" until its outcome is stored, so the bucket stays closed until then.
        """
        if not self.alone or job.bucket_id not in self.alone or self._runs_in(job.bucket_id):
            return ()
        if job.losses and ran:
            self._unsettled[job.id] = job.bucket_id
            return ()
        return self._open(job.bucket_id)

    def settled(self, changes: Iterable[StateChange]) -> list[ClaimedJob]:
        """These verdicts are stored, or refused for good. What may go on now, in order."""
        freed: list[ClaimedJob] = []
        if self._unsettled:
            for change in changes:
                bucket = self._unsettled.pop(change.job.id, None)
                if bucket is not None and not self._runs_in(bucket):
                    freed += self._open(bucket)
        return freed

    def withdraw(self, job_id: UUID) -> ClaimedJob | None:
        """Take a parked job out."""
        for jobs in (*self._parked.values(), self._gathered):
            for job in jobs:
                if job.id == job_id:
                    jobs.remove(job)
                    return job
        return None

    def spare(self, count: int) -> list[ClaimedJob]:
        """Take out up to this many of the parked jobs that are no suspects, the last ones first."""
        found: list[ClaimedJob] = []
        for bucket, jobs in self._parked.items():
            kept: list[ClaimedJob] = []
            for job in reversed(jobs):
                (kept if job.losses or len(found) >= count else found).append(job)
            self._parked[bucket] = kept[::-1]
        return found

    def forget(self) -> None:
        """The claims are no longer owned: nothing waits and nothing is to be stored any more."""
        self._parked.clear()
        self._gathered.clear()
        self._unsettled.clear()
        self.alone = {bucket for bucket in self.alone if self._runs_in(bucket)}

    def _open(self, bucket: UUID) -> list[ClaimedJob]:
        self.alone.discard(bucket)
        return self._parked.pop(bucket, [])
