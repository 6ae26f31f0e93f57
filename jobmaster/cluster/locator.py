"""Finds jobs wherever in the cluster they are: on the master, on an agent, or on the way between them."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import NamedTuple, TypeVar
from uuid import UUID

from ..domain.copies import JobCopy, Shipment
from ..domain.ids import uuid7
from ..domain.job import Attempt, Job, JobFilter, NewJob
from ..domain.status import JobStatus
from ..engine.mover import move
from ..errors import ConfigurationError, StoreError, TransientStoreError, TransportUnavailable
from ..ports import QueueDepth, TakeRequest
from .answering import answering
from .backend import Agent, Backend

__all__ = ["Found", "Locator"]

T = TypeVar("T")
_MILLISECOND = timedelta(milliseconds=1)
_SHIPPED = 1000
_MOST_OUTCOMES = 20_000
"""Outcomes of an agent on their way to the master that a count looks at."""


class Found(NamedTuple):
    """A job, if there is one, and where it is to be changed. ``silence`` says why that store does not answer;
    the job is then what the master knows of it."""

    job: Job | None
    home: Agent
    silence: str | None = None


class Locator:
    """Reads of the whole cluster as one. In a standalone cluster the master knows everything. Blocking."""

    def __init__(self, backend: Backend, logger: logging.Logger) -> None:
        self._backend = backend
        self._logger = logger
        self._id = uuid7()

    # -- one job ---------------------------------------------------------------------------------------

    def get(self, job_id: UUID) -> Job | None:
        """The job as the store says on which it lives; raises what :meth:`locate` raises."""
        return self.locate(job_id).job

    def locate(self, job_id: UUID) -> Found:
        """The job, and the store that is to be asked to change it.

        Whoever does not answer is asked once, and not at all when that was a moment ago. Raises
        ``TransportUnavailable`` when the job may be where nobody answers."""
        backend = self._backend
        away: dict[str, str] = {}
        # Again, because a job may move from one store to another between the looks.
        for last_look in (False, False, True):
            known, master_fault = self._on_master(job_id)
            if not backend.distributed and master_fault is None:
                return Found(known, backend.held)
            if known is not None and not self._lives_on_agent(known):
                return Found(known, backend.held)
            for name in self._candidates(known):
                if name in away:
                    continue
                agent, found = self._look_on(name, job_id, away)
                if found is not None:
                    return Found(found, agent)
            home = known.agent_connection if known is not None else None
            if home is not None and (last_look or home in away):
                # on its way there, or the agent does not answer: what the master knows has to do
                return Found(known, backend.agents[home], away.get(home))
            if master_fault is not None:
                raise self._nowhere(job_id, away, master_fault)
        if away:
            raise self._nowhere(job_id, away, None)
        return Found(None, backend.held)

    def _nowhere(
        self, job_id: UUID, away: dict[str, str], master_fault: TransientStoreError | None
    ) -> TransportUnavailable:
        silent = [f"agent {name!r} ({fault})" for name, fault in away.items()]
        if master_fault is not None:
            master = "the master" if self._backend.distributed else "the database"
            silent.insert(0, f"{master} ({master_fault})")
        return TransportUnavailable(
            f"job {job_id} cannot be looked up, since it may be where nobody answers: {'; '.join(silent)}"
        )

    def _lives_on_agent(self, job: Job) -> bool:
        """Whether the master's row is the mirror of a job on an agent of this configuration."""
        waits = job.status in (JobStatus.READY, JobStatus.RETRYING)
        return waits and job.agent_connection in self._backend.agents

    def _on_master(self, job_id: UUID) -> tuple[Job | None, TransientStoreError | None]:
        if not self._backend.is_open:
            return None, TransientStoreError("it could not be opened yet")
        try:
            return self._backend.master.get_job(job_id), None
        except TransientStoreError as fault:
            return None, fault

    def _candidates(self, known: Job | None) -> list[str]:
        """The agents that may have a job: none that was given up, and last those known to be away."""
        if not self._backend.distributed:
            return []
        if known is not None:
            return [known.agent_connection or ""]
        roster = self._backend.roster
        return sorted(
            (name for name in self._backend.agents if not roster.is_forgotten(name)), key=roster.is_down
        )

    def _look_on(self, name: str, job_id: UUID, away: dict[str, str]) -> tuple[Agent, Job | None]:
        """What an agent says of a job; one that cannot be asked is noted in ``away``."""
        backend = self._backend
        agent = backend.agents[name]
        silence = backend.silence(name)
        if silence is not None:
            away[name] = silence
            return agent, None
        try:
            backend.agent(name)
            return agent, agent.reader.get_job(job_id)
        except (StoreError, ConfigurationError) as fault:
            # a store that is not the one meant, or refuses us, is as far away as one that is silent
            self._quiet(agent, fault)
            away[name] = str(fault)
            return agent, None

    def _ask(self, agent: Agent, question: Callable[[], T]) -> T | None:
        try:
            return question()
        except StoreError as fault:
            self._quiet(agent, fault)
            return None

    def _quiet(self, agent: Agent, fault: Exception) -> None:
        self._backend.silent(agent.name, fault)
        self._logger.debug("agent %r does not answer: %s", agent.name, fault)

    def attempts(self, job_id: UUID) -> list[Attempt]:
        """Its recorded runs, oldest first, those included that the master has not been told of yet."""
        found = self._backend.master.attempts(job_id)
        if self._backend.distributed:
            for agent in self._backend.reachable():
                told = self._ask(agent, partial(agent.reader.attempts, job_id))
                found += [attempt for attempt in told or () if attempt not in found]
            found.sort(key=lambda attempt: attempt.number)
        return found

    # -- many jobs -------------------------------------------------------------------------------------

    def find(self, criteria: JobFilter, limit: int, after: UUID | None) -> list[Job]:
        """Newest first, each job once."""
        backend = self._backend
        if not backend.distributed:
            return backend.master.find_jobs(criteria, limit, after)
        agents = backend.reachable()
        parts: list[Sequence[Job]] = []
        asked: list[Agent] = []
        # A job may move between the looks, from the master to an agent or back. The master is asked before
        # and after: whichever way it goes, one of the looks meets it.
        live, _ = _split(criteria)
        leaving = [] if live is None else backend.master.find_jobs(live, limit, after, _ids(agents))
        for agent in agents:
            part = self._ask(agent, partial(agent.reader.find_jobs, criteria, limit, after))
            if part is not None:
                parts.append(part)
                asked.append(agent)
        parts += [backend.master.find_jobs(criteria, limit, after, _ids(asked)), leaving]
        best: dict[UUID, Job] = {}
        for job in heapq.merge(*parts, key=lambda job: job.id, reverse=True):
            before = best.get(job.id)
            if before is None and len(best) >= limit:
                break
            if before is None or job.status.is_final:
                best[job.id] = job
        return list(best.values())

    def count(self, criteria: JobFilter) -> int:
        """How many jobs fit, each counted once; while jobs move between master and agents, give or take those
        on the way. One that is placed on an agent meanwhile is left out only if another comes back."""
        backend, master = self._backend, self._backend.master
        if not backend.distributed:
            return master.count_jobs(criteria)
        live, final = _split(criteria)
        total = 0
        agents = backend.reachable()
        asked: list[Agent] = []
        ended: list[UUID] = []
        # The master is asked before and after, as in :meth:`find`.
        leaving = 0 if live is None else master.count_jobs(live, _ids(agents))
        for agent in agents:

            def count(agent: Agent = agent) -> tuple[list[UUID], int]:
                # What has ended first: a job that ends between the looks is missed, and met the next time.
                ids = agent.reader.ended(final, _MOST_OUTCOMES) if final is not None else []
                return ids, agent.reader.count_jobs(live) if live is not None else 0

            answer = self._ask(agent, count)
            if answer is not None:
                ended += answer[0]
                total += answer[1]
                asked.append(agent)
        # Jobs on their way from an agent to the master are counted with the agent, wherever they are by now.
        distinct = set(ended)
        total += len(distinct)
        if final is not None:
            total += master.count_jobs(final, (), distinct)
        if live is not None:
            total += max(leaving, master.count_jobs(live, _ids(asked)))
        return total

    def depths(self) -> list[QueueDepth]:
        """Live jobs by agent, lane, priority and status."""
        backend = self._backend
        if not backend.distributed:
            return backend.master.depths()
        found: list[QueueDepth] = []
        asked: list[Agent] = []
        for agent in backend.reachable():
            part = self._ask(agent, agent.reader.depths)
            if part is not None:
                found += part
                asked.append(agent)
        return [*backend.master.depths(_ids(asked)), *found]

    # -- moving ----------------------------------------------------------------------------------------

    def replace(self, job_id: UUID, new: NewJob) -> bool:
        """Change a job that waits on an agent into ``new``, on its way back to the master; whether it did.

        Raises ``TransportUnavailable`` when its agent, or the master, does not answer."""
        job, home, silence = self.locate(job_id)
        if job is None or home is self._backend.held or not job.status.is_waiting:
            return False
        kept = f"job {job_id} has the unique key and cannot be replaced now: it is on agent {home.name!r}"
        if silence is not None:
            raise TransportUnavailable(f"{kept}, which does not answer ({silence})")
        backend = self._backend
        run_at = new.run_at or backend.clock.now() + new.delay

        def change(copy: JobCopy) -> JobCopy:
            return copy._replace(
                definition_id=new.definition_id,
                data=new.data,
                metadata=new.metadata,
                lane=new.lane,
                priority=new.priority,
                run_at=run_at,
                timeout_ms=None if new.timeout is None else new.timeout // _MILLISECOND,
                max_retries=new.max_retries,
                retry=new.retry,
                agent=new.agent,
            )

        request = TakeRequest(job_ids=(job_id,), limit=1)
        lease, clock = backend.lease, backend.clock
        try:
            return move(home.transport, backend.master, request, lease, clock, self._id, change) > 0
        except TransientStoreError as fault:
            raise TransportUnavailable(f"{kept} ({fault})") from fault

    def tell_of_end(self, job_id: UUID) -> bool:
        """Whether a job has ended; the master is told of it when only an agent knows.

        Raises ``TransportUnavailable`` when nobody knows, or the master cannot be told."""
        job, home, _ = self.locate(job_id)
        if job is None or not job.status.is_final:
            return False
        if home is not self._backend.held:
            with answering(f"job {job_id} has ended on agent {home.name!r}, which the master was not told"):
                self.ship(home)
        return True

    def ship(self, agent: Agent) -> None:
        """Tell the master at once what has ended on an agent."""
        key, master = agent.transport.key, self._backend.master

        def deliver(shipment: Shipment) -> None:
            master.record(key, shipment)

        while agent.transport.ship(_SHIPPED, deliver) >= _SHIPPED:
            continue


def _split(criteria: JobFilter) -> tuple[JobFilter | None, JobFilter | None]:
    """The same for live and for finished jobs; ``None`` where none can fit."""
    wanted = criteria.status or tuple(JobStatus)
    live = tuple(status for status in wanted if not status.is_final)
    final = tuple(status for status in wanted if status.is_final)
    return (
        replace(criteria, status=live) if live else None,
        replace(criteria, status=final) if final else None,
    )


def _ids(agents: Iterable[Agent]) -> list[UUID]:
    return [agent.transport.key.store_id for agent in agents]
