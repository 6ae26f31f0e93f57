"""What ``jobmaster status`` shows: one page made of tables."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..domain.status import JobStatus, WorkerMode
from .agentscommand import agents_table, live_jobs
from .rendering import ago, priority_name, short_instant, table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rich.console import Group
    from rich.table import Table

    from ..cluster.administration import ClusterStatus
    from ..ports import WorkerInfo
    from .rates import Rates

__all__ = ["Lane", "lanes_of", "page", "workers_table"]

MASTER = "master"
_RUNS = (WorkerMode.FULL, WorkerMode.EXECUTION)


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane of the whole cluster. ``agents``: where live workers serve it."""

    lane: str
    workers: int
    slots: int
    agents: tuple[str, ...]
    waiting: int
    claimed: int

    @property
    def stuck(self) -> bool:
        """Whether jobs wait that nobody will run."""
        return bool(self.waiting) and not self.workers


def lanes_of(seen: ClusterStatus) -> list[Lane]:
    """Every lane that has live jobs or workers."""
    found: list[Lane] = []
    serving = [worker for worker in seen.workers if worker.alive and worker.mode in _RUNS]
    for name in sorted({depth.lane for depth in seen.depths} | {worker.lane for worker in serving}):
        here = [worker for worker in serving if worker.lane == name]
        depths = [depth for depth in seen.depths if depth.lane == name]
        waiting = sum(depth.jobs for depth in depths if depth.status.is_waiting)
        found.append(
            Lane(
                name,
                len(here),
                sum(worker.slots for worker in here),
                tuple(sorted({worker.agent_connection for worker in here})),
                waiting,
                sum(depth.jobs for depth in depths) - waiting,
            )
        )
    return found


def page(seen: ClusterStatus, rates: Rates | None = None) -> Group:
    """Everything, the most telling first."""
    from rich.console import Group, RenderableType
    from rich.text import Text

    waiting = sum(depth.jobs for depth in seen.depths if depth.status.is_waiting)
    claimed = sum(depth.jobs for depth in seen.depths) - waiting
    alive = sum(worker.alive for worker in seen.workers)
    head = Text.assemble(
        ("cluster ", ""),
        (seen.cluster_id, "bold"),
        f", {seen.mode.value}, {short_instant(seen.at)} UTC: {waiting} waiting, {claimed} claimed, "
        f"{alive} worker{'' if alive == 1 else 's'} alive",
    )
    parts: list[RenderableType] = [head]
    if rates is not None:
        parts.append(Text(f"{rates.enqueued:.1f} jobs/s enqueued, {rates.ended:.1f} jobs/s ended"))
    parts.append(agents_table(seen.agents, live_jobs(seen.depths)))
    if lanes := lanes_of(seen):
        parts.append(_lanes(lanes))
    parts.append(_depths(seen) if seen.depths else Text("\nno live jobs"))
    parts.append(workers_table(seen.workers, seen.at) if seen.workers else Text("\nno workers"))
    if seen.buckets:
        parts.append(_buckets(seen))
    return Group(*parts)


def _lanes(lanes: Sequence[Lane]) -> Table:
    from rich.text import Text

    heads = ("lane", "#workers", "#slots", "agents", "#waiting", "#claimed", "remark")
    rows = [
        (
            lane.lane,
            lane.workers,
            lane.slots,
            ", ".join(lane.agents) or "-",
            lane.waiting,
            lane.claimed,
            Text("no live worker", style="bold red") if lane.stuck else "",
        )
        for lane in lanes
    ]
    return table("lanes", heads, rows)


_SHOWN = (
    JobStatus.HELD_ON_MASTER,
    JobStatus.SAVE_PENDING,
    JobStatus.READY,
    JobStatus.RETRYING,
    JobStatus.ASSIGNED_TO_BUCKET,
    JobStatus.PROCESSING,
)


def _depths(seen: ClusterStatus) -> Table:
    counts: dict[tuple[str, str, int], dict[JobStatus, int]] = defaultdict(dict)
    oldest: dict[tuple[str, str, int], datetime] = {}
    for depth in seen.depths:
        place = (depth.agent_connection or MASTER, depth.lane, depth.priority)
        counts[place][depth.status] = counts[place].get(depth.status, 0) + depth.jobs
        oldest[place] = min(oldest.get(place, depth.oldest_due_at), depth.oldest_due_at)
    used = [status for status in _SHOWN if any(status in found for found in counts.values())]
    heads = [
        "agent",
        "lane",
        "priority",
        *(f"#{status.value.replace('_', ' ')}" for status in used),
        "oldest due",
    ]
    rows = [
        [agent, lane, priority_name(priority)]
        + [str(counts[agent, lane, priority].get(status, 0)) for status in used]
        + [ago(oldest[agent, lane, priority], seen.at)]
        for agent, lane, priority in sorted(counts, key=lambda place: (place[0], place[1], -place[2]))
    ]
    return table("live jobs", heads, rows)


def workers_table(found: Sequence[WorkerInfo], now: datetime) -> Table:
    """The register of workers."""
    heads = ("name", "agent", "lane", "mode", "#slots", "host", "#pid", "started", "seen", "state", "id")
    rows = [
        (
            worker.name,
            worker.agent_connection,
            worker.lane,
            worker.mode.value,
            worker.slots,
            worker.host,
            worker.pid,
            ago(worker.started_at, now),
            ago(worker.seen_at, now),
            _state(worker),
            worker.id,
        )
        for worker in found
    ]
    return table("workers", heads, rows)


def _state(worker: WorkerInfo) -> str:
    if not worker.alive:
        return "gone"
    if worker.unknown_definitions:
        return f"alive, no handler for {', '.join(worker.unknown_definitions)}"
    return "alive"


def _buckets(seen: ClusterStatus) -> Table:
    heads = ("agent", "worker", "lane", "priority", "status", "#jobs", "lease ends", "bucket id")
    rows = [
        (
            bucket.agent_connection,
            bucket.worker_name,
            bucket.lane,
            priority_name(bucket.priority),
            bucket.status.value.replace("_", " "),
            bucket.jobs,
            ago(bucket.lease_until, seen.at),
            bucket.id,
        )
        for bucket in seen.buckets
    ]
    return table("buckets", heads, rows)
