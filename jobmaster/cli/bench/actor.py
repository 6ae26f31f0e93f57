"""A process that produces or works for a benchmark: ``python -m jobmaster.cli.bench.actor URL PREFIX``.

It reads one JSON request per line and answers each with one line. When its input ends, its parent is gone,
and it ends at once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import queue
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from ...cluster.requests import JobRequest
from ...domain.status import JobStatus
from ...sql.urls import parse_url
from ..interpreter import set_aside, take_turns
from ..loops import LoopKind, loop_factory
from .floor import Floor, open_floor
from .jobs import AGENT, DoNothing, Stamp, config_for, config_with_agents, payload

if TYPE_CHECKING:
    from ...cluster.cluster import Cluster
    from ...cluster.config import ClusterConfig
    from ...cluster.scheduler import Scheduler
    from .natsfloor import NatsFloor

__all__ = ["Actor"]

_LIVE = tuple(status for status in JobStatus if not status.is_final)
_LOOK_EVERY = 0.002
WORKER_SLOTS = 100
"""Run slots of the measured workers. The default, twenty, suits handlers that do something."""


class Actor:
    """What a parent may ask for; every public coroutine method is a request of its name."""

    def __init__(self, url: str, table_prefix: str, master: str | None) -> None:
        self._url = url
        self._table_prefix = table_prefix
        self._master = master
        # asked for by name: without a live worker there, jobs would be held on the master
        self._agent = AGENT if master is not None else None
        self._cluster: Cluster | None = None
        self._floor: Floor | NatsFloor | None = None
        self._counted: _TransactionCount | None = None

    # -- the library -----------------------------------------------------------------------------------

    async def open(self, workers: int) -> None:
        """Build the cluster with so many workers, and start it when it has any."""
        config = config_for(self._url, self._table_prefix, self._master)
        for number in range(workers):
            config.add_worker(concurrency=WORKER_SLOTS, name=None if number == 0 else f"worker-{number}")
        await self._start(config, workers)

    async def open_with_agents(self, agents: int, serves: str | None) -> None:
        """Build the cluster with so many agents beside its master, and a worker on one of them or none."""
        config = config_with_agents(self._url, self._table_prefix, agents)
        if serves is not None:
            config.add_worker(agent_connection=serves, concurrency=WORKER_SLOTS)
        await self._start(config, 0 if serves is None else 1)

    async def _start(self, config: ClusterConfig, workers: int) -> None:
        self._cluster = config.build()
        if workers:
            await self._cluster.start_async()
        else:
            await self._scheduler.count_jobs_async()

    async def count_transactions(self) -> None:
        """From now on; before :meth:`open`. Each statement takes longer by that."""
        self._counted = _TransactionCount()

    async def close(self) -> None:
        """Stop and release everything."""
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            await cluster.stop_async()
        floor, self._floor = self._floor, None
        if floor is not None:
            floor.close()

    @property
    def _scheduler(self) -> Scheduler:
        assert self._cluster is not None
        return self._cluster.scheduler

    async def fill(
        self, count: int, batch: int, due_at: float | None = None, agent: str | None = None
    ) -> dict[str, float]:
        """Enqueue ``count`` jobs in calls of ``batch``, due at once or at a time of day."""
        agent = agent or self._agent
        run_at = None if due_at is None else datetime.fromtimestamp(due_at, UTC)
        calls = [
            [
                JobRequest(DoNothing, payload(number), agent_connection=agent, run_at=run_at)
                for number in range(first, min(first + batch, count))
            ]
            for first in range(0, count, batch)
        ]
        began, began_at = time.perf_counter(), time.time()
        for requests in calls:
            # blocking, as a program that does nothing else would call it, and as the floor is measured
            self._scheduler.once_many(requests, returning="ids")
        return {"seconds": time.perf_counter() - began, "began_at": began_at}

    async def drain(self, count: int) -> dict[str, float]:
        """Start a worker on ``count`` jobs that wait already; when the first began, and the end of all."""
        DoNothing.expect(count)
        await self.open(1)
        return await self._until_settled()

    async def expect(self, count: int) -> dict[str, float]:
        """Run the next ``count`` jobs; when the first began, and when all were settled."""
        DoNothing.expect(count)
        return await self._until_settled()

    async def run_some(self, count: int) -> dict[str, float]:
        """Start a worker on jobs that wait already; when the first began, and when so many had begun."""
        DoNothing.expect(count)
        await self.open(1)
        await DoNothing.reached.wait()
        return {"began_at": DoNothing.first_at, "ended_at": DoNothing.reached_at}

    async def reckon(self) -> None:
        """Count runs from now on."""
        DoNothing.expect(0)

    async def runs(self) -> dict[str, float]:
        """How many there have been, and the time of day."""
        return {"at": time.time(), "runs": DoNothing.runs}

    async def find(self, times: int, **criteria: Any) -> dict[str, float]:
        """Ask for a page of fifty jobs so many times; the middle one of the seconds that it took, and how
        many were found. ``scheduled_from_in`` and ``scheduled_to_in`` are seconds from now."""
        for name in ("scheduled_from", "scheduled_to"):
            if (seconds := criteria.pop(f"{name}_in", None)) is not None:
                criteria[name] = datetime.now(UTC) + timedelta(seconds=seconds)
        took: list[float] = []
        found = 0
        for _ in range(times):
            began = time.perf_counter()
            page = await self._scheduler.find_jobs_async(limit=50, **criteria)
            took.append(time.perf_counter() - began)
            found = len(page.items)
        return {"seconds": statistics.median(took), "found": found}

    async def _until_settled(self) -> dict[str, float]:
        await DoNothing.reached.wait()
        while await self._scheduler.count_jobs_async(status=_LIVE):
            await asyncio.sleep(_LOOK_EVERY)
        return {"began_at": DoNothing.first_at, "ended_at": time.time()}

    async def single_sequential(self, seconds: float) -> dict[str, float]:
        """One caller after the other, each waiting for its answer."""
        return await asyncio.to_thread(_one_after_another, self._scheduler, self._agent, seconds)

    async def single_tasks(self, callers: int, seconds: float) -> dict[str, float]:
        """Many coroutines that enqueue one job at a time."""
        until = time.perf_counter() + seconds
        done = [0] * callers

        async def call(caller: int) -> None:
            while time.perf_counter() < until:
                await self._scheduler.once_now_async(DoNothing, payload(caller), agent_connection=self._agent)
                done[caller] += 1

        began = time.perf_counter()
        await asyncio.gather(*(call(caller) for caller in range(callers)))
        return {"jobs": sum(done), "seconds": time.perf_counter() - began}

    async def single_threads(self, callers: int, seconds: float) -> dict[str, float]:
        """Many threads that enqueue one job at a time."""
        scheduler = self._scheduler
        until = time.perf_counter() + seconds
        done = [0] * callers

        def call(caller: int) -> None:
            while time.perf_counter() < until:
                scheduler.once_now(DoNothing, payload(caller), agent_connection=self._agent)
                done[caller] += 1

        threads = [threading.Thread(target=call, args=(caller,)) for caller in range(callers)]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        await asyncio.to_thread(_join, threads)
        return {"jobs": sum(done), "seconds": time.perf_counter() - began}

    async def trickle(self, count: int, per_second: float) -> dict[str, list[list[float]]]:
        """Enqueue at an even pace; number, time before the call and time after it, for each job."""
        calls: list[list[float]] = []
        began = time.perf_counter()
        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / per_second - time.perf_counter()))
            before = time.time()
            await self._scheduler.once_now_async(Stamp, {"number": number})
            calls.append([number, before, time.time()])
        return {"calls": calls}

    async def stamps(self, count: int) -> dict[str, list[list[float]]]:
        """Wait for ``count`` jobs of a trickle; number and time at which its handler began, for each."""
        while len(Stamp.began) < count:
            await asyncio.sleep(_LOOK_EVERY)
        began = [[number, at] for number, at in Stamp.began.items()]
        Stamp.began.clear()
        return {"began": began}

    async def usage(self) -> dict[str, float]:
        """Processor seconds so far, megabytes resident, transactions counted in this process."""
        spent = os.times()
        return {
            "at": time.perf_counter(),
            "processor": spent.user + spent.system + spent.children_user + spent.children_system,
            "megabytes": _resident() / 1e6,
            "transactions": 0.0 if self._counted is None else float(self._counted.transactions),
        }

    # -- the floor -------------------------------------------------------------------------------------

    async def floor_open(self) -> None:
        """Open the floor's connection."""
        if self._master is not None:
            from .natsfloor import NatsFloor

            self._floor = await asyncio.to_thread(NatsFloor, self._url, self._table_prefix, self._master)
        else:
            self._floor = open_floor(self._url, self._table_prefix)

    async def floor_fill(self, count: int, batch: int) -> dict[str, float]:
        """See :meth:`Floor.fill`."""
        assert self._floor is not None
        began_at, seconds = self._floor.fill(count, batch)
        return {"seconds": seconds, "began_at": began_at}

    async def floor_drain(self, count: int, batch: int) -> dict[str, float]:
        """See :meth:`Floor.drain`."""
        assert self._floor is not None
        began_at, ended_at = await self._floor.drain(count, batch)
        return {"began_at": began_at, "ended_at": ended_at}

    async def floor_drain_recorded(self, count: int, batch: int) -> dict[str, float]:
        """See :meth:`NatsFloor.drain`."""
        assert self._floor is not None
        assert not isinstance(self._floor, Floor)
        began_at, ended_at = await self._floor.drain(count, batch, recorded=True)
        return {"began_at": began_at, "ended_at": ended_at}

    async def floor_alternate(self, count: int, bulk: int, batch: int) -> dict[str, float]:
        """See :meth:`Floor.alternate`."""
        assert self._floor is not None
        return {"seconds": await self._floor.alternate(count, bulk, batch)}

    async def floor_singles(self, seconds: float) -> dict[str, float]:
        """See :meth:`Floor.singles`."""
        assert self._floor is not None
        jobs, took = self._floor.singles(seconds)
        return {"jobs": jobs, "seconds": took}


class _TransactionCount:
    """Counts what SQLite connections of this process do: a BEGIN … COMMIT is one, a bare statement is one.

    A look at ``PRAGMA data_version`` reads no page and takes no lock: it is not counted.
    """

    def __init__(self) -> None:
        self.transactions = 0
        sa.event.listen(Engine, "connect", self._watch)

    def _watch(self, connection: Any, _record: Any) -> None:
        if not hasattr(connection, "set_trace_callback"):
            return
        inside = False

        def on_statement(text: str) -> None:
            nonlocal inside
            word = text.lstrip()[:8].upper()
            if word.startswith("BEGIN"):
                inside = True
                self.transactions += 1
            elif word.startswith(("COMMIT", "ROLLBACK")):
                inside = False
            elif not inside and not word.startswith(("PRAGMA", "--")):
                self.transactions += 1

        connection.set_trace_callback(on_statement)


def _one_after_another(scheduler: Scheduler, agent: str | None, seconds: float) -> dict[str, float]:
    began = time.perf_counter()
    done = 0
    while time.perf_counter() - began < seconds:
        scheduler.once_now(DoNothing, payload(done), agent_connection=agent)
        done += 1
    return {"jobs": done, "seconds": time.perf_counter() - began}


def _join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join()


def _resident() -> int:
    """Bytes of memory that this process holds."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize()
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _read_lines(into: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        into.put(line)
    os._exit(0)


async def _serve(actor: Actor, answers: Callable[[str], None]) -> None:
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read_lines, args=(requests,), daemon=True).start()
    while True:
        asked = json.loads(await asyncio.to_thread(requests.get))
        method = getattr(actor, asked.pop("do"))
        try:
            answer = await method(**asked)
        except Exception as fault:
            logging.getLogger("jobmaster.bench").debug("request failed", exc_info=True)
            answer = {"fault": f"{type(fault).__name__}: {fault}"}
        answers(json.dumps(answer or {}))


def main() -> None:
    """Serve requests until the input ends."""
    first = sys.stdin.readline()
    if not first:
        return
    url, table_prefix, master = json.loads(first)
    logging.getLogger("jobmaster").setLevel(logging.ERROR)
    # answers have a channel of their own: whatever prints cannot mix with them
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    # as `jobmaster run` does
    take_turns((parse_url(url).kind,) if master is None else ())
    set_aside()
    with asyncio.Runner(loop_factory=loop_factory(LoopKind.AUTO)) as runner:
        runner.run(_serve(Actor(url, table_prefix, master), lambda text: print(text, file=channel)))


if __name__ == "__main__":
    main()
