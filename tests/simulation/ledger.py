"""What must hold at every commit: the handlers' own record against what the stores contain."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from jobmaster.domain.status import JobStatus
from jobmaster.handlers import JobContext
from jobmaster.testing.memory.database import MemoryDatabase, Row

from .loop import PROCESS, Process, SimulatedLoop, State

__all__ = ["Ledger", "Plan", "Run", "Violated"]

REACTION = 0.25
"""Seconds that a process has, once it goes on after a freeze, to notice that its lease is over."""


class Violated(AssertionError):
    """Something that must hold did not."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job is to do: take ``seconds``, and fail the first ``failures`` times."""

    number: int
    seconds: float
    failures: int


@dataclass(slots=True, repr=False)
class Run:
    """One run of a handler."""

    job_id: UUID
    bucket_id: UUID
    claim_no: int
    attempt: int
    process: Process
    began_at: float
    active: bool = True
    ended: str = ""
    """``done``, ``raised`` or ``stopped``."""

    def __repr__(self) -> str:
        end = self.ended or ("running" if self.active else "left")
        return (
            f"<run {self.attempt} of ..{self.job_id.hex[-4:]}, claim {self.claim_no}, {self.process.name}, "
            f"{self.process.state.value}, at {self.began_at:.4f} s: {end}>"
        )


def shown(row: Row | None) -> str:
    """The facts of a row that moves change."""
    if row is None:
        return "none"
    return (
        f"<{row.status}, bucket {row.bucket_id}, placement {row.placement}, claim {row.claim_no}, attempt "
        f"{row.attempt}, failures {row.failures}, losses {row.losses}, recheck {row.new.recheck}, unsynced "
        f"{row.unsynced}>"
    )


@dataclass(frozen=True, slots=True)
class Final:
    """How a job ended, as it was first seen on the master."""

    status: JobStatus | None
    claim_no: int
    attempt: int
    result: str | None
    finished_at: object

    @classmethod
    def of(cls, row: Row) -> Final:
        return cls(row.status, row.claim_no, row.attempt, row.result, row.finished_at)


class Ledger:
    """Keeps account of accepted jobs and of runs, and compares them with the stores."""

    def __init__(
        self, loop: SimulatedLoop, master: MemoryDatabase, agents: list[MemoryDatabase], max_losses: int
    ) -> None:
        self._loop = loop
        self._master = master
        self._agents = agents
        self._max_losses = max_losses
        self.plans: dict[UUID, Plan] = {}
        self.open: set[UUID] = set()
        """Accepted, and not known to have ended."""
        self.finals: dict[UUID, Final] = {}
        self.cancelled: set[UUID] = set()
        """Jobs that somebody asked to cancel."""
        self.runs: dict[UUID, list[Run]] = defaultdict(list)
        self.started = 0
        self._claim_nos: dict[tuple[str, UUID, int], int] = {}
        self.checks = 0
        self.every = 1
        """How many commits there are per check of everything."""
        self.broken: Violated | None = None

    # -- the handlers' record --------------------------------------------------------------------------

    async def run(self, job: JobContext[Any]) -> int:
        """What every simulated handler does."""
        claim = job._run.job
        plan = self.plans[job.id]
        process = PROCESS.get()
        assert process is not None
        run = Run(job.id, claim.bucket_id, claim.claim_no, job.attempt, process, self._loop.time())
        self._begin(run)
        try:
            await asyncio.sleep(plan.seconds)
            if job.failures < plan.failures:
                run.ended = "raised"
                raise ValueError("as planned")
            run.ended = "done"
        except asyncio.CancelledError:
            run.ended = "stopped"
            raise
        finally:
            run.active = False
        return plan.number

    def _begin(self, run: Run) -> None:
        self.started += 1
        others = self.runs[run.job_id]
        for other in others:
            process = other.process
            awake = process.state is State.RUNNING and self._loop.time() - process.thawed_at > REACTION
            if other.active and awake and process is not run.process:
                self._fail(f"{run} began while {other} was running in a process that could have stopped it")
            if other.attempt == run.attempt:
                self._fail(f"{run} has the attempt number of {other}")
            if other.claim_no >= run.claim_no:
                self._fail(f"{run} has a claim number that is not above that of {other}")
        others.append(run)

    def accept(self, job_id: UUID) -> None:
        """The call that enqueued this job has returned."""
        self.open.add(job_id)

    # -- the stores ------------------------------------------------------------------------------------

    def check(self) -> None:
        """At a commit: nothing that was accepted is gone, and nothing that has ended changes."""
        self.checks += 1
        if self.checks % self.every == 0:
            self.look()

    def look(self) -> None:
        """The same, whatever the number of commits since the last time."""
        for job_id in list(self.open):
            row = self._master.history.get(job_id)
            if row is not None:
                self.open.discard(job_id)
                self._judge(job_id, row)
            elif not self._has_copy(job_id):
                self._fail(f"job {self.plans[job_id].number} is lost: {self._where(job_id)}")
        if self.checks % (40 * self.every) == 0:
            self.check_finals()
        self._check_claims()

    def check_finals(self) -> None:
        """What has ended stays as it was."""
        for job_id, final in self.finals.items():
            row = self._master.history.get(job_id)
            if row is None or Final.of(row) != final:
                self._fail(f"job {self.plans[job_id].number} had ended as {final} and is now {shown(row)}")

    def _has_copy(self, job_id: UUID) -> bool:
        for agent in self._agents:
            if job_id in agent.live or job_id in agent.history:
                return True
        row = self._master.live.get(job_id)
        if row is None:
            return False
        # a mirror is no copy: it says where the job should be
        return not self._agents or self._master.placed_on(row) is None or row.unsynced

    def _where(self, job_id: UUID) -> str:
        places = [self._master, *self._agents]
        return ", ".join(
            f"{place.name}: live {shown(place.live.get(job_id))}, ended {shown(place.history.get(job_id))}"
            for place in places
        )

    def _check_claims(self) -> None:
        """Claim numbers of one job on one store only grow, but for a copy that a repeated enqueue made after
        the job had ended: it carries the mark, and is dropped unrun."""
        stores = self._agents or [self._master]
        for store in stores:
            for job_id, row in store.live.items():
                if row.bucket_id is None:
                    continue
                copy = (store.name, job_id, row.placement)
                before = self._claim_nos.get(copy, 0)
                repeated = row.new.recheck and job_id in self._master.history
                if row.claim_no < before and not repeated:
                    self._fail(f"the claim number of {copy} went back from {before} to {row.claim_no}")
                self._claim_nos[copy] = row.claim_no

    def _judge(self, job_id: UUID, row: Row) -> None:
        self.finals[job_id] = Final.of(row)
        runs = self.runs[job_id]
        plan = self.plans[job_id]
        mine = [run for run in runs if run.attempt == row.attempt]
        if row.status is JobStatus.SUCCEEDED:
            if [run.ended for run in mine] != ["done"]:
                self._fail(
                    f"{shown(row)} succeeded with run {row.attempt}, but the handler's record says {runs}"
                )
            if row.result != str(plan.number):
                self._fail(f"{shown(row)} has the result {row.result}")
        elif row.status is JobStatus.CANCELLED:
            if job_id not in self.cancelled:
                self._fail(f"{shown(row)} was cancelled by nobody")
        elif row.error is not None and row.error.type == "lost":
            if row.losses <= self._max_losses:
                self._fail(f"{shown(row)} failed as lost too early")
        elif row.failures != len([run for run in runs if run.ended == "raised" and self._counts(run, row)]):
            self._fail(f"{shown(row)} failed after other failures than those of {runs}")
        raised = len([run for run in runs if run.ended == "raised"])
        if row.failures > raised:
            self._fail(f"{shown(row)} counts more failures than the handler's record: {runs}")
        if row.failures + row.losses > row.attempt:
            self._fail(f"{shown(row)} counts fewer runs than failures and losses")
        if row.attempt > len(runs) + row.losses:
            self._fail(f"{shown(row)} counts more runs than were begun or lost: {runs}")

    def _counts(self, run: Run, row: Row) -> bool:
        """Whether the outcome of a run was taken: the store kept a record of a failure under its claim."""
        noted = self._master.attempts.get(run.job_id, {}).get(run.claim_no)
        return noted is not None and noted.outcome.value == "failed"

    def _fail(self, what: str) -> None:
        fault = Violated(f"at {self._loop.time():.4f} s: {what}")
        if self.broken is None:
            self.broken = fault
        raise fault

    # -- the end ---------------------------------------------------------------------------------------

    def check_end(self, living: set[UUID]) -> None:
        """Long after the last fault: everything has ended, once, and nothing is left behind."""
        self.check_finals()
        if self.open:
            left = [f"{self.plans[job_id].number} ({self._where(job_id)})" for job_id in self.open]
            self._fail(f"{len(left)} jobs have not ended, such as {left[0]}")
        for store in (self._master, *self._agents):
            if store.live:
                first = shown(next(iter(store.live.values())))
                self._fail(f"{store.name} still holds {len(store.live)} rows: {first}")
            strangers = [bucket for bucket in store.buckets.values() if bucket.worker_id not in living]
            if strangers:
                self._fail(f"{store.name} has buckets of nobody: {strangers[0]}")
        for agent in self._agents:
            if agent.history or any(agent.attempts.values()):
                self._fail(f"{agent.name} keeps outcomes that the master was not told of")
        for job_id, noted in self._master.attempts.items():
            numbers = [record.number for record in noted.values() if record.outcome.value != "retried"]
            if len(set(numbers)) != len(numbers):
                self._fail(f"job {self.plans[job_id].number} has attempts {sorted(numbers)}")
