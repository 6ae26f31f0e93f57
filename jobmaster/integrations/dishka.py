"""dishka: handlers built from its container, in a ``REQUEST`` scope for each run.

>>> class Orders(Provider):                                                         # doctest: +SKIP
...     @provide(scope=Scope.REQUEST)
...     async def session(self, pool: Pool) -> AsyncIterator[Session]:
...         async with pool.session() as session:
...             yield session
>>> container = make_async_container(Orders())                                      # doctest: +SKIP
>>> config = make_config().resolve_with(resolver(container))                        # doctest: +SKIP
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, cast

from .absence import requiring
from .runscope import RunScopes

with requiring("dishka"):
    from dishka import DEFAULT_COMPONENT, AsyncContainer, BaseScope, Container, DependencyKey
    from dishka.entities.key import hint_to_dependency_key
    from dishka.registry import Registry

__all__ = ["resolver"]


def resolver(container: Container | AsyncContainer, *, scope: BaseScope | None = None) -> RunScopes:
    """For ``config.resolve_with(...)``: all that one run needs comes from one scope, closed after the run.

    A handler class that the container provides comes from it; any other is built here, its constructor's
    parameters come from the container by their annotations. So do the injected parameters of a ``@job``
    function, of which one may be ``FromDishka[Session]``.

    With a ``Container`` the objects are made and closed where the handler runs: a sync handler's in its
    thread (give ``make_container`` a ``lock_factory=threading.Lock``, since threads share its ``APP``
    scope). With an ``AsyncContainer`` they are made on the worker's event loop, for sync handlers too (and
    ``lock_factory=asyncio.Lock``). ``scope`` is the scope to enter, by default the next one, ``REQUEST``.
    The container itself stays the caller's to close. Not for ``execution="process"``.
    """
    return _DishkaScopes(container, scope)


class _DishkaScopes(RunScopes):
    def __init__(self, container: Container | AsyncContainer, scope: BaseScope | None) -> None:
        super().__init__()
        self._container = container
        self._scope = scope

    def _awaits(self, on_loop: bool) -> bool:
        return isinstance(self._container, AsyncContainer)

    def _knows(self, handler: Any) -> bool:
        key = DependencyKey(handler, DEFAULT_COMPONENT)
        registry: Registry | None = self._container.registry
        while registry is not None:
            if registry.get_factory(key) is not None:
                return True
            registry = registry.child_registry
        return False

    def _open(self) -> AbstractContextManager[Container]:
        return cast(Container, self._container)(scope=self._scope)

    def _open_async(self) -> AbstractAsyncContextManager[AsyncContainer]:
        return cast(AsyncContainer, self._container)(scope=self._scope)

    def _get(self, container: Container, key: Any) -> object:
        wanted = _key(key)
        return container.get(wanted.type_hint, wanted.component)

    async def _get_async(self, container: AsyncContainer, key: Any) -> object:
        wanted = _key(key)
        return await container.get(wanted.type_hint, wanted.component)


def _key(annotation: Any) -> DependencyKey:
    return hint_to_dependency_key(annotation).with_component(DEFAULT_COMPONENT)
