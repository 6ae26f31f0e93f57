"""Runs without an engine: what it takes to call a bound handler."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from jobmaster.domain.job import ClaimedJob
from jobmaster.engine.clock import SystemClock
from jobmaster.engine.threads import ThreadRunner
from jobmaster.handlers import HandlerRegistry, Middleware, Run, Service, WorkerSite
from jobmaster.handlers.bound import Resolver
from jobmaster.payload import JsonCodecs

WORKER_ID = UUID(int=1)
JOB_ID = UUID(int=2)
STARTED_AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)


class NoRunner:
    """Stands where a test expects no thread or child process to be used."""

    def submit(self, *_: object) -> Any:
        raise AssertionError("no thread was expected")

    async def run(self, *_: object) -> Any:
        raise AssertionError("no child process was expected")


def registry_of(
    *handlers: object,
    middleware: Sequence[Middleware] = (),
    services: Sequence[Service] = (),
    resolver: Resolver | None = None,
) -> HandlerRegistry:
    """A registry of exactly these handlers, which must be without fault."""
    registry = HandlerRegistry(
        handlers, codecs=JsonCodecs(), middleware=middleware, services=services, resolver=resolver
    )
    assert registry.problems == []
    return registry


def problems_of(
    *handlers: object,
    middleware: Sequence[Any] = (),
    services: Sequence[Service] = (),
    resolver: Any = None,
) -> list[str]:
    """What a registry of these handlers complains about."""
    return HandlerRegistry(
        handlers, codecs=JsonCodecs(), middleware=middleware, services=services, resolver=resolver
    ).problems


def claimed(definition_id: str, data: str = "{}", **fields: Any) -> ClaimedJob:
    """A claimed job with its first run ahead."""
    job = ClaimedJob(
        id=JOB_ID,
        bucket_id=UUID(int=3),
        claim_no=1,
        definition_id=definition_id,
        lane="default",
        priority=3,
        run_at=STARTED_AT - timedelta(seconds=1),
        enqueued_at=STARTED_AT - timedelta(seconds=2),
        attempt=0,
        failures=0,
        losses=0,
        recheck=False,
        cancel_requested=False,
        data=data,
        metadata=None,
        timeout_ms=None,
        max_retries=None,
        retry=None,
        unknown_since=None,
        schedule_id=None,
        occurrence_at=None,
    )
    return job._replace(**fields)


def site(*, threads: Any = None, children: Any = None, scheduler: object = None) -> WorkerSite:
    """A worker's site."""
    return WorkerSite(
        cluster_id="cluster",
        agent_connection="standalone",
        worker_id=WORKER_ID,
        worker_name="worker-1",
        lane="default",
        scheduler=scheduler,
        clock=SystemClock(),
        threads=threads or NoRunner(),
        children=children or NoRunner(),
        logger=logging.getLogger("jobmaster.tests"),
    )


def run_of(
    registry: HandlerRegistry,
    handler: object,
    data: str = "{}",
    *,
    at: WorkerSite | None = None,
    **fields: Any,
) -> Run:
    """A run of a handler with this JSON data."""
    definition_id, bound = registry.resolve(handler)
    assert bound is not None
    job = claimed(definition_id, data, **fields)
    return Run(job, at or site(), bound, STARTED_AT, 30.0, 3)


async def invoke(registry: HandlerRegistry, handler: object, data: str = "{}", **fields: Any) -> str | None:
    """Run a coroutine handler once, or a sync one in a thread; the JSON text of its result."""
    threads = ThreadRunner(1)
    try:
        run = run_of(registry, handler, data, at=site(threads=threads), **fields)
        return await run.bound.invoke(run)
    finally:
        threads.close()
