"""``JobHandler``: the class that users subclass, and what a subclass declares."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Generic

from typing_extensions import TypeVar

from ..domain.durations import Duration
from ..domain.plaindata import PlainData
from ..domain.retry import RetryPolicy
from ..domain.status import Priority
from .annotations import annotations_at_declaration, payload_type
from .context import JobContext
from .options import Declaration, Execution, ScheduleArgument

__all__ = ["JobHandler", "declared_handlers", "is_concrete", "payload_argument"]

T = TypeVar("T", default=PlainData)


class JobHandler(Generic[T]):
    """Base of handler classes; one object is made for every run.

    The options stand in the class statement. What is not given falls back to the base class, then to the
    cluster's default; durations are ``timedelta`` or seconds.

    - ``definition_id``: names the handler in the store, 1 to 200 characters. Without it the qualified name is
      taken, so that renaming or moving the class orphans the jobs that wait.
    - ``timeout``, ``max_retries``, ``retry``, ``priority``, ``lane``, ``metadata``: for jobs that do not say
      otherwise.
    - ``execution``: ``"auto"`` runs a coroutine function on the event loop and a plain function in a thread;
      ``"thread"`` always in a thread; ``"process"`` in a child process, which can be stopped at its timeout.
      A thread cannot be stopped: after its timeout or cancellation a sync handler keeps its slot until it
      returns, so let it call ``job.check_cancelled()`` now and then.

    - ``schedule``: runs the handler again and again, without data: an expression, a ``timedelta``, a
      recurrence, or several of them in a list. The schedule follows the code, and is not inherited.

    ``JobHandler[Model]`` validates the data by a pydantic model, a dataclass or a ``TypedDict``, when a job
    is enqueued and again when it runs.

    >>> class ResizeHandler(                                                      # doctest: +SKIP
    ...     JobHandler[ResizeArgs], definition_id="resize", timeout=timedelta(seconds=30), max_retries=5
    ... ):
    ...     def __init__(self, storage: Storage) -> None:
    ...         self.storage = storage
    ...
    ...     def handle(self, job: JobContext[ResizeArgs]) -> str:
    ...         return self.storage.put(job.data.url, job.data.width)

    Faults in the options are reported together by ``ClusterConfig.build()``.
    """

    __jobmaster_declaration__: ClassVar[Declaration] = Declaration()

    def __init_subclass__(
        cls,
        *,
        definition_id: str | None = None,
        timeout: Duration | None = None,
        max_retries: int | None = None,
        retry: RetryPolicy | None = None,
        priority: Priority | None = None,
        lane: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        execution: Execution | None = None,
        schedule: ScheduleArgument | None = None,
    ) -> None:
        super().__init_subclass__()
        constructor, handle = cls.__dict__.get("__init__"), cls.__dict__.get("handle")
        declared = Declaration(
            definition_id,
            timeout,
            max_retries,
            retry,
            priority,
            lane,
            metadata,
            execution,
            schedule,
            annotations_at_declaration(constructor, handle, depth=2),
        )
        cls.__jobmaster_declaration__ = declared.over(cls.__jobmaster_declaration__)

    def handle(self, job: JobContext[T]) -> Any:
        """Do the work, as ``def`` or ``async def``; what it returns is the stored result (JSON, or ``None``).

        Whatever it raises fails the run; :class:`RetryLater`, :class:`Snooze`, :class:`CancelJob` and
        :class:`FailJob` steer it.
        """
        raise NotImplementedError(f"{type(self).__qualname__} does not define handle")

    def should_retry(self, error: BaseException, job: JobContext[T]) -> bool:
        """Whether a run that failed with ``error`` may be retried; the default says yes.

        Called on the event loop after an ordinary failure (with ``execution="process"``, in the child).
        """
        return True


def is_concrete(handler: type[JobHandler[Any]]) -> bool:
    """Whether a class can run jobs: it defines ``handle`` and leaves no abstract method open."""
    return handler.handle is not JobHandler.handle and not inspect.isabstract(handler)


def declared_handlers() -> list[type[JobHandler[Any]]]:
    """Every concrete handler class alive, base classes before their subclasses."""
    seen: dict[type[JobHandler[Any]], None] = {}

    def collect(base: type[JobHandler[Any]]) -> None:
        for handler in base.__subclasses__():
            if handler not in seen:
                seen[handler] = None
                collect(handler)

    collect(JobHandler)
    return [handler for handler in seen if is_concrete(handler)]


def payload_argument(handler: type[JobHandler[Any]]) -> object | None:
    """The ``Model`` of ``JobHandler[Model]``, also through generic base classes; ``None`` for plain data."""
    for argument in _arguments(handler, {}):
        return payload_type(argument)
    return None


def _arguments(cls: type, bound: Mapping[object, object]) -> Iterator[object]:
    for base in getattr(cls, "__orig_bases__", cls.__bases__):
        origin = typing.get_origin(base) or base
        if not (inspect.isclass(origin) and issubclass(origin, JobHandler)):
            continue
        given = [bound.get(argument, argument) for argument in typing.get_args(base)]
        if origin is JobHandler:
            yield from given
        else:
            parameters = getattr(origin, "__parameters__", ())
            yield from _arguments(origin, dict(zip(parameters, given, strict=False)))
