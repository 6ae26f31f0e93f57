"""One implementation for sync and async: the same code runs on the event loop and in a thread."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, TypeVar

__all__ = ["Bridge", "LoopBridge", "RunnerBridge", "ThreadBridge", "drive"]

T = TypeVar("T")


class Bridge(Protocol):
    """How awaitables of user code are awaited from where a handler runs."""

    async def service(self, awaitable: Awaitable[T]) -> T:
        """Await a part of a service: its factory, its opening, its closing."""
        ...

    async def result(self, value: Any) -> Any:
        """What the handler returned, awaited if it is awaitable."""
        ...


async def _wait(awaitable: Awaitable[T]) -> T:
    return await awaitable


class LoopBridge:
    """On the event loop: simply await."""

    async def service(self, awaitable: Awaitable[T]) -> T:
        return await awaitable

    async def result(self, value: Any) -> Any:
        return await value if inspect.isawaitable(value) else value


class ThreadBridge:
    """In a thread: services are awaited on the worker's loop, a coroutine of the handler on a loop of its
    own, so that neither blocks the other. Its methods never suspend; see :func:`drive`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    async def service(self, awaitable: Awaitable[T]) -> T:
        return asyncio.run_coroutine_threadsafe(_wait(awaitable), self._loop).result()

    async def result(self, value: Any) -> Any:
        return asyncio.run(_wait(value)) if inspect.isawaitable(value) else value


class RunnerBridge:
    """In the main thread of a child process: ``run`` awaits on the child's loop, which stands still in
    between. Its methods never suspend; see :func:`drive`."""

    def __init__(self, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
        self._run = run

    async def service(self, awaitable: Awaitable[T]) -> T:
        done: T = self._run(_wait(awaitable))
        return done

    async def result(self, value: Any) -> Any:
        return self._run(_wait(value)) if inspect.isawaitable(value) else value


def drive(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never suspends, without an event loop."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        done: T = stop.value
        return done
    coroutine.close()
    raise RuntimeError("a bridged coroutine suspended")
