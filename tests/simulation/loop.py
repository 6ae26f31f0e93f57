"""An event loop whose time passes only when nothing is left to do, and processes that live in it.

Everything runs in one thread in an order that depends on nothing but what is scheduled, so that one seed
gives one history. A *process* is whatever was started in its context: it can be frozen, and goes on later
exactly where it stood, or killed, and never runs again.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from typing import Any

__all__ = ["PROCESS", "Process", "SimulatedLoop", "State"]


class State(Enum):
    """What a simulated process is doing."""

    RUNNING = "running"
    FROZEN = "frozen"
    DEAD = "dead"


class Process:
    """One simulated process. ``thawed_at`` is the last instant at which it went on after a freeze."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = State.RUNNING
        self.thawed_at = float("-inf")
        self.held: list[asyncio.Handle] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.sifted_at = 500
        """How many tasks there may be before those that are done are taken out."""
        self.context = contextvars.copy_context()
        self.context.run(PROCESS.set, self)

    def __repr__(self) -> str:
        return f"<{self.name}, {self.state.value}>"


PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("PROCESS", default=None)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Time is virtual: it jumps to the next timer when all that is ready has run."""

    def __init__(self) -> None:
        self.instant = 0.0
        super().__init__()
        self.set_task_factory(self._make_task)
        self.failures: list[str] = []
        self.set_exception_handler(self._note)

    def time(self) -> float:
        return self.instant

    def call_soon_threadsafe(
        self, callback: Callable[..., Any], *args: Any, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """There is one thread: nobody has to be woken."""
        return self.call_soon(callback, *args, context=context)

    def freeze(self, process: Process) -> None:
        """From now on whatever this process has to do is kept for later."""
        process.state = State.FROZEN

    def thaw(self, process: Process) -> None:
        """The process goes on; all that it missed comes at once."""
        process.state, process.thawed_at = State.RUNNING, self.instant
        self._ready.extend(process.held)
        process.held.clear()

    def kill(self, process: Process) -> None:
        """The process never runs again; nothing of it is unwound."""
        process.state = State.DEAD
        process.held.clear()

    def bury(self, process: Process) -> None:
        """Close what is left of the coroutines of a process, once nobody looks any more."""
        for task in process.tasks:
            if not task.done():
                # a task that is dropped while pending would complain
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                # what a coroutine does on its way out is of no interest: its process is gone
                with suppress(BaseException):
                    task.get_coro().close()  # type: ignore[union-attr]
        process.tasks.clear()

    def _make_task(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **options)
        process = PROCESS.get()
        if process is not None:
            process.tasks.append(task)
            if len(process.tasks) > process.sifted_at:
                process.tasks = [one for one in process.tasks if not one.done()]
                process.sifted_at = max(500, 2 * len(process.tasks))
        return task

    def _note(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.failures.append(f"{context.get('message')}: {context.get('exception')!r}")

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled  # type: ignore[attr-defined]
        while not ready:
            if not scheduled:
                raise AssertionError("nothing is left to do, and somebody waits")
            self._advance(ready, scheduled)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            process = handle._context.get(PROCESS)
            if process is None or process.state is State.RUNNING:
                handle._run()
            elif process.state is State.FROZEN:
                process.held.append(handle)

    def _advance(self, ready: Any, scheduled: list[Any]) -> None:
        self.instant = max(self.instant, scheduled[0]._when)
        while scheduled and scheduled[0]._when <= self.instant:
            timer = heapq.heappop(scheduled)
            timer._scheduled = False
            if not timer._cancelled:
                ready.append(timer)
