"""Claim, lease, rescue and settle on one store: two workers, two jobs, and as many faults as are asked for.

A call takes effect some time after it was made, and its answer may be lost; a worker can crash, or freeze
and go on. Verdicts are those of :mod:`jobmaster.domain`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from jobmaster.domain.status import JobStatus, may_follow
from jobmaster.domain.verdict import lost_verdict

from .explorer import Explored, Step, explore

__all__ = ["LAWS", "explore_claims"]

LAWS = {
    "fence": "a settle changes only what its bucket and claim number still own (PROTOCOL 4)",
    "lease in claim": "a claim needs its bucket active with a valid lease (PROTOCOL 3.1)",
    "read back": "after an ambiguous answer to a claim the worker reads its buckets (PROTOCOL 3.2)",
    "trust window": "a holder whose lease is over stops its handlers and settles nothing (PROTOCOL 3.4)",
    "margin": "the holder stops before the store lets the lease go (PROTOCOL 3.4)",
    "start mark": "a job that lost its worker runs only once its start is on record (PROTOCOL 6)",
    "rescue": "what a dead worker held becomes ready again (ARCHITECTURE, Rescue)",
}
WORKERS, JOBS, MAX_LOSSES, FAULTS = 2, 2, 5, 2


class Row(NamedTuple):
    """A job in the store."""

    bucket: tuple[int, int] | None = None
    """Worker and how often it began anew."""
    claim_no: int = 0
    losses: int = 0
    marked: bool = False
    ran: bool = False
    """Whether it has started under this claim: for the checks only."""
    status: JobStatus = JobStatus.READY


class Held(NamedTuple):
    """A job as its worker remembers it."""

    claim_no: int
    phase: str = "queued"
    """``queued``, ``running``, ``ended``, ``sent``."""


class Worker(NamedTuple):
    """A worker process."""

    state: str = "up"
    """``up``, ``frozen``, ``dead``."""
    tenure: int = 0
    trusted: bool = True
    unsure: bool = False
    """An answer to a claim was lost."""
    jobs: tuple[Held | None, ...] = (None,) * JOBS


class Message(NamedTuple):
    """A call on its way to the store."""

    kind: str
    worker: int
    tenure: int
    job: int
    claim_no: int = 0


class World(NamedTuple):
    """Everything. The last three are for the checks only."""

    rows: tuple[Row, ...] = (Row(),) * JOBS
    workers: tuple[Worker, ...] = (Worker(),) * WORKERS
    leases: frozenset[tuple[int, int]] = frozenset((n, 0) for n in range(WORKERS))
    """Buckets whose lease holds."""
    expired: frozenset[tuple[int, int]] = frozenset()
    messages: frozenset[Message] = frozenset()
    faults: int = FAULTS
    late: bool = False
    """An outcome was taken of a claim that was not the newest."""
    forbidden: bool = False
    """A status followed one that it may not follow."""
    crashes: tuple[int, ...] = (0,) * JOBS
    """How often a job was taken from a worker at which it had started."""


def explore_claims(laws: frozenset[str] = frozenset(LAWS), faults: int = FAULTS) -> Explored:
    """All states under these laws."""
    return explore(World(faults=faults), lambda world: _steps(world, laws), _wrong, _done)


def _done(world: World) -> bool:
    return all(row.status.is_final for row in world.rows)


def _wrong(world: World) -> str | None:
    if world.late:
        return "an outcome of an overtaken claim was taken"
    if world.forbidden:
        return "a final state changed"
    for job, row in enumerate(world.rows):
        running = [
            n for n, worker in enumerate(world.workers)
            if worker.state == "up" and (held := worker.jobs[job]) is not None and held.phase == "running"
        ]  # fmt: skip
        if len(running) > 1:
            return f"job {job} runs twice at once"
        if row.losses < world.crashes[job] and row.bucket is None:
            return f"job {job} was lost {world.crashes[job]} times while it ran and charged {row.losses}"
        if row.losses > world.crashes[job] + 1:
            return f"job {job} was charged {row.losses} losses and ran in {world.crashes[job]} of them"
    return None


def _steps(world: World, laws: frozenset[str]) -> Iterator[Step[World]]:
    for number, worker in enumerate(world.workers):
        if worker.state == "up":
            yield from _work(world, number, worker, laws)
        yield from _fate(world, number, worker, laws)
    for message in world.messages:
        yield from _arrive(world, message, laws)
    if "rescue" in laws:
        for bucket in world.expired:
            yield _rescue(world, bucket)


# -- what a worker does ------------------------------------------------------------------------------------


def _work(world: World, number: int, worker: Worker, laws: frozenset[str]) -> Iterator[Step[World]]:
    if not worker.trusted and "trust window" in laws:
        fresh = worker._replace(tenure=worker.tenure + 1, trusted=True, unsure=False, jobs=(None,) * JOBS)
        opened = _with_worker(world, number, fresh)
        bucket = (number, fresh.tenure)
        yield Step(f"worker {number} begins anew", opened._replace(leases=opened.leases | {bucket}))
        return
    bucket = (number, worker.tenure)
    if worker.unsure and "read back" in laws:
        held = tuple(
            Held(row.claim_no) if row.bucket == bucket and known is None else known
            for row, known in zip(world.rows, worker.jobs, strict=True)
        )
        yield Step(
            f"worker {number} reads back",
            _with_worker(world, number, worker._replace(unsure=False, jobs=held)),
        )
        return
    waiting = {message.job for message in world.messages if message.worker == number}
    for job, held in enumerate(worker.jobs):
        row = world.rows[job]
        if held is None:
            if row.bucket is None and not row.status.is_final and job not in waiting:
                call = Message("claim", number, worker.tenure, job)
                yield Step(f"worker {number} asks for job {job}", _send(world, call))
        elif held.phase == "queued":
            yield from _start(world, number, worker, job, held, laws)
        elif held.phase == "running":
            ended = _with_held(world, number, job, held._replace(phase="ended"))
            yield Step(f"job {job} ends at worker {number}", ended)
        elif held.phase == "ended":
            sent = _with_held(world, number, job, held._replace(phase="sent"))
            call = Message("settle", number, worker.tenure, job, held.claim_no)
            yield Step(f"worker {number} settles job {job}", _send(sent, call))


def _start(
    world: World, number: int, worker: Worker, job: int, held: Held, laws: frozenset[str]
) -> Iterator[Step[World]]:
    row = world.rows[job]
    if row.losses and "start mark" in laws:
        if (row.bucket, row.claim_no) != ((number, worker.tenure), held.claim_no):
            yield Step(
                f"worker {number} is told that job {job} is lost", _with_held(world, number, job, None)
            )
            return
        row = row._replace(marked=True)
    if (row.bucket, row.claim_no) == ((number, worker.tenure), held.claim_no):
        world = _with_row(world, job, row._replace(ran=True))
    running = _with_held(world, number, job, held._replace(phase="running"))
    yield Step(f"job {job} starts at worker {number}", running)


# -- what happens to a worker ------------------------------------------------------------------------------


def _fate(world: World, number: int, worker: Worker, laws: frozenset[str]) -> Iterator[Step[World]]:
    bucket = (number, worker.tenure)
    if worker.state == "frozen":
        # time has passed: whoever looks at the lease first sees that it is over, if it is
        trusted = worker.trusted and (bucket in world.leases or "trust window" not in laws)
        awake = _with_worker(world, number, worker._replace(state="up", trusted=trusted))
        yield Step(f"worker {number} thaws", _stopped(awake, number, laws))
    if worker.state == "dead" and worker.tenure < 2:
        again = Worker(tenure=worker.tenure + 1)
        reborn = _with_worker(world, number, again)
        yield Step(
            f"worker {number} is started again",
            reborn._replace(leases=reborn.leases | {(number, again.tenure)}),
        )
    if worker.state != "dead" and world.faults:
        hurt = world._replace(faults=world.faults - 1)
        if worker.state == "up":
            yield Step(
                f"worker {number} freezes", _with_worker(hurt, number, worker._replace(state="frozen")), True
            )
            distrusting = _with_worker(hurt, number, worker._replace(trusted=False))
            if worker.trusted and "margin" in laws and "trust window" in laws:
                yield Step(f"worker {number} cannot renew", _stopped(distrusting, number, laws), True)
            elif worker.trusted:
                yield Step(f"worker {number} cannot renew", _expired(hurt, bucket), True)
        crashed = _with_worker(hurt, number, Worker("dead", worker.tenure, False))
        yield Step(f"worker {number} crashes", crashed, True)
    for lease in world.leases:
        owner, tenure = lease
        keeper = world.workers[owner]
        if owner == number and (keeper.tenure != tenure or keeper.state != "up" or not keeper.trusted):
            yield Step(f"the lease of worker {owner} runs out", _expired(world, lease))


def _stopped(world: World, number: int, laws: frozenset[str]) -> World:
    """A worker that does not trust its lease any more stops what runs, and what it asked for is void."""
    worker = world.workers[number]
    if worker.trusted or "trust window" not in laws:
        return world
    return _with_worker(world, number, worker._replace(jobs=(None,) * JOBS))


def _expired(world: World, bucket: tuple[int, int]) -> World:
    return world._replace(leases=world.leases - {bucket}, expired=world.expired | {bucket})


# -- what the store does -----------------------------------------------------------------------------------


def _arrive(world: World, message: Message, laws: frozenset[str]) -> Iterator[Step[World]]:
    """The call takes effect; its answer comes, or is lost."""
    after = world._replace(messages=world.messages - {message})
    bucket = (message.worker, message.tenure)
    row = world.rows[message.job]
    what = f"the {message.kind} of worker {message.worker} for job {message.job}"
    if message.kind == "claim":
        valid = bucket in world.leases or "lease in claim" not in laws
        if row.bucket is not None or row.status.is_final or not valid:
            yield Step(f"{what} brings nothing", after)
            return
        stamped = _with_row(after, message.job, row._replace(bucket=bucket, claim_no=row.claim_no + 1))
        yield Step(what, _tell(stamped, message, Held(row.claim_no + 1)))
        if world.faults:
            unsure = world.workers[message.worker]._replace(unsure=True)
            lost = stamped._replace(faults=world.faults - 1)
            if world.workers[message.worker].tenure == message.tenure:
                lost = _with_worker(lost, message.worker, unsure)
            yield Step(f"{what}, whose answer is lost", lost, True)
        return
    owned = (row.bucket, row.claim_no) == (bucket, message.claim_no)
    if not owned and "fence" in laws:
        yield Step(f"{what} is refused", _tell(after, message, None))
        return
    allowed = may_follow(
        row.status if row.status.is_final else JobStatus.ASSIGNED_TO_BUCKET, JobStatus.SUCCEEDED
    )
    ended = row._replace(bucket=None, marked=False, ran=False, status=JobStatus.SUCCEEDED)
    settled = _with_row(after, message.job, ended)
    settled = settled._replace(
        late=world.late or message.claim_no != row.claim_no, forbidden=world.forbidden or not allowed
    )
    yield Step(what, _tell(settled, message, None))
    if world.faults:
        # the worker brings it again, and is refused or finds it gone
        again = _tell(settled._replace(faults=world.faults - 1), message, Held(message.claim_no, "ended"))
        yield Step(f"{what}, whose answer is lost", again, True)


def _tell(world: World, message: Message, held: Held | None) -> World:
    """The answer reaches the worker, if it still is the one that asked and waits for it."""
    worker = world.workers[message.worker]
    if worker.state == "dead" or worker.tenure != message.tenure or not worker.trusted:
        return world
    return _with_held(world, message.worker, message.job, held)


def _rescue(world: World, bucket: tuple[int, int]) -> Step[World]:
    rows, crashes = [], list(world.crashes)
    for job, row in enumerate(world.rows):
        if row.bucket == bucket:
            crashes[job] += row.ran
            started = True if row.marked else (None if row.losses == 0 else False)
            losses, over = lost_verdict(row.losses, started, MAX_LOSSES)
            status = JobStatus.FAILED if over else JobStatus.READY
            row = row._replace(bucket=None, losses=losses, marked=False, ran=False, status=status)
        rows.append(row)
    after = world._replace(rows=tuple(rows), crashes=tuple(crashes), expired=world.expired - {bucket})
    return Step(f"the bucket of worker {bucket[0]} is rescued", after)


# -- changing values ---------------------------------------------------------------------------------------


def _send(world: World, message: Message) -> World:
    return world._replace(messages=world.messages | {message})


def _with_row(world: World, job: int, row: Row) -> World:
    return world._replace(rows=(*world.rows[:job], row, *world.rows[job + 1 :]))


def _with_worker(world: World, number: int, worker: Worker) -> World:
    return world._replace(workers=(*world.workers[:number], worker, *world.workers[number + 1 :]))


def _with_held(world: World, number: int, job: int, held: Held | None) -> World:
    worker = world.workers[number]
    return _with_worker(
        world, number, worker._replace(jobs=(*worker.jobs[:job], held, *worker.jobs[job + 1 :]))
    )
