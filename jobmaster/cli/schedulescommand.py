"""``jobmaster schedules``: list, show, pause, resume, run-now, cancel, next."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from .refusal import Refusal
from .rendering import JsonOption, console, plain, print_json, short_instant, table
from .target import ClusterOption, PrefixOption, SchemaOption, Target, UrlOption

if TYPE_CHECKING:
    from ..domain.schedule import Schedule
    from ..recurrence import Explanation

__all__ = ["add_to"]

ScheduleId = Annotated[str, typer.Argument(metavar="ID", help="The id of a schedule.")]

_FIRST_YEAR, _LAST_YEAR = 2, 9998

schedules = typer.Typer(
    help="Look at recurring schedules and change them.", no_args_is_help=True, rich_markup_mode=None
)


def add_to(app: typer.Typer) -> None:
    """Add this group of commands."""
    app.add_typer(schedules, name="schedules")


@schedules.command("list")
def list_schedules(
    status: Annotated[
        str | None, typer.Option("--status", "-s", help="Only active, paused or ended ones.")
    ] = None,
    definition: Annotated[
        str | None, typer.Option("--definition", "-d", help="Only of this definition id.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="Only those this profile declares.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many at most.")] = 50,
    cursor: Annotated[
        str | None, typer.Option("--cursor", help="Go on from here: see the last line.")
    ] = None,
    as_json: JsonOption = False,
    cluster: ClusterOption = None,
    url: UrlOption = None,
    table_prefix: PrefixOption = "jm_",
    schema: SchemaOption = None,
) -> None:
    """List schedules, ordered by id."""
    with Target(None, cluster, url, table_prefix, schema).opened() as opened:
        try:
            page = opened.scheduler.find_schedules(
                status=status, definition_id=definition, profile_id=profile, limit=limit, cursor=cursor
            )
        except ValueError as fault:
            raise Refusal(str(fault)) from fault
    if as_json:
        print_json({"schedules": list(page.items), "next_cursor": page.next_cursor})
        return
    out = console()
    if not page.items:
        out.print("no schedules")
        return
    heads = ("id", "status", "definition", "expression", "next (UTC)", "last (UTC)", "#skipped", "#missed")
    out.print(table(None, heads, map(_row, page.items)))
    if page.next_cursor is not None:
        out.print(f"more: --cursor {page.next_cursor}", markup=False)


@schedules.command("show")
def show_schedule(
    schedule_id: ScheduleId,
    count: Annotated[int, typer.Option("--count", "-n", min=0, max=1000, help="Coming occurrences.")] = 5,
    as_json: JsonOption = False,
    cluster: ClusterOption = None,
    url: UrlOption = None,
    table_prefix: PrefixOption = "jm_",
    schema: SchemaOption = None,
) -> None:
    """Show one schedule and what is coming."""
    with Target(None, cluster, url, table_prefix, schema).opened() as opened:
        found = opened.scheduler.get_schedule(schedule_id)
        coming = opened.scheduler.next_occurrences(found, count) if count else []
    if as_json:
        print_json({**plain(found), "coming": coming})
        return
    out = console()
    out.print(table(None, ("field", "value"), _facts(found)))
    if coming:
        out.print(table("coming", ("#", "UTC"), [(n, short_instant(at)) for n, at in enumerate(coming, 1)]))


@schedules.command("pause")
def pause_schedule(
    schedule_id: ScheduleId,
    cluster: ClusterOption = None,
    url: UrlOption = None,
    table_prefix: PrefixOption = "jm_",
    schema: SchemaOption = None,
) -> None:
    """Plan no more occurrences until it is resumed."""
    with Target(None, cluster, url, table_prefix, schema).opened() as opened:
        if not opened.scheduler.pause_recurring(schedule_id):
            status = opened.scheduler.get_schedule(schedule_id).status.value
            raise Refusal(f"schedule {schedule_id!r} is {status} already")
    print(f"{schedule_id} is paused")


@schedules.command("resume")
def resume_schedule(
    schedule_id: ScheduleId,
    catch_up: Annotated[
        bool, typer.Option("--catch-up", help="Let the misfire policy decide about what fell in the pause.")
    ] = False,
    cluster: ClusterOption = None,
    url: UrlOption = None,
    table_prefix: PrefixOption = "jm_",
    schema: SchemaOption = None,
) -> None:
    """Plan again; what fell in the pause is left out."""
    with Target(None, cluster, url, table_prefix, schema).opened() as opened:
        if not opened.scheduler.resume_recurring(schedule_id, catch_up=catch_up):
            status = opened.scheduler.get_schedule(schedule_id).status.value
            raise Refusal(f"schedule {schedule_id!r} is not paused but {status}")
        found = opened.scheduler.get_schedule(schedule_id)
    print(f"{schedule_id} is {found.status.value}, next at {short_instant(found.next_run_at)} UTC")


@schedules.command("run-now")
def run_schedule(
    schedule_id: ScheduleId,
    cluster: ClusterOption = None,
    url: UrlOption = None,
    table_prefix: PrefixOption = "jm_",
    schema: SchemaOption = None,
) -> None:
    """Run it once now, beside whatever is planned; prints the id of the job."""
    with Target(None, cluster, url, table_prefix, schema).opened() as opened:
        job = opened.scheduler.run_now(schedule_id)
    print(job.id)


@schedules.command("cancel")
def cancel_schedule(
    schedule_id: ScheduleId,
    cluster: ClusterOption = None,
    url: UrlOption = None,
    table_prefix: PrefixOption = "jm_",
    schema: SchemaOption = None,
) -> None:
    """Delete a schedule and its occurrences that have not started."""
    with Target(None, cluster, url, table_prefix, schema).opened() as opened:
        if not opened.scheduler.cancel_recurring(schedule_id):
            raise Refusal(f"there is no schedule {schedule_id!r}")
    print(f"{schedule_id} is cancelled")


@schedules.command("next")
def next_of_expression(
    expression: Annotated[
        str, typer.Argument(metavar="EXPRESSION", help="Cron, RRULE, interval or natural.")
    ],
    zone: Annotated[
        str | None, typer.Option("--tz", metavar="ZONE", help="The zone of an expression that names none.")
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="How many occurrences.")] = 5,
    after: Annotated[
        str | None, typer.Option("--after", metavar="INSTANT", help="From here on: 2026-03-08T00:00Z.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Explain an expression and print its coming occurrences. Needs no cluster."""
    from ..errors import RecurrenceSyntaxError
    from ..recurrence import parse

    start = datetime.now(UTC) if after is None else _instant(after)
    try:
        found = parse(expression, time_zone=zone, anchor=start)
    except RecurrenceSyntaxError as fault:
        # the line below the text and the caret that marks the place
        raise Refusal(str(fault).splitlines()[-1]) from fault
    except ValueError as fault:
        raise Refusal(str(fault)) from fault
    explained = found.explain(start, count)
    if as_json:
        print_json(_explained(explained))
        return
    print(explained)
    if not explained.occurrences:
        print("next        none in 50 years")


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise Refusal(f"--after {text!r} is not an instant such as 2026-03-08T00:00Z") from None
    if found.tzinfo is None:
        raise Refusal(f"--after {text!r} names no offset: write {found.isoformat()}Z for UTC")
    if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        # the wall clock of any zone has to show what follows
        raise Refusal(f"--after {text!r} is outside of the years {_FIRST_YEAR} to {_LAST_YEAR}")
    return found.astimezone(UTC)


def _explained(explained: Explanation) -> dict[str, object]:
    shown: dict[str, object] = plain(explained)
    shown["warnings"] = [str(warning) for warning in explained.warnings]
    return shown


def _row(schedule: Schedule) -> tuple[object, ...]:
    status = schedule.status.value if schedule.error is None else f"{schedule.status.value} !"
    return (
        schedule.id,
        status,
        schedule.definition_id,
        schedule.expression,
        short_instant(schedule.next_run_at),
        short_instant(schedule.last_run_at),
        schedule.skipped,
        schedule.missed,
    )


def _facts(schedule: Schedule) -> list[tuple[str, object]]:
    facts: list[tuple[str, object]] = []
    for name, value in plain(schedule).items():
        if value is None or value == {} or value == []:
            continue
        if isinstance(value, dict | list):
            value = json.dumps(value, ensure_ascii=False)
        facts.append((name.replace("_", " "), value))
    return facts
