"""Says why a job is where it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from ..domain.durations import describe_about
from ..domain.job import Job, JobExplanation, Reason
from ..domain.status import ClusterMode, JobStatus, WorkerMode
from ..errors import TransientStoreError
from ..ports import WorkerInfo
from .answering import answering
from .backend import Backend
from .whereabouts import explain_place

__all__ = ["Explainer"]

_PUT_OFF = timedelta(seconds=60)
"""How long a job waits at most until a worker is asked again that does not know its definition id."""


class Explainer:
    """Looks at a job, at the registry of workers and at the cluster's mode. Blocking."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def explain(self, job: Job) -> JobExplanation:
        """The reasons, the most telling first; never empty. ``TransportUnavailable`` when the only database
        of a standalone cluster does not answer."""
        if job.status.is_final:
            reasons = [_end(job)]
        else:
            reasons = self._live(job)
        return JobExplanation(job.id, job.status, tuple(reasons))

    def _live(self, job: Job) -> list[Reason]:
        look = self._waiting if job.status.is_waiting else self._claimed
        with answering(f"job {job.id} is {job.status.value.replace('_', ' ')}, and why cannot be told"):
            try:
                self._backend.refresh()
                return look(job, self._backend.master.workers())
            except TransientStoreError as fault:
                if not self._backend.distributed:
                    raise
                # while the master is away only the agent is known
                known = [] if job.status.is_waiting else self._claimed(job, [])
                text = f"it is on agent {job.agent_connection!r}; the master is away: {fault}"
                return [*known, Reason("master_down", text)]

    def _waiting(self, job: Job, workers: Sequence[WorkerInfo]) -> list[Reason]:
        now = self._backend.master.now()
        unserved = self._without_worker(job, workers)
        # each worker that does not know it puts it off by a little, which is not when it is due
        unknown = [reason for reason in unserved if reason.code == "unknown_handler"]
        reasons = [*unknown]
        if job.scheduled_at > now and not (unknown and job.scheduled_at - now <= _PUT_OFF):
            left = describe_about(job.scheduled_at - now)
            reasons.append(
                Reason("not_due", f"it is due at {job.scheduled_at.isoformat(timespec='seconds')}, in {left}")
            )
        if job.status is JobStatus.RETRYING:
            times = "once" if job.failures == 1 else f"{job.failures} times"
            reasons.append(Reason("retrying", f"it failed {times} and waits for its next run"))
        mode = self._backend.limits.mode
        if mode is ClusterMode.PASSIVE:
            reasons.append(Reason("cluster_passive", "the cluster is passive: it accepts jobs and runs none"))
        if mode is ClusterMode.ARCHIVED:
            reasons.append(Reason("cluster_archived", "the cluster is archived: it runs nothing"))
        reasons += [reason for reason in unserved if reason not in unknown]
        if self._backend.distributed:
            reasons += explain_place(self._backend, job, now, served=not unserved)
        if reasons:
            return reasons
        if job.losses:
            return [Reason("suspect", "it lost its worker before and waits to run alone in its priority")]
        busy = "it waits for a free slot, behind jobs of higher priority or earlier due time"
        return [Reason("waits_for_slot", busy)]

    def _without_worker(self, job: Job, workers: Sequence[WorkerInfo]) -> list[Reason]:
        runners = [
            worker
            for worker in workers
            if worker.alive and worker.mode in (WorkerMode.FULL, WorkerMode.EXECUTION)
        ]
        here = [worker for worker in runners if worker.lane == job.lane]
        if not runners:
            return [Reason("no_worker", "no worker of this cluster is alive")]
        if not here:
            lanes = ", ".join(sorted({repr(worker.lane) for worker in runners}))
            text = f"no live worker serves lane {job.lane!r}; there are workers on {lanes}"
            return [Reason("no_worker_on_lane", text)]
        where = f"lane {job.lane!r}"
        if self._backend.distributed and job.status is not JobStatus.HELD_ON_MASTER:
            # only those on its agent can meet it
            here = [worker for worker in here if worker.agent_connection == job.agent_connection]
            where += f" on agent {job.agent_connection!r}"
        if here and all(job.definition_id in worker.unknown_definitions for worker in here):
            text = f"no live worker of {where} knows definition id {job.definition_id!r}"
            return [Reason("unknown_handler", text)]
        return []

    def _claimed(self, job: Job, workers: Sequence[WorkerInfo]) -> list[Reason]:
        worker = next((worker for worker in workers if worker.id == job.worker_id), None)
        owner = f"worker {job.worker_id}"
        if worker is not None:
            owner = f"worker {worker.name!r} on {worker.host} (pid {worker.pid})"
        gone = worker is not None and not worker.alive
        lost = ", but was not seen lately: it runs elsewhere when the lease of that worker has ended"
        if job.status is JobStatus.PROCESSING and job.started_at is not None:
            since = job.started_at.isoformat(timespec="seconds")
            reasons = [Reason("running", f"{owner} runs it since {since}{lost if gone else ''}")]
        else:
            soon = lost if gone else " and starts it as soon as a slot is free"
            reasons = [Reason("claimed", f"{owner} has claimed it{soon}")]
        if job.progress is not None:
            text = f" ({job.progress.message})" if job.progress.message else ""
            reasons.append(Reason("progress", f"it is {job.progress.fraction:.0%} done{text}"))
        return reasons


def _end(job: Job) -> Reason:
    at = job.finished_at.isoformat(timespec="seconds") if job.finished_at else "an unknown time"
    runs = "1 run" if job.attempt == 1 else f"{job.attempt} runs"
    match job.status:
        case JobStatus.SUCCEEDED:
            return Reason("succeeded", f"it succeeded at {at} after {runs}")
        case JobStatus.CANCELLED:
            return Reason("cancelled", f"it was cancelled at {at} after {runs}")
        case _:
            return Reason("failed", f"it failed at {at} after {runs}: {job.error}")
