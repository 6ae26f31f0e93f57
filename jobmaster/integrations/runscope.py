"""One scope of a container for each run: what a run asks for comes from it, and it closes after the run."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from contextvars import ContextVar
from typing import Any

from ..errors import ConfigurationError
from ..handlers import JobHandler
from ..handlers.annotations import Unresolved, parameters_of

__all__ = ["RunScopes"]


class _Scope:
    """The container of one run; ``None`` before it was opened and after it was closed."""

    __slots__ = ("container", "ended")

    def __init__(self) -> None:
        self.container: Any = None
        self.ended = False


class RunScopes(ABC):
    """A callable for ``ClusterConfig.resolve_with``. Subclasses know a kind of container.

    A ``@job`` function asks once for each of its parameters. The first question of a run opens the scope,
    the others find it in the run's context variables, and since what was entered first is left last, it
    closes when nobody needs it any more.
    """

    def __init__(self) -> None:
        self._current: ContextVar[_Scope | None] = ContextVar("jobmaster_run_scope", default=None)

    def __call__(self, key: Any) -> AbstractContextManager[object] | AbstractAsyncContextManager[object]:
        """What ``key`` stands for, as a context manager: on the event loop or in a thread, as the run is."""
        scope = self._current.get()
        first = scope is None or scope.ended
        if scope is None or first:
            scope = _Scope()
            self._current.set(scope)
        if self._awaits(_on_loop()):
            return self._given_async(scope, key, first)
        return self._given(scope, key, first)

    @contextmanager
    def _given(self, scope: _Scope, key: Any, first: bool) -> Iterator[object]:
        if not first:
            yield self._make(scope.container, key)
            return
        try:
            with self._open() as scope.container:
                yield self._make(scope.container, key)
        finally:
            scope.container, scope.ended = None, True

    @asynccontextmanager
    async def _given_async(self, scope: _Scope, key: Any, first: bool) -> AsyncIterator[object]:
        if not first:
            yield await self._make_async(scope.container, key)
            return
        try:
            async with self._open_async() as scope.container:
                yield await self._make_async(scope.container, key)
        finally:
            scope.container, scope.ended = None, True

    def _make(self, container: Any, key: Any) -> object:
        if not _is_handler(key) or self._knows(key):
            return self._get(container, key)
        return key(**{name: self._get(container, kind) for name, kind in _needs(key)})

    async def _make_async(self, container: Any, key: Any) -> object:
        if not _is_handler(key) or self._knows(key):
            return await self._get_async(container, key)
        return key(**{name: await self._get_async(container, kind) for name, kind in _needs(key)})

    # -- what a kind of container does -----------------------------------------------------------------

    @abstractmethod
    def _awaits(self, on_loop: bool) -> bool:
        """Whether to use the container's asynchronous half, on the event loop or in a thread."""

    @abstractmethod
    def _knows(self, handler: Any) -> bool:
        """Whether the container itself makes this handler class; others are built by their annotations."""

    @abstractmethod
    def _open(self) -> AbstractContextManager[Any]: ...

    @abstractmethod
    def _open_async(self) -> AbstractAsyncContextManager[Any]: ...

    @abstractmethod
    def _get(self, container: Any, key: Any) -> object: ...

    @abstractmethod
    async def _get_async(self, container: Any, key: Any) -> object: ...


def _on_loop() -> bool:
    return asyncio._get_running_loop() is not None


def _is_handler(key: Any) -> bool:
    return isinstance(key, type) and issubclass(key, JobHandler)


def _needs(handler: type[JobHandler[Any]]) -> list[tuple[str, Any]]:
    """Name and type of every constructor parameter without a default."""
    needed = []
    for parameter in parameters_of(handler, handler.__jobmaster_declaration__.annotations):
        if parameter.has_default:
            continue
        if parameter.annotation is None or isinstance(parameter.annotation, Unresolved):
            raise ConfigurationError(
                f"{handler.__qualname__}: the annotation of parameter {parameter.name!r} is missing or "
                "cannot be resolved, so the container cannot be asked for it"
            )
        needed.append((parameter.name, parameter.annotation))
    return needed
