"""Settle and claim in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from ..domain.job import ClaimedJob
from ..domain.status import JobStatus
from ..domain.verdict import StateChange
from ..errors import ConflictError, StoreError, TransientStoreError
from ..ports.settlement import Settled
from ..ports.transport import ClaimRequest
from .endings import Writes
from .gateway import ContentRefused, Gateway, Tx
from .plainsettle import PlainSettle, refused_of

__all__ = ["settle"]


def settle(
    gateway: Gateway,
    changes: Sequence[StateChange],
    claim: ClaimRequest | None,
    timeout: float | None = None,
) -> Settled:
    """See :meth:`jobmaster.ports.Settlement.settle`; tried for ``timeout`` seconds at most."""
    if claim is not None and not any(limit > 0 for limit in claim.limits.values()):
        claim = None
    if not changes:
        idle = _look(gateway, claim)
        if idle is not None:
            return idle
    try:
        if changes and all(map(_is_plain, changes)):
            parts = gateway.dialect.plain_settle(changes, claim)
            if parts is not None:
                return _settle_in_parts(gateway, parts, timeout)
        return gateway.transaction("settle", lambda tx: _settle(tx, changes, claim), timeout=timeout)
    except (ContentRefused, ConflictError):
        if not changes:
            raise
    return gateway.transaction("settle", lambda tx: _settle_apart(tx, changes, claim), timeout=timeout)


def _look(gateway: Gateway, claim: ClaimRequest | None) -> Settled | None:
    # An idle poll must not take the write lock where a look is free of it.
    def look(tx: Tx) -> Settled | None:
        if claim is None or tx.dialect.nothing_due(tx, claim):
            return Settled(frozenset(), [], tx.now())
        return None

    if claim is not None and not gateway.dialect.single_writer:
        return None
    return gateway.read("look", look)


def _settle_in_parts(gateway: Gateway, parts: PlainSettle, timeout: float | None) -> Settled:
    found = gateway.transaction("settle", parts.run, timeout=timeout, whole=parts.whole)
    refused, claimed, now = parts.read(found)
    if any(job.recheck for job in claimed):
        try:
            claimed = gateway.transaction("drop", lambda tx: _drop_ended(tx, claimed), timeout=timeout)
        except StoreError as fault:
            # the settle is done and the claims are made: who reads its buckets finds that out
            raise TransientStoreError(str(fault), ambiguous=True) from fault
    return Settled(refused, claimed, now)


def _settle(tx: Tx, changes: Sequence[StateChange], claim: ClaimRequest | None) -> Settled:
    if changes and all(map(_is_plain, changes)):
        owned, claimed, now = tx.dialect.settle_plain(tx, changes, claim)
        tx.reach("settle.written")
        return Settled(refused_of(changes, owned), _drop_ended(tx, claimed), now)
    refused = _write(tx, changes) if changes else frozenset()
    tx.reach("settle.written")
    return _answer(tx, refused, {}, claim)


def _is_plain(change: StateChange) -> bool:
    return change.status is JobStatus.SUCCEEDED and change.record is None and change.error is None


def _answer(
    tx: Tx, refused: frozenset[UUID], poisoned: dict[UUID, str], claim: ClaimRequest | None
) -> Settled:
    claimed: list[ClaimedJob] = []
    if claim is not None:
        claimed = _drop_ended(tx, tx.dialect.claim(tx, claim))
    return Settled(refused, claimed, tx.now(), poisoned)


def _drop_ended(tx: Tx, claimed: list[ClaimedJob]) -> list[ClaimedJob]:
    doubtful = [job.id for job in claimed if job.recheck]
    if not doubtful:
        return claimed
    ended = {tx.dialect.uuid(row[0]) for row in tx.rows("history_has", ids=doubtful)}
    if not ended:
        return claimed
    for job in claimed:
        if job.id in ended:
            tx.run("job_drop_fenced", id=job.id, bucket_id=job.bucket_id, claim_no=job.claim_no)
    return [job for job in claimed if job.id not in ended]


def _settle_apart(tx: Tx, changes: Sequence[StateChange], claim: ClaimRequest | None) -> Settled:
    """Again after the engine refused something: halves in savepoints, until what it refuses stands alone."""
    refused: set[UUID] = set()
    poisoned: dict[UUID, str] = {}

    set_savepoint, go_back, give_up = tx.dialect.savepoint

    def write(part: Sequence[StateChange]) -> None:
        tx.cursor.execute(set_savepoint)
        try:
            refused.update(_write(tx, part))
        except Exception as error:
            translated = tx.translate(error)
            if not isinstance(translated, (ContentRefused, ConflictError)):
                raise
            tx.cursor.execute(go_back)
            tx.cursor.execute(give_up)
            if len(part) == 1:
                if isinstance(translated, ConflictError):
                    refused.update(_drop_second_end(tx, part[0]))
                else:
                    poisoned[part[0].job.id] = str(translated)
                return
            middle = len(part) // 2
            write(part[:middle])
            write(part[middle:])
            return
        tx.cursor.execute(give_up)

    write(changes)
    return _answer(tx, frozenset(refused), poisoned, claim)


def _drop_second_end(tx: Tx, change: StateChange) -> set[UUID]:
    """The history has an outcome of this job already: the first one stays, and the live row goes."""
    job = change.job
    gone = tx.run("job_drop_fenced", id=job.id, bucket_id=job.bucket_id, claim_no=job.claim_no)
    return set() if gone else {job.id}


def _write(tx: Tx, changes: Sequence[StateChange]) -> frozenset[UUID]:
    plain = [c for c in changes if _is_plain(c)]
    owned: set[UUID] = set()
    if plain:
        owned = tx.dialect.succeed(tx, plain)
    if len(plain) != len(changes):
        others = [c for c in changes if not _is_plain(c)]
        owned |= _write_others(tx, others)
    return refused_of(changes, owned)


def _write_others(tx: Tx, changes: Sequence[StateChange]) -> set[UUID]:
    dialect = tx.dialect
    fences: dict[UUID, tuple[UUID, int, bool, str | None]] = {}
    for job_id, bucket_id, claim_no, asked_at, reason in tx.rows(
        "owned_lock", ids=[c.job.id for c in changes]
    ):
        if bucket_id is not None:
            fences[dialect.uuid(job_id)] = (dialect.uuid(bucket_id), claim_no, asked_at is not None, reason)
    now = tx.now()
    writes, owned = Writes(), set()
    for change in changes:
        job = change.job
        fence = fences.pop(job.id, None)
        if fence is None or fence[:2] != (job.bucket_id, job.claim_no):
            continue
        owned.add(job.id)
        if change.record is not None:
            writes.note(change.record)
        _collect(writes, change, now, cancel=fence[2], reason=fence[3])
    writes.write(tx)
    return owned


def _collect(writes: Writes, change: StateChange, now: datetime, *, cancel: bool, reason: str | None) -> None:
    job, counters = change.job, (change.attempt, change.failures, change.losses)
    if change.status.is_final:
        writes.end(
            job.id,
            change.status,
            counters,
            change.finished_at or now,
            started_at=change.started_at,
            result=change.result,
            error=change.error,
            worker_id=change.worker_id,
        )
    elif cancel:
        writes.cancel(
            job.id,
            reason,
            counters,
            change.finished_at or now,
            started_at=change.started_at,
            worker_id=change.worker_id,
        )
    else:
        at_once = change.delay is None or change.delay <= timedelta(0)
        writes.release(
            job.id,
            counters,
            None if change.delay is None else now + change.delay,
            error=change.error,
            unknown_since=change.unknown_since,
            wake=job.lane if at_once else None,
        )
