"""A built cluster: its scheduler, its life cycle, its administration."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import signal
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, TypeVar
from uuid import UUID

from ..domain.events import Observer
from ..domain.status import ClusterMode
from ..engine.announcer import Announcer
from ..engine.completions import Completions
from ..engine.options import ClusterLimits
from ..engine.storethreads import StoreThreads
from ..handlers import HandlerRegistry
from ..ports import BucketInfo, ClusterSetting, WorkerInfo
from .administration import Administration, AgentInfo, ClusterStatus
from .backend import Backend, Stores
from .directory import JobDirectory
from .enginelog import EngineLog
from .explainer import Explainer
from .producer import Producer
from .requests import RequestDesk
from .runtime import Runtime
from .scheduler import Scheduler
from .schedulers import register
from .settings import ClusterSettings
from .wiring import wire

__all__ = ["Cluster"]

T = TypeVar("T")


class Cluster:
    """One cluster as this process sees it; made by ``ClusterConfig.build()``.

    ``scheduler`` works at once. ``async with cluster`` runs the workers in the current event loop, ``with
    cluster`` in a background thread; ``start``/``stop`` serve frameworks with a life cycle of their own, and
    ``run`` blocks until SIGTERM or SIGINT. A stopped cluster can start again.
    """

    def __init__(
        self,
        settings: ClusterSettings,
        registry: HandlerRegistry,
        observers: tuple[Observer, ...] = (),
        default: bool = False,
        *,
        stores: Stores | None = None,
    ) -> None:
        if stores is None:
            stores = wire(settings)
        self._settings = settings
        self._registry = registry
        self._logger = logging.getLogger(f"jobmaster.{settings.cluster_id}")
        limits = ClusterLimits(
            settings.cluster_mode,
            settings.default_job_timeout,
            settings.default_max_retries,
            settings.default_retry,
            settings.max_losses,
            settings.data_retention,
            settings.max_message_bytes,
        )
        declared = {name: getattr(settings, name) for name in settings.declared if hasattr(settings, name)}
        self._completions = Completions()
        self._announcer = Announcer(observers, self._completions, self._logger)
        self._backend = Backend(
            settings.cluster_id,
            stores,
            limits,
            declared,
            settings.operation_timeout.total_seconds(),
            self._logger,
        )
        self._producer = Producer(self._backend, self._wake, self._logger)
        self._desk = RequestDesk(registry, registry.codecs, limits, lambda: (stores.transport.name,))
        self._scheduler = Scheduler(
            self._desk,
            self._producer,
            JobDirectory(self._backend, self._producer, self._completions, self._wake, self._cancel_here),
            Explainer(self._backend),
            self._completions,
        )
        self._administration = Administration(self._backend, self._producer, self._wake)
        self._runtime: Runtime | None = None
        self._thread: _RuntimeThread | None = None
        self._starting: asyncio.Future[None] | None = None
        self._stopping: asyncio.Future[None] | None = None
        self._log = EngineLog(settings.debug_jsonl_directory, settings.cluster_id)
        register(self._scheduler, settings.cluster_id, default=default)

    def __repr__(self) -> str:
        state = "running" if self.is_running else "stopped"
        return f"<Cluster {self.id!r} on {self._backend.location}, {state}>"

    @property
    def id(self) -> str:
        """The name of the cluster."""
        return self._backend.cluster_id

    @property
    def scheduler(self) -> Scheduler:
        """Enqueues and looks up jobs; works whether the cluster is started or not."""
        return self._scheduler

    @property
    def is_running(self) -> bool:
        """Whether this process runs the cluster's workers now."""
        return self._runtime is not None

    @property
    def settings_in_code(self) -> ClusterSettings:
        """What this process was configured with; :meth:`settings` shows what the master keeps."""
        return self._settings

    @property
    def definition_ids(self) -> tuple[str, ...]:
        """The definition ids of the handlers that this process knows, sorted."""
        return tuple(sorted(bound.definition_id for bound in self._registry))

    @property
    def load(self) -> tuple[int, int]:
        """How many claimed jobs this process holds, and how many outcomes it has not stored yet."""
        runtime = self._runtime
        return (0, 0) if runtime is None else runtime.load

    # -- life cycle ------------------------------------------------------------------------------------

    async def start_async(self) -> None:
        """Start the workers in the current event loop.

        Raises ``ConfigurationError`` (schema, identity), ``TransientStoreError`` (database not reachable
        within the startup timeout), ``RuntimeError`` when it runs already or is stopped meanwhile.
        """
        self._check_startable()
        await self._start()

    async def _start(self) -> None:
        self._log.open()
        runtime = self._runtime = Runtime(
            self._settings,
            self._registry,
            self._backend,
            self._scheduler,
            self._announcer,
            self._logger,
        )
        self._starting = asyncio.ensure_future(runtime.start())
        try:
            await self._starting
        except BaseException as fault:
            if self._stopping is not None:
                # somebody stopped it in the middle of its start, and sees to the rest
                raise RuntimeError(f"cluster {self.id!r} was stopped while it started") from fault
            self._runtime = None
            await self.close_async()
            raise

    def _check_startable(self) -> None:
        if self._thread is not None or self._runtime is not None:
            raise RuntimeError(f"cluster {self.id!r} runs already in this process")
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            raise RuntimeError(
                f"cluster {self.id!r} is being started while a child process imports the main module: "
                'start it under `if __name__ == "__main__":`'
            )

    async def stop_async(self) -> None:
        """Stop the workers cleanly (see ``grace_period``) and release everything. Idempotent.

        The stop runs to its end even if the caller is cancelled; whoever calls meanwhile waits for the same.
        """
        if self._stopping is None:
            self._stopping = asyncio.ensure_future(self._stop())
        await asyncio.shield(self._stopping)

    async def _stop(self) -> None:
        try:
            runtime, starting = self._runtime, self._starting
            if starting is not None and not starting.done():
                starting.cancel()
                await asyncio.wait([starting])
            if runtime is not None:
                await runtime.stop()
                self._runtime = None
            await self.close_async()
        finally:
            self._stopping = None

    async def __aenter__(self) -> Cluster:
        await self.start_async()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop_async()

    def start(self) -> None:
        """Start the workers in a background thread; returns when they work. Raises as :meth:`start_async`."""
        self._check_startable()
        thread = self._thread = _RuntimeThread(self)
        try:
            thread.begin()
        except BaseException:
            self._thread = None
            raise

    def stop(self) -> None:
        """Stop what :meth:`start` started, cleanly, and release everything. Idempotent."""
        thread, self._thread = self._thread, None
        if thread is None:
            self.close()
        else:
            thread.end()

    def __enter__(self) -> Cluster:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def run(self) -> None:
        """Run the workers until SIGTERM or SIGINT, then stop cleanly; a second signal ends the grace period.

        Call it from the main thread, outside of any event loop.
        """
        asyncio.run(self._run_until_signal())

    async def _run_until_signal(self) -> None:
        loop = asyncio.get_running_loop()
        wanted = asyncio.Event()

        def on_signal() -> None:
            if wanted.is_set() and self._runtime is not None:
                self._runtime.hurry()
            wanted.set()

        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, on_signal)
        stop_wanted = asyncio.ensure_future(wanted.wait())
        try:
            starting = asyncio.ensure_future(self.start_async())
            await asyncio.wait([starting, stop_wanted], return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
                await asyncio.wait([starting])
                return
            starting.result()
            await stop_wanted
            self._logger.info("signal received: stopping")
            await self.stop_async()
        finally:
            stop_wanted.cancel()
            for number in signals:
                loop.remove_signal_handler(number)

    def close(self) -> None:
        """Release what the scheduler holds: connections and threads. A later call opens them again."""
        self._producer.close()
        self._backend.close()
        self._log.close()

    async def close_async(self) -> None:
        """Async twin of :meth:`close`."""
        # a thread of its own: the pools that would lend one are being closed, or gone at interpreter exit
        closer = StoreThreads(1, "jobmaster-closer")
        await closer.run(self.close)
        closer.close()

    # -- administration --------------------------------------------------------------------------------

    def set_mode(self, mode: ClusterMode | str) -> None:
        """Switch the whole cluster to ``active``, ``passive`` (accept, do not run) or ``archived``
        (read-only). Pinned: it survives restarts until :meth:`unpin` is called for ``cluster_mode``.
        Workers elsewhere follow within about five seconds."""
        self._administration.pin("cluster_mode", mode)

    async def set_mode_async(self, mode: ClusterMode | str) -> None:
        """Async twin of :meth:`set_mode`."""
        await self._in_thread(self.set_mode, mode)

    def settings(self) -> Mapping[str, ClusterSetting]:
        """The settings stored on the master, by name."""
        return self._administration.settings()

    async def settings_async(self) -> Mapping[str, ClusterSetting]:
        """Async twin of :meth:`settings`."""
        return await self._in_thread(self.settings)

    def pin(self, name: str, value: Any) -> None:
        """Set a stored setting so that it wins over what code declares. Raises ``ConfigurationError``."""
        self._administration.pin(name, value)

    async def pin_async(self, name: str, value: Any) -> None:
        """Async twin of :meth:`pin`."""
        await self._in_thread(self.pin, name, value)

    def unpin(self, name: str) -> None:
        """Let the value declared in code win again."""
        self._administration.unpin(name)

    async def unpin_async(self, name: str) -> None:
        """Async twin of :meth:`unpin`."""
        await self._in_thread(self.unpin, name)

    def workers(self) -> list[WorkerInfo]:
        """The registered workers of the whole cluster, oldest first."""
        return self._administration.workers()

    async def workers_async(self) -> list[WorkerInfo]:
        """Async twin of :meth:`workers`."""
        return await self._in_thread(self.workers)

    def buckets(self) -> list[BucketInfo]:
        """The buckets of every agent."""
        return self._administration.buckets()

    async def buckets_async(self) -> list[BucketInfo]:
        """Async twin of :meth:`buckets`."""
        return await self._in_thread(self.buckets)

    def agents(self) -> list[AgentInfo]:
        """The agent connections; that of a standalone cluster is called ``standalone``."""
        return self._administration.agents()

    async def agents_async(self) -> list[AgentInfo]:
        """Async twin of :meth:`agents`."""
        return await self._in_thread(self.agents)

    def status(self) -> ClusterStatus:
        """Mode, depths per agent, lane, priority and status, workers and buckets, at one moment."""
        return self._administration.status()

    async def status_async(self) -> ClusterStatus:
        """Async twin of :meth:`status`."""
        return await self._in_thread(self.status)

    # -- within this process ---------------------------------------------------------------------------

    async def _in_thread(self, function: Callable[..., T], *args: Any) -> T:
        return await self._producer.threads.run(function, *args)

    def _wake(self, lane: str | None) -> None:
        runtime = self._runtime
        if runtime is not None:
            runtime.wake(lane)

    def _cancel_here(self, job_id: UUID) -> None:
        runtime = self._runtime
        if runtime is not None:
            runtime.cancel(job_id)


class _RuntimeThread:
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
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
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
