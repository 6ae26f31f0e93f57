"""``jobmaster check``: is this cluster ready to run?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from ..errors import ConfigurationError, JobMasterError
from .refusal import Refusal, sentence
from .rendering import JsonOption, console, print_json, table
from .target import (
    ClusterArgument,
    ClusterOption,
    PrefixOption,
    SchemaOption,
    Target,
    UrlOption,
    definition_ids,
    settings_of,
)

if TYPE_CHECKING:
    from ..cluster.cluster import Cluster
    from ..cluster.settings import ClusterSettings
    from ..sql.identity import Stamp
    from ..sql.schema import SchemaState

__all__ = ["add_to"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    what: str
    ok: bool
    detail: str


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(check)


def check(
    target: ClusterArgument = None,
    as_json: JsonOption = False,
    cluster: ClusterOption = None,
    url: UrlOption = None,
    table_prefix: PrefixOption = "jm_",
    schema: SchemaOption = None,
) -> int:
    """Check configuration, connection, schema and handlers; changes nothing. Exit code 0 or 2."""
    wanted = Target(target, cluster, url, table_prefix, schema)
    findings = _look(wanted)
    ready = all(finding.ok for finding in findings)
    if as_json:
        print_json({"ready": ready, "findings": findings})
    else:
        from rich.text import Text

        marks = {True: Text("ok", style="green"), False: Text("fault", style="bold red")}
        rows = [(finding.what, marks[finding.ok], finding.detail) for finding in findings]
        console().print(table(None, ("checked", "", "found"), rows))
    return 0 if ready else 2


def _look(wanted: Target) -> list[Finding]:
    if wanted.reference is None:
        return _database(None, wanted)
    try:
        cluster = wanted.build(workers=True)
    except (Refusal, JobMasterError) as fault:
        problems = fault.problems if isinstance(fault, ConfigurationError) else (sentence(fault),)
        return [Finding("configuration", False, " ".join(problem.split())) for problem in problems]
    try:
        return [
            Finding("configuration", True, f"cluster {cluster.id!r}"),
            *_database(settings_of(cluster), wanted),
            *_code(cluster),
        ]
    finally:
        cluster.close()


def _database(settings: ClusterSettings | None, wanted: Target) -> list[Finding]:
    from ..sql.dialect import Options
    from ..sql.urls import parse_url
    from .standalone import look

    if settings is None:
        if wanted.url is None:
            raise Refusal(wanted.unnamed)
        url, prefix, schema, options = wanted.url, wanted.table_prefix, wanted.schema, Options(pool_size=1)
    else:
        database = settings.database
        url, prefix, schema = database.url, database.table_prefix, database.schema
        options = Options(
            1,
            database.connect_args,
            database.pgbouncer,
            settings.operation_timeout.total_seconds(),
            driver=database.driver,
        )
    try:
        state, stamp = look(url, prefix, schema, options)
    except (Refusal, JobMasterError) as fault:
        return [Finding("connection", False, sentence(fault))]
    return [
        Finding("connection", True, parse_url(url).shown),
        _schema(state),
        _identity(stamp, None if settings is None else settings.cluster_id),
    ]


def _schema(state: SchemaState) -> Finding:
    from ..sql.schema import SchemaStatus

    match state.status:
        case SchemaStatus.CURRENT:
            return Finding("schema", True, f"version {state.found}")
        case SchemaStatus.ABSENT:
            return Finding("schema", False, "there are no tables yet: `jobmaster migrate` makes them")
        case SchemaStatus.OLDER:
            says = f"version {state.found}, version {state.expected} is needed: run `jobmaster migrate`"
            return Finding("schema", False, says)
        case SchemaStatus.NEWER:
            says = f"version {state.found} is newer than version {state.expected}: upgrade jobmaster here"
            return Finding("schema", False, says)


def _identity(stamp: Stamp | None, cluster_id: str | None) -> Finding:
    if stamp is None:
        return Finding("identity", True, "not stamped yet: the first start does it")
    if cluster_id is not None and stamp.cluster_id != cluster_id:
        says = f"the tables belong to cluster {stamp.cluster_id!r}, not to {cluster_id!r}"
        return Finding("identity", False, says)
    return Finding(
        "identity", True, f"cluster {stamp.cluster_id!r}, agent {stamp.name!r}, store {stamp.store_id}"
    )


def _code(cluster: Cluster) -> list[Finding]:
    ids = definition_ids(cluster)
    handlers = Finding("handlers", bool(ids), ", ".join(ids) or "none: this cluster can run nothing")
    workers = settings_of(cluster).workers
    shown = ", ".join(f"{worker.name} (lane {worker.lane}, {worker.mode.value})" for worker in workers)
    return [handlers, Finding("workers", True, shown or "none: this cluster only enqueues")]
