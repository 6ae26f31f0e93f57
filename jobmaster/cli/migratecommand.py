"""``jobmaster migrate [--partition-history] [--sql]``: make or update the tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import JobMasterError
from .natsagent import provide
from .refusal import Refusal, sentence
from .rendering import JsonOption, print_json
from .target import ClusterArgument, ClusterOption, PrefixOption, SchemaOption, Target, UrlOption, settings_of

if TYPE_CHECKING:
    from ..cluster.settings import ClusterSettings, DatabaseSettings
    from ..sql.database import Database, Role
    from ..sql.schema import SchemaState

__all__ = ["add_to"]

STANDALONE, MASTER = "standalone", "master"


@dataclass(frozen=True, slots=True)
class Store:
    """One database of a cluster: ``standalone``, ``master`` or an agent's name, its tables, itself."""

    name: str
    prefix: str
    database: Database

    @property
    def called(self) -> str:
        """What it is to the cluster, for a message."""
        return "the master" if self.name == MASTER else f"agent {self.name!r}"

    @property
    def keeps_history(self) -> bool:
        """Whether finished jobs are kept there for long."""
        return self.name in (STANDALONE, MASTER)

    @property
    def heading(self) -> str:
        """What it is and where it lies."""
        if self.name == STANDALONE:
            return self.database.shown
        role = MASTER if self.name == MASTER else f"agent {self.name}"
        return f"{role} on {self.database.shown}, tables {self.prefix}*"


@dataclass(frozen=True, slots=True)
class Done:
    """What became of the tables of one store."""

    store: str
    database: str
    before: SchemaState
    after: SchemaState
    partitioned: bool | None = None
    """Whether the history was partitioned now, ``False`` when it was before; ``None`` when nobody asked."""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("migrate")(migrate)


def migrate(
    target: ClusterArgument = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print the statements and run nothing.")] = False,
    partition: Annotated[
        bool,
        typer.Option(
            "--partition-history", help="Keep finished jobs in parts that retention drops whole: for good."
        ),
    ] = False,
    as_json: JsonOption = False,
    cluster: ClusterOption = None,
    url: UrlOption = None,
    table_prefix: PrefixOption = "jm_",
    schema: SchemaOption = None,
) -> None:
    """Bring the tables to this release's version; on an empty database, make them.

    In a cluster with agents: the tables of the master and of every agent.
    """
    wanted = Target(target, cluster, url, table_prefix, schema)
    stores, streams = _stores(wanted)
    if sql:
        for store in stores:
            if len(stores) > 1:
                print(f"-- {store.heading}\n")
            print(store.database.schema.sql(partition and store.keeps_history), end="")
        for name in streams:
            print(f"-- agent {name} is NATS: it has streams, which `jobmaster migrate` makes")
        return
    done: list[tuple[Store, Done]] = []
    faults: list[str] = []
    made: dict[str, str] = {}
    for name, make in streams.items():
        try:
            made[name] = make()
        except JobMasterError as fault:
            said = sentence(fault)
            faults.append(said if said.startswith(f"agent {name!r}") else f"agent {name!r}: {said}")
    for store in stores:
        try:
            done.append((store, _bring_up(store, partition and store.keeps_history)))
        except JobMasterError as fault:
            if len(stores) == 1 and not streams:
                raise
            faults.append(f"{store.called}: {sentence(fault)}")
        finally:
            store.database.close()
    if as_json:
        of_all = {item.store: item for _, item in done}
        first = of_all.pop(STANDALONE, None) or of_all.pop(MASTER, None)
        print_json(
            {
                "database": first and first.database,
                "before": first and first.before,
                "after": first and first.after,
                "partitioned": first and first.partitioned,
                "agents": list(of_all.values()),
                "streams": made,
            }
        )
    else:
        for store, item in done:
            print(f"{store.heading}: {_change(item)}")
        for name, shown in made.items():
            print(f"agent {name} at {shown}: the streams are there")
    if faults:
        raise Refusal("; ".join(faults))


def _bring_up(store: Store, partition: bool) -> Done:
    database = store.database
    if partition:
        database.schema.check_partitioning()
    database.resolve()
    before = database.schema.state()
    database.schema.require(provision=True)
    partitioned = database.schema.partition_history() if partition else None
    return Done(store.name, database.shown, before, database.schema.state(), partitioned)


def _change(done: Done) -> str:
    before, after = done.before.found, done.after.found
    if before == after:
        said = f"the tables have version {after} already"
    elif before is None:
        said = f"tables made, version {after}"
    else:
        said = f"tables brought from version {before} to version {after}"
    if done.partitioned is not None:
        said += ", the history is partitioned" + (" now" if done.partitioned else " already")
    return said


def _stores(target: Target) -> tuple[list[Store], dict[str, Callable[[], str]]]:
    """The databases of a cluster, the master first; or the one at the URL, whoever it belongs to; and what
    makes the streams of its NATS agents. Connected to nothing."""
    from ..sql.database import open_database

    if target.reference is None and target.url is not None:
        only = open_database(
            target.url, cluster_id="unknown", table_prefix=target.table_prefix, schema=target.schema
        )
        return [Store(STANDALONE, target.table_prefix, only)], {}
    settings = settings_of(target.build())
    if not settings.agents:
        return [_described(settings, settings.database, STANDALONE, "standalone")], {}
    stores = [_described(settings, settings.database, MASTER, "master")]
    streams: dict[str, Callable[[], str]] = {}
    for name, wanted in settings.agents.items():
        if wanted.kind == "nats":
            streams[name] = partial(provide, settings, name, wanted)
        else:
            stores.append(_described(settings, wanted, name, "agent"))
    return stores, streams


def _described(settings: ClusterSettings, wanted: DatabaseSettings, name: str, role: Role) -> Store:
    from ..sql.database import open_database

    database = open_database(
        wanted.url,
        cluster_id=settings.cluster_id,
        name=name if role == "agent" else STANDALONE,
        table_prefix=wanted.table_prefix,
        schema=wanted.schema,
        connect_args=wanted.connect_args,
        pgbouncer=wanted.pgbouncer,
        driver=wanted.driver,
        operation_timeout=settings.operation_timeout.total_seconds(),
        startup_timeout=settings.startup_timeout.total_seconds(),
        role=role,
    )
    return Store(name, wanted.table_prefix, database)
