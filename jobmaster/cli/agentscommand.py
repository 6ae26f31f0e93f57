"""``jobmaster agents`` and ``jobmaster agents forget NAME``."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import TransientStoreError, TransportUnavailable
from .refusal import Refusal, sentence
from .rendering import JsonOption, console, plain, print_json, table
from .target import ClusterOption, PrefixOption, SchemaOption, Target, UrlOption

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.table import Table

    from ..cluster.administration import AgentInfo
    from ..ports import QueueDepth

__all__ = ["add_to", "agents_table", "live_jobs"]

agents = typer.Typer(help="List the agent connections.", invoke_without_command=True, rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    """Add this group of commands."""
    app.add_typer(agents, name="agents")


@agents.callback()
def list_agents(
    context: typer.Context,
    as_json: JsonOption = False,
    cluster: ClusterOption = None,
    url: UrlOption = None,
    table_prefix: PrefixOption = "jm_",
    schema: SchemaOption = None,
) -> None:
    """List the agent connections: where they are, whether they answer, what lives there."""
    if context.invoked_subcommand is not None:
        if as_json or cluster or url:
            raise Refusal(f"give options after `{context.invoked_subcommand}`, not before it")
        return
    with Target(None, cluster, url, table_prefix, schema).opened() as opened:
        try:
            seen = opened.status()
        except (TransientStoreError, TransportUnavailable) as fault:
            print(f"jobmaster: the master does not answer: {sentence(fault)}", file=sys.stderr)
            found, counted = tuple(opened.agents()), None
        else:
            found, counted = seen.agents, live_jobs(seen.depths)
    if as_json:
        lives = [None if counted is None else counted[info.name] for info in found]
        rows = [{**plain(info), "live_jobs": jobs} for info, jobs in zip(found, lives, strict=True)]
        print_json({"agents": rows})
    else:
        console().print(agents_table(found, counted))


@agents.command("forget")
def forget_agent(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the agent connection.")],
    yes: Annotated[bool, typer.Option("--yes", help="Really.")] = False,
    cluster: ClusterOption = None,
) -> None:
    """Give up an agent whose store is gone for good: its jobs, as far as the master knows them, are held
    again."""
    target = Target(None, cluster)
    if target.reference is None:
        raise Refusal("which cluster? give --cluster module:attribute or set JOBMASTER_CLUSTER")
    with target.opened() as opened:
        if not yes:
            raise Refusal(
                f"agent {name!r} is forgotten with --yes only: its jobs are held on the master again, except "
                "those of the last second before it was lost; if its store comes back, they run there too"
            )
        held = opened.forget_agent(name)
    print(f"agent {name} is forgotten, {held} of its jobs are held on the master")


def live_jobs(depths: Sequence[QueueDepth]) -> Counter[str]:
    """How many live jobs each agent has."""
    counted: Counter[str] = Counter()
    for depth in depths:
        if depth.agent_connection is not None:
            counted[depth.agent_connection] += depth.jobs
    return counted


def agents_table(found: Sequence[AgentInfo], counted: Mapping[str, int] | None) -> Table:
    """The agents; without ``counted`` nobody knows how many jobs live there."""
    heads = ("agent", "location", "state", "#live jobs", "#unshipped")
    rows = [
        (
            info.name,
            info.location,
            _state(info),
            "-" if counted is None else counted[info.name],
            info.unshipped if info.reachable else "-",
        )
        for info in found
    ]
    return table("agents", heads, rows)


def _state(info: AgentInfo) -> str:
    draining = ", draining" if info.draining else ""
    return f"reachable{draining}" if info.reachable else f"not reachable{draining}: {info.fault}"
