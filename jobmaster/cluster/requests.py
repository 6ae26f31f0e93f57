"""From what a caller asked for to a validated job, before anything is written."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias, TypeVar

from ..domain.alike import AlikeJobs
from ..domain.durations import Duration, as_timedelta
from ..domain.ids import uuid7
from ..domain.job import DEFAULT_LANE, Job, NewJob, job_of
from ..domain.names import check_definition_id, check_name, check_unique_key
from ..domain.occurrence import RESERVED, catchup_of
from ..domain.retry import RetryPolicy
from ..domain.status import JobStatus, Priority
from ..engine.options import ClusterLimits
from ..errors import ConfigurationError, InvalidJob, MessageTooLarge
from ..handlers import Codecs, HandlerRegistry, JobFunction, JobHandler
from ..payload.jsontext import read
from .settings import STANDALONE

__all__ = ["HandlerReference", "JobOptions", "JobRequest", "RequestDesk", "aware_utc", "snapshot"]

HandlerReference: TypeAlias = type[JobHandler[Any]] | JobFunction[..., Any] | str
"""A handler class, a ``@job`` function, or a definition id."""

_Item = TypeVar("_Item")
_Made = TypeVar("_Made")
_new_tuple = tuple.__new__
_AT_ONCE = timedelta(0)
_PRIORITIES = {int(priority): priority for priority in Priority}
_LONGEST_TIMEOUT = timedelta(days=366)


@dataclass(slots=True)  # a frozen one takes three times as long to make
class JobOptions:
    """The options of one enqueue call; ``None`` means not given."""

    priority: Priority | None = None
    lane: str | None = None
    timeout: Duration | None = None
    max_retries: int | None = None
    retry: RetryPolicy | None = None
    metadata: Mapping[str, Any] | None = None
    unique_key: str | None = None
    agent_connection: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """One job of :meth:`Scheduler.once_many`.

    Due at ``run_at`` (aware), or ``delay`` from now, or at once.

    >>> JobRequest("send-email", {"to": "a@example.org"}, priority=Priority.HIGH)  # doctest: +SKIP
    """

    handler: HandlerReference = field(kw_only=False)
    data: Any = field(default=None, kw_only=False)
    run_at: datetime | None = None
    delay: Duration | None = None
    priority: Priority | None = None
    lane: str | None = None
    timeout: Duration | None = None
    max_retries: int | None = None
    retry: RetryPolicy | None = None
    metadata: Mapping[str, Any] | None = None
    unique_key: str | None = None
    agent_connection: str | None = None


def aware_utc(when: object, what: str) -> datetime:
    """``when`` in UTC; ``TypeError`` for anything but a datetime, ``ValueError`` for a naive one."""
    if not isinstance(when, datetime):
        raise TypeError(f"{what} must be an aware datetime, not {type(when).__name__}")
    if when.utcoffset() is None:
        raise ValueError(
            f"{what} {when.isoformat()} is naive: give it a time zone, for example "
            "datetime.now(timezone.utc) or datetime(..., tzinfo=ZoneInfo('Europe/Berlin'))"
        )
    try:
        return when.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{what} {when.isoformat()} lies outside of the years 1 to 9999 in UTC") from None


class RequestDesk:
    """Validates what callers ask for; every refusal comes before anything is written."""

    def __init__(
        self,
        registry: HandlerRegistry,
        codecs: Codecs,
        limits: ClusterLimits,
        agent_names: Callable[[], tuple[str, ...]],
    ) -> None:
        self._registry = registry
        self._codecs = codecs
        self._plain = codecs.for_type(None)
        self._limits = limits
        self._agent_names = agent_names

    def new_job(
        self,
        handler: HandlerReference,
        data: Any,
        options: JobOptions | JobRequest,
        *,
        run_at: datetime | None = None,
        delay: timedelta = _AT_ONCE,
    ) -> NewJob:
        """A job ready to be stored. Raises ``InvalidJob`` (or a subclass), ``UnknownHandler``,
        ``ConfigurationError`` (unknown agent), ``TypeError`` or ``ValueError``."""
        if isinstance(handler, str):
            _refuse(check_definition_id(handler))
        definition_id, bound = self._registry.resolve(handler)
        text = bound.encode(data) if bound is not None else self._plain.encode({} if data is None else data)
        declared = bound.options if bound is not None else None
        lane = options.lane
        if lane is None:
            lane = (declared.lane if declared is not None else None) or DEFAULT_LANE
        else:
            _refuse(check_name("lane", lane))
        priority = options.priority
        if priority is None:
            priority = (declared.priority if declared is not None else None) or Priority.MEDIUM
        else:
            priority = _priority(priority)
        common = declared.metadata if declared is not None else None
        kept = None if options.metadata is None and not common else self._metadata(common, options.metadata)
        self._check_size(definition_id, text, kept)
        if options.unique_key is not None:
            _refuse(check_unique_key(options.unique_key))
        # by the constructor of plain tuples: the one that knows names and defaults takes three times as long
        return _new_tuple(
            NewJob,
            (
                uuid7(),
                definition_id,
                text,
                lane,
                int(priority),
                run_at,
                delay,
                kept,
                None if options.timeout is None else _timeout(options.timeout),
                None if options.max_retries is None else _max_retries(options.max_retries),
                None if options.retry is None else _retry(options.retry),
                options.unique_key,
                None,
                None,
                False,
                None if options.agent_connection is None else self._agent(options.agent_connection),
            ),
        )

    def from_request(self, request: JobRequest) -> NewJob:
        """The same for one item of ``once_many``."""
        if not isinstance(request, JobRequest):
            raise TypeError(f"once_many takes JobRequest items, not {type(request).__name__}")
        if request.run_at is not None and request.delay is not None:
            raise InvalidJob("a JobRequest takes run_at or delay, not both")
        run_at = None if request.run_at is None else aware_utc(request.run_at, "run_at")
        delay = _AT_ONCE if request.delay is None else as_timedelta(request.delay, "delay")
        return self.new_job(request.handler, request.data, request, run_at=run_at, delay=delay)

    def from_requests(self, requests: Iterable[JobRequest]) -> Sequence[NewJob]:
        """The same for all items of ``once_many``; the error of one names its place."""
        # what comes bit by bit is taken down bit by bit: whoever makes it may use one mapping for all
        if isinstance(requests, (list, tuple)) and len(requests) > 1 and _are_alike(requests):
            return self._alike(requests)
        return _each(self.from_request, requests)

    def _alike(self, items: Sequence[JobRequest]) -> AlikeJobs:
        """Jobs of one handler that are given data and nothing else."""
        (like,) = _each(self.from_request, items[:1])
        bound = self._registry.resolve(items[0].handler)[1]
        codec = self._plain if bound is None else bound.payload
        datas = [{} if item.data is None else item.data for item in items]
        texts = codec.encode_plain(datas)
        if texts is None:
            texts = [like.data, *_each(codec.encode, datas[1:], first=1)]
        if max(map(len, texts)) > self._short(like.metadata):
            _each(lambda text: self._check_size(like.definition_id, text, like.metadata), texts)
        return AlikeJobs(like, texts)

    def _metadata(self, declared: Mapping[str, Any] | None, given: Mapping[str, Any] | None) -> str | None:
        metadata: dict[str, Any] = dict(declared or {})
        if given is not None:
            metadata.update(_mapping(given))
        for key in metadata:
            if isinstance(key, str) and key.startswith(RESERVED):
                raise InvalidJob(f"metadata key {key!r}: what begins with {RESERVED!r} is the library's own")
        return self._codecs.encode_metadata(metadata)

    def as_stored(self, metadata: Mapping[str, Any] | None) -> dict[str, Any]:
        """Metadata to look for, as the store would keep it. Raises ``InvalidJob``."""
        if metadata is None:
            return {}
        text = self._codecs.encode_metadata(_mapping(metadata))
        stored: dict[str, Any] = {} if text is None else read(text)
        return stored

    def _short(self, metadata: str | None) -> int:
        """Up to so many characters data needs no look at its size beside this metadata."""
        most = self._limits.max_message_bytes
        return sys.maxsize if most is None else most // 4 - len(metadata or "")

    def _check_size(self, definition_id: str, data: str, metadata: str | None) -> None:
        most = self._limits.max_message_bytes
        if most is None or (len(data) + (len(metadata) if metadata else 0)) * 4 <= most:
            return
        size = len(data.encode()) + (len(metadata.encode()) if metadata else 0)
        if size > most:
            raise MessageTooLarge(
                f"data and metadata of this {definition_id!r} job have {size} bytes as stored; "
                f"max_message_bytes is {most}: keep the bulk elsewhere and pass a reference, or raise it"
            )

    def _agent(self, name: str) -> str | None:
        """The agent that a caller asked for; ``None`` where there is no choice."""
        names = self._agent_names()
        if name not in names:
            known = ", ".join(map(repr, names))
            raise ConfigurationError(f"agent_connection {name!r} is not configured; there is {known}")
        return name if names != (STANDALONE,) else None


def snapshot(new: NewJob, now: datetime, status: JobStatus, agent: str | None) -> Job:
    """The job as it stands right after it was stored at the store's instant ``now``."""
    is_catchup, missed_count = catchup_of(new.metadata)
    return job_of(
        {
            "id": new.id,
            "status": status,
            "definition_id": new.definition_id,
            "data": read(new.data),
            "metadata": read(new.metadata) if new.metadata else {},
            "lane": new.lane,
            "priority": _PRIORITIES[new.priority],
            "scheduled_at": new.run_at if new.run_at is not None else now + new.delay,
            "enqueued_at": now,
            "agent_connection": agent,
            "schedule_id": new.schedule_id,
            "unique_key": new.unique_key,
            "occurrence_at": new.occurrence_at,
            "is_catchup": is_catchup,
            "missed_count": missed_count,
        }
    )


def _are_alike(items: Sequence[JobRequest]) -> bool:
    """Whether all name the same handler, and data, and nothing else."""
    handler = getattr(items[0], "handler", None)
    for item in items:
        if not (
            type(item) is JobRequest
            and item.handler is handler
            and item.run_at is None
            and item.delay is None
            and item.priority is None
            and item.lane is None
            and item.timeout is None
            and item.max_retries is None
            and item.retry is None
            and item.metadata is None
            and item.unique_key is None
            and item.agent_connection is None
        ):
            return False
    return True


def _each(make: Callable[[_Item], _Made], items: Iterable[_Item], first: int = 0) -> list[_Made]:
    """What is made of each; the error of one says which, counting from ``first``."""
    made: list[_Made] = []
    try:
        for item in items:
            made.append(make(item))
    except InvalidJob as fault:
        fault.add_note(f"in item {first + len(made)} of once_many; nothing was stored")
        raise
    return made


def _refuse(fault: str | None) -> None:
    if fault is not None:
        raise InvalidJob(fault)


def _mapping(metadata: object) -> Mapping[str, Any]:
    if not isinstance(metadata, Mapping):
        raise InvalidJob(f"metadata must be a mapping, not {type(metadata).__name__}")
    return metadata


def _priority(value: object) -> Priority:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidJob(f"priority must be a Priority, not {value!r}")
    try:
        return Priority(value)
    except ValueError:
        names = ", ".join(f"Priority.{p.name}" for p in Priority)
        raise InvalidJob(f"priority {value!r} is none of {names}") from None


def _timeout(value: Duration) -> timedelta:
    try:
        return as_timedelta(value, "timeout", minimum=timedelta(milliseconds=1), maximum=_LONGEST_TIMEOUT)
    except (TypeError, ValueError) as fault:
        raise InvalidJob(str(fault)) from None


def _max_retries(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 10_000:
        raise InvalidJob(f"max_retries must be a whole number from 0 to 10000, not {value!r}")
    return value


def _retry(value: object) -> str:
    if not isinstance(value, RetryPolicy):
        raise InvalidJob(f"retry must be a policy made by Retry, not {type(value).__name__}")
    if value.kind == "custom":
        raise InvalidJob(
            "Retry.custom holds a function, which cannot be stored with a job: declare it on the handler"
        )
    return value.spec()
