"""``jobmaster drain AGENT``: empty an agent while jobs flow."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from .refusal import Refusal
from .rendering import JsonOption, console, print_json
from .target import ClusterOption, Target

if TYPE_CHECKING:
    from ..cluster.draining import DrainReport

__all__ = ["add_to"]

_LINE_EVERY = 1.0
"""Seconds between lines where no terminal shows a line that changes."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("drain")(drain)


def drain(
    agent: Annotated[str, typer.Argument(metavar="AGENT", help="The name of an agent connection.")],
    hold: Annotated[
        bool,
        typer.Option("--hold", help="Keep jobs on the master whose lane nobody serves on another agent."),
    ] = False,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", min=0.0, metavar="SECONDS", help="Look no longer than that."),
    ] = None,
    undo: Annotated[bool, typer.Option("--undo", help="Let a drained agent take jobs again.")] = False,
    as_json: JsonOption = False,
    cluster: ClusterOption = None,
) -> int:
    """Empty an agent: it takes nothing new, what waits there is placed elsewhere, what runs there ends.

    Exit code 0 when nothing is left there, 1 when something is after --timeout. The agent is drained until
    --undo, also when this command ends before it is empty: coordinators go on with it.
    """
    if undo and (hold or timeout is not None):
        raise Refusal("--undo ends a drain: it takes neither --hold nor --timeout")
    target = Target(None, cluster)
    if target.reference is None:
        raise Refusal("which cluster? give --cluster module:attribute or set JOBMASTER_CLUSTER")
    with target.opened() as opened:
        if undo:
            opened.undrain(agent)
            if as_json:
                print_json({"agent_connection": agent, "draining": False})
            else:
                print(f"agent {agent} takes jobs again")
            return 0
        try:
            with _progress() as show:
                report = opened.drain(agent, hold=hold, timeout=timeout, progress=show)
        except KeyboardInterrupt:
            how = f"`jobmaster drain {agent} --undo` ends it"
            print(f"agent {agent} goes on draining; {how}", file=sys.stderr)
            raise
    if as_json:
        figures = {"moved": report.moved, "left": report.left, "unshipped": report.unshipped}
        print_json({"agent_connection": agent, "draining": True, **figures, "empty": report.empty})
    elif report.empty:
        print(f"agent {agent} is empty: {report.moved} moved to the master")
    else:
        print(f"agent {agent} is not empty yet: {_figures(report)}; coordinators go on with it")
    return 0 if report.empty else 1


def _figures(report: DrainReport) -> str:
    return f"{report.moved} moved, {report.left} left, {report.unshipped} unshipped"


@contextmanager
def _progress() -> Iterator[Callable[[DrainReport], None]]:
    """Says on standard error how far it is: in a terminal one line that changes, elsewhere one a second."""
    out = console(stderr=True)
    if not out.is_terminal:
        said_at = float("-inf")

        def say(report: DrainReport) -> None:
            nonlocal said_at
            if time.monotonic() - said_at >= _LINE_EVERY:
                said_at = time.monotonic()
                out.print(f"agent {report.agent_connection}: {_figures(report)}")

        yield say
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=out, transient=True) as progress:
        task = progress.add_task("draining", total=None)

        def update(report: DrainReport) -> None:
            progress.update(task, description=f"agent {report.agent_connection}: {_figures(report)}")

        yield update
