"""Jobs and outcomes as the bytes of messages.

A job's message is one line of JSON with what the engine needs, then its data as it came. Lane, priority and
id stand in the subject. Instants are whole microseconds since 1970 there, ids are hexadecimal.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from sys import intern
from typing import Any, NamedTuple
from uuid import UUID

from ...domain.copies import EndedJob, JobCopy, Shipment
from ...domain.job import AttemptOutcome, ClaimedJob, JobError, NewJob
from ...domain.status import JobStatus
from ...domain.verdict import AttemptRecord, StateChange
from ...payload.jsontext import read_bytes, write_bytes
from .names import Names

__all__ = [
    "Envelope",
    "Letter",
    "copy_of_new",
    "decode_job",
    "decode_shipment",
    "encode_job",
    "encode_shipment",
    "instant",
    "micros",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MILLISECOND = timedelta(milliseconds=1)
_VERSION = 1
_SHIPMENT_VERSION = 2
_INSTANTS = (4, 5, 19, 20, 25)
"""Where they stand in a copy, and in a job that has ended."""


class Envelope(NamedTuple):
    """A job as its message says. ``copy.claim_no`` counts the claims before this message was made: the claim
    that its first delivery makes has the next number."""

    copy: JobCopy
    recheck: bool = False
    not_before: int = 0
    """Nobody may run it before this instant, whatever it was due: it is being moved. 0 for none."""
    taken: UUID | None = None
    """By which bucket it is being moved."""

    @property
    def ready_at(self) -> int:
        """From which instant on it may run."""
        return max(micros(self.copy.run_at), self.not_before)


def micros(when: datetime) -> int:
    """Whole microseconds since 1970."""
    return (when - _EPOCH) // _MICROSECOND


def instant(value: int) -> datetime:
    """The aware UTC instant."""
    return _EPOCH + timedelta(microseconds=value)


def _micros(when: datetime | None) -> int | None:
    return None if when is None else (when - _EPOCH) // _MICROSECOND


def _instant(value: int | None) -> datetime | None:
    return None if value is None else _EPOCH + timedelta(microseconds=value)


def copy_of_new(job: NewJob, now: datetime) -> JobCopy:
    """A new job as it is stored at ``now``."""
    return JobCopy(
        job.id,
        job.definition_id,
        job.lane,
        int(job.priority),
        job.run_at if job.run_at is not None else now + job.delay,
        now,
        0,
        0,
        0,
        0,
        0,
        job.data,
        None,
        job.metadata,
        None if job.timeout is None else job.timeout // _MILLISECOND,
        job.max_retries,
        job.retry,
        job.unique_key,
        job.schedule_id,
        job.occurrence_at,
        None,
        None,
        None,
        None,
        job.agent,
        None,
    )


def encode_job(envelope: Envelope) -> bytes:
    """The message of a job. Raises ``UnicodeEncodeError`` for text that is no Unicode."""
    copy = envelope.copy
    head = write_bytes(
        [
            _VERSION,
            copy.definition_id,
            micros(copy.run_at),
            micros(copy.enqueued_at),
            copy.claim_no,
            copy.attempt,
            copy.failures,
            copy.losses,
            copy.placement,
            copy.content_type,
            copy.metadata,
            copy.timeout_ms,
            copy.max_retries,
            copy.retry,
            copy.unique_key,
            copy.schedule_id,
            _micros(copy.occurrence_at),
            copy.error_type,
            copy.error_message,
            copy.error_traceback,
            copy.agent,
            _micros(copy.unknown_since),
            envelope.recheck,
            envelope.not_before,
            None if envelope.taken is None else envelope.taken.hex,
        ]
    )
    return b"%b\n%b" % (head, copy.data.encode())


class Letter:
    """The message of a job, opened but not taken apart: enough to claim it, and to tell of its end."""

    __slots__ = ("data", "id", "lane", "priority", "values")

    def __init__(self, lane: str, priority: int, job_id: UUID, body: bytes) -> None:
        self.lane, self.priority, self.id = lane, priority, job_id
        end = body.index(b"\n")
        self.data = body[end + 1 :].decode()
        # a tuple of plain values is nothing that the garbage collector has to look at again and again
        self.values: tuple[Any, ...] = tuple(read_bytes(body[:end]))

    @property
    def ready_at(self) -> int:
        """See :attr:`Envelope.ready_at`."""
        values = self.values
        return max(values[2], values[23])  # type: ignore[no-any-return]

    @property
    def recheck(self) -> bool:
        """See :class:`Envelope`."""
        return self.values[22]  # type: ignore[no-any-return]

    @property
    def moved(self) -> bool:
        """Whether it is being moved, or was when its mover died."""
        return self.values[24] is not None

    def open(self) -> Envelope:
        """All of it."""
        values = self.values
        copy = JobCopy._make(
            [
                self.id,
                values[1],
                self.lane,
                self.priority,
                instant(values[2]),
                instant(values[3]),
                *values[4:9],
                self.data,
                *values[9:16],
                _instant(values[16]),
                None,
                *values[17:21],
                _instant(values[21]),
            ]
        )
        taken = values[24]
        return Envelope(copy, values[22], values[23], None if taken is None else UUID(hex=taken))

    def claimed(self, bucket_id: UUID, *, cancel: bool = False) -> ClaimedJob:
        """The job as its claimer sees it."""
        values = self.values
        run_at = _EPOCH + timedelta(0, 0, values[2])
        return ClaimedJob(
            self.id,
            bucket_id,
            values[4] + 1,
            # one text for all jobs of a kind, so that whoever stores many of them sees that it is the same
            intern(values[1]),
            self.lane,
            self.priority,
            run_at,
            # enqueued to be run at once, as most are
            run_at if values[3] == values[2] else _EPOCH + timedelta(0, 0, values[3]),
            values[5],
            values[6],
            values[7],
            values[22],
            cancel,
            self.data,
            values[10],
            values[11],
            values[12],
            values[13],
            _instant(values[21]),
            values[15],
            _instant(values[16]),
        )

    def ended(self, change: StateChange, finished_at: datetime) -> EndedJob:
        """The job as it has ended."""
        job, values, error = change.job, self.values, change.error
        kind, message, trace = (
            (None, None, None) if error is None else (error.type, error.message, error.traceback)
        )
        return EndedJob(
            job.id,
            job.definition_id,
            job.lane,
            job.priority,
            job.run_at,
            job.enqueued_at,
            job.claim_no,
            change.attempt,
            change.failures,
            change.losses,
            values[8],
            job.data,
            values[9],
            job.metadata,
            job.timeout_ms,
            job.max_retries,
            job.retry,
            values[14],
            job.schedule_id,
            job.occurrence_at,
            change.started_at,
            kind,
            message,
            trace,
            change.status,
            finished_at,
            change.result,
            change.worker_id,
        )


def decode_job(subject: str, body: bytes) -> Envelope:
    """The job of a message."""
    return Letter(*Names.parse_job(subject), body).open()


def encode_shipment(shipment: Shipment) -> bytes:
    """A batch of outcomes. Raises ``UnicodeEncodeError`` for text that is no Unicode."""
    return write_bytes(
        [
            _SHIPMENT_VERSION,
            [list(ended) for ended in shipment.ended],
            [_flat_attempt(record) for record in shipment.attempts],
            [list(copy) for copy in shipment.returned],
        ]
    )


def decode_shipment(body: bytes) -> Shipment:
    """What :func:`encode_shipment` made."""
    _, ended, attempts, returned = read_bytes(body)
    return Shipment(
        [_ended(values) for values in ended],
        [_attempt(values) for values in attempts],
        [JobCopy._make(_round(values)) for values in returned],
    )


def _round(values: list[Any]) -> list[Any]:
    values[0] = UUID(values[0])
    for place in _INSTANTS:
        values[place] = _when(values[place])
    return values


def _when(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _ended(values: list[Any]) -> EndedJob:
    values = _round(values)
    values[24] = JobStatus(values[24])
    if values[27] is not None:
        values[27] = UUID(values[27])
    return EndedJob._make(values)


def _flat_attempt(record: AttemptRecord) -> list[Any]:
    error = record.error
    return [
        record.job_id,
        record.claim_no,
        record.number,
        record.started_at,
        record.finished_at,
        record.outcome.value,
        None if error is None else [error.type, error.message, error.traceback],
        record.worker_id,
        record.log,
    ]


def _attempt(values: list[Any]) -> AttemptRecord:
    return AttemptRecord(
        UUID(values[0]),
        values[1],
        values[2],
        _when(values[3]),
        _when(values[4]),
        AttemptOutcome(values[5]),
        None if values[6] is None else JobError(*values[6]),
        None if values[7] is None else UUID(values[7]),
        values[8],
    )
