"""``jobmaster migrate [--sql]``: make or update the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .rendering import JsonOption, print_json
from .target import ClusterArgument, ClusterOption, PrefixOption, SchemaOption, Target, UrlOption, settings_of

if TYPE_CHECKING:
    from ..sql.database import Database

__all__ = ["add_to", "database_of"]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("migrate")(migrate)


def migrate(
    target: ClusterArgument = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print the statements and run nothing.")] = False,
    as_json: JsonOption = False,
    cluster: ClusterOption = None,
    url: UrlOption = None,
    table_prefix: PrefixOption = "jm_",
    schema: SchemaOption = None,
) -> None:
    """Bring the tables to this release's version; on an empty database, make them."""
    database = database_of(Target(target, cluster, url, table_prefix, schema))
    if sql:
        print(database.schema.sql(), end="")
        return
    try:
        database.resolve()
        before = database.schema.state()
        database.schema.require(provision=True)
        after = database.schema.state()
    finally:
        database.close()
    if as_json:
        print_json({"database": database.shown, "before": before, "after": after})
    elif before.found == after.found:
        print(f"{database.shown}: the tables have version {after.found} already")
    elif before.found is None:
        print(f"{database.shown}: tables made, version {after.found}")
    else:
        print(f"{database.shown}: tables brought from version {before.found} to version {after.found}")


def database_of(target: Target) -> Database:
    """The database of a cluster, or the one at the URL, whoever it belongs to; connected to nothing."""
    from ..sql.database import open_database

    if target.reference is None and target.url is not None:
        return open_database(
            target.url, cluster_id="unknown", table_prefix=target.table_prefix, schema=target.schema
        )
    settings = settings_of(target.build())
    wanted = settings.database
    return open_database(
        wanted.url,
        cluster_id=settings.cluster_id,
        table_prefix=wanted.table_prefix,
        schema=wanted.schema,
        connect_args=wanted.connect_args,
        pgbouncer=wanted.pgbouncer,
        driver=wanted.driver,
        operation_timeout=settings.operation_timeout.total_seconds(),
        startup_timeout=settings.startup_timeout.total_seconds(),
    )
