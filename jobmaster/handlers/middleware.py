"""Middleware: user code around every handler."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeAlias

from .context import JobContext

__all__ = ["CallNext", "Middleware", "Step", "chain", "middleware_faults"]

Step: TypeAlias = Callable[[JobContext[Any]], Awaitable[object]]


class CallNext(Protocol):
    """Goes on to the next middleware, or to the handler; what it returns is the result so far."""

    def __call__(self, job: JobContext[Any] | None = None) -> Awaitable[object]:
        """``call_next()`` and ``call_next(job)`` are the same."""
        ...


class Middleware(Protocol):
    """Runs on the event loop around every run, whatever the handler's ``execution``; the first one added is
    the outermost. What it returns is the result, what it raises is the run's error.

    >>> class Timing:                                                             # doctest: +SKIP
    ...     async def __call__(self, job: JobContext, call_next: CallNext) -> object:
    ...         started = time.perf_counter()
    ...         try:
    ...             return await call_next()
    ...         finally:
    ...             job.log(f"took {time.perf_counter() - started:.3f} s")
    """

    def __call__(self, job: JobContext[Any], call_next: CallNext) -> Awaitable[object]:
        """Handle one run."""
        ...


def chain(middleware: Sequence[Middleware], innermost: Step) -> Step:
    """One step that goes through all middleware to ``innermost``."""
    step = innermost
    for layer in reversed(middleware):
        step = _around(layer, step)
    return step


def _around(layer: Middleware, inner: Step) -> Step:
    async def step(context: JobContext[Any]) -> object:
        async def call_next(job: JobContext[Any] | None = None) -> object:
            return await inner(context if job is None else job)

        return await layer(context, call_next)

    return step


def middleware_faults(layer: object) -> list[str]:
    """What is wrong with something given as middleware."""
    if inspect.isclass(layer):
        return [f"middleware {layer.__qualname__} is a class: give an object, {layer.__qualname__}(...)"]
    if not callable(layer):
        return [f"middleware {layer!r} cannot be called: it needs async def __call__(self, job, call_next)"]
    function = layer if inspect.isroutine(layer) else type(layer).__call__
    if inspect.isfunction(function) and not inspect.iscoroutinefunction(function):
        shown = getattr(layer, "__qualname__", type(layer).__qualname__)
        return [f"middleware {shown} must be a coroutine function: async def __call__(self, job, call_next)"]
    return []
