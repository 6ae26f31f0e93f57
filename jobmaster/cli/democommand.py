"""``jobmaster demo``: real work on real files in under a minute."""

from __future__ import annotations

import asyncio
import logging
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .refusal import Refusal

if TYPE_CHECKING:
    from ..cluster.config import ClusterConfig
    from .demo.display import Display
    from .demo.outcome import Outcome
    from .demo.scenario import Run, Watcher

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(
    directory: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="Whose files to work on; by default jobmaster's own."),
    ] = None,
    db: Annotated[
        Path | None, typer.Option("--db", help="An SQLite file to use; by default a fresh one.")
    ] = None,
    url: Annotated[str | None, typer.Option("--url", help="Another database to use instead.")] = None,
    table_prefix: Annotated[str, typer.Option("--table-prefix", help="Prefix of the tables.")] = "jm_",
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many files at most.")] = 20_000,
) -> int:
    """Run one job per file under DIR, and one of every way in which a job can go.

    Each file job computes size, number of lines and SHA-256. At the end a table compares what was expected
    with what happened; the exit code is 0 only if everything ended as expected. An interrupted demo is
    finished by the next one on the same database.
    """
    root = _root(directory)
    if db is not None and url is not None:
        raise Refusal("give --db or --url, not both")
    if url is None:
        path = db if db is not None else Path(tempfile.mkdtemp(prefix="jobmaster-demo-")) / "demo.db"
        url = f"sqlite:///{path.absolute()}"
    logging.getLogger("jobmaster").setLevel(logging.ERROR)
    return _perform(root, url, table_prefix, limit)


def _root(directory: Path | None) -> Path:
    if directory is None:
        return Path(__file__).parents[1]
    if not directory.exists():
        raise Refusal(f"there is no directory {directory}")
    if not directory.is_dir():
        raise Refusal(f"{directory} is not a directory")
    try:
        next(iter(directory.iterdir()), None)
    except OSError as fault:
        raise Refusal(f"{directory} cannot be read: {fault.strerror}") from fault
    return directory.absolute()


def _perform(root: Path, url: str, table_prefix: str, limit: int) -> int:
    from ..sql.urls import parse_url
    from .demo.display import Display
    from .demo.outcome import examine
    from .demo.scenario import Run, Watcher

    store = parse_url(url)
    display, watcher, run = Display(), Watcher(), Run()
    config = _config(url, table_prefix, watcher)
    without = Path(store.path) if store.kind == "sqlite" else None
    display.say(f"one job for each file under {root}, in {store.shown}")
    try:
        asyncio.run(_play(config, root, without, limit, watcher, display, run))
        cluster = config.build(workers=False)
        try:
            outcome = examine(cluster.scheduler, run)
        finally:
            cluster.close()
    except (KeyboardInterrupt, asyncio.CancelledError):
        display.say(f"stopped; what is left waits in {store.shown} for the next demo on it")
        raise KeyboardInterrupt from None
    _report(outcome, run, display)
    if len(run.files) == limit:
        display.say(f"only the first {limit:,} files were taken (--limit)")
    where = f"--url sqlite:///{store.path}" if store.kind == "sqlite" else "--url URL"
    prefix = "" if table_prefix == "jm_" else f" --table-prefix {table_prefix}"
    display.say(f"database: {store.shown}")
    display.say(f"look at it: jobmaster jobs list {where}{prefix}")
    return 0 if outcome.ok else 1


def _config(url: str, table_prefix: str, watcher: Watcher) -> ClusterConfig:
    from .demo.handlers import HANDLERS, LANE
    from .standalone import configured

    return (
        configured("demo", url)
        .table_prefix(table_prefix)
        .startup_timeout(5)
        .operation_timeout(5)
        .lease(5)
        .grace_period(2)
        .add_handlers(*HANDLERS)
        .add_observer(watcher)
        .add_worker(lane=LANE, name="demo")
    )


async def _play(
    config: ClusterConfig,
    root: Path,
    without: Path | None,
    limit: int,
    watcher: Watcher,
    display: Display,
    run: Run,
) -> None:
    from .demo.files import walk
    from .demo.scenario import count_leftovers, play

    performance = asyncio.current_task()
    assert performance is not None
    with suppress(NotImplementedError):  # where the loop cannot, SIGTERM ends the process as usual
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, performance.cancel)
    cluster = config.build()
    try:
        # before its workers finish some of them
        run.leftovers = await count_leftovers(cluster.scheduler)
        async with cluster:
            entries = walk(root, without=without, limit=limit, closed=run.note_closed)
            await play(cluster.scheduler, watcher, entries, display, run)
    finally:
        await cluster.close_async()


def _report(outcome: Outcome, run: Run, display: Display) -> None:
    from rich.text import Text

    from .rendering import table

    marks = {True: Text("as expected", style="green"), False: Text("NOT as expected", style="bold red")}
    rows = [(line.what, line.expected, line.seen, marks[line.ok]) for line in outcome.lines]
    display.show(table(None, ("jobs", "expected", "seen", ""), rows))
    for trouble in (*outcome.troubles, *run.closed[:10]):
        display.say(f"  {trouble}")
    jobs = len(run.files) + len(run.special)
    display.say(
        f"{outcome.total_bytes:,} bytes, {outcome.total_lines:,} lines; {jobs:,} jobs in {run.seconds:.1f} s"
    )
