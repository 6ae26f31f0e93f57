"""Threads for sync handlers. A thread cannot be stopped, so account is kept of those that nobody awaits."""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from .signals import tell

__all__ = ["HandlerCall", "ThreadRunner"]

T = TypeVar("T")


class HandlerCall:
    """One call on its way through a thread; see ``handlers.ThreadCall``."""

    __slots__ = ("_runner", "_state", "future")

    def __init__(self, runner: ThreadRunner, future: asyncio.Future[Any]) -> None:
        self._runner = runner
        self._state = "queued"
        self.future = future
        """Has the outcome once the thread is through. Shield it when awaiting: cancelling stops nothing."""

    def withdraw(self) -> bool:
        """Take the call back, which cancels ``future``; ``False`` when a thread has begun it.

        A call that has begun counts as abandoned from then on, until its thread has ended it.
        """
        return self._runner._withdraw(self)


class ThreadRunner:
    """Daemon threads of its own, at most ``size``, started when needed.

    Not ``concurrent.futures``, whose threads are joined at interpreter exit: a handler that never returns
    would keep the process alive for ever.
    """

    def __init__(self, size: int, name: str = "jobmaster-handler") -> None:
        if size < 1:
            raise ValueError(f"size must be at least 1, not {size}")
        self._size = size
        self._name = name
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._idle = 0
        self._pending = 0
        self._running = 0
        self._abandoned = 0
        self._closed = False

    @property
    def abandoned(self) -> int:
        """How many threads still run a call that nobody awaits any more."""
        return self._abandoned

    @property
    def busy(self) -> int:
        """How many threads run a call now."""
        return self._running

    def submit(self, function: Callable[..., Any], *args: Any) -> HandlerCall:
        """Call ``function(*args)`` in a thread, with a copy of the present context variables.

        To be called in the event loop that shall get the outcome. Waits its turn when all threads are busy.
        Raises ``RuntimeError`` once closed.
        """
        loop = asyncio.get_running_loop()
        call = HandlerCall(self, loop.create_future())
        context = contextvars.copy_context()
        with self._lock:
            if self._closed:
                raise RuntimeError("the handler threads are closed")
            self._pending += 1
            if self._pending > self._idle and len(self._threads) < self._size:
                self._start_thread()
        self._queue.put((call, loop, context, function, args))
        return call

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """Call ``function(*args)`` in a thread and return what it returns.

        When the caller is cancelled, a call that has not begun never does; one that has goes on, abandoned.
        """
        call = self.submit(function, *args)
        try:
            outcome: T = await asyncio.shield(call.future)
        except asyncio.CancelledError:
            if not call.future.done():
                call.withdraw()
            raise
        return outcome

    def close(self, wait: float = 1.0) -> int:
        """Start nothing any more and end the threads; returns how many are still busy.

        Calls that have not begun are cancelled. Idle threads are awaited for ``wait`` seconds at most, busy
        ones not at all: they end when their call returns. Idempotent; from the event loop's thread.
        """
        with self._lock:
            self._closed = True
            threads = list(self._threads)
            busy = self._running
        withdrawn = []
        while True:
            try:
                task = self._queue.get_nowait()
            except queue.Empty:
                break
            if task is not None:
                withdrawn.append(task[0])
        for call in withdrawn:
            call.withdraw()
        for _ in threads:
            self._queue.put(None)
        if not busy:
            for thread in threads:
                thread.join(wait / len(threads))
        return busy

    # -- inside ----------------------------------------------------------------------------------------

    def _start_thread(self) -> None:
        name = f"{self._name}-{len(self._threads)}"
        thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._threads.append(thread)
        self._idle += 1
        thread.start()

    def _withdraw(self, call: HandlerCall) -> bool:
        with self._lock:
            if call._state == "queued":
                call._state = "withdrawn"
                self._pending -= 1
                withdrawn = True
            else:
                if call._state == "running":
                    call._state = "abandoned"
                    self._abandoned += 1
                withdrawn = False
        if withdrawn:
            call.future.cancel()
        else:
            # nobody awaits the outcome any more: an error that is still on its way is not a lost one
            call.future.add_done_callback(_looked_at)
        return withdrawn

    def _begin(self, call: HandlerCall) -> bool:
        with self._lock:
            if call._state == "withdrawn":
                return False
            call._state = "running"
            self._pending -= 1
            self._idle -= 1
            self._running += 1
            return True

    def _end(self, call: HandlerCall) -> None:
        with self._lock:
            if call._state == "abandoned":
                self._abandoned -= 1
            call._state = "ended"
            self._running -= 1
            self._idle += 1

    def _work(self) -> None:
        while True:
            task = self._queue.get()
            if task is None:
                return
            call, loop, context, function, args = task
            if self._begin(call):
                outcome: Any = None
                error: BaseException | None = None
                try:
                    outcome = context.run(function, *args)
                except BaseException as raised:
                    # whatever user code raises belongs to whoever awaits the call
                    error = raised
                self._end(call)
                tell(loop, _deliver, call.future, outcome, error)
                del outcome, error
            # an idle thread keeps nothing of its last call alive
            del task, call, loop, context, function, args


def _looked_at(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


def _deliver(future: asyncio.Future[Any], outcome: Any, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(outcome)
    elif isinstance(error, StopIteration):
        stopped = RuntimeError("the call raised StopIteration")
        stopped.__cause__ = error
        future.set_exception(stopped)
    else:
        future.set_exception(error)
