"""Compares what was expected of a demonstration with what the store says at its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from ...domain.job import Job
from ...domain.status import JobStatus
from .scenario import DELAY, Run

if TYPE_CHECKING:
    from ...cluster.scheduler import Scheduler

__all__ = ["Line", "Outcome", "examine"]

_UNREADABLE = "cannot be read"
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the closing table."""

    what: str
    expected: str
    seen: str
    ok: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """The closing table, and what the file jobs found together."""

    lines: tuple[Line, ...]
    total_bytes: int
    total_lines: int
    troubles: tuple[str, ...]
    """A few files that could not be read, with the reason."""

    @property
    def ok(self) -> bool:
        """Whether everything ended as expected."""
        return all(line.ok for line in self.lines)


def examine(scheduler: Scheduler, run: Run) -> Outcome:
    """Ask the store about every job of the run."""
    files, lines, size, troubles = _files(scheduler, run)
    special = [
        _stumbling(scheduler, run.stumbling),
        _too_long(scheduler, run.too_long),
        _cancelled(scheduler, run.cancelled),
        _late(scheduler, run.late),
    ]
    rest = [_leftovers(run)] if run.leftovers or run.still_live else []
    return Outcome((*files, *special, *rest), size, lines, tuple(troubles[:_SHOWN]))


def _files(scheduler: Scheduler, run: Run) -> tuple[list[Line], int, int, list[str]]:
    counts: Counter[str] = Counter()
    size = lines = 0
    troubles: list[str] = []
    for job in _jobs_about_files(scheduler, run):
        path = job.data["path"]
        if job.status is JobStatus.SUCCEEDED:
            counts["succeeded"] += 1
            size += job.result["size"]
            lines += job.result["lines"]
        elif job.status is JobStatus.FAILED and job.error is not None and _UNREADABLE in job.error.message:
            counts["unreadable"] += 1
            troubles.append(f"{path}: {job.error.message}")
        else:
            counts["other"] += 1
            troubles.insert(0, f"{path}: {job.status.value}, {job.error}")
    unreadable = sum(entry.obstacle is not None for entry in run.files)
    readable = len(run.files) - unreadable
    ended = counts["succeeded"] + counts["unreadable"]
    # a file may vanish, or become readable, between the look at the directory and the run of its job
    changed = abs(counts["unreadable"] - unreadable)
    all_told = ended == len(run.files) and not counts["other"] and counts["succeeded"] + changed >= readable
    seen = f"{counts['succeeded']:,} succeeded"
    if missing := len(run.files) - ended:
        seen += f", {missing:,} did not end as they should"
    elif counts["succeeded"] < readable:
        seen += f", {readable - counts['succeeded']:,} could not be read any more"
    rows = [
        Line(f"{readable:,} file{'' if readable == 1 else 's'}", f"{readable:,} succeeded", seen, all_told)
    ]
    if unreadable or counts["unreadable"]:
        told = f"{counts['unreadable']:,} failed, with the reason"
        rows.append(
            Line(
                f"{unreadable:,} that cannot be read",
                f"{unreadable:,} failed, with the reason",
                told,
                all_told,
            )
        )
    return rows, lines, size, troubles


def _jobs_about_files(scheduler: Scheduler, run: Run) -> Iterator[Job]:
    cursor = None
    while True:
        page = scheduler.find_jobs(
            definition_id="demo.inspect-file", metadata={"run": run.id}, limit=1000, cursor=cursor
        )
        yield from page
        cursor = page.next_cursor
        if cursor is None:
            return


def _stumbling(scheduler: Scheduler, job_id: UUID | None) -> Line:
    what, expected = "one that fails twice", "succeeded at run 3, 2 failures"
    job = _job(scheduler, job_id)
    if job is None:
        return Line(what, expected, "not enqueued", False)
    plural = "" if job.failures == 1 else "s"
    seen = f"{job.status.value} at run {job.attempt}, {job.failures} failure{plural}"
    return Line(what, expected, seen, seen == expected)


def _too_long(scheduler: Scheduler, job_id: UUID | None) -> Line:
    what, expected = "one that takes too long", "failed: timed out after 1 s"
    job = _job(scheduler, job_id)
    if job is None:
        return Line(what, expected, "not enqueued", False)
    seen = f"{job.status.value}: {job.error}"
    return Line(what, expected, seen, seen == expected)


def _cancelled(scheduler: Scheduler, job_id: UUID | None) -> Line:
    what, expected = "one that is cancelled", "cancelled while it ran"
    job = _job(scheduler, job_id)
    if job is None:
        return Line(what, expected, "not enqueued", False)
    if job.status is not JobStatus.CANCELLED:
        return Line(what, expected, job.status.value, False)
    return Line(what, expected, "cancelled while it ran" if job.attempt else "cancelled before it ran", True)


def _late(scheduler: Scheduler, job_id: UUID | None) -> Line:
    what, expected = "one that is delayed", f"succeeded, {DELAY:g} s after it was enqueued or later"
    job = _job(scheduler, job_id)
    if job is None:
        return Line(what, expected, "not enqueued", False)
    if job.started_at is None:
        return Line(what, expected, job.status.value, False)
    waited = (job.started_at - job.enqueued_at).total_seconds()
    ok = job.status is JobStatus.SUCCEEDED and waited >= DELAY - 0.05
    return Line(what, expected, f"{job.status.value} after {waited:.3f} s", ok)


def _leftovers(run: Run) -> Line:
    seen = "all ended" if not run.still_live else f"{run.still_live:,} jobs still wait or run"
    return Line(f"{run.leftovers:,} left by an earlier run", "all ended", seen, not run.still_live)


def _job(scheduler: Scheduler, job_id: UUID | None) -> Job | None:
    return None if job_id is None else scheduler.get_job(job_id)
