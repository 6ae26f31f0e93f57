"""``@job``: the same as a handler class, for a plain function."""

from __future__ import annotations

import functools
import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Generic, ParamSpec, TypeVar

from ..domain.durations import Duration
from ..domain.retry import RetryPolicy
from ..domain.status import Priority
from .annotations import annotations_at_declaration
from .options import Declaration, Execution, ScheduleArgument

__all__ = ["JobFunction", "declared_functions", "job"]

P = ParamSpec("P")
R = TypeVar("R")

_declared: weakref.WeakSet[JobFunction[..., Any]] = weakref.WeakSet()
_declaring = threading.Lock()


class JobFunction(Generic[P, R]):
    """A function that handles jobs; calling it calls the function."""

    def __init__(self, function: Callable[P, R], declaration: Declaration) -> None:
        self.function = function
        self.declaration = declaration
        self.__jobmaster_declaration__ = declaration
        functools.update_wrapper(self, function)
        with _declaring:
            _declared.add(self)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<job function {self.function.__module__}.{self.function.__qualname__}>"


def job(
    definition_id: str | None = None,
    *,
    timeout: Duration | None = None,
    max_retries: int | None = None,
    retry: RetryPolicy | None = None,
    priority: Priority | None = None,
    lane: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    execution: Execution | None = None,
    schedule: ScheduleArgument | None = None,
) -> Callable[[Callable[P, R]], JobFunction[P, R]]:
    """Make a handler of a function; the options are those of :class:`JobHandler`.

    The first parameter is the job; its annotation ``JobContext[Model]`` names the payload type. Further
    parameters are injected by annotation, as those of a handler's constructor.

    >>> @job("send-email", max_retries=3)                                         # doctest: +SKIP
    ... async def send_email(job: JobContext[EmailArgs], mailer: Mailer) -> None:
    ...     await mailer.send(job.data.to, job.data.subject)

    Raises ``TypeError`` when used without parentheses.
    """
    if definition_id is not None and not isinstance(definition_id, str):
        raise TypeError('write @job("its-id") or @job() with parentheses')

    def declare(function: Callable[P, R]) -> JobFunction[P, R]:
        annotations = annotations_at_declaration(function, depth=2)
        return JobFunction(
            function,
            Declaration(
                definition_id,
                timeout,
                max_retries,
                retry,
                priority,
                lane,
                metadata,
                execution,
                schedule,
                annotations,
            ),
        )

    return declare


def declared_functions() -> list[JobFunction[..., Any]]:
    """Every job function alive, in no particular order."""
    with _declaring:
        return list(_declared)
