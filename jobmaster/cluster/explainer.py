"""Says why a job is where it is."""

from __future__ import annotations

from datetime import datetime

from ..domain.durations import describe_duration
from ..domain.job import Job, JobExplanation, Reason
from ..domain.schedule import WAITS_ITS_TURN, ScheduleStatus
from ..domain.status import ClusterMode, JobStatus, WorkerMode
from ..errors import TransientStoreError
from ..ports import WorkerInfo
from .backend import Backend
from .whereabouts import explain_place

__all__ = ["Explainer"]


class Explainer:
    """Looks at a job, at the registry of workers and at the cluster's mode. Blocking."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def explain(self, job: Job) -> JobExplanation:
        """The reasons, the most telling first; never empty."""
        if job.status.is_final:
            reasons = [_end(job)]
        elif job.status.is_waiting:
            reasons = self._without_master(job) or self._waiting(job, self._backend.master.now())
        else:
            reasons = self._claimed(job)
        return JobExplanation(job.id, job.status, tuple(reasons))

    def _without_master(self, job: Job) -> list[Reason]:
        """While the master is away only the agent is known."""
        try:
            self._backend.refresh()
        except TransientStoreError as fault:
            if not self._backend.distributed:
                raise
            return [
                Reason("master_down", f"it is on agent {job.agent_connection!r}; the master is away: {fault}")
            ]
        return []

    def _waiting(self, job: Job, now: datetime) -> list[Reason]:
        reasons: list[Reason] = []
        if job.scheduled_at >= WAITS_ITS_TURN:
            return [self._turn(job)]
        if job.scheduled_at > now:
            left = describe_duration(job.scheduled_at - now)
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
        unserved = self._without_worker(job)
        reasons += unserved
        if self._backend.distributed:
            reasons += explain_place(self._backend, job, now, served=not unserved)
        if reasons:
            return reasons
        if job.losses:
            return [Reason("suspect", "it lost its worker before and waits to run alone in its priority")]
        busy = "it waits for a free slot, behind jobs of higher priority or earlier due time"
        return [Reason("waits_for_slot", busy)]

    def _turn(self, job: Job) -> Reason:
        """Why an occurrence waits that is due."""
        schedule = self._backend.schedules.get(job.schedule_id or "")
        if schedule is not None and schedule.status is ScheduleStatus.PAUSED:
            return Reason(
                "schedule_paused", f"it waits for its turn, and its schedule {job.schedule_id!r} is paused"
            )
        return Reason(
            "waits_its_turn", f"it begins when the runs of schedule {job.schedule_id!r} before it have ended"
        )

    def _without_worker(self, job: Job) -> list[Reason]:
        runners = [
            worker
            for worker in self._backend.master.workers()
            if worker.alive and worker.mode in (WorkerMode.FULL, WorkerMode.EXECUTION)
        ]
        here = [worker for worker in runners if worker.lane == job.lane]
        if not runners:
            return [Reason("no_worker", "no worker of this cluster is alive")]
        if not here:
            lanes = ", ".join(sorted({repr(worker.lane) for worker in runners}))
            text = f"no live worker serves lane {job.lane!r}; there are workers on {lanes}"
            return [Reason("no_worker_on_lane", text)]
        if all(job.definition_id in worker.unknown_definitions for worker in here):
            return [
                Reason(
                    "unknown_handler",
                    f"no live worker of lane {job.lane!r} knows definition id {job.definition_id!r}",
                )
            ]
        return []

    def _claimed(self, job: Job) -> list[Reason]:
        owner = self._owner(job)
        if job.status is JobStatus.PROCESSING and job.started_at is not None:
            since = job.started_at.isoformat(timespec="seconds")
            reasons = [Reason("running", f"{owner} runs it since {since}")]
        else:
            reasons = [Reason("claimed", f"{owner} has claimed it and starts it as soon as a slot is free")]
        if job.progress is not None:
            text = f" ({job.progress.message})" if job.progress.message else ""
            reasons.append(Reason("progress", f"it is {job.progress.fraction:.0%} done{text}"))
        return reasons

    def _owner(self, job: Job) -> str:
        known: list[WorkerInfo] = [w for w in self._backend.master.workers() if w.id == job.worker_id]
        if not known:
            return f"worker {job.worker_id}"
        worker = known[0]
        gone = "" if worker.alive else ", which was not seen lately; its jobs are rescued when its lease ends"
        return f"worker {worker.name!r} on {worker.host} (pid {worker.pid}){gone}"


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
