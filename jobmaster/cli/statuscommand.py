"""``jobmaster workers`` and ``jobmaster status [--watch]``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import TransientStoreError, TransportUnavailable
from .refusal import sentence
from .rendering import JsonOption, console, plain, print_json
from .target import ClusterArgument, ClusterOption, PrefixOption, SchemaOption, Target, UrlOption

if TYPE_CHECKING:
    from ..cluster.cluster import Cluster

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
    from .statuspage import workers_table

    with Target(target, cluster, url, table_prefix, schema).opened() as opened:
        seen = opened.status()
    if as_json:
        print_json({"cluster_id": seen.cluster_id, "at": seen.at, "workers": seen.workers})
    elif seen.workers:
        console().print(workers_table(seen.workers, seen.at))
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
    """Show agents, workers, lanes, what waits and runs, and buckets; with --watch also how fast jobs come and
    end."""
    from .statuspage import lanes_of, page

    with Target(target, cluster, url, table_prefix, schema).opened() as opened:
        if not watch:
            seen = opened.status()
            if as_json:
                print_json({**plain(seen), "lanes": plain(lanes_of(seen))})
            else:
                console().print(page(seen))
        elif as_json:
            _stream(opened, interval)
        else:
            _watch(opened, interval)


def _stream(cluster: Cluster, interval: float) -> None:
    import json
    import sys

    from .rates import RateMeter
    from .statuspage import lanes_of

    meter = RateMeter(cluster)
    while True:
        seen = cluster.status()
        line = {**plain(seen), "lanes": plain(lanes_of(seen)), "rates": plain(meter.look())}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        time.sleep(interval)


def _watch(cluster: Cluster, interval: float) -> None:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from .rates import RateMeter
    from .statuspage import page

    out = console()
    meter = RateMeter(cluster)
    seen, rates = cluster.status(), meter.look()
    try:
        with Live(page(seen, rates), console=out, screen=out.is_terminal, auto_refresh=False) as live:
            while True:
                time.sleep(interval)
                try:
                    seen, rates = cluster.status(), meter.look()
                except (TransientStoreError, TransportUnavailable) as fault:
                    # an outage is what somebody watches for: the last known state stays, marked as old
                    note = Text(f"no answer at present: {sentence(fault)}", style="bold red")
                    live.update(Group(note, page(seen, rates)), refresh=True)
                else:
                    live.update(page(seen, rates), refresh=True)
    except KeyboardInterrupt:
        return
