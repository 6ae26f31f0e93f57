"""Running one handler directly, with no store, no queue and no worker."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from ..cluster.config import ClusterConfig
from ..cluster.requests import HandlerReference
from ..cluster.settings import DatabaseSettings
from ..domain.ids import uuid7
from ..domain.job import DEFAULT_LANE, ClaimedJob, Progress
from ..domain.status import Priority
from ..engine.children import ChildRunner
from ..engine.clock import SystemClock
from ..engine.threads import ThreadRunner
from ..errors import UnknownHandler
from ..handlers import Run, WorkerSite

__all__ = ["InlineRun", "run_inline"]


@dataclass(frozen=True, slots=True)
class InlineRun:
    """What came of a run: the handler's result as it would be stored, its progress and its log."""

    job_id: UUID
    result: Any
    progress: Progress | None
    log: str | None


async def run_inline(
    config: ClusterConfig,
    handler: HandlerReference,
    data: Any = None,
    *,
    attempt: int = 1,
    metadata: Mapping[str, Any] | None = None,
    max_retries: int = 3,
) -> InlineRun:
    """Run a handler once as a worker would: payload checked and decoded, services built, middleware around
    it, in a thread or child process if that is its kind. What it raises comes out as it is.

    >>> run = await run_inline(config, ResizeHandler, {"url": "a.png"})  # doctest: +SKIP
    >>> run.result  # doctest: +SKIP
    'a-640.png'
    """
    settings, registry = config.prepare(DatabaseSettings("memory", "memory"), workers=False)
    definition_id, bound = registry.resolve(handler)
    if bound is None:
        raise UnknownHandler(f"no handler with definition id {definition_id!r} is known here")
    clock = SystemClock()
    threads, children = ThreadRunner(1), ChildRunner(1)
    site = WorkerSite(
        cluster_id=settings.cluster_id,
        agent_connection="inline",
        worker_id=uuid7(),
        worker_name="inline",
        lane=bound.options.lane or DEFAULT_LANE,
        scheduler=None,
        clock=clock,
        threads=threads,
        children=children,
        logger=logging.getLogger(f"jobmaster.{settings.cluster_id}"),
    )
    now = datetime.now(UTC)
    timeout = bound.options.timeout or settings.default_job_timeout
    job = ClaimedJob(
        uuid7(),
        uuid7(),
        attempt,
        definition_id,
        site.lane,
        bound.options.priority or Priority.MEDIUM,
        now,
        now,
        attempt - 1,
        attempt - 1,
        0,
        False,
        False,
        bound.encode(data),
        registry.codecs.encode_metadata(metadata),
        None,
        max_retries,
        None,
        None,
        None,
        None,
    )
    run = Run(job, site, bound, now, timeout.total_seconds(), max_retries)
    children.set_trusted_until(clock.monotonic() + timeout.total_seconds() + 3600)
    await registry.open()
    try:
        text = await bound.invoke(run)
    finally:
        await registry.close()
        await children.close()
        threads.close()
    return InlineRun(job.id, None if text is None else json.loads(text), run.progress, run.log_text())
