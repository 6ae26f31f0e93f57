"""The one door to a database: connections, transactions, retries, and errors in our own words.

Every statement of the library runs inside :meth:`Gateway.transaction` or :meth:`Gateway.read`. Here, and
only here, transient faults are tried again, lost connections replaced and driver errors translated.
"""

from __future__ import annotations

import math
import os
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NoReturn, Protocol, TypeVar

from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ..errors import ConflictError, JobMasterError, StoreError, TransientStoreError
from .dialect import Dialect, Fault, Names
from .texts import Text, Texts

__all__ = ["AccessRefused", "ContentRefused", "FaultPoints", "Gateway", "NoFaults", "StoreMisplaced", "Tx"]

T = TypeVar("T")
_LEAST_WAIT = 2
"""Seconds for which an answer of the server is waited for at least: it may be busy."""


class FaultPoints(Protocol):
    """Called at named points around every commit and between the writes of a transaction.

    A test replaces it to end the process, or to raise, at exactly that point. Names are
    ``<operation>.before_commit``, ``<operation>.after_commit`` and those that an operation adds.
    """

    def reach(self, name: str) -> None:
        """The point ``name`` has been reached."""
        ...


class NoFaults:
    """Lets everything pass."""

    def reach(self, name: str) -> None:
        """Do nothing."""


class AccessRefused(StoreError):
    """Wrong credentials, no such database, no permission: at a start a fault of the configuration, later an
    outage like any other."""


class ContentRefused(StoreError):
    """The engine refuses a value for what it is: the same statement would be refused again."""


class StoreMisplaced(StoreError):
    """What the open connections lead to is not what lies where the store should be."""


class Tx:
    """An open transaction, or a bare connection for a read."""

    __slots__ = ("_after", "_gateway", "connection", "cursor", "dialect", "names", "texts")

    def __init__(self, gateway: Gateway, connection: Any, cursor: Any) -> None:
        self.dialect = gateway.dialect
        self.names = gateway.names
        self.texts = gateway.texts
        self.connection = connection
        self.cursor = cursor
        self._gateway = gateway
        self._after: list[Callable[[], None]] = []

    def rows(self, name: str, /, **values: Any) -> list[tuple[Any, ...]]:
        """Run a statement of :data:`TEMPLATES` and fetch every row."""
        self._run(name, values)
        found: list[tuple[Any, ...]] = self.cursor.fetchall()
        return found

    def row(self, name: str, /, **values: Any) -> tuple[Any, ...] | None:
        """The first row, or ``None``."""
        found = self.rows(name, **values)
        return found[0] if found else None

    def answer(self, name: str, /, **values: Any) -> list[tuple[Any, ...]]:
        """The rows of a statement that may give none."""
        self._run(name, values)
        found: list[tuple[Any, ...]] = [] if self.cursor.description is None else self.cursor.fetchall()
        return found

    def run(self, name: str, /, **values: Any) -> int:
        """Run a statement and return how many rows it touched."""
        self._run(name, values)
        count: int = self.cursor.rowcount
        return count

    def bulk(self, name: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run a statement of :data:`.statements.BULK` once per row, as fast as the engine can."""
        if rows:
            self.dialect.bulk(self, name, rows)

    def query(self, template: str, /, **values: Any) -> list[tuple[Any, ...]]:
        """Render and run a neutral text put together at run time, and fetch every row."""
        text = self.dialect.render(template, self.names)
        self.cursor.execute(*bind(self.dialect, text, values))
        found: list[tuple[Any, ...]] = self.cursor.fetchall()
        return found

    def now(self) -> datetime:
        """The store's present instant."""
        row = self.row("now")
        assert row is not None
        return self.dialect.instant(row[0])

    def reach(self, name: str) -> None:
        """Pass a fault point."""
        self._gateway.faults.reach(name)

    def after_commit(self, action: Callable[[], None]) -> None:
        """Call ``action`` once this transaction is durable; never after a rollback."""
        self._after.append(action)

    def translate(self, error: BaseException) -> BaseException:
        """Our error for one that a statement of this transaction raised; other errors unchanged."""
        return self._gateway.translate(error, False) or error

    def committed(self) -> None:
        """Run what waited for the commit."""
        for action in self._after:
            action()

    def _run(self, name: str, values: Mapping[str, Any]) -> None:
        text = self.texts[name]
        bound = bind(self.dialect, text, values)
        self.cursor.execute(*bound)


def bind(dialect: Dialect, text: Text, values: Mapping[str, Any]) -> tuple[str, Any]:
    """The statement and its parameters for the driver, lists spread where the engine has no arrays."""
    given: dict[str, Any] = {}
    sql = text.sql
    for name, value in values.items():
        if name in text.lists:
            sql = dialect.bind_list(sql, given, name, list(value))
        else:
            given[name] = dialect.bind(value)
    dialect.bind_now(given)
    return sql, dialect.arguments(text, given)


class Gateway:
    """Connections to one database. Opens them when they are needed; safe across threads and forks."""

    def __init__(self, dialect: Dialect, names: Names, faults: FaultPoints | None = None) -> None:
        self.dialect = dialect
        self.names = names
        self.faults: FaultPoints = faults or NoFaults()
        self.texts: Texts
        self.operation_timeout = dialect.options.operation_timeout
        self._engine: Engine | None = None
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._writer: Any = None
        self._generation = 0
        """Counts lost connections."""
        self._pid = os.getpid()
        self._abandoned: list[Any] = []
        self.on_misplaced: Callable[[], None] = lambda: None
        """Called when the store turns out not to be where it was; all connections are closed by then."""

    @property
    def engine(self) -> Engine:
        """The pool, made at first use and again after a fork."""
        self._check_process()
        engine = self._engine
        if engine is None:
            with self._lock:
                if self._engine is None:
                    self._engine = self.dialect.create_engine()
                engine = self._engine
        return engine

    def _check_process(self) -> None:
        if self._pid == os.getpid():
            return
        # The sockets belong to the parent: closing one here would say goodbye on its behalf. The objects are
        # kept so that garbage collection does not close them either.
        self._abandoned.append((self._engine, self._writer))
        if self._engine is not None:
            self._engine.dispose(close=False)
        self._engine, self._writer = None, None
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._pid = os.getpid()

    def prepare(self, names: Names) -> None:
        """Fix the names of the tables in every statement."""
        self.names = names
        self.texts = self.dialect.texts(names)

    def foreign_template(self, name: str) -> str:
        """The neutral text of a statement, for a driver that is not ours."""
        return self.dialect.template(name)

    def close(self) -> None:
        """Close every connection. The next use opens new ones."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine is None or self._pid != os.getpid():
            return
        with self._writing:
            writer, self._writer = self._writer, None
            if writer is not None:
                writer.close()
        engine.dispose()

    # --- running ------------------------------------------------------------------------------------

    def transaction(
        self,
        what: str,
        work: Callable[[Tx], T],
        *,
        timeout: float | None = None,
        write: bool = True,
        whole: bool = False,
    ) -> T:
        """Run ``work`` in one transaction and commit it; tried again after transient faults.

        ``work`` may run several times and must leave nothing behind but its writes. Gives up with
        :class:`TransientStoreError` after ``timeout`` seconds (default: the operation timeout). A fault of
        the COMMIT itself is never tried again: ``ambiguous`` says that nobody knows whether it lasted.
        ``whole``: ``work`` begins and commits by itself, in one trip, so each of its faults may be one of
        the COMMIT.
        """
        deadline = time.monotonic() + (self.operation_timeout if timeout is None else timeout)
        pause = 0.005
        while True:
            try:
                return self._attempt(what, work, write, whole, deadline)
            except TransientStoreError as error:
                left = deadline - time.monotonic()
                if error.ambiguous or left <= 0:
                    raise
                time.sleep(min(left, pause * (0.5 + random.random())))
                pause = min(pause * 2, 0.5)
            except StoreMisplaced:
                self.close()
                self.on_misplaced()
                raise

    def read(self, what: str, work: Callable[[Tx], T], *, timeout: float | None = None) -> T:
        """Run reading statements, each by itself; tried again after transient faults."""
        return self.transaction(what, work, timeout=timeout, write=False)

    def _attempt(self, what: str, work: Callable[[Tx], T], write: bool, whole: bool, deadline: float) -> T:
        if not (write and self.dialect.single_writer):
            return self._run(what, work, write, whole, deadline)
        self._check_process()
        turn = self._writing
        if not turn.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise TransientStoreError(f"{self.dialect.url.shown}: the queue of writers did not move in time")
        try:
            return self._run(what, work, write, whole, deadline)
        finally:
            turn.release()

    def _run(self, what: str, work: Callable[[Tx], T], write: bool, whole: bool, deadline: float) -> T:
        self.dialect.answers.within = max(_LEAST_WAIT, math.ceil(deadline - time.monotonic()))
        pooled = self._connect(write)
        raw = pooled.driver_connection
        self.dialect.bound(raw)
        cursor = self.dialect.cursor(raw)
        tx = Tx(self, raw, cursor)
        committing = False
        try:
            if whole:
                self.faults.reach(f"{what}.before_commit")
                committing = True
                result = work(tx)
            else:
                if write:
                    self.dialect.begin(raw, write, deadline - time.monotonic())
                result = work(tx)
                if write:
                    self.faults.reach(f"{what}.before_commit")
                    committing = True
                    self.dialect.commit(raw)
            if write:
                self.faults.reach(f"{what}.after_commit")
            cursor.close()
        except BaseException as error:
            with suppress(Exception):  # of a broken connection: what counts is the error under way
                cursor.close()
            self._abort(pooled, raw, write, error)
            self._raise(error, committing)
        self._release(pooled, write)
        tx.committed()
        return result

    def _raise(self, error: BaseException, committing: bool) -> NoReturn:
        translated = None if isinstance(error, JobMasterError) else self.translate(error, committing)
        try:
            if translated is None:
                raise error
            raise translated from error
        finally:
            # A frame that holds its own exception keeps everything in it alive until the collector comes by.
            del error, translated

    # --- connections --------------------------------------------------------------------------------

    def _connect(self, write: bool) -> Any:
        try:
            self.dialect.check_place()
            if not (write and self.dialect.single_writer):
                return self._checkout()
            engine = self.engine
            if self._writer is None:
                writer = engine.raw_connection()
                self.dialect.set_up_writer(writer.driver_connection)
                self._writer = writer
            return self._writer
        except Exception as error:
            self._raise(error, False)

    def _checkout(self) -> Any:
        """A pooled connection that was made since a connection was last lost; older ones are closed."""
        while True:
            pooled = self.engine.raw_connection()
            if pooled.info.setdefault("jobmaster_generation", self._generation) == self._generation:
                return pooled
            with suppress(Exception):  # its server went away: there is nothing left to close in order
                pooled.invalidate()
            pooled.close()

    def _release(self, pooled: Any, write: bool) -> None:
        if pooled is not self._writer:
            pooled.close()

    def _abort(self, pooled: Any, raw: Any, write: bool, error: BaseException) -> None:
        fault = self._class_of(error)
        if fault is not Fault.LOST:
            try:
                self.dialect.rollback(raw)
            except Exception:
                fault = Fault.LOST
        if fault is Fault.LOST:
            if pooled is self._writer:
                self._writer = None
            with suppress(Exception):  # it is broken: there is nothing left to close in order
                pooled.invalidate()
            # The server went away under this one, so the idle ones are most likely dead as well.
            self._generation += 1
        else:
            self._release(pooled, write)

    # --- errors -------------------------------------------------------------------------------------

    def _class_of(self, error: BaseException) -> Fault:
        if isinstance(error, DBAPIError) and error.orig is not None:
            error = error.orig
        return self.dialect.fault(error)

    def translate(self, error: BaseException, committing: bool) -> JobMasterError | None:
        """Our error for one of the driver, or ``None`` for an error that is not the database's."""
        shown = self.dialect.url.shown
        if isinstance(error, PoolTimeout):
            return TransientStoreError(
                f"{shown}: all {self.dialect.options.pool_size} connections stayed busy; raise pool_size"
            )
        if isinstance(error, UnicodeEncodeError):
            return ContentRefused(f"text that is not valid Unicode cannot be stored: {error.reason}")
        if isinstance(error, DBAPIError) and error.orig is not None:
            error = error.orig
        if not self.dialect.is_driver_error(error):
            return None
        says = f"{shown}: {self.dialect.tidy(error)}"
        match self.dialect.fault(error):
            case Fault.TRANSIENT:
                return TransientStoreError(says)
            case Fault.LOST:
                return TransientStoreError(says, ambiguous=committing)
            case Fault.UNKNOWN_OUTCOME:
                return TransientStoreError(says, ambiguous=committing)
            case Fault.UNIQUE:
                return ConflictError(says)
            case Fault.CONTENT:
                return ContentRefused(says)
            case Fault.MISSING_TABLE:
                return StoreError(f"{says}; the tables are made by `jobmaster migrate`")
            case Fault.REFUSED:
                return AccessRefused(says)
            case Fault.OTHER:
                return StoreError(says)
