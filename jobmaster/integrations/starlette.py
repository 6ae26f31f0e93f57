"""Starlette: the cluster lives as long as the application does, in its event loop.

>>> from starlette.applications import Starlette                                    # doctest: +SKIP
>>> cluster = make_config().add_worker().build()                                    # doctest: +SKIP
>>> app = Starlette(routes=routes, lifespan=lifespan(cluster))                      # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias, TypeVar

from ..cluster.cluster import Cluster
from ..cluster.scheduler import Scheduler
from ..errors import ConfigurationError
from .absence import requiring

with requiring("starlette"):
    from starlette.applications import Starlette
    from starlette.requests import HTTPConnection

__all__ = ["STATE", "AppLifespan", "lifespan", "scheduler_of"]

STATE = "jobmaster"
"""The attribute of ``app.state`` and ``request.state`` that holds the scheduler."""

AppT = TypeVar("AppT", bound=Starlette)
AppLifespan: TypeAlias = (
    Callable[[AppT], AbstractAsyncContextManager[None]]
    | Callable[[AppT], AbstractAsyncContextManager[Mapping[str, Any]]]
)
"""A lifespan as Starlette takes it; what it yields becomes the state of every request."""


def lifespan(
    cluster: Cluster, inner: AppLifespan[AppT] | None = None, *, run_workers: bool = True
) -> Callable[[AppT], AbstractAsyncContextManager[dict[str, Any]]]:
    """A lifespan that starts ``cluster`` in the application's event loop and stops it cleanly.

    ``inner`` is the application's own lifespan: it begins when the cluster has started, may enqueue, and ends
    before the cluster stops. With ``run_workers=False`` the application only enqueues; the workers run
    elsewhere, and the end of the application releases the connections. A cluster that cannot start fails the
    start of the application with what :meth:`Cluster.start_async` raises.

    The scheduler is ``app.state.jobmaster`` and ``request.state.jobmaster``; see :func:`scheduler_of`.

    >>> @asynccontextmanager                                                        # doctest: +SKIP
    ... async def own(app: Starlette) -> AsyncIterator[Mapping[str, Any]]:
    ...     async with httpx.AsyncClient() as client:
    ...         yield {"client": client}
    >>> app = Starlette(routes=routes, lifespan=lifespan(cluster, own))             # doctest: +SKIP
    """

    @asynccontextmanager
    async def live(app: AppT) -> AsyncIterator[dict[str, Any]]:
        state: dict[str, Any] = {STATE: cluster.scheduler}
        async with _running(cluster, run_workers):
            setattr(app.state, STATE, cluster.scheduler)
            try:
                if inner is None:
                    yield state
                else:
                    async with inner(app) as given:
                        yield {**state, **(given or {})}
            finally:
                delattr(app.state, STATE)

    return live


def scheduler_of(connection: HTTPConnection) -> Scheduler:
    """The scheduler that serves this request or WebSocket, also in a mounted application.

    Raises ``ConfigurationError`` when the application runs without :func:`lifespan`.

    >>> async def order(request: Request) -> Response:                              # doctest: +SKIP
    ...     job = await scheduler_of(request).once_now_async("send-invoice", {"order": 7})
    ...     return JSONResponse({"job": str(job.id)}, status_code=202)
    """
    for state in (connection.state, connection.app.state):
        found = getattr(state, STATE, None)
        if isinstance(found, Scheduler):
            return found
    raise ConfigurationError(
        "this application has no scheduler: give it lifespan=lifespan(cluster), and let its test client run "
        "the lifespan (`with TestClient(app) as client:`)"
    )


@asynccontextmanager
async def _running(cluster: Cluster, run_workers: bool) -> AsyncIterator[None]:
    if run_workers:
        async with cluster:
            yield
    else:
        try:
            yield
        finally:
            await cluster.close_async()
