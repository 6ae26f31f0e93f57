"""MySQL 8.0.16 and MariaDB 10.6, and newer, through pymysql.

Instants are BIGINT, microseconds since 1970: a round trip is exact, for every year and whatever the time zone
of a session is, comparisons use an index, and reading one costs an ``int()`` where pymysql takes a DATETIME
apart with a regular expression. Counts of rows are counts of rows *found* (``CLIENT.FOUND_ROWS``), as on
every other engine: an UPDATE that changes nothing counts the rows that it met, and so does ``ON DUPLICATE KEY
UPDATE``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine

from ..domain.job import ClaimedJob, NewJob
from ..domain.verdict import StateChange
from ..errors import ConfigurationError
from ..ports.transport import ClaimRequest, Listener
from . import mysqlerrors, mysqlmembers, mysqlnew, mysqlrows, mysqlsession
from .dialect import Dialect, Fault, Names, Options
from .keyed import Step, insert_values
from .localwake import LocalBell
from .mysqlcursor import MySqlCursor
from .mysqlparts import PARTS, MySqlPartitioning
from .mysqlstatements import BULK_FORMS, HOT, KEYED, PRESENT, SUCCESS
from .statements import BULK
from .tables import from_micros, to_micros
from .urls import StoreUrl

if TYPE_CHECKING:
    from .gateway import Tx

__all__ = ["MySqlDialect"]

_ON_CONFLICT = re.compile(r"ON CONFLICT \((\w+)[^)]*\) DO NOTHING")


class MySqlDialect(Dialect):
    """pymysql connections in autocommit mode; every transaction is begun and committed by statement."""

    name = "mysql"
    title = "MySQL"
    paramstyle = "pyformat"
    single_writer = False
    settles_at_once = 2
    partitioning = MySqlPartitioning()
    quote = "`"
    reads_snapshots = True
    wakes_across_processes = False

    def __init__(self, url: StoreUrl, options: Options) -> None:
        super().__init__(url, options)
        self._schema: str | None = None

    # --- text ---------------------------------------------------------------------------------------

    def macro(self, name: str, argument: str) -> str:
        match name:
            case "now":
                return PRESENT
            case "span":
                return f":{argument}"
            case "micros":
                return argument
            case "in":
                return f"IN (:{argument})"
            case "bytes":
                return f"LENGTH({argument})"
            case "lock":
                return "FOR UPDATE"
            case "lock_skip" | "lock_skip_job":
                # Tables of a subquery are not locked.
                return "FOR UPDATE SKIP LOCKED"
        raise KeyError(name)

    def has_table(self, names: Names, table: str) -> str:
        schema = "DATABASE()" if names.schema is None else f"'{names.schema}'"
        return (
            "SELECT count(*) FROM information_schema.tables "
            f"WHERE table_schema = {schema} AND table_name = '{names.prefix}{table}'"
        )

    def same_text(self, name: str) -> str:
        # The collation pads with spaces: 'a' = 'a '.
        return f"j.{name} = :{name} AND LENGTH(j.{name}) = LENGTH(:{name})"

    def same_member(self, number: int, key: str, value: Any) -> tuple[str, dict[str, Any]]:
        return mysqlmembers.same_member(number, key, value)

    def create_schema(self, schema: str) -> str:
        return f"CREATE SCHEMA IF NOT EXISTS `{schema}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"

    def hot_templates(self) -> dict[str, str]:
        texts = {**HOT, **PARTS}
        for name, bulk in BULK.items():
            forms = BULK_FORMS.get(name) or tuple(map(_upsert, bulk.each))
            for number, template in enumerate(forms):
                texts[f"{name}_{number}"] = template
        return texts

    # --- connections --------------------------------------------------------------------------------

    def create_engine(self) -> Engine:
        options = self.options
        patience = max(1, int(options.operation_timeout))
        url, arguments = mysqlsession.connecting(self.url.url, options.connect_args, patience)
        engine = create_engine(
            url,
            connect_args=arguments,
            pool_size=options.pool_size,
            max_overflow=0,
            pool_timeout=options.operation_timeout,
            pool_use_lifo=True,
            pool_reset_on_return=None,
        )
        # Half of what the session below lets a connection lie idle.
        mysqlsession.renew_idle(engine, 3 * max(10, patience))
        event.listen(engine, "do_connect", self._hurry)
        # After SQLAlchemy, which sets a collation of its own.
        event.listen(engine, "connect", lambda raw, _record: mysqlsession.set_up(raw, patience))
        return engine

    def _hurry(self, _dialect: Any, _record: Any, _positional: Any, named: dict[str, Any]) -> None:
        within = self.answers.within
        named.setdefault("connect_timeout", min(10, within))
        if "read_timeout" not in self.options.connect_args:
            named["read_timeout"] = within  # the server's greeting is waited for as well

    def bound(self, connection: Any) -> None:
        if "read_timeout" not in self.options.connect_args:
            connection._read_timeout = self.answers.within

    def check_place(self) -> None:
        """A server tells its clients when it goes."""

    def forget_place(self) -> None:
        """Nothing is remembered."""

    def is_there(self) -> bool:
        return True

    def cursor(self, connection: Any) -> Any:
        return MySqlCursor(connection)

    def begin(self, connection: Any, write: bool, timeout: float) -> None:
        connection.begin()

    def commit(self, connection: Any) -> None:
        connection.commit()

    def rollback(self, connection: Any) -> None:
        connection.rollback()

    def resolve_schema(self, connection: Any, schema: str | None) -> str | None:
        mysqlsession.check_version(connection, self.url.shown)
        self._schema = schema
        if schema is not None:
            return schema
        cursor = self.cursor(connection)
        ((found,),) = cursor.execute("SELECT DATABASE()").fetchall()
        if found is None:
            raise ConfigurationError(
                f"{self.url.shown}: the URL names no database; write mysql://user@host/database"
            )
        return str(found)

    def schema_lock(self, connection: Any, names: Names) -> AbstractContextManager[None]:
        return mysqlsession.schema_lock(connection, names.table("meta"))

    # --- errors -------------------------------------------------------------------------------------

    def is_driver_error(self, error: BaseException) -> bool:
        return mysqlerrors.is_driver_error(error)

    def tidy(self, error: BaseException) -> str:
        return mysqlerrors.tidy(error)

    def fault(self, error: BaseException) -> Fault:
        return mysqlerrors.fault_of(error, self._schema)

    # --- values -------------------------------------------------------------------------------------

    def bind(self, value: Any) -> Any:
        if isinstance(value, UUID):
            return value.bytes
        if isinstance(value, datetime):
            return to_micros(value)
        return value

    def bind_list(self, sql: str, given: dict[str, Any], name: str, values: list[Any]) -> str:
        return sql.replace(f"(%({name})s)", f"({mysqlrows.literals(values).replace('%', '%%')})")

    def bind_now(self, given: dict[str, Any]) -> None:
        """The server has a clock."""

    def uuid(self, value: Any) -> UUID:
        return UUID(bytes=bytes(value))

    def instant(self, value: Any) -> datetime:
        return from_micros(int(value))

    # --- writes -------------------------------------------------------------------------------------

    def bulk(self, tx: Tx, name: str, rows: Sequence[tuple[Any, ...]]) -> None:
        columns = [column for column, _ in BULK[name].columns]
        if name not in BULK_FORMS:
            for row in rows:
                given = {column: self.bind(value) for column, value in zip(columns, row, strict=True)}
                for number in range(len(BULK[name].each)):
                    tx.cursor.execute(tx.texts[f"{name}_{number}"].sql, given)
            return
        for part in mysqlrows.chunks(rows):
            for number in range(len(BULK_FORMS[name])):
                text = tx.texts[f"{name}_{number}"]
                tx.cursor.put(text.sql, {kind: _written(kind, columns, part) for kind in text.names})

    def enqueue(self, tx: Tx, jobs: Sequence[NewJob], wake: Collection[str], known: bool) -> datetime:
        ((now,),) = tx.rows("now")
        sql = tx.texts["enqueue_known" if known else "enqueue"].sql
        for rows in mysqlnew.portions(jobs, now):
            tx.cursor.put(sql, {"rows": rows})
        self.notify(tx, wake)
        return from_micros(now)

    def keyed_inserts(self, jobs: Sequence[NewJob]) -> Iterator[Step]:
        jobs_as_json = {"jobs": json.dumps([_plain(insert_values(job)) for job in jobs])}
        yield Step("keyed_insert", jobs_as_json)
        yield Step("keyed_inserted", jobs_as_json)

    @property
    def keyed_templates(self) -> Mapping[str, str]:
        return KEYED

    def wake_steps(self, names: Names, lanes: Collection[str]) -> Iterator[Step]:
        # Nothing can be sent from inside a transaction: the next poll finds the work.
        yield from ()

    def nothing_due(self, tx: Tx, claim: ClaimRequest) -> bool:
        return False

    def claim(self, tx: Tx, claim: ClaimRequest) -> list[ClaimedJob]:
        wanted = [p for p, n in sorted(claim.limits.items(), reverse=True) if n > 0]
        rows = self._lock_due(tx, claim, wanted)
        if not rows:
            return []
        buckets = {claim.buckets[p] for p in wanted}
        if len(tx.rows("buckets_held", ids=list(buckets))) != len(buckets):
            return []
        into = {row[5]: claim.buckets[row[5]] for row in rows}
        cases = " ".join(f"WHEN {priority} THEN x'{bucket.hex}'" for priority, bucket in into.items())
        ids = ", ".join([f"x'{row[0].hex()}'" for row in rows])
        tx.cursor.put(tx.texts["claim"].sql, {"cases": cases, "ids": ids})
        make = mysqlrows.claimed_job
        claimed = [make(row, into[row[5]], row[2] + 1) for row in rows]
        claimed.sort(key=_by_priority_and_time)
        return claimed

    def _lock_due(self, tx: Tx, claim: ClaimRequest, wanted: Sequence[int]) -> Sequence[tuple[Any, ...]]:
        parts = []
        lane = mysqlrows.literal(claim.lane)
        for priority in wanted:
            given = {"lane": lane, "priority": str(int(priority)), "count": str(claim.limits[priority])}
            after = claim.after.get(priority)
            if after is None:
                parts.append(tx.texts["claim_part"].sql % given)
            else:
                given |= {"after_at": str(to_micros(after[0])), "after_id": f"x'{after[1].hex}'"}
                parts.append(tx.texts["claim_part_after"].sql % given)
        tx.cursor.execute("\nUNION ALL\n".join(parts), None)
        rows: Sequence[tuple[Any, ...]] = tx.cursor.fetchall()
        return rows

    def claimed_in(self, tx: Tx, buckets: Sequence[UUID]) -> list[ClaimedJob]:
        rows = tx.rows("claimed_in", ids=list(buckets))
        return [mysqlrows.claimed_job(row, self.uuid(row[1]), row[2]) for row in rows]

    def succeed(self, tx: Tx, changes: Sequence[StateChange]) -> set[UUID]:
        owned: set[UUID] = set()
        # In the order of their ids, so that two settles with some of the same jobs do not wait in a circle.
        rows = sorted(map(mysqlrows.success, changes), key=_first)
        for part in mysqlrows.chunks(rows):
            tx.cursor.put(tx.texts["succeed"].sql, {"rows": mysqlrows.as_selects(SUCCESS, part)})
            ids = [row[0] for row in part]
            if tx.cursor.rowcount != len(part):
                held = {(row[0], row[1], row[2]) for row in tx.rows("owned_lock", ids=ids)}
                ids = [row[0] for row in part if (row[0].bytes, row[1].bytes, row[2]) in held]
            if ids:
                tx.cursor.put(tx.texts["gone"].sql, {"ids": mysqlrows.literals(ids)})
            owned.update(ids)
        return owned

    # --- wake-ups -----------------------------------------------------------------------------------

    def _bell(self, names: Names) -> LocalBell:
        return LocalBell.of(f"{self.url.url.host}:{self.url.url.port} {names.table('job')}")

    def notify(self, tx: Tx, lanes: Collection[str]) -> None:
        if lanes:
            ringing = tuple(lanes)
            bell = self._bell(tx.names)
            tx.after_commit(lambda: bell.ring(ringing))

    def listen(self, names: Names, on_wake: Callable[[str | None], None]) -> Listener:
        return self._bell(names).listen(on_wake)


def _first(row: tuple[Any, ...]) -> UUID:
    key: UUID = row[0]
    return key


def _by_priority_and_time(job: ClaimedJob) -> tuple[int, datetime, UUID]:
    return -job.priority, job.run_at, job.id


def _written(kind: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    if kind == "rows":
        return mysqlrows.as_selects(columns, rows)
    return mysqlrows.as_values(rows) if kind == "values" else mysqlrows.literals(row[0] for row in rows)


def _upsert(template: str) -> str:
    return _ON_CONFLICT.sub(r"ON DUPLICATE KEY UPDATE \1 = \1", template)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, UUID):
            return value.hex
        if isinstance(value, datetime):
            return to_micros(value)
        return value.hex() if isinstance(value, bytes) else value

    return {name: plain(value) for name, value in values.items()}
