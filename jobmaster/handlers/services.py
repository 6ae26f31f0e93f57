"""Services: what handlers are given by the annotations of their parameters."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, TypeAlias

from .annotations import Unresolved, is_context, parameters_of, without_none
from .bridge import Bridge, LoopBridge
from .context import JobContext

__all__ = ["Plan", "Service", "ServiceContainer", "ServiceScope", "enter", "name_of"]

ServiceScope: TypeAlias = Literal["cluster", "job"]

_NOTHING: Mapping[str, object] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Service:
    """One declared service. ``provided`` is an instance of ``key``, or a factory for one: a class, a plain or
    coroutine function, a generator function, or anything that returns a context manager."""

    key: Any
    provided: Any
    scope: ServiceScope = "cluster"

    @property
    def is_instance(self) -> bool:
        """Whether ``provided`` is the service itself; such a one is neither opened nor closed here."""
        try:
            return isinstance(self.provided, self.key)
        except TypeError:
            return not callable(self.provided)

    def faults(self) -> list[str]:
        """What is wrong with this declaration."""
        found = []
        if not isinstance(self.key, Hashable):
            return [f"add_service: {self.key!r} cannot be the type of a service"]
        if self.scope not in ("cluster", "job"):
            found.append(f"service {name_of(self.key)}: scope must be 'cluster' or 'job', not {self.scope!r}")
        if not self.is_instance and not callable(self.provided):
            found.append(
                f"service {name_of(self.key)}: {self.provided!r} is neither an instance of it nor a factory"
            )
        if self.is_instance and self.scope == "job":
            found.append(f"service {name_of(self.key)}: an instance cannot have scope 'job', give a factory")
        return found


@dataclass(frozen=True, slots=True)
class Plan:
    """How to call something: where each argument comes from. ``None`` stands for the job's context."""

    positional: tuple[Any, ...]
    keywords: tuple[tuple[str, Any], ...]

    def __bool__(self) -> bool:
        return bool(self.positional or self.keywords)

    @property
    def keys(self) -> list[Any]:
        """The services it takes."""
        return [key for key in (*self.positional, *dict(self.keywords).values()) if key is not None]


class ServiceContainer:
    """The services of one cluster: plans calls, opens cluster services, makes job services."""

    def __init__(self, services: Iterable[Service] = ()) -> None:
        self.problems: list[str] = []
        self._services: dict[Any, Service] = {}
        self._plans: dict[Any, Plan] = {}
        self._factories: dict[Any, Callable[..., Any]] = {}
        self._opened: dict[Any, object] = {}
        self._stack: AsyncExitStack | None = None
        for service in services:
            faults = service.faults()
            self.problems += faults
            if not faults:
                if service.key in self._services:
                    self.problems.append(f"service {name_of(service.key)} is added twice")
                self._services[service.key] = service
        for service in self._services.values():
            self._plan_factory(service)
        for key in self._services:
            self._check_cycle(key)

    # -- planning --------------------------------------------------------------------------------------

    def _plan_factory(self, service: Service) -> None:
        if service.is_instance:
            self._opened[service.key] = service.provided
            return
        plan, faults = self.plan(service.provided, f"the factory of service {name_of(service.key)}", _NOTHING)
        self.problems += faults
        self._plans[service.key] = plan
        factory = service.provided
        if inspect.isgeneratorfunction(factory):
            factory = contextlib.contextmanager(factory)
        elif inspect.isasyncgenfunction(factory):
            factory = contextlib.asynccontextmanager(factory)
        self._factories[service.key] = factory
        if service.scope == "cluster":
            if None in plan.positional or None in dict(plan.keywords).values():
                self.problems.append(
                    f"service {name_of(service.key)} takes the job's context: it needs scope='job'"
                )
            for key in plan.keys:
                if self._services[key].scope == "job":
                    self.problems.append(
                        f"service {name_of(service.key)} lives with the cluster and cannot take "
                        f"{name_of(key)}, which lives with a job"
                    )

    def _check_cycle(self, key: Any, path: tuple[Any, ...] = ()) -> None:
        if key in path:
            if key == path[0] and path[0] == min(path, key=name_of):
                circle = " → ".join(name_of(step) for step in (*path, key))
                self.problems.append(f"services need each other in a circle: {circle}")
            return
        for needed in self._plans[key].keys if key in self._plans else ():
            self._check_cycle(needed, (*path, key))

    def plan(
        self,
        target: Callable[..., Any],
        whose: str,
        known: Mapping[str, object],
        *,
        skip: int = 0,
        any_type: bool = False,
    ) -> tuple[Plan, list[str]]:
        """How to call ``target`` with services after its first ``skip`` parameters, and what is missing.

        With ``any_type`` every annotation counts as a service: a resolver will be asked for it."""
        parameters = parameters_of(target, known, skip=skip)
        positional: list[Any] = []
        keywords: list[tuple[str, Any]] = []
        faults: list[str] = []
        for parameter in parameters:
            annotation = parameter.annotation
            if is_context(annotation):
                key: Any = None
            else:
                key = self._match(annotation)
                if any_type and not parameter.has_default and not isinstance(annotation, Unresolved):
                    key = annotation
                if key is None:
                    if not parameter.has_default:
                        faults.append(f"{whose}: {self._missing(parameter.name, annotation)}")
                    continue
            if parameter.positional_only:
                positional.append(key)
            else:
                keywords.append((parameter.name, key))
        return Plan(tuple(positional), tuple(keywords)), faults

    def _match(self, annotation: object) -> Any:
        if annotation is None:
            return None
        if isinstance(annotation, Unresolved):
            named = [key for key in self._services if getattr(key, "__qualname__", "") == annotation.text]
            named = named or [
                key for key in self._services if getattr(key, "__name__", "") == annotation.text
            ]
            return named[0] if len(named) == 1 else None
        for candidate in (annotation, without_none(annotation)):
            if isinstance(candidate, Hashable) and candidate in self._services:
                return candidate
        return None

    def _missing(self, name: str, annotation: object) -> str:
        if annotation is None:
            return f"parameter {name!r} has no annotation, so no service can be found for it"
        if isinstance(annotation, Unresolved):
            return f"the annotation {annotation.text!r} of parameter {name!r} cannot be resolved"
        return (
            f"no service is added for parameter {name!r}: {name_of(annotation)}; "
            f"add_service({name_of(annotation, short=True)}, ...) would"
        )

    def reachable(self, plans: Iterable[Plan]) -> list[Service]:
        """All services that these plans lead to, needed ones first."""
        found: dict[Any, Service] = {}

        def visit(key: Any, path: frozenset[Any]) -> None:
            if key in found or key in path or key not in self._services:
                return
            for needed in self._plans[key].keys if key in self._plans else ():
                visit(needed, path | {key})
            found[key] = self._services[key]

        for plan in plans:
            for key in plan.keys:
                visit(key, frozenset())
        return list(found.values())

    def is_settled(self, plan: Plan) -> bool:
        """Whether a plan takes cluster services only, so that nothing is opened per run."""
        return None not in (*plan.positional, *dict(plan.keywords).values()) and all(
            self._services[key].scope == "cluster" for key in plan.keys
        )

    # -- life ------------------------------------------------------------------------------------------

    async def open(self, services: Sequence[Service]) -> None:
        """Open the cluster services among ``services`` that are not open, in order. When one fails, those
        that this call opened are closed and its error is raised."""
        bridge = LoopBridge()
        opened: list[Any] = []
        try:
            async with AsyncExitStack() as attempt:
                for service in services:
                    if service.scope == "cluster" and service.key not in self._opened:
                        value = await self._make(service.key, None, {}, attempt, bridge)
                        self._opened[service.key] = value
                        opened.append(service.key)
                if self._stack is None:
                    self._stack = AsyncExitStack()
                self._stack.push_async_exit(attempt.pop_all())
        except BaseException:
            for key in opened:
                self._opened.pop(key, None)
            raise

    async def close(self) -> None:
        """Close what :meth:`open` opened, in reverse. Raises what a service raised while it closed."""
        stack, self._stack = self._stack, None
        self._opened = {
            service.key: service.provided for service in self._services.values() if service.is_instance
        }
        if stack is not None:
            await stack.aclose()

    # -- per run ---------------------------------------------------------------------------------------

    def settled_arguments(self, plan: Plan) -> tuple[list[object], dict[str, object]]:
        """The arguments of a plan that takes cluster services only."""
        try:
            opened = self._opened
            positional = [opened[key] for key in plan.positional]
            return positional, {name: opened[key] for name, key in plan.keywords}
        except KeyError as missing:
            raise RuntimeError(f"service {name_of(missing.args[0])} is not open") from None

    async def arguments(
        self,
        plan: Plan,
        context: JobContext[Any] | None,
        made: dict[Any, object],
        stack: AsyncExitStack,
        bridge: Bridge,
    ) -> tuple[list[object], dict[str, object]]:
        """The arguments of a plan; job services are made once per ``made`` and closed with ``stack``."""
        positional = [await self._get(key, context, made, stack, bridge) for key in plan.positional]
        keywords = {name: await self._get(key, context, made, stack, bridge) for name, key in plan.keywords}
        return positional, keywords

    async def _get(
        self,
        key: Any,
        context: JobContext[Any] | None,
        made: dict[Any, object],
        stack: AsyncExitStack,
        bridge: Bridge,
    ) -> object:
        if key is None:
            return context
        if key in self._opened:
            return self._opened[key]
        if key in made:
            return made[key]
        if self._services[key].scope == "cluster":
            raise RuntimeError(f"service {name_of(key)} is not open: its cluster was not started")
        made[key] = await self._make(key, context, made, stack, bridge)
        return made[key]

    async def _make(
        self,
        key: Any,
        context: JobContext[Any] | None,
        made: dict[Any, object],
        stack: AsyncExitStack,
        bridge: Bridge,
    ) -> object:
        positional, keywords = await self.arguments(self._plans[key], context, made, stack, bridge)
        return await enter(self._factories[key](*positional, **keywords), stack, bridge)


class _Bridged:
    """An async context manager whose opening and closing go over a bridge."""

    def __init__(self, inner: Any, bridge: Bridge) -> None:
        self._inner = inner
        self._bridge = bridge

    async def __aenter__(self) -> Any:
        return await self._bridge.service(self._inner.__aenter__())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return bool(await self._bridge.service(self._inner.__aexit__(kind, error, trace)))


async def enter(product: Any, stack: AsyncExitStack, bridge: Bridge, *, generators_only: bool = False) -> Any:
    """What a factory made, awaited and, when it is a context manager, entered until ``stack`` closes.

    With ``generators_only`` an object that merely happens to be a context manager is left alone.
    """
    if inspect.isawaitable(product):
        product = await bridge.service(product)
    if generators_only and not isinstance(
        product, (contextlib._GeneratorContextManager, contextlib._AsyncGeneratorContextManager)
    ):
        return product
    kind = type(product)
    if hasattr(kind, "__aenter__") and hasattr(kind, "__aexit__"):
        return await stack.enter_async_context(_Bridged(product, bridge))
    if hasattr(kind, "__enter__") and hasattr(kind, "__exit__"):
        return stack.enter_context(product)
    return product


def name_of(key: Any, *, short: bool = False) -> str:
    """A type's name for messages."""
    name = getattr(key, "__qualname__" if not short else "__name__", None)
    return name if isinstance(name, str) else str(key)
