"""What a handler is given: the job it runs, and the means to talk back."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, cast
from uuid import UUID

from typing_extensions import TypeVar

from ..domain.occurrence import catchup_of
from ..domain.plaindata import PlainData
from ..domain.status import Priority
from .control import JobCancelled

if TYPE_CHECKING:
    from .run import Run

__all__ = ["JobContext"]

T = TypeVar("T", default=PlainData)


class _Undecoded:
    """The data was not asked for yet."""


_UNDECODED = _Undecoded()


class JobContext(Generic[T]):
    """The run of one job, as its handler sees it. ``JobContext[Model]`` has a ``Model`` as ``data``.

    All instants are aware UTC. Properties may be read, and methods without ``await`` called, from any
    thread.

    >>> class ResizeHandler(JobHandler[ResizeArgs], definition_id="resize"):      # doctest: +SKIP
    ...     def handle(self, job: JobContext[ResizeArgs]) -> str:
    ...         for number, tile in enumerate(tiles(job.data.url), start=1):
    ...             job.check_cancelled()
    ...             shrink(tile, job.data.width)
    ...             job.report_progress(number / 16, f"tile {number}")
    ...         return "done"
    """

    __slots__ = ("_data", "_run")

    def __init__(self, run: Run) -> None:
        self._run = run
        self._data: T | _Undecoded = _UNDECODED

    # -- the job ---------------------------------------------------------------------------------------

    @property
    def id(self) -> UUID:
        """The job's id."""
        return self._run.job.id

    @property
    def data(self) -> T:
        """The payload: the model, or a read-only ``dict`` with typed getters (:class:`PlainData`).

        Raises ``InvalidJob`` when the stored data does not fit the model.
        """
        data = self._data
        if data is _UNDECODED:
            data = self._data = self._run.bound.payload.decode(self._run.job.data)
        return cast(T, data)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The job's metadata, read-only; empty when there is none."""
        return self._run.bound.codecs.decode_mapping(self._run.job.metadata)

    @property
    def definition_id(self) -> str:
        """The id under which the handler is registered."""
        return self._run.job.definition_id

    @property
    def lane(self) -> str:
        """The lane the job was claimed from."""
        return self._run.job.lane

    @property
    def priority(self) -> Priority:
        """How urgent the job is."""
        return Priority(self._run.job.priority)

    @property
    def attempt(self) -> int:
        """Which run of the job this is, from 1."""
        return self._run.job.attempt + 1

    @property
    def failures(self) -> int:
        """How many runs before this one failed."""
        return self._run.job.failures

    @property
    def max_retries(self) -> int:
        """How many failures are retried: with 3, the fourth failure ends the job."""
        return self._run.max_retries

    @property
    def scheduled_at(self) -> datetime:
        """When the job was due."""
        return self._run.job.run_at

    @property
    def enqueued_at(self) -> datetime:
        """When the job was accepted."""
        return self._run.job.enqueued_at

    @property
    def started_at(self) -> datetime:
        """When this run began."""
        return self._run.started_at

    @property
    def deadline(self) -> datetime:
        """When this run times out."""
        return self._run.deadline

    @property
    def schedule_id(self) -> str | None:
        """The recurring schedule that made this job, if any."""
        return self._run.job.schedule_id

    @property
    def occurrence_at(self) -> datetime | None:
        """The instant that the schedule planned for this occurrence."""
        return self._run.job.occurrence_at

    @property
    def is_catchup(self) -> bool:
        """Whether the occurrence is run late, to make up for one that was missed."""
        return catchup_of(self._run.job.metadata)[0]

    @property
    def missed_count(self) -> int:
        """How many missed occurrences this run stands for, itself included if it was missed."""
        return catchup_of(self._run.job.metadata)[1]

    # -- where it runs ---------------------------------------------------------------------------------

    @property
    def cluster_id(self) -> str:
        """The cluster's name."""
        return self._run.site.cluster_id

    @property
    def agent_connection(self) -> str:
        """The agent connection that the job was claimed from."""
        return self._run.site.agent_connection

    @property
    def worker_id(self) -> UUID:
        """The worker that runs it."""
        return self._run.site.worker_id

    @property
    def scheduler(self) -> Any:
        """The cluster's scheduler, to enqueue more work. Not available with ``execution="process"``."""
        return self._run.site.scheduler

    @property
    def logger(self) -> logging.LoggerAdapter[logging.Logger]:
        """A logger whose records carry ``job_id``, ``definition_id`` and ``attempt``."""
        job = self._run.job
        extra = {"job_id": str(job.id), "definition_id": job.definition_id, "attempt": job.attempt + 1}
        return logging.LoggerAdapter(self._run.site.logger, extra)

    # -- talking back ----------------------------------------------------------------------------------

    @property
    def cancelled(self) -> bool:
        """Whether this run was asked to stop: cancelled, timed out, its worker stopping or its claim lost."""
        return self._run.cancel_reason is not None

    def check_cancelled(self) -> None:
        """Raise :class:`JobCancelled` when this run was asked to stop; for the loops of sync handlers."""
        reason = self._run.cancel_reason
        if reason is not None:
            raise JobCancelled(reason)

    async def progress(self, fraction: float, message: str = "") -> None:
        """Report how far the job is: ``fraction`` from 0 to 1, else ``ValueError``. Costs no I/O at once;
        it is stored with the worker's next sign of life, within seconds."""
        self._run.set_progress(fraction, message)

    def report_progress(self, fraction: float, message: str = "") -> None:
        """The same as :meth:`progress`, for sync code."""
        self._run.set_progress(fraction, message)

    def log(self, message: object) -> None:
        """Keep a line with this attempt, to be read through ``scheduler.attempts(job_id)``.

        At most 64 KiB per run; a note tells where it was cut.
        """
        self._run.write_log(str(message))

    def __repr__(self) -> str:
        job = self._run.job
        return f"<JobContext {job.definition_id!r} {job.id} attempt {job.attempt + 1}>"
