"""``jobmaster jobs``: list, show, cancel, retry, explain."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from ..domain.status import JobStatus
from .refusal import Refusal
from .rendering import JsonOption, console, plain, print_json, priority_name, short_instant, table
from .target import ClusterOption, PrefixOption, SchemaOption, Target, UrlOption

if TYPE_CHECKING:
    from ..domain.job import Attempt, Job

__all__ = ["add_to"]

JobId = Annotated[str, typer.Argument(metavar="ID", help="The id of a job.")]

jobs = typer.Typer(help="Look at jobs and change them.", no_args_is_help=True, rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    """Add this group of commands."""
    app.add_typer(jobs, name="jobs")


@jobs.command("list")
def list_jobs(
    status: Annotated[
        list[str] | None,
        typer.Option(
            "--status", "-s", help="Only these; may be repeated. `live` means all that have not ended."
        ),
    ] = None,
    lane: Annotated[str | None, typer.Option("--lane", help="Only this lane.")] = None,
    definition: Annotated[
        str | None, typer.Option("--definition", "-d", help="Only this definition id.")
    ] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option("--metadata", "-m", metavar="KEY=VALUE", help="Only with this; may be repeated."),
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
    """List jobs, newest first."""
    wanted = _statuses(status or [])
    pairs = dict(_pair(text) for text in metadata or [])
    with Target(None, cluster, url, table_prefix, schema).opened() as opened:
        try:
            page = opened.scheduler.find_jobs(
                status=wanted or None,
                lane=lane,
                definition_id=definition,
                metadata=pairs or None,
                limit=limit,
                cursor=cursor,
            )
        except ValueError as fault:
            raise Refusal(str(fault)) from fault
    if as_json:
        print_json({"jobs": list(page.items), "next_cursor": page.next_cursor})
        return
    rows = [
        (
            job.id,
            job.status.value.replace("_", " "),
            job.definition_id,
            job.lane,
            priority_name(job.priority),
            short_instant(job.scheduled_at),
            job.attempt,
            _remark(job),
        )
        for job in page.items
    ]
    out = console()
    if not rows:
        out.print("no jobs")
        return
    heads = ("id", "status", "definition", "lane", "priority", "due (UTC)", "#runs", "remark")
    out.print(table(None, heads, rows))
    if page.next_cursor is not None:
        out.print(f"more: --cursor {page.next_cursor}")


@jobs.command("show")
def show_job(
    job_id: JobId,
    as_json: JsonOption = False,
    cluster: ClusterOption = None,
    url: UrlOption = None,
    table_prefix: PrefixOption = "jm_",
    schema: SchemaOption = None,
) -> None:
    """Show one job with its runs."""
    wanted = _job_id(job_id)
    with Target(None, cluster, url, table_prefix, schema).opened() as opened:
        job = opened.scheduler.get_job(wanted)
        attempts = opened.scheduler.attempts(wanted)
    if as_json:
        print_json({**plain(job), "attempts": attempts})
        return
    out = console()
    out.print(table(None, ("field", "value"), _facts(job)))
    if attempts:
        out.print(table("runs", ("#run", "outcome", "started (UTC)", "#took", "error"), map(_run, attempts)))
    for attempt in attempts:
        if attempt.log:
            out.print(f"log of run {attempt.number}:")
            out.print(attempt.log, markup=False)
    if job.error is not None and job.error.traceback:
        out.print(job.error.traceback, markup=False)


@jobs.command("cancel")
def cancel_job(
    job_id: JobId,
    cluster: ClusterOption = None,
    url: UrlOption = None,
    table_prefix: PrefixOption = "jm_",
    schema: SchemaOption = None,
) -> None:
    """Cancel a waiting job, or ask a running one to stop."""
    wanted = _job_id(job_id)
    with Target(None, cluster, url, table_prefix, schema).opened() as opened:
        changed = opened.scheduler.cancel_job(wanted)
        job = opened.scheduler.get_job(wanted)
    if not changed:
        raise Refusal(f"job {wanted} has ended already: {job.status.value}")
    print(f"{wanted} cancelled" if job.status.is_final else f"{wanted} is asked to stop")


@jobs.command("retry")
def retry_job(
    job_id: JobId,
    cluster: ClusterOption = None,
    url: UrlOption = None,
    table_prefix: PrefixOption = "jm_",
    schema: SchemaOption = None,
) -> None:
    """Run a finished job again, under its own id."""
    wanted = _job_id(job_id)
    with Target(None, cluster, url, table_prefix, schema).opened() as opened:
        job = opened.scheduler.retry_job(wanted)
    print(f"{wanted} runs again: {job.status.value.replace('_', ' ')}")


@jobs.command("explain")
def explain_job(
    job_id: JobId,
    as_json: JsonOption = False,
    cluster: ClusterOption = None,
    url: UrlOption = None,
    table_prefix: PrefixOption = "jm_",
    schema: SchemaOption = None,
) -> None:
    """Tell why a job is where it is."""
    wanted = _job_id(job_id)
    with Target(None, cluster, url, table_prefix, schema).opened() as opened:
        explanation = opened.scheduler.explain(wanted)
    if as_json:
        print_json(explanation)
    else:
        print(explanation)


def _job_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Refusal(
            f"{text!r} is not a job id: ids look like 01935a3c-7d7e-7b4c-9d5e-0123456789ab"
        ) from None


def _statuses(texts: list[str]) -> list[JobStatus]:
    found: list[JobStatus] = []
    for text in texts:
        if text.lower() == "live":
            found += [status for status in JobStatus if not status.is_final]
            continue
        try:
            found.append(JobStatus(text.lower().replace("-", "_").replace(" ", "_")))
        except ValueError:
            known = ", ".join(status.value for status in JobStatus)
            raise Refusal(f"{text!r} is not a status: there is live, {known}") from None
    return found


def _pair(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise Refusal(f"--metadata {text!r} must be KEY=VALUE")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _remark(job: Job) -> str:
    if job.error is not None:
        lines = str(job.error).splitlines()
        return lines[0][:80] if lines else ""
    if job.progress is not None:
        return f"{job.progress.fraction:.0%} {job.progress.message}".rstrip()
    return ""


def _facts(job: Job) -> list[tuple[str, object]]:
    facts: list[tuple[str, object]] = []
    for name, value in plain(job).items():
        if value is None or value == {}:
            continue
        if name == "error":
            value = str(job.error)
        elif name == "progress":
            value = _remark(job)
        elif name == "status":
            value = job.status.value.replace("_", " ")
        elif isinstance(value, (dict, list)):
            value = json.dumps(value, ensure_ascii=False)
        facts.append((name.replace("_", " "), value))
    return facts


def _run(attempt: Attempt) -> tuple[object, ...]:
    took = "-"
    if attempt.started_at is not None and attempt.finished_at is not None:
        took = f"{(attempt.finished_at - attempt.started_at).total_seconds():.3f} s"
    return (
        attempt.number,
        attempt.outcome.value.replace("_", " "),
        short_instant(attempt.started_at),
        took,
        attempt.error or "",
    )
