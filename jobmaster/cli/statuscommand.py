"""``jobmaster workers`` and ``jobmaster status [--watch]``."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Annotated

import typer

from ..domain.status import JobStatus
from ..errors import TransientStoreError, TransportUnavailable
from .refusal import sentence
from .rendering import JsonOption, ago, console, print_json, priority_name, short_instant, table
from .target import ClusterArgument, ClusterOption, PrefixOption, SchemaOption, Target, UrlOption

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Group
    from rich.table import Table

    from ..cluster.administration import ClusterStatus
    from ..cluster.cluster import Cluster
    from ..ports import WorkerInfo

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add both commands."""
    app.command("workers")(workers)
    app.command("status")(status)


def workers(
    target: ClusterArgument = None,
    as_json: JsonOption = False,
    cluster: ClusterOption = None,
    url: UrlOption = None,
    table_prefix: PrefixOption = "jm_",
    schema: SchemaOption = None,
) -> None:
    """List the registered workers of the whole cluster."""
    with Target(target, cluster, url, table_prefix, schema).opened() as opened:
        seen = opened.status()
    if as_json:
        print_json({"cluster_id": seen.cluster_id, "at": seen.at, "workers": seen.workers})
    elif seen.workers:
        console().print(_workers(seen.workers, seen.at))
    else:
        console().print("no workers")


def status(
    target: ClusterArgument = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Keep it on the screen until Ctrl-C.")] = False,
    interval: Annotated[float, typer.Option("--interval", min=0.1, help="Seconds between two looks.")] = 1.0,
    as_json: JsonOption = False,
    cluster: ClusterOption = None,
    url: UrlOption = None,
    table_prefix: PrefixOption = "jm_",
    schema: SchemaOption = None,
) -> None:
    """Show what waits and runs, the workers and their buckets."""
    with Target(target, cluster, url, table_prefix, schema).opened() as opened:
        if not watch:
            seen = opened.status()
            if as_json:
                print_json(seen)
            else:
                console().print(_page(seen))
        elif as_json:
            _stream(opened, interval)
        else:
            _watch(opened, interval)


def _stream(cluster: Cluster, interval: float) -> None:
    import json
    import sys

    from .rendering import plain

    while True:
        sys.stdout.write(json.dumps(plain(cluster.status())) + "\n")
        sys.stdout.flush()
        time.sleep(interval)


def _watch(cluster: Cluster, interval: float) -> None:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    out = console()
    seen = cluster.status()
    try:
        with Live(_page(seen), console=out, screen=out.is_terminal, auto_refresh=False) as live:
            while True:
                time.sleep(interval)
                try:
                    seen = cluster.status()
                except (TransientStoreError, TransportUnavailable) as fault:
                    # an outage is what somebody watches for: the last known state stays, marked as old
                    note = Text(f"no answer at present: {sentence(fault)}", style="bold red")
                    live.update(Group(note, _page(seen)), refresh=True)
                else:
                    live.update(_page(seen), refresh=True)
    except KeyboardInterrupt:
        return


def _page(seen: ClusterStatus) -> Group:
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
    parts.append(_depths(seen) if seen.depths else Text("\nno live jobs"))
    parts.append(_workers(seen.workers, seen.at) if seen.workers else Text("\nno workers"))
    if seen.buckets:
        parts.append(_buckets(seen))
    return Group(*parts)


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
        place = (depth.agent_connection or "(master)", depth.lane, depth.priority)
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


def _workers(found: tuple[WorkerInfo, ...], now: datetime) -> Table:
    heads = ("name", "lane", "mode", "#slots", "host", "#pid", "started", "seen", "state", "worker id")
    rows = [
        (
            worker.name,
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
    heads = ("worker", "lane", "priority", "status", "#jobs", "lease ends", "bucket id")
    rows = [
        (
            bucket.worker_name,
            bucket.lane,
            priority_name(bucket.priority),
            bucket.status.value,
            bucket.jobs,
            ago(bucket.lease_until, seen.at),
            bucket.id,
        )
        for bucket in seen.buckets
    ]
    return table("buckets", heads, rows)
