"""The handlers of one cluster: found, checked together, bound."""

from __future__ import annotations

import gc
import inspect
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ..errors import JobMasterError, UnknownHandler
from .annotations import Parameter, Unresolved, context_payload, is_context, parameters_of
from .bound import BoundHandler, Kind, Resolver, Target, Wiring
from .codec import Codecs
from .function import JobFunction, declared_functions
from .handler import JobHandler, declared_handlers, is_concrete, payload_argument
from .middleware import Middleware, middleware_faults
from .options import Declaration
from .reference import is_replaced, qualified_name, reference_to
from .services import Plan, Service, ServiceContainer, name_of

__all__ = ["HandlerRegistry"]


class HandlerRegistry:
    """Handlers by definition id.

    ``handlers``: those and no others; ``None``: every concrete handler class and job function that is alive
    now. Nothing raises here: ``problems`` lists every fault, a sentence each, and a handler with one is left
    out; ``advice`` lists what works but is unwise.
    """

    def __init__(
        self,
        handlers: Iterable[object] | None,
        *,
        codecs: Codecs,
        middleware: Sequence[Middleware] = (),
        services: Sequence[Service] = (),
        resolver: Resolver | None = None,
    ) -> None:
        self.problems: list[str] = []
        self.advice: list[str] = []
        self.codecs = codecs
        self._bound: dict[str, BoundHandler] = {}
        self._ids: dict[Target, str] = {}
        for layer in middleware:
            self.problems += middleware_faults(layer)
        if resolver is not None and not callable(resolver):
            self.problems.append(f"resolve_with takes a callable, not {resolver!r}")
        self._services = ServiceContainer(services)
        self.problems += self._services.problems
        self._wiring = Wiring(codecs, self._services, tuple(middleware), resolver)
        if self.problems:
            # with a broken service every handler that takes it would be reported too
            return
        if handlers is not None:
            self._bind_all(self._accept(handlers))
            return
        self._bind_all(_declared())
        if self.problems:
            # classes that nobody holds any more live until the collector comes by; ask it before complaining
            for kept in (self.problems, self.advice, self._bound, self._ids):
                kept.clear()
            gc.collect()
            self._bind_all(_declared())

    # -- asking ----------------------------------------------------------------------------------------

    def get(self, definition_id: str) -> BoundHandler | None:
        """The handler of a definition id, or ``None``."""
        return self._bound.get(definition_id)

    def resolve(self, handler: object) -> tuple[str, BoundHandler | None]:
        """Definition id and handler of what a caller named: a handler class, a job function or an id.

        Raises :class:`UnknownHandler` for a class or function that is not registered. An unknown id is
        accepted, since its handler may live elsewhere.
        """
        if isinstance(handler, str):
            return handler, self._bound.get(handler)
        try:
            definition_id = self._ids[handler]  # type: ignore[index]
        except (KeyError, TypeError):
            raise UnknownHandler(self._unknown(handler)) from None
        return definition_id, self._bound[definition_id]

    def knows(self, handler: object) -> bool:
        """Whether this handler class or job function is registered."""
        return handler in self._ids

    def _unknown(self, handler: object) -> str:
        if isinstance(handler, JobFunction) or (inspect.isclass(handler) and issubclass(handler, JobHandler)):
            shown = qualified_name(handler.function if isinstance(handler, JobFunction) else handler)
            return (
                f"{shown} is not registered with this cluster: pass it to add_handlers, "
                "or declare it before build()"
            )
        if inspect.isfunction(handler):
            return f"{qualified_name(handler)} is a plain function: @job makes it a handler"
        return f"{handler!r} is no handler: give a handler class, a @job function or a definition id"

    def __iter__(self) -> Iterator[BoundHandler]:
        return iter(self._bound.values())

    def __len__(self) -> int:
        return len(self._bound)

    # -- services --------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the cluster services that handlers in this process take, needed ones first. Raises what a
        factory raises, after closing those opened before."""
        await self._open([bound for bound in self._bound.values() if bound.kind != "process"])

    async def open_for(self, bound: BoundHandler) -> None:
        """Open the cluster services of one handler, where they are not open: what a child process does."""
        await self._open([bound])

    async def _open(self, handlers: Sequence[BoundHandler]) -> None:
        await self._services.open(self._services.reachable([bound._plan for bound in handlers]))

    async def close(self) -> None:
        """Close them in reverse. Can be opened again."""
        await self._services.close()

    # -- building --------------------------------------------------------------------------------------

    def _accept(self, handlers: Iterable[object]) -> list[Target]:
        accepted: dict[Target, None] = {}
        for handler in handlers:
            if isinstance(handler, JobFunction):
                accepted[handler] = None
            elif not inspect.isclass(handler) or not issubclass(handler, JobHandler):
                self.problems.append(f"add_handlers: {self._unknown(handler)}")
            elif not is_concrete(handler):
                self.problems.append(
                    f"add_handlers: {qualified_name(handler)} is abstract: it defines no handle method, "
                    "or leaves abstract methods open"
                )
            else:
                accepted[handler] = None
        return list(accepted)

    def _bind_all(self, targets: Sequence[Target]) -> None:
        by_id: dict[str, list[Target]] = defaultdict(list)
        for target in targets:
            declared = _declaration(target).definition_id
            by_id[_name(target) if declared is None else declared].append(target)
        for definition_id, same in by_id.items():
            if len(same) > 1:
                names = ", ".join(sorted(_name(target) for target in same))
                self.problems.append(f"definition id {definition_id!r} belongs to several handlers: {names}")
                continue
            (target,) = same
            bound = self._bind(definition_id, target)
            if bound is not None:
                self._bound[definition_id] = bound
                self._ids[target] = definition_id
                if _declaration(target).definition_id is None:
                    self.advice.append(
                        f"handler {definition_id} has no definition_id, so its name serves: renaming or "
                        "moving it would leave its waiting jobs without a handler; a fixed one does not"
                    )
        in_children = [bound for bound in self._bound.values() if bound.kind == "process"]
        if in_children:
            spec = self._child_spec(in_children)
            for bound in in_children:
                bound.child_spec = spec

    def _bind(self, definition_id: str, target: Target) -> BoundHandler | None:
        declaration = _declaration(target)
        options, faults = declaration.check(definition_id)
        function = target.function if isinstance(target, JobFunction) else target.handle
        first, wrong = _first_parameter(target, function, declaration)
        faults += wrong
        codecs = self._wiring.codecs
        payload_type = None if isinstance(target, JobFunction) else payload_argument(target)
        if payload_type is None and first is not None:
            payload_type = context_payload(first.annotation)
        try:
            payload = codecs.for_type(payload_type)
        except TypeError as fault:
            payload = codecs.for_type(None)
            faults.append(str(fault))
        if not faults and declaration.metadata is not None:
            try:
                codecs.encode_metadata(declaration.metadata)
            except JobMasterError as fault:
                faults.append(str(fault))
        plan = Plan((), ())
        if not faults:
            plan, faults = self._plan(target, declaration)
        kind = _kind(declaration, function)
        if kind == "process" and not faults:
            faults = self._child_faults(target, plan)
        if faults:
            self.problems += [f"handler {_name(target)}: {fault}" for fault in faults]
            return None
        return BoundHandler(definition_id, target, kind, options, payload, plan, self._wiring)

    def _plan(self, target: Target, declaration: Declaration) -> tuple[Plan, list[str]]:
        resolved = self._wiring.resolver is not None
        known = declaration.annotations
        if isinstance(target, JobFunction):
            plan, faults = self._services.plan(
                target.function, "its parameters", known, skip=1, any_type=resolved
            )
        elif resolved:
            plan, faults = Plan((), ()), []
        else:
            plan, faults = self._services.plan(target, "its constructor", known)
        return plan, faults

    def _child_faults(self, target: Target, plan: Plan) -> list[str]:
        """What keeps a handler from being rebuilt in a child process, which imports everything by name."""
        faults: list[str] = []

        def check(thing: object, what: str) -> None:
            try:
                reference_to(thing)
            except ValueError as fault:
                faults.append(f"{what} cannot be used with execution='process': {fault}")

        check(target, "it")
        resolver = self._wiring.resolver
        if resolver is not None:
            check(resolver, "the callable of resolve_with")
            return faults
        for service in self._services.reachable([plan]):
            what = f"service {name_of(service.key)}"
            if service.is_instance:
                faults.append(
                    f"{what} cannot be used with execution='process': an object cannot travel to a child "
                    "process, add it by a factory"
                )
            else:
                check(service.key, f"the type of {what}")
                check(service.provided, f"the factory of {what}")
        return faults

    def _child_spec(self, handlers: Sequence[BoundHandler]) -> str:
        """All that a child process needs to build the same handlers, as JSON."""
        resolver = self._wiring.resolver
        plans = [bound._plan for bound in handlers] if resolver is None else []
        return json.dumps(
            {
                "handlers": {bound.definition_id: reference_to(bound.target) for bound in handlers},
                "codecs": self.codecs.reference,
                "services": [
                    [reference_to(service.key), reference_to(service.provided), service.scope]
                    for service in self._services.reachable(plans)
                ],
                "resolver": None if resolver is None else reference_to(resolver),
            }
        )


def _declaration(target: Target) -> Declaration:
    return target.__jobmaster_declaration__


def _name(target: Target) -> str:
    return qualified_name(target.function if isinstance(target, JobFunction) else target)


def _declared() -> list[Target]:
    functions = sorted(declared_functions(), key=_name)
    targets: list[Target] = [*declared_handlers(), *functions]
    return [target for target in targets if not is_replaced(target)]


def _kind(declaration: Declaration, function: Callable[..., Any]) -> Kind:
    if declaration.execution == "process":
        return "process"
    if declaration.execution == "thread" or not inspect.iscoroutinefunction(inspect.unwrap(function)):
        return "thread"
    return "coroutine"


def _first_parameter(
    target: Target, function: Callable[..., Any], declaration: Declaration
) -> tuple[Parameter | None, list[str]]:
    """The parameter that takes the job, and what is wrong with the way the handler is called."""
    shown = "the function" if isinstance(target, JobFunction) else "handle"
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        return None, [f"{shown} is a generator: it must be a plain or a coroutine function"]
    faults: list[str] = []
    skip = 0
    if not isinstance(target, JobFunction):
        static = isinstance(inspect.getattr_static(target, "handle"), staticmethod | classmethod)
        skip = 0 if static else 1
        if inspect.iscoroutinefunction(target.should_retry):
            faults.append("should_retry must be a plain function: it is called between runs")
    parameters = parameters_of(function, declaration.annotations, skip=skip)
    bare = [parameter.kind for parameter in inspect.signature(function).parameters.values()]
    if not parameters and inspect.Parameter.VAR_POSITIONAL not in bare:
        return None, [*faults, f"{shown} takes no job: its first parameter (after self) is the job"]
    if not isinstance(target, JobFunction):
        extra = [parameter.name for parameter in parameters[1:] if not parameter.has_default]
        if extra:
            faults.append(
                f"handle takes the job only, not {', '.join(extra)}: services go to the constructor"
            )
    if not parameters:
        return None, faults
    first = parameters[0]
    if isinstance(first.annotation, Unresolved):
        if first.annotation.text.partition("[")[0].rpartition(".")[2] == "JobContext":
            if isinstance(target, JobFunction) and "[" in first.annotation.text:
                faults.append(f"the annotation {first.annotation.text!r} cannot be resolved")
    elif first.annotation is not None and not _takes_context(first.annotation):
        faults.append(f"the first parameter {first.name!r} is the job: annotate it as JobContext")
    return first, faults


def _takes_context(annotation: object) -> bool:
    return is_context(annotation) or annotation in (Any, object)
