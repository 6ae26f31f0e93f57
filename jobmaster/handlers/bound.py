"""A handler bound to a cluster: the shortest way from a run to the JSON text of its result."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from .bridge import Bridge, LoopBridge, ThreadBridge, drive
from .codec import Codecs, PayloadCodec
from .context import JobContext
from .function import JobFunction
from .handler import JobHandler
from .middleware import Middleware, Step, chain
from .options import HandlerOptions
from .reference import qualified_name
from .remote import RemoteHandlerError
from .run import Run
from .services import Plan, ServiceContainer, enter

__all__ = ["BoundHandler", "Kind", "Resolver", "Target", "Wiring"]

Kind: TypeAlias = Literal["coroutine", "thread", "process"]
Resolver: TypeAlias = Callable[[Any], Any]
Target: TypeAlias = type[JobHandler[Any]] | JobFunction[..., Any]

_LOOP_BRIDGE = LoopBridge()


@dataclass(frozen=True, slots=True)
class Wiring:
    """What the handlers of one cluster share. ``resolver`` replaces the services when given."""

    codecs: Codecs
    services: ServiceContainer
    middleware: tuple[Middleware, ...] = ()
    resolver: Resolver | None = None


class BoundHandler:
    """One handler of one cluster. Made by :class:`HandlerRegistry`.

    Ways to run it are chosen once, so that a coroutine handler without middleware and services costs little
    more than its own call.
    """

    __slots__ = (
        "_asks_for_retry",
        "_call",
        "_plan",
        "_step",
        "_wiring",
        "child_spec",
        "codecs",
        "definition_id",
        "direct",
        "invoke",
        "kind",
        "options",
        "payload",
        "target",
    )

    invoke: Callable[[Run], Awaitable[str | None]]
    """``await invoke(run)`` runs the handler and gives the JSON text of its result, ``None`` for none.

    It lets through what the handler raises. When it is cancelled, a coroutine is cancelled with it; a child
    process is told, given its grace and killed; a thread goes on, and ``run.busy`` tells when it ends."""
    direct: Callable[[JobContext[Any]], Awaitable[Any]] | None
    """A shorter way where nothing stands between the engine and a coroutine handler: its coroutine, which
    gives its result as it is. ``None`` where something does."""

    def __init__(
        self,
        definition_id: str,
        target: Target,
        kind: Kind,
        options: HandlerOptions,
        payload: PayloadCodec,
        plan: Plan,
        wiring: Wiring,
    ) -> None:
        self.definition_id = definition_id
        self.target = target
        self.kind: Kind = kind
        self.options = options
        self.payload = payload
        self.codecs = wiring.codecs
        self.child_spec = ""
        """How a child process builds the handlers of this cluster, as JSON; for ``process`` only."""
        self._plan = plan
        self._wiring = wiring
        self._asks_for_retry = isinstance(target, type) and target.should_retry is not JobHandler.should_retry
        self._call = self._simple_call()
        core: Step = {
            "coroutine": self._on_loop,
            "thread": self._in_thread,
            "process": self._in_child,
        }[kind]
        self._step = chain(wiring.middleware, core)
        bare = not wiring.middleware
        self.invoke = self._invoke_child if bare and kind == "process" else self._invoke_step
        at_once = bare and kind == "coroutine" and not payload.eager and _is_async(target)
        self.direct = self._call if at_once else None

    @property
    def schedules(self) -> tuple[Any, ...]:
        """The schedules that it declares, as written."""
        given = self.target.__jobmaster_declaration__.schedule
        if given is None:
            return ()
        return tuple(given) if isinstance(given, list | tuple) else (given,)

    @property
    def name(self) -> str:
        """The qualified name of the class or function."""
        return qualified_name(self.target.function if isinstance(self.target, JobFunction) else self.target)

    def encode(self, data: object) -> str:
        """JSON text of a job's data, ``None`` standing for an empty mapping. Raises ``InvalidJob``."""
        return self.payload.encode({} if data is None else data)

    def should_retry(self, error: BaseException, run: Run) -> bool:
        """What the handler says about retrying after ``error``. Raises what the handler raises."""
        if isinstance(error, RemoteHandlerError):
            return error.may_retry
        handler = run.handler
        if not self._asks_for_retry or not isinstance(handler, JobHandler):
            return True
        return bool(handler.should_retry(error, JobContext(run)))

    # -- ways to run -----------------------------------------------------------------------------------

    def _simple_call(self) -> Callable[[JobContext[Any]], Any] | None:
        """A plain call, when nothing has to be opened for each run."""
        target, plan, services = self.target, self._plan, self._wiring.services
        resolved = self._wiring.resolver is not None
        if isinstance(target, JobFunction):
            function = target.function
            if not plan:
                return function
            if resolved or not services.is_settled(plan):
                return None

            def call_with_services(context: JobContext[Any]) -> Any:
                positional, keywords = services.settled_arguments(plan)
                return function(context, *positional, **keywords)

            return call_with_services
        if resolved or not services.is_settled(plan):
            return None
        if plan or self._asks_for_retry:

            def call_and_keep(context: JobContext[Any]) -> Any:
                positional, keywords = services.settled_arguments(plan)
                handler = context._run.handler = target(*positional, **keywords)
                return handler.handle(context)

            return call_and_keep

        def call(context: JobContext[Any]) -> Any:
            return target().handle(context)

        return call

    async def _invoke_step(self, run: Run) -> str | None:
        result = await self._step(JobContext(run))
        return None if result is None else self.codecs.encode_result(result)

    async def _invoke_child(self, run: Run) -> str | None:
        return await run.site.children.run(run)

    async def _in_child(self, context: JobContext[Any]) -> object:
        text = await context._run.site.children.run(context._run)
        return None if text is None else self.codecs.decode_result(text)

    async def _on_loop(self, context: JobContext[Any]) -> object:
        return await self.call(context, _LOOP_BRIDGE)

    async def _in_thread(self, context: JobContext[Any]) -> object:
        run = context._run
        call = run.site.threads.submit(self._thread_main, context, asyncio.get_running_loop())
        future = call.future
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if not future.done() and not call.withdraw():
                run.busy = future
            raise

    def _thread_main(self, context: JobContext[Any], loop: asyncio.AbstractEventLoop) -> object:
        return drive(self.call(context, ThreadBridge(loop)))

    async def call(self, context: JobContext[Any], bridge: Bridge) -> object:
        """Call the handler with its services where the caller stands; what it returned."""
        if self.payload.eager:
            _ = context.data
        simple = self._call
        if simple is not None:
            return await bridge.result(simple(context))
        async with AsyncExitStack() as stack:
            function = await self._assemble(context, stack, bridge)
            return await bridge.result(function(context))

    async def _assemble(
        self, context: JobContext[Any], stack: AsyncExitStack, bridge: Bridge
    ) -> Callable[[JobContext[Any]], Any]:
        target, wiring = self.target, self._wiring
        if isinstance(target, JobFunction):
            function = target.function
            if wiring.resolver is not None:
                resolver = wiring.resolver

                async def given(key: Any) -> object:
                    if key is None:
                        return context
                    return await enter(resolver(key), stack, bridge, generators_only=True)

                positional = [await given(key) for key in self._plan.positional]
                keywords = {name: await given(key) for name, key in self._plan.keywords}
            else:
                positional, keywords = await wiring.services.arguments(self._plan, context, {}, stack, bridge)
            return lambda job: function(job, *positional, **keywords)
        if wiring.resolver is not None:
            handler = await enter(wiring.resolver(target), stack, bridge, generators_only=True)
        else:
            positional, keywords = await wiring.services.arguments(self._plan, context, {}, stack, bridge)
            handler = target(*positional, **keywords)
        context._run.handler = handler
        return handler.handle  # type: ignore[no-any-return]


def _is_async(target: Target) -> bool:
    function = target.function if isinstance(target, JobFunction) else target.handle
    return inspect.iscoroutinefunction(function)
