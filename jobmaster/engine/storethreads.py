"""Threads for calls to stores: apart from those of handlers, so that neither can starve the other."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, Protocol, TypeVar

from .signals import tell

__all__ = ["InlineStoreThreads", "StoreCalls", "StoreThreads"]

T = TypeVar("T")


class StoreCalls(Protocol):
    """Runs blocking store calls for the event loop."""

    @property
    def busy(self) -> int:
        """How many calls are under way or wait for their turn."""
        ...

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """Call ``function(*args)`` where blocking is allowed and return what it returns."""
        ...

    def close(self) -> None:
        """End the threads once their present calls are through."""
        ...


class StoreThreads:
    """A few daemon threads with one queue; one hop per call.

    A caller that is cancelled stops waiting; the call itself runs to its end, since a transaction must not
    be abandoned half-way, and its outcome then goes nowhere.
    """

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._busy = 0
        self._lock = threading.Lock()

    @property
    def busy(self) -> int:
        return self._busy

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        self._put(partial(tell, loop, _answer, future), function, args)
        return await future

    def call(self, function: Callable[..., T], timeout: float) -> T:
        """Call it from a thread that may block, and wait for it; ``TimeoutError`` after so many seconds."""
        future: Future[T] = Future()
        self._put(partial(_answer, future), function, ())
        return future.result(timeout)

    def _put(self, answer: Callable[[Any, Any], Any], function: Callable[..., Any], args: Any) -> None:
        if self._pid != os.getpid():
            # threads do not survive a fork; the child grows its own
            self._reset()
        with self._lock:
            self._busy += 1
            if self._idle <= 0 and len(self._threads) < self._size:
                thread = threading.Thread(
                    target=self._work,
                    args=(self._queue,),
                    name=f"{self._name}-{len(self._threads)}",
                    daemon=True,
                )
                self._threads.append(thread)
                thread.start()
            else:
                self._idle -= 1
            self._queue.put((answer, function, args))

    def _work(self, work: queue.SimpleQueue[Any]) -> None:
        while True:
            task = work.get()
            if task is None:
                return
            answer, function, args = task
            try:
                result, error = function(*args), None
            except BaseException as raised:
                result, error = None, raised
            with self._lock:
                self._busy -= 1
                if work is self._queue:
                    self._idle += 1
            try:
                answer(result, error)
            finally:
                del task, answer, function, args, result, error

    def close(self) -> None:
        """End the threads once their present calls are through. A later call starts others."""
        if self._pid != os.getpid():
            return
        with self._lock:
            threads, work = self._threads, self._queue
            self._threads, self._queue, self._idle = [], queue.SimpleQueue(), 0
        for _ in threads:
            work.put(None)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(timeout=10)


def _answer(future: asyncio.Future[Any] | Future[Any], result: Any, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


class InlineStoreThreads:
    """Runs store calls at once in the event loop: for memory stores and simulations."""

    @property
    def busy(self) -> int:
        return 0

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        await asyncio.sleep(0)
        return function(*args)

    def close(self) -> None:
        """Nothing to end: there are no threads."""
