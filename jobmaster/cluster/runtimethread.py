"""A running cluster in an event loop and a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

from ..engine.signals import tell

if TYPE_CHECKING:
    from .cluster import Cluster

__all__ = ["RuntimeThread"]


class RuntimeThread:
    """Runs a cluster in an event loop of its own, in a thread of its own."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._started: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._main, name=f"jobmaster-{cluster.id}", daemon=True)

    def begin(self) -> None:
        """Start; returns when the workers work, or raises why they do not."""
        self._thread.start()
        try:
            self._started.result()
        except BaseException:
            self._thread.join()
            raise

    def end(self) -> None:
        """Stop cleanly and wait for it; raises what ended the thread before, if anything did. A start that is
        under way is waited for first."""
        if self._started.exception() is not None:
            # it never ran, and its starter was told why
            self._thread.join()
            return
        tell(self._loop, self._stop.set)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _main(self) -> None:
        try:
            asyncio.run(self._run())
        except BaseException as fault:
            if not self._started.done():
                self._started.set_exception(fault)
            else:
                self._failure = fault

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._cluster._start()
        self._started.set_result(None)
        await self._stop.wait()
        await self._cluster.stop_async()
