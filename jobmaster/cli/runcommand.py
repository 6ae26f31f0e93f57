"""``jobmaster run``: the workers of a cluster, in this process or in several that are kept alive."""

from __future__ import annotations

import logging
import os
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from .interpreter import set_aside, take_turns
from .loops import LoopKind, loop_factory
from .refusal import Refusal
from .target import ClusterArgument, ClusterOption, Target, settings_of

if TYPE_CHECKING:
    from ..cluster.cluster import Cluster

__all__ = ["add_to"]

_LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class LogLevel(StrEnum):
    """How much is logged to standard error."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("run")(run)


def run(
    target: ClusterArgument = None,
    processes: Annotated[
        int, typer.Option("--processes", "-p", min=1, max=1000, help="Run that many, each with all workers.")
    ] = 1,
    cluster: ClusterOption = None,
    log_level: Annotated[
        LogLevel, typer.Option("--log-level", help="What to log to standard error.")
    ] = LogLevel.INFO,
    loop: Annotated[
        LoopKind, typer.Option("--loop", help="The event loop; auto is uvloop where it is installed.")
    ] = LoopKind.AUTO,
) -> int:
    """Run the workers until SIGTERM or Ctrl-C, then stop cleanly.

    With --processes, children that die are started again, with backoff.
    """
    from ..cluster.settings import STANDALONE
    from .crew import Crew, Tether

    _log_to_stderr(log_level)
    new_loop = loop_factory(loop)
    reference = Target(target, cluster).reference
    if reference is None:
        raise Refusal("which cluster? give module:attribute, --cluster, or set JOBMASTER_CLUSTER")
    if processes > 1:
        own = ["run", reference, "--log-level", log_level.value, "--loop", loop.value]
        return Crew(processes, own).run()
    tether = Tether.of_this_process()
    built = Target(reference).build(workers=True)
    settings = settings_of(built)
    if not settings.workers:
        built.close()
        raise Refusal(f"{reference} has no worker to run: call add_worker() before build()")
    if tether is not None:
        tether.hold(settings.grace_period.total_seconds())
    _announce(built, "" if new_loop is None else ", on uvloop")
    stores = settings.agents or {STANDALONE: settings.database}
    take_turns(stores[worker.agent_connection].kind for worker in settings.workers)
    set_aside()
    built.run(loop_factory=new_loop)
    return 0


def _announce(cluster: Cluster, loop: str) -> None:
    settings = settings_of(cluster)
    workers = settings.workers
    lanes = ", ".join(sorted({worker.lane for worker in workers}))
    agents = ", ".join(sorted({worker.agent_connection for worker in workers}))
    logging.getLogger("jobmaster.run").info(
        "process %d starts %d worker%s of cluster %r, lane %s%s%s",
        os.getpid(),
        len(workers),
        "s"[len(workers) == 1 :],
        cluster.id,
        lanes,
        f", agent {agents}" if settings.agents else "",
        loop,
    )


def _log_to_stderr(level: LogLevel) -> None:
    """Unless the application has set up logging, which importing it may do later."""
    if not logging.getLogger().handlers:
        logging.basicConfig(format=_LINE, level=level.value.upper())
