"""A built cluster: its scheduler, its life cycle, its administration."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import signal
from collections.abc import Callable
from types import TracebackType
from uuid import UUID

from ..domain.events import Observer
from ..engine.announcer import Announcer
from ..engine.completions import Completions
from ..engine.storethreads import StoreThreads
from ..engine.uninterrupted import to_its_end
from ..handlers import HandlerRegistry
from .administering import AdministrativeMethods
from .administration import Administration
from .backend import Backend, Stores
from .directory import JobDirectory
from .drafts import ScheduleDesk
from .draining import Drains
from .enginelog import EngineLog
from .explainer import Explainer
from .locator import Locator
from .producer import Producer
from .requests import RequestDesk
from .runtime import Runtime
from .runtimethread import RuntimeThread
from .scheduler import Scheduler
from .schedulers import register
from .settings import ClusterSettings, limits_of
from .timetable import Timetable
from .wiring import wire

__all__ = ["Cluster"]


class Cluster(AdministrativeMethods):
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
        limits = limits_of(settings)
        declared = {name: getattr(settings, name) for name in settings.declared if hasattr(settings, name)}
        self._completions = Completions()
        self._announcer = Announcer(observers, self._completions, self._logger)
        self._backend = Backend(
            settings.cluster_id,
            stores,
            limits,
            declared,
            settings.operation_timeout.total_seconds(),
            settings.transient_threshold,
            settings.lease,
            self._logger,
        )
        locator = Locator(self._backend, self._logger)
        self._producer = Producer(self._backend, self._wake, locator, self._logger)
        self._desk = RequestDesk(registry, registry.codecs, limits, lambda: tuple(self._backend.agents))
        directory = JobDirectory(
            self._backend, locator, self._producer, self._completions, self._wake, self._cancel_here
        )
        self._schedule_desk = ScheduleDesk(self._desk, lambda: self._backend.clock, settings.time_zone)
        self._timetable = Timetable(self._backend, self._producer, directory, self._wake, settings.time_zone)
        self._scheduler = Scheduler(
            self._desk,
            self._producer,
            directory,
            Explainer(self._backend),
            self._completions,
            self._schedule_desk,
            self._timetable,
        )
        self._administration = Administration(self._backend, locator, self._producer, self._wake)
        self._drains = Drains(self._backend, locator, self._producer)
        self._runtime: Runtime | None = None
        self._thread: RuntimeThread | None = None
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
            self._timetable,
            self._logger,
        )
        self._starting = asyncio.ensure_future(runtime.start())
        try:
            await self._starting
        except BaseException as fault:
            if self._stopping is not None:
                # somebody stopped it in the middle of its start, and sees to the rest
                raise RuntimeError(f"cluster {self.id!r} was stopped while it started") from fault
            # a start that came to its end just before it was cancelled has not stopped what it started
            await to_its_end(runtime.stop())
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
        thread = self._thread = RuntimeThread(self)
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

    def run(self, *, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None) -> None:
        """Run the workers until SIGTERM or SIGINT, then stop cleanly; a second signal ends the grace period.

        Call it from the main thread, outside of any event loop. ``loop_factory`` makes the loop to run them
        on, for instance ``uvloop.new_event_loop``; without it asyncio does, as for ``asyncio.run``.
        """
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(self._run_until_signal())

    async def _run_until_signal(self) -> None:
        loop = asyncio.get_running_loop()
        wanted = asyncio.Event()

        def on_signal() -> None:
            if not wanted.is_set():
                self._logger.info("signal received: stopping")
                wanted.set()
            elif self._runtime is not None:
                self._logger.info("signal received again: the grace period ends")
                self._runtime.hurry()

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

    # -- within this process ---------------------------------------------------------------------------

    def _wake(self, lane: str | None) -> None:
        runtime = self._runtime
        if runtime is not None:
            runtime.wake(lane)

    def _cancel_here(self, job_id: UUID) -> None:
        runtime = self._runtime
        if runtime is not None:
            runtime.cancel(job_id)
