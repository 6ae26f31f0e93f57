"""``jobmaster check``: is this cluster ready to run?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import UUID

import typer

from ..errors import ConfigurationError, JobMasterError
from .natsagent import inspect
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
    from ..cluster.settings import ClusterSettings, DatabaseSettings
    from ..sql.identity import Stamp
    from ..sql.schema import SchemaState
    from .standalone import Sight

__all__ = ["add_to"]

MASTER = "master"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ``store``: in a cluster with agents, ``master`` or the name of an agent."""

    what: str
    ok: bool
    detail: str
    store: str | None = None


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
    """Check configuration, connection, schema and handlers; changes nothing. Exit code 0 or 2.

    In a cluster with agents the master and every agent are looked at.
    """
    wanted = Target(target, cluster, url, table_prefix, schema)
    findings = _look(wanted)
    ready = all(finding.ok for finding in findings)
    if as_json:
        print_json({"ready": ready, "findings": findings})
    else:
        from rich.text import Text

        marks = {True: Text("ok", style="green"), False: Text("fault", style="bold red")}
        rows = [(_shown(finding), marks[finding.ok], finding.detail) for finding in findings]
        console().print(table(None, ("checked", "", "found"), rows))
    return 0 if ready else 2


def _shown(finding: Finding) -> str:
    if finding.store is None:
        return finding.what
    return f"{finding.what} of {finding.store if finding.store == MASTER else f'agent {finding.store}'}"


def _look(wanted: Target) -> list[Finding]:
    if wanted.reference is None:
        return _one_database(wanted)
    try:
        cluster = wanted.build(workers=True)
    except (Refusal, JobMasterError) as fault:
        problems = fault.problems if isinstance(fault, ConfigurationError) else (sentence(fault),)
        return [Finding("configuration", False, " ".join(problem.split())) for problem in problems]
    try:
        return [
            Finding("configuration", True, f"cluster {cluster.id!r}"),
            *_stores(settings_of(cluster)),
            *_code(cluster),
        ]
    finally:
        cluster.close()


def _one_database(wanted: Target) -> list[Finding]:
    from .standalone import look

    if wanted.url is None:
        raise Refusal(wanted.unnamed)
    try:
        seen = look(wanted.url, wanted.table_prefix, wanted.schema)
    except (Refusal, JobMasterError) as fault:
        return [Finding("connection", False, sentence(fault))]
    if seen.stamp is None:
        identity = _unstamped()
    else:
        identity = Finding("identity", True, _told(seen.stamp))
    return [_connected(wanted.url), _schema(seen.state), identity]


def _stores(settings: ClusterSettings) -> Iterator[Finding]:
    """The only database of a cluster, or its master and its agents."""
    if not settings.agents:
        yield from _store(settings, settings.database, None, {})[1]
        return
    master, findings = _store(settings, settings.database, MASTER, {})
    yield from findings
    known = {} if master is None else {name: agent.store_id for name, agent in master.agents.items()}
    for name, database in settings.agents.items():
        if database.kind == "nats":
            for seen in inspect(settings, name, database, known.get(name)):
                yield Finding(seen.what, seen.ok, seen.detail, name)
        else:
            yield from _store(settings, database, name, known)[1]


def _store(
    settings: ClusterSettings, database: DatabaseSettings, store: str | None, known: dict[str, UUID]
) -> tuple[Sight | None, list[Finding]]:
    """What one database holds; ``known`` are the stores that the master has registered as agents."""
    from ..sql.dialect import Options
    from .standalone import look

    options = Options(
        1,
        database.connect_args,
        database.pgbouncer,
        settings.operation_timeout.total_seconds(),
        driver=database.driver,
    )
    try:
        seen = look(database.url, database.table_prefix, database.schema, options)
    except (Refusal, JobMasterError) as fault:
        return None, [Finding("connection", False, sentence(fault), store)]
    findings = [
        _connected(database.url),
        _schema(seen.state),
        _identity(seen.stamp, settings.cluster_id, store, known),
    ]
    return seen, [replace(finding, store=store) for finding in findings]


def _connected(url: str) -> Finding:
    from ..sql.urls import parse_url

    return Finding("connection", True, parse_url(url).shown)


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


def _identity(stamp: Stamp | None, cluster_id: str, store: str | None, known: dict[str, UUID]) -> Finding:
    from ..sql.database import STANDALONE

    agent = store if store not in (None, MASTER) else None
    expected = None if agent is None else known.get(agent)
    if stamp is None:
        if expected is None:
            return _unstamped()
        says = f"not stamped, and the master knows agent {agent!r} as store {expected}: was it wiped?"
        return Finding("identity", False, says)
    if stamp.cluster_id != cluster_id:
        says = f"the tables belong to cluster {stamp.cluster_id!r}, not to {cluster_id!r}"
        return Finding("identity", False, says)
    if stamp.name != (agent or STANDALONE):
        holder = "a master or standalone database" if stamp.name == STANDALONE else f"agent {stamp.name!r}"
        return Finding("identity", False, f"the tables are those of {holder}")
    if expected is not None and expected != stamp.store_id:
        says = (
            f"store {stamp.store_id}, but the master knows agent {agent!r} as store {expected}: it was "
            "wiped, restored or is another database"
        )
        return Finding("identity", False, says)
    return Finding("identity", True, _told(stamp, store))


def _unstamped() -> Finding:
    return Finding("identity", True, "not stamped yet: the first start does it")


def _told(stamp: Stamp, store: str | None = None) -> str:
    part = MASTER if store == MASTER else f"agent {stamp.name!r}"
    return f"cluster {stamp.cluster_id!r}, {part}, store {stamp.store_id}"


def _code(cluster: Cluster) -> list[Finding]:
    ids = definition_ids(cluster)
    handlers = Finding("handlers", bool(ids), ", ".join(ids) or "none: this cluster can run nothing")
    settings = settings_of(cluster)
    shown = ", ".join(
        f"{worker.name} ("
        + (f"agent {worker.agent_connection}, " if settings.agents else "")
        + f"lane {worker.lane}, {worker.mode.value})"
        for worker in settings.workers
    )
    return [handlers, Finding("workers", True, shown or "none: this cluster only enqueues")]
