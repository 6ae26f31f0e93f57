"""``jobmaster bench URL``: the figures of the library on a database of yours."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from .refusal import Refusal
from .rendering import JsonOption, console, print_json

if TYPE_CHECKING:
    from .bench.ground import Ground

__all__ = ["add_to"]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bench")(bench)


def bench(
    url: Annotated[str, typer.Argument(metavar="URL", help="The database to measure.")],
    jobs: Annotated[int, typer.Option("--jobs", "-n", min=1, help="Jobs per drain.")] = 20_000,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Drains; the median counts.")] = 3,
    seconds: Annotated[
        float, typer.Option("--seconds", min=0.1, help="Length of the other measurements.")
    ] = 4.0,
    idle_seconds: Annotated[
        float, typer.Option("--idle-seconds", min=0.1, help="Length of the look at an idle worker.")
    ] = 20.0,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            help="Only this measurement; may be repeated: drain, steady, single, pickup, idle; and, measured "
            "only when named: growth, scale.",
        ),
    ] = None,
    rows: Annotated[
        int, typer.Option("--rows", min=1000, help="Rows that tables grow by, for growth.")
    ] = 100_000,
    snapshot_seconds: Annotated[
        float,
        typer.Option("--snapshot-seconds", min=1.0, help="How long growth keeps a snapshot open."),
    ] = 20.0,
    table_prefix: Annotated[
        str, typer.Option("--table-prefix", help="Prefix of the tables used.")
    ] = "jmbench_",
    master: Annotated[
        str | None, typer.Option("--master", help="The master's database, when the URL is that of NATS.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure the library on a database, or on NATS beside a master, against a floor of the same run.

    The floor is the same statements straight through the driver on one connection, each payload decoded and a
    coroutine that does nothing awaited for each job. Tables of its own are made, and dropped at the end.
    """
    from ..cluster.natsagents import is_nats
    from ..sql.urls import parse_url
    from .bench.cast import Cast
    from .bench.program import LONGER, MEASUREMENTS, Plan, Program
    from .bench.result import Results, figures_table

    of_nats = is_nats(url)
    if of_nats and master is None:
        raise Refusal("NATS carries jobs for a master: name the master's database with --master URL")
    if not of_nats and master is not None:
        raise Refusal("--master goes with a NATS URL; a database is measured by itself")
    if parse_url(master if of_nats and master else url).kind == "mssql":
        raise Refusal(
            "jobmaster bench knows the floors of SQLite, PostgreSQL and MySQL, not that of SQL Server"
        )
    wanted = frozenset(only or MEASUREMENTS)
    if unknown := sorted(wanted - MEASUREMENTS.keys() - LONGER.keys()):
        known = ", ".join((*MEASUREMENTS, *LONGER))
        raise Refusal(f"{unknown[0]!r} is not a measurement: there is {known}")
    if of_nats and (longer := sorted(wanted & LONGER.keys())):
        raise Refusal(f"{longer[0]} is a measurement of databases: leave NATS and --master out")
    plan = Plan(jobs, rounds, seconds, idle_seconds, wanted, rows, snapshot_seconds)
    settings: dict[str, object] = {
        "jobs": jobs,
        "rounds": rounds,
        "seconds": seconds,
        "idle_seconds": idle_seconds,
    }
    if "growth" in wanted:
        settings |= {"rows": rows, "snapshot_seconds": snapshot_seconds}
    out = console()
    with _terminable(), _ground(url, master, table_prefix) as ground, Cast(url, table_prefix, master) as cast:
        results = Results(ground.facts(), settings)
        with _steps() as say:
            results.figures.extend(Program(plan, ground, cast, say).run())
    if as_json:
        print_json(results.as_json())
        return
    facts = ", ".join(
        f"{name} {value}" for name, value in results.facts.items() if name not in ("engine", "database")
    )
    out.print(f"{results.facts['engine']}, {results.facts['database']} ({facts})")
    out.print(figures_table(results.figures))


def _ground(url: str, master: str | None, table_prefix: str) -> Ground:
    from .bench.ground import Ground

    if master is None:
        return Ground(url, table_prefix)
    from .bench.natsground import NatsGround

    return NatsGround(url, master, table_prefix)


@contextmanager
def _steps() -> Iterator[Callable[[str], None]]:
    """Says on standard error what is being measured: a spinner in a terminal, lines elsewhere."""
    out = console(stderr=True)
    if not out.is_terminal:
        yield lambda text: out.print(text)
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=out, transient=True) as progress:
        task = progress.add_task("preparing", total=None)
        yield lambda text: progress.update(task, description=text)


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM clean up as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
