"""Why a waiting job is on the master, or on the agent where it is."""

from __future__ import annotations

from datetime import datetime

from ..domain.durations import describe_duration
from ..domain.job import Job, Reason
from ..domain.status import JobStatus
from ..errors import ConfigurationError, StoreError
from .backend import Backend

__all__ = ["explain_place"]


def explain_place(backend: Backend, job: Job, now: datetime, *, served: bool) -> list[Reason]:
    """The reasons that have to do with the place where a job waits; none when it may be claimed there.
    ``served``: some live worker serves its lane."""
    if job.status is JobStatus.HELD_ON_MASTER:
        return _held(backend, job, now, served)
    name = job.agent_connection
    if name is None or name not in backend.agents:
        return [Reason("unknown_agent", f"it is on agent {name!r}, which is not configured here")]
    reasons: list[Reason] = []
    if backend.roster.is_draining(name):
        reasons.append(Reason("agent_draining", f"agent {name!r} is being emptied: it is moved elsewhere"))
    silence = _silence(backend, name, job)
    if silence is not None:
        reasons.insert(0, Reason("agent_down", f"it is on agent {name!r}, which does not answer: {silence}"))
    serving = backend.roster.serving(job.lane)
    if not reasons and serving and name not in serving:
        others = ", ".join(repr(other) for other in sorted(serving))
        text = (
            f"no live worker serves lane {job.lane!r} on agent {name!r}: it is moved to {others} when that "
            "has lasted a minute"
        )
        reasons.append(Reason("no_worker_on_agent", text))
    return reasons


def _silence(backend: Backend, name: str, job: Job) -> str | None:
    """Why an agent does not answer, if it does not; one that said nothing a moment ago is not asked again."""
    silence = backend.silence(name)
    if silence is None:
        try:
            backend.agent(name).reader.get_job(job.id)
        except (StoreError, ConfigurationError) as fault:
            silence = str(fault)
            backend.silent(name, fault)
    return silence


def _held(backend: Backend, job: Job, now: datetime, served: bool) -> list[Reason]:
    roster = backend.roster
    serving = roster.serving(job.lane)
    reasons: list[Reason] = []
    places = [job.agent_connection] if job.agent_connection in backend.agents else list(serving)
    threshold = max((backend.ahead_of(name or "") for name in places), default=backend.threshold)
    if job.scheduled_at - now > threshold:
        text = f"it is held on the master until {describe_duration(threshold)} before it is due"
        reasons.append(Reason("beyond_threshold", text))
    if not roster.coordinated:
        text = (
            "no live worker of mode full or coordinator places held jobs on agents: start one, for instance "
            "with add_worker()"
        )
        reasons.append(Reason("no_coordinator", text))
    wanted = job.agent_connection
    if wanted is not None and wanted not in serving:
        why = "is being emptied" if roster.is_draining(wanted) else "has no live worker for its lane"
        text = f"it was asked for agent {wanted!r}, which {why}"
        reasons.append(Reason("agent_unavailable", text))
    down = [name for name in serving if roster.is_down(name)]
    if serving and len(down) == len(serving):
        shown = ", ".join(map(repr, down))
        reasons.append(Reason("agents_down", f"the agents that serve its lane do not answer: {shown}"))
    if not reasons and not serving and served:
        text = "the agents that serve its lane are being emptied, or are not configured here"
        reasons.append(Reason("no_agent_on_lane", text))
    if not reasons and serving:
        reasons.append(Reason("being_placed", "it is given to an agent within seconds"))
    return reasons
