"""svcs: handlers built from its registry, in a container of their own for each run.

>>> registry = svcs.Registry()                                                      # doctest: +SKIP
>>> registry.register_factory(Session, open_session)                                # doctest: +SKIP
>>> config = make_config().resolve_with(resolver(registry))                         # doctest: +SKIP
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

from .absence import requiring
from .runscope import RunScopes

with requiring("svcs"):
    from svcs import Container, Registry

__all__ = ["resolver"]


def resolver(registry: Registry, *, asynchronous: bool = False) -> RunScopes:
    """For ``config.resolve_with(...)``: all that one run needs comes from one ``svcs.Container``, closed
    after the run.

    A handler class that is registered comes from its factory; any other is built here, its constructor's
    parameters come from the container by their annotations. So do the injected parameters of a ``@job``
    function.

    Services of async handlers may have sync and async factories. Those of a sync handler are made and closed
    in its thread, where async factories cannot run; with ``asynchronous=True`` they are made and closed on
    the worker's event loop instead. The registry stays the caller's to close. Not for
    ``execution="process"``.
    """
    return _SvcsScopes(registry, asynchronous)


class _SvcsScopes(RunScopes):
    def __init__(self, registry: Registry, asynchronous: bool) -> None:
        super().__init__()
        self._registry = registry
        self._asynchronous = asynchronous

    def _awaits(self, on_loop: bool) -> bool:
        return on_loop or self._asynchronous

    def _knows(self, handler: Any) -> bool:
        return handler in self._registry

    def _open(self) -> AbstractContextManager[Container]:
        return Container(self._registry)

    def _open_async(self) -> AbstractAsyncContextManager[Container]:
        return Container(self._registry)

    def _get(self, container: Container, key: Any) -> object:
        return container.get(key)

    async def _get_async(self, container: Container, key: Any) -> object:
        return await container.aget(key)
