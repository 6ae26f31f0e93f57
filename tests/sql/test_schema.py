"""Tables: made by migrations, checked at every start, refused when they belong to somebody else."""

from __future__ import annotations

import re
import secrets
import threading
from typing import Any

import pytest
import sqlalchemy as sa

from jobmaster.errors import ConfigurationError
from jobmaster.sql import Database, mysqlddl, sqlservertables
from jobmaster.sql.schema import SCHEMA_VERSION, SchemaStatus
from jobmaster.sql.tables import Tables
from tests.databases import execute_script


def catalogue(database: Database, schema: str | None) -> list[Any]:
    """What the engine says about the tables, without the parts that name the place."""
    if database.dialect.name == "sqlite":
        rows = database.gateway.read(
            "look", lambda tx: tx.cursor.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
        )
        found = [(kind, name, re.sub(r"\s+|\"", "", sql or "")) for kind, name, sql in rows]
        return sorted(row for row in found if "schema_version" not in row[1])
    if database.dialect.name == "mssql":
        return database.gateway.read("look", lambda tx: _sqlserver_catalogue(tx, schema))
    if database.dialect.name == "mysql":
        queries = [
            """SELECT table_name, column_name, column_type, is_nullable, column_default, collation_name
               FROM information_schema.columns WHERE table_schema = %s""",
            """SELECT table_name, index_name, seq_in_index, column_name, non_unique, sub_part
               FROM information_schema.statistics WHERE table_schema = %s""",
            """SELECT table_name, engine, row_format, table_collation
               FROM information_schema.tables WHERE table_schema = %s""",
        ]
        return _ask(database, queries, schema)
    queries = [
        """SELECT table_name, column_name, data_type, is_nullable, column_default
           FROM information_schema.columns WHERE table_schema = %s""",
        "SELECT tablename, indexname, replace(indexdef, schemaname || '.', '') FROM pg_indexes "
        "WHERE schemaname = %s",
        """SELECT c.relname, c.reloptions::text, ''
           FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
           WHERE n.nspname = %s AND relkind = 'r'""",
    ]

    return _ask(database, queries, schema)


def _ask(database: Database, queries: list[str], schema: str | None) -> list[Any]:
    def look(tx: Any) -> list[Any]:
        found: list[Any] = []
        for query in queries:
            found += [tuple(map(str, row)) for row in tx.cursor.execute(query, (schema,)).fetchall()]
        return sorted(row for row in found if "schema_version" not in row[0])

    return database.gateway.read("look", look)


def _sqlserver_catalogue(tx: Any, schema: str | None) -> list[Any]:
    queries = [
        """SELECT table_name, column_name, data_type, character_maximum_length, is_nullable, collation_name
           FROM information_schema.columns WHERE table_schema = ?""",
        """SELECT t.name, i.name, i.is_unique, i.has_filter, c.name, k.key_ordinal, k.is_included_column
           FROM sys.tables t JOIN sys.indexes i ON i.object_id = t.object_id
           JOIN sys.index_columns k ON k.object_id = i.object_id AND k.index_id = i.index_id
           JOIN sys.columns c ON c.object_id = k.object_id AND c.column_id = k.column_id
           WHERE t.schema_id = SCHEMA_ID(?) AND i.is_primary_key = 0""",
    ]
    found: list[Any] = []
    for query in queries:
        found += [tuple(map(str, row)) for row in tx.cursor.execute(query, (schema,)).fetchall()]
    return sorted(row for row in found if row[0].startswith("jm_") and "schema_version" not in row[0])


def test_a_migrated_schema_equals_a_fresh_one(database_url: str, make_database: Any, tmp_path: Any) -> None:
    migrated = make_database(database_url)
    migrated.open()
    if migrated.dialect.name == "sqlite":
        fresh = make_database(f"sqlite:///{tmp_path / 'fresh.db'}")
        schema = None
    else:
        # a schema of MySQL is a database of the server, beside those of other tests
        schema = f"fresh_{secrets.token_hex(4)}" if migrated.dialect.name == "mysql" else "fresh"
        fresh = make_database(database_url, schema=schema, table_prefix="jm_")
    tables = Tables.of("jm_", schema)
    if adapt := {"mysql": mysqlddl.adapt, "mssql": sqlservertables.adapt}.get(migrated.dialect.name):
        adapt(tables.metadata)
    with fresh._gateway.engine.connect() as connection:
        if schema is not None:
            connection.exec_driver_sql(fresh.dialect.create_schema(schema))
        tables.metadata.create_all(connection)
        try:
            expected = catalogue(migrated, migrated.gateway.names.schema)
            assert expected
            fresh._opened = True  # its tables carry no stamp
            assert catalogue(fresh, schema) == expected
        finally:
            if migrated.dialect.name == "mysql":
                connection.exec_driver_sql(f"DROP SCHEMA `{schema}`")


def test_state_follows_the_tables(database_url: str, make_database: Any) -> None:
    database = make_database(database_url)
    assert database.schema.state().status is SchemaStatus.ABSENT
    database.open()
    assert database.schema.state().status is SchemaStatus.CURRENT
    assert database.schema.state().found == SCHEMA_VERSION


def test_provisioning_twice_changes_nothing(database_url: str, make_database: Any) -> None:
    database = make_database(database_url)
    database.open()
    before = database.store_id
    database.schema.provision()
    database.close()
    database.open()
    assert database.store_id == before


def test_many_may_start_at_once(database_url: str, make_database: Any) -> None:
    databases = [make_database(database_url) for _ in range(4)]
    errors: list[BaseException] = []
    ready = threading.Barrier(4)

    def start(database: Database) -> None:
        ready.wait(10)
        try:
            database.open()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=start, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len({database.store_id for database in databases}) == 1


@pytest.mark.sqlite
def test_many_databases_may_be_made_at_once(tmp_path: Any, make_database: Any) -> None:
    """By threads of one process, each with a cluster of its own: Alembic's environment is one for all."""
    count = 8
    together, faults = threading.Barrier(count), list[BaseException]()
    databases = [make_database(f"sqlite:///{tmp_path / str(number)}.db") for number in range(count)]

    def start(database: Database) -> None:
        together.wait()
        try:
            database.open()
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=start, args=[database]) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert {database.schema.state().status for database in databases} == {SchemaStatus.CURRENT}


def test_many_may_declare_their_settings_at_once(database: Database, make_database: Any) -> None:
    from tests.sql.conftest import stores_of

    master = stores_of(database).master
    declared = {f"setting_{number}": number for number in range(40)}
    answers: list[Any] = []
    ready = threading.Barrier(8)

    def declare() -> None:
        ready.wait(10)
        try:
            answers.append(master.declare_settings(declared))
        except BaseException as error:
            answers.append(error)

    threads = [threading.Thread(target=declare) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, answers)) == [0] * 7 + [40]
    assert {name: setting.value for name, setting in master.settings().items()} == declared


def test_a_newer_schema_is_refused(database_url: str, make_database: Any) -> None:
    database = make_database(database_url)
    database.open()
    meta = database.gateway.names.table("meta")
    database.gateway.transaction(
        "age", lambda tx: tx.cursor.execute(f"UPDATE {meta} SET value = '999' WHERE name = 'schema'")
    )
    with pytest.raises(
        ConfigurationError, match=r"schema version 999, newer than version .* upgrade jobmaster"
    ):
        make_database(database_url).open()


def test_without_provisioning_the_tables_are_only_checked(database_url: str, make_database: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"jm_\* are missing.*jobmaster migrate"):
        make_database(database_url, auto_provision=False).open()
    make_database(database_url).open()
    make_database(database_url, auto_provision=False).open()


def test_the_ddl_can_be_run_by_hand(database_url: str, make_database: Any) -> None:
    by_hand = make_database(database_url)
    text = by_hand.schema.sql()
    assert "jm_job" in text
    execute_script(database_url, text)
    checked = make_database(database_url, auto_provision=False)
    checked.open()
    assert checked.schema.state().status is SchemaStatus.CURRENT


def test_another_clusters_tables_are_refused(database_url: str, make_database: Any) -> None:
    make_database(database_url, cluster_id="orders").open()
    with pytest.raises(ConfigurationError, match=r"cluster 'billing'.*belong to cluster 'orders'"):
        make_database(database_url, cluster_id="billing").open()


def test_another_name_is_refused(database_url: str, make_database: Any) -> None:
    make_database(database_url, name="pg-1").open()
    with pytest.raises(ConfigurationError, match="agent 'pg-2' is stamped 'pg-1' in this database: "):
        make_database(database_url, name="pg-2").open()


def test_two_prefixes_are_two_stores(database_url: str, make_database: Any) -> None:
    one = make_database(database_url, cluster_id="one", table_prefix="one_")
    two = make_database(database_url, cluster_id="two", table_prefix="two_")
    one.open()
    two.open()
    assert one.store_id != two.store_id


@pytest.mark.postgres
def test_a_schema_of_its_own(postgres_url: str, make_database: Any) -> None:
    from tests.sql.conftest import stores_of

    database = make_database(postgres_url, schema="Jobs")
    stores = stores_of(database)
    stores.open()
    (job_id,) = stores.enqueue()
    assert stores.job(job_id).id == job_id
    inspector = sa.inspect(database.gateway.engine)
    assert "jm_job" in inspector.get_table_names(schema="Jobs")
    assert "jm_job" not in inspector.get_table_names(schema="public")


@pytest.mark.mariadb
def test_a_schema_is_another_database_of_the_server(
    mariadb_server: Any, mariadb_url: str, make_database: Any
) -> None:
    from tests.sql.conftest import stores_of

    schema = f"Jobs_{secrets.token_hex(4)}"
    database = make_database(mariadb_url, schema=schema)
    stores = stores_of(database)
    assert database.schema.state().status is SchemaStatus.ABSENT
    try:
        stores.open()
        (job_id,) = stores.enqueue()
        assert stores.job(job_id).id == job_id
        inspector = sa.inspect(database.gateway.engine)
        assert "jm_job" in inspector.get_table_names(schema=schema)
        assert inspector.get_table_names() == []
        with mariadb_server.connect() as connection, connection.cursor() as cursor:
            # The migration's own table would be made where the connection is, were it not for the schema.
            cursor.execute("SHOW TABLES IN `" + schema + "`")
            assert "jm_schema_version" in {row[0] for row in cursor.fetchall()}
    finally:
        database.close()
        with mariadb_server.connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS `{schema}`")


@pytest.mark.sqlite
def test_sqlite_has_no_schemas(sqlite_url: str, make_database: Any) -> None:
    with pytest.raises(ConfigurationError, match="SQLite has no schemas"):
        make_database(sqlite_url, schema="jobs").open()
