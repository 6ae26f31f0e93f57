"""FastAPI: the lifespan of :mod:`.starlette`, and the scheduler as a dependency.

>>> app = FastAPI(lifespan=lifespan(cluster))                                       # doctest: +SKIP
>>> @app.post("/reports", status_code=202)                                          # doctest: +SKIP
... async def order_report(customer: int, scheduler: SchedulerDependency) -> dict[str, str]:
...     job = await scheduler.once_now_async(MakeReport, {"customer": customer})
...     return {"id": str(job.id)}
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from ..cluster.scheduler import Scheduler
from .absence import requiring

with requiring("fastapi"):
    from fastapi import Depends
    from fastapi.requests import HTTPConnection

    from .starlette import lifespan, scheduler_of

__all__ = ["SchedulerDependency", "get_scheduler", "lifespan", "scheduler_of"]


async def get_scheduler(connection: HTTPConnection) -> Scheduler:
    """The scheduler of this request or WebSocket; to be used with ``Depends``, and to be overridden in tests.

    Raises ``ConfigurationError`` when the application runs without :func:`lifespan`.

    >>> app.dependency_overrides[get_scheduler] = lambda: other_cluster.scheduler    # doctest: +SKIP
    """
    return scheduler_of(connection)


SchedulerDependency: TypeAlias = Annotated[Scheduler, Depends(get_scheduler)]
"""Annotate a parameter of a path operation with this to get the scheduler."""
