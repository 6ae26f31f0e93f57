"""An event loop of one's own: the client library is asynchronous, the ports are not."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from ...errors import TransientStoreError

__all__ = ["LoopThread"]

T = TypeVar("T")


class LoopThread:
    """A daemon thread with an event loop, started at first use. Safe from any thread, and after a fork."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def forked(self) -> bool:
        """Whether this process is a child of the one that started the thread, and has none."""
        return self._pid != os.getpid()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop and wait for it. It brings its own time limit."""
        answer: concurrent.futures.Future[T] = concurrent.futures.Future()
        loop = self._running_loop()
        # one step less than asyncio.run_coroutine_threadsafe, which ties two futures together
        loop.call_soon_threadsafe(lambda: self._begin(loop, work, answer))
        return answer.result()

    def _begin(
        self,
        loop: asyncio.AbstractEventLoop,
        work: Coroutine[Any, Any, T],
        answer: concurrent.futures.Future[T],
    ) -> None:
        task = loop.create_task(_through(work, answer))
        self._tasks.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not answer.done():
                # cancelled before its first step
                work.close()
                answer.set_exception(_closed())

        task.add_done_callback(ended)

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self.forked:
                self._pid, self._loop, self._thread = os.getpid(), None, None
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_turn, args=(self._loop,), name=self._name, daemon=True
                )
                self._thread.start()
            return self._loop

    def close(self) -> None:
        """End the thread once what runs in it is through. A later call starts another."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
            if loop is None or thread is None or self.forked:
                return
        loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout=10)


def _closed() -> TransientStoreError:
    return TransientStoreError("the connection was closed meanwhile", ambiguous=True)


async def _through(work: Coroutine[Any, Any, T], answer: concurrent.futures.Future[T]) -> None:
    try:
        result = await work
    except asyncio.CancelledError:
        answer.set_exception(_closed())
        raise
    except BaseException as fault:
        answer.set_exception(fault)
    else:
        answer.set_result(result)


def _turn(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
        # what was asked for in the last moment begins, and is cancelled with the rest
        loop.run_until_complete(asyncio.sleep(0))
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
