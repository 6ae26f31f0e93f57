"""``ClusterConfig``: describes a cluster step by step; ``build()`` checks everything at once."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..domain.events import Observer
from ..domain.job import DEFAULT_LANE
from ..domain.names import check_name
from ..domain.status import Priority, WorkerMode
from ..errors import ConfigurationError
from ..handlers import HandlerRegistry, Middleware, Service, ServiceScope
from ..payload import JsonCodecs
from .databases import DatabaseSteps
from .faults import agent_fault, enum_fault, worker_faults
from .natsagents import LONGEST_THRESHOLD, is_nats, threshold_fault
from .requests import RequestDesk
from .settings import STANDALONE, ClusterSettings, DatabaseSettings, WorkerSettings, limits_of
from .sources import apply_environment, apply_toml
from .staticschedules import StaticProfile, StaticSchedules, static_profiles

if TYPE_CHECKING:
    from .cluster import Cluster

__all__ = ["ClusterConfig"]


class ClusterConfig(DatabaseSteps):
    """The description of a cluster. Every step returns the config, connects to nothing and never raises.

    Durations are ``timedelta`` or seconds. A step called again replaces what it said before;
    ``add_…`` steps add. All faults are told by :meth:`build`, in one ``ConfigurationError``.

    >>> cluster = (                                                               # doctest: +SKIP
    ...     ClusterConfig("orders")
    ...     .use_postgres("postgresql://orders@db/orders")
    ...     .default_job_timeout(timedelta(minutes=2))
    ...     .add_worker(lane="payroll", concurrency=8)
    ...     .build()
    ... )
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self._workers: list[WorkerSettings] = []
        self._worker_calls = 0
        self._handlers: list[object] | None = None
        self._middleware: list[Middleware] = []
        self._services: list[Service] = []
        self._resolver: Callable[[Any], Any] | None = None
        self._observers: list[Observer] = []
        self._static: list[object] = []
        self._default = False
        if fault := check_name("cluster name", name):
            self._problems["name"] = fault

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str], *, env_prefix: str = "JOBMASTER_") -> ClusterConfig:
        """The config that a TOML file gives, with the environment over it; steps in code win over both.

        ``name`` is the cluster's name; the other keys are the names of steps, workers are ``[[workers]]``.
        Durations are seconds or text such as ``"10 min"``; ``"none"`` stands for ``None``.
        """
        config = cls._nameless()
        config._load(lambda: apply_toml(config, Path(path)), 0)
        config._load(lambda: apply_environment(config, env_prefix, os.environ), 1)
        return config

    @classmethod
    def from_env(cls, prefix: str = "JOBMASTER_") -> ClusterConfig:
        """The config that environment variables give: ``JOBMASTER_NAME=orders``,
        ``JOBMASTER_USE_SQLITE=orders.db``, ``JOBMASTER_LEASE=30``, ``JOBMASTER_WORKERS=[{"lane": "mail"}]``.
        Tables and lists are JSON."""
        config = cls._nameless()
        config._load(lambda: apply_environment(config, prefix, os.environ), 1)
        return config

    # -- extensions ------------------------------------------------------------------------------------

    def add_middleware(self, middleware: Middleware) -> ClusterConfig:
        """Run this around every handler; the first one added is the outermost."""
        self._middleware.append(middleware)
        return self

    def resolve_with(self, resolver: Callable[[Any], Any]) -> ClusterConfig:
        """Let ``resolver(handler_class)`` make every handler object, sync or async, instead of services.

        It may be a generator function or a (async) context manager function, closed after the run. For the
        injected parameters of a ``@job`` function it is called with their types.
        """
        self._resolver = resolver
        return self

    def add_service(self, key: Any, provided: object, *, scope: ServiceScope = "cluster") -> ClusterConfig:
        """What handlers get for a parameter annotated ``key``: an instance, or a factory for one.

        A factory is a class, a plain or coroutine function, or a generator function; its own parameters are
        services too, and a context manager that it returns is entered. It is opened once at start and closed
        at stop, or with ``scope="job"`` for every run (there it may also take the ``JobContext``).
        """
        self._services.append(Service(key, provided, scope))
        return self

    def add_observer(self, observer: Observer) -> ClusterConfig:
        """Tell ``observer.on_event(event)`` what happens in this process."""
        if not callable(getattr(observer, "on_event", None)):
            return self._fail(f"observer {len(self._observers)}", f"observer {observer!r} has no on_event")
        self._observers.append(observer)
        return self

    def set_as_default(self) -> ClusterConfig:
        """Make this the cluster of ``jobmaster.get_scheduler()``; else it is the first one built."""
        self._default = True
        return self

    def add_static_schedules(self, *schedules: StaticSchedules) -> ClusterConfig:
        """Schedules that follow the code: see :class:`StaticSchedules`. They are stored when a runtime
        starts; a process that only enqueues stores none."""
        self._static.extend(schedules)
        return self

    def add_handlers(self, *handlers: object) -> ClusterConfig:
        """Serve these handler classes and ``@job`` functions, and no others.

        Without this step every concrete one that is imported when ``build()`` runs is served.
        """
        self._handlers = [*(self._handlers or ()), *handlers]
        return self

    def add_worker(
        self,
        agent_connection: str | None = None,
        *,
        lane: str = DEFAULT_LANE,
        name: str | None = None,
        mode: WorkerMode | str = WorkerMode.FULL,
        batch_size: int = 250,
        parallelism_factor: float = 1.0,
        bucket_quantity: Mapping[Priority, int] | None = None,
        concurrency: int | None = None,
    ) -> ClusterConfig:
        """Run a worker in this process.

        It has 2, 3, 4, 5, 6 run slots for the five priorities times ``parallelism_factor``, or
        ``concurrency`` in all. ``batch_size`` and five times its slots bound what it holds beyond them; while
        jobs are short, four times ``batch_size`` does.
        """
        self._worker_calls += 1
        number = self._worker_calls
        shown = f"worker {name if name is not None else number!r}"
        faults = [
            check_name("lane", lane),
            None if name is None else check_name("worker name", name),
            enum_fault("mode", WorkerMode, mode),
            *worker_faults(batch_size, parallelism_factor, bucket_quantity, concurrency),
        ]
        found = [fault for fault in faults if fault]
        if found:
            for index, fault in enumerate(found):
                self._problems[f"worker {self._worker_calls}.{index}"] = f"{shown}: {fault}"
            return self
        quantity = {Priority(priority): count for priority, count in (bucket_quantity or {}).items()}
        worker = WorkerSettings(
            name if name is not None else f"worker-{number}",
            agent_connection or "",
            lane,
            WorkerMode(mode),
            batch_size,
            float(parallelism_factor),
            quantity,
            concurrency,
        )
        self._workers.append(worker)
        return self

    # -- building --------------------------------------------------------------------------------------

    def build(self, *, workers: bool = True) -> Cluster:
        """Check everything and make the cluster; connects to nothing.

        ``workers=False`` leaves the workers out: the half that only enqueues. Raises ``ConfigurationError``
        with every fault found.
        """
        settings, registry = self.prepare(*self._choose_databases(bool(self._workers)), workers=workers)
        from .cluster import Cluster

        return Cluster(settings, registry, tuple(self._observers), self._default)

    def prepare(
        self,
        database: DatabaseSettings | None,
        agents: Mapping[str, DatabaseSettings] | None = None,
        problems: Sequence[str] = (),
        *,
        workers: bool = True,
    ) -> tuple[ClusterSettings, HandlerRegistry]:
        """The checked settings and handlers on these databases, for whoever wires stores of another kind.

        Raises ``ConfigurationError`` with ``problems`` and every other fault found.
        """
        agents = agents or {}
        # an agent that could not be read has been complained about: whoever names it is not wrong
        faulty = self._agent_connections if problems else []
        declared = tuple(dict.fromkeys([*agents, *(agent.name for agent in faulty)]))
        problems = [*self._problems.values(), *problems]
        chosen = []
        for number, worker in enumerate(self._workers if workers else (), start=1):
            asked = worker.agent_connection or None
            fault = agent_fault(asked, declared) if database is not None else None
            if fault:
                shown = number if worker.name == f"worker-{number}" else repr(worker.name)
                problems.append(f"worker {shown}: {fault}")
            chosen.append(replace(worker, agent_connection=asked or next(iter(agents), STANDALONE)))
        registry = HandlerRegistry(
            self._handlers,
            codecs=JsonCodecs(),
            middleware=self._middleware,
            services=self._services,
            resolver=self._resolver,
        )
        problems += registry.problems
        static: tuple[StaticProfile, ...] = ()
        if not registry.problems:
            static, faults = self._static_profiles(registry, declared or (STANDALONE,))
            problems += faults
        values = dict(self._values)
        if any(agent.kind == "nats" for agent in agents.values()) or any(is_nats(a.url) for a in faulty):
            fault = threshold_fault(values.get("transient_threshold"))
            problems += [fault] if fault else []
            values.setdefault("transient_threshold", LONGEST_THRESHOLD)
        if problems or database is None:
            raise ConfigurationError(*problems)
        for advice in registry.advice:
            logging.getLogger("jobmaster.handlers").warning("%s", advice)
        settings = ClusterSettings(
            self._name,
            database,
            agents,
            tuple(chosen),
            static=static,
            declared=frozenset(self._values),
            **values,
        )
        return settings, registry

    def _static_profiles(
        self, registry: HandlerRegistry, agents: tuple[str, ...]
    ) -> tuple[tuple[StaticProfile, ...], list[str]]:
        values = ClusterSettings(self._name, DatabaseSettings("", ""), **self._values)
        desk = RequestDesk(registry, registry.codecs, limits_of(values), lambda: agents)
        return static_profiles(self._static, registry, desk, values.time_zone)

    @property
    def observers(self) -> tuple[Observer, ...]:
        """The observers added so far."""
        return tuple(self._observers)

    # -- inside ----------------------------------------------------------------------------------------

    def _load(self, apply: Callable[[], Sequence[str]], origin: int) -> None:
        self._origin = origin
        for fault in apply():
            self._problems[fault] = fault
        self._origin = 2

    @classmethod
    def _nameless(cls) -> ClusterConfig:
        return cls("unnamed")._fail("name", "the cluster has no name: set 'name'")

    def _rename(self, name: str) -> None:
        self._name = name
        self._check("name", check_name("cluster name", name))

    def _forget_workers(self) -> None:
        """A list of workers replaces the list of a source with less precedence."""
        self._workers.clear()
        self._worker_calls = 0
        for key in [key for key in self._problems if key.startswith("worker ")]:
            del self._problems[key]

    def __repr__(self) -> str:
        return f"<ClusterConfig {self._name!r}>"
