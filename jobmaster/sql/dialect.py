"""What an SQL engine must say about itself, so that the operations above it are written once.

A new engine is one module with a :class:`Dialect`: how to connect, how its errors are classed, how values
travel, and the few statements whose shape differs. Everything else is text in :mod:`.statements`, rendered
through the macros defined here.
"""

from __future__ import annotations

import json
import math
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy.engine import Engine

from ..domain.job import ClaimedJob, NewJob
from ..domain.verdict import StateChange
from ..ports.transport import ClaimRequest, Listener
from .partitioning import Partitioning
from .plainsettle import PlainSettle
from .statements import TEMPLATES
from .texts import Text, Texts
from .urls import StoreUrl

if TYPE_CHECKING:
    from .gateway import Tx
    from .keyed import Step

__all__ = ["Dialect", "Fault", "Names", "Options", "Text"]


class Fault(Enum):
    """What an error of the driver means."""

    TRANSIENT = auto()
    """The server undid the transaction, or never began it; the same may work now."""
    LOST = auto()
    """The connection is gone: the transaction too, unless its COMMIT was under way."""
    UNKNOWN_OUTCOME = auto()
    """The server answered, but not whether a COMMIT lasted."""
    UNIQUE = auto()
    CONTENT = auto()
    """The engine refuses a value: it would refuse it again."""
    MISSING_TABLE = auto()
    REFUSED = auto()
    """Wrong password, no such database, no permission: waiting does not help."""
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Options:
    """How a database is reached. Durations are seconds."""

    pool_size: int = 10
    connect_args: Mapping[str, Any] = field(default_factory=dict)
    pgbouncer: bool = False
    operation_timeout: float = 10.0
    startup_timeout: float = 30.0
    driver: str | None = None
    """The ODBC driver, where the engine is reached through one."""


@dataclass(frozen=True, slots=True)
class Names:
    """Table names of one prefix, quoted, in a schema where there is one."""

    prefix: str
    schema: str | None
    quote: str = '"'

    def table(self, name: str) -> str:
        """The quoted, qualified name of a table."""
        bare = self.quoted(f"{self.prefix}{name}")
        return f"{self.quoted(self.schema)}.{bare}" if self.schema else bare

    def quoted(self, name: str) -> str:
        """A single name, quoted."""
        return f"{self.quote}{name}{self.quote}"

    def index(self, name: str) -> str:
        """The name of an index, as hints take it."""
        return f"{self.prefix}{name}"


_MACRO = re.compile(r"\{(\w+)(?::(\w+))?\}")
_LISTS = ("in", "in_texts", "listed")
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")


class Answers(threading.local):
    """Within how many whole seconds the calling thread expects an answer of the server."""

    def __init__(self, within: int) -> None:
        self.within = within


class Dialect(ABC):
    """One SQL engine."""

    name: str
    title: str
    paramstyle: str
    wakes_across_processes = True
    """Whether wake-ups reach listeners in other processes."""
    quote = '"'
    """What names are quoted with."""
    partitioning: Partitioning | None = None
    """How the history can be kept in parts, where the engine can."""
    reads_snapshots = False
    """Whether a caller's transaction may read a past state, unless it locks what it reads."""

    def __init__(self, url: StoreUrl, options: Options) -> None:
        self.url = url
        self.options = options
        self.answers = Answers(max(2, math.ceil(options.operation_timeout)))

    # --- text ---------------------------------------------------------------------------------------

    @abstractmethod
    def macro(self, name: str, argument: str) -> str:
        """The text of ``{now}``, ``{span:x}``, ``{micros:x}``, ``{in:x}``, ``{bytes:x}``, ``{lock}``,
        ``{lock_skip}`` and of what only this engine's own statements use."""

    def render(self, template: str, names: Names, style: str | None = None) -> Text:
        """Fill in table names and macros, and write parameters the way the driver reads them."""

        def fill(match: re.Match[str]) -> str:
            name, argument = match.group(1), match.group(2) or ""
            if name == "table":
                return names.table(argument)
            if name == "index":
                return names.index(argument)
            if name == "has_table":
                return self.has_table(names, argument)
            shared = self._shared_macro(name, argument)
            return self.macro(name, argument) if shared is None else shared

        text = _MACRO.sub(fill, template).strip()
        found = [match.group(1) for match in _PARAMETER.finditer(text)]
        if (style or self.paramstyle) != "qmark":
            found = list(dict.fromkeys(found))
        sql = place(text, style or self.paramstyle, found)
        lists = tuple(m.group(2) for m in _MACRO.finditer(template) if m.group(1) in _LISTS)
        return Text(sql, tuple(found), lists)

    def _shared_macro(self, name: str, argument: str) -> str | None:
        match name:
            case "top":
                return self.top(argument)
            case "limit":
                return self.limit(argument)
            case "locks" | "skips":
                return self.table_lock(argument, skip=name == "skips")
            case "text":
                return self.same_text(argument)
            case "hash":
                return self.hash_parameter(argument)
        return None

    def top(self, parameter: str) -> str:
        """``{top:n}``, after SELECT: the bound of engines that write it there."""
        return ""

    def limit(self, parameter: str) -> str:
        """``{limit:n}``, at the end: the bound of engines that write it there."""
        return f"LIMIT :{parameter}"

    def table_lock(self, table: str, *, skip: bool) -> str:
        """``{locks:x}`` and ``{skips:x}``, after the table ``x`` and its alias: the row locks of engines that
        write them there, and not at the end as ``{lock}`` and ``{lock_skip}``."""
        return ""

    def hash_parameter(self, parameter: str) -> str:
        """``{hash:x}``: a parameter of 32 bytes that may be ``NULL``."""
        return f":{parameter}"

    @property
    def own_templates(self) -> Mapping[str, str]:
        """Neutral statements that this engine has to say in other words, by name."""
        return {}

    def template(self, name: str) -> str:
        """The text of a statement that may run on a caller's connection, before rendering."""
        found = self.keyed_templates.get(name) or self.own_templates.get(name)
        return found or TEMPLATES[name]

    def texts(self, names: Names) -> Texts:
        """Every statement by name."""
        neutral = {**TEMPLATES, **self.own_templates, **self.keyed_templates}
        return Texts(lambda template: self.render(template, names), {**neutral, **self.hot_templates()})

    @abstractmethod
    def has_table(self, names: Names, table: str) -> str:
        """A query for whether a table exists, which fails on no database of this engine."""

    def same_text(self, name: str) -> str:
        """``{text:x}``: the column ``j.x`` holds exactly the text of the parameter ``x``."""
        return f"j.{name} = :{name}"

    def same_member(self, number: int, key: str, value: Any) -> tuple[str, dict[str, Any]]:
        """A condition for the ``number``-th question whether the JSON object ``j.metadata`` has this value
        under this key, and its parameters."""
        text = json.dumps(value, ensure_ascii=False)
        return f"{{member:{number}}}", {f"key_{number}": key, f"value_{number}": text}

    def create_schema(self, schema: str) -> str:
        """The statement that makes a schema unless it is there."""
        return f"CREATE SCHEMA IF NOT EXISTS {self.quote}{schema}{self.quote}"

    # --- connections --------------------------------------------------------------------------------

    @abstractmethod
    def create_engine(self) -> Engine:
        """A pool of connections with every timeout set. Connects to nothing."""

    @abstractmethod
    def check_place(self) -> None:
        """Raise :class:`.gateway.StoreMisplaced` when open connections lead to what is not the store any
        more. Called before every transaction, so it must cost next to nothing."""

    @abstractmethod
    def forget_place(self) -> None:
        """The next connection decides anew what the store is."""

    @abstractmethod
    def is_there(self) -> bool:
        """Whether connecting would find anything, rather than make a new store."""

    @abstractmethod
    def bound(self, connection: Any) -> None:
        """Bound each wait for the server by :attr:`answers`, where the driver can; a server that is silent
        for longer is lost. Elsewhere the bound that the connection was made with stands."""

    @abstractmethod
    def cursor(self, connection: Any) -> Any:
        """A cursor that gives plain tuples."""

    def set_up_writer(self, connection: Any) -> None:
        """Make ready the connection that is kept for writing, where there is a ``single_writer``."""
        raise TypeError(f"{self.title} writes on any connection")

    @abstractmethod
    def begin(self, connection: Any, write: bool, timeout: float) -> None:
        """Begin a transaction on a driver connection that is in autocommit mode."""

    @abstractmethod
    def commit(self, connection: Any) -> None:
        """Commit it; durable on return."""

    @abstractmethod
    def rollback(self, connection: Any) -> None:
        """Undo it, if there is one."""

    @abstractmethod
    def is_driver_error(self, error: BaseException) -> bool:
        """Whether the driver raised this."""

    @abstractmethod
    def tidy(self, error: BaseException) -> str:
        """One line of what the driver says, without secrets."""

    @abstractmethod
    def fault(self, error: BaseException) -> Fault:
        """Class an error of the driver."""

    @abstractmethod
    def resolve_schema(self, connection: Any, schema: str | None) -> str | None:
        """The schema to qualify names with: the given one, else the one in effect."""

    @property
    @abstractmethod
    def single_writer(self) -> bool:
        """Whether writers of one process must queue."""

    settles_at_once: int | None = None
    """How many settles of one process the server is given at once; ``None``: any number."""

    # --- values -------------------------------------------------------------------------------------

    @abstractmethod
    def bind(self, value: Any) -> Any:
        """A parameter as the driver takes it."""

    @abstractmethod
    def bind_list(self, sql: str, given: dict[str, Any], name: str, values: list[Any]) -> str:
        """Add a list parameter to ``given``; the statement with room for it."""

    @abstractmethod
    def bind_now(self, given: dict[str, Any]) -> None:
        """Add what ``{now}`` needs, if it needs anything."""

    def arguments(self, text: Text, given: dict[str, Any]) -> Any:
        """The bound parameters in the form that the driver takes."""
        return positional(text, given) if self.paramstyle == "qmark" else given

    @abstractmethod
    def uuid(self, value: Any) -> UUID:
        """A UUID as read."""

    @abstractmethod
    def instant(self, value: Any) -> datetime:
        """An instant as read, as the driver gives it or in microseconds (``{micros:x}``)."""

    # --- statements whose shape differs ---------------------------------------------------------------

    @abstractmethod
    def hot_templates(self) -> dict[str, str]:
        """The hand-written statements by name."""

    savepoint = ("SAVEPOINT jm_part", "ROLLBACK TO SAVEPOINT jm_part", "RELEASE SAVEPOINT jm_part")
    """How to set the savepoint of a part of a transaction, to go back to it, and to give it up."""

    @abstractmethod
    def schema_lock(self, connection: Any, names: Names) -> AbstractContextManager[None]:
        """Keep other processes from changing the schema meanwhile, and commit at the end."""

    @abstractmethod
    def enqueue(self, tx: Tx, jobs: Sequence[NewJob], wake: Collection[str], known: bool) -> datetime:
        """Insert jobs without keys; the present instant. ``known``: some ids may be there, leave those alone.
        Otherwise an id that is there may raise a unique violation."""

    @abstractmethod
    def keyed_inserts(self, jobs: Sequence[NewJob]) -> Iterator[Step]:
        """The inserts of jobs with keys, which leave rows alone that are there; answers are rows of id,
        due time and time of enqueueing. The statements are named in :attr:`keyed_templates`."""

    @property
    @abstractmethod
    def keyed_templates(self) -> Mapping[str, str]:
        """Statements for callers' connections that are not in :data:`.statements.TEMPLATES`."""

    @abstractmethod
    def wake_steps(self, names: Names, lanes: Collection[str]) -> Iterator[Step]:
        """What wakes listeners from inside a transaction that somebody else commits."""

    @abstractmethod
    def nothing_due(self, tx: Tx, claim: ClaimRequest) -> bool:
        """Whether a plain look shows that a claim would find nothing. ``False`` when a look saves nothing."""

    @abstractmethod
    def claim(self, tx: Tx, claim: ClaimRequest) -> list[ClaimedJob]:
        """Claim, ordered by priority (highest first), ``run_at`` and id."""

    @abstractmethod
    def claimed_in(self, tx: Tx, buckets: Sequence[UUID]) -> list[ClaimedJob]:
        """Every claim that these buckets hold."""

    @abstractmethod
    def succeed(self, tx: Tx, changes: Sequence[StateChange]) -> set[UUID]:
        """Move plain successes to the history, fenced. The ids that were still owned."""

    def settle_plain(
        self, tx: Tx, changes: Sequence[StateChange], claim: ClaimRequest | None
    ) -> tuple[set[UUID], list[ClaimedJob], datetime]:
        """Plain successes and the next claim, in this order; what was still owned, what was claimed, and the
        present instant. An engine that can do it in fewer trips says so by overriding this."""
        owned = self.succeed(tx, changes)
        claimed = [] if claim is None else self.claim(tx, claim)
        return owned, claimed, tx.now()

    def plain_settle(self, changes: Sequence[StateChange], claim: ClaimRequest | None) -> PlainSettle | None:
        """The same in parts, for an engine to which it matters what is done within the transaction."""
        return None

    @abstractmethod
    def bulk(self, tx: Tx, name: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run a statement of :data:`.statements.BULK` for many rows."""

    @abstractmethod
    def notify(self, tx: Tx, lanes: Collection[str]) -> None:
        """Wake the listeners of these lanes once the transaction has committed."""

    @abstractmethod
    def listen(self, names: Names, on_wake: Callable[[str | None], None]) -> Listener:
        """Subscribe to wake-ups."""


def place(text: str, style: str, names: Sequence[str]) -> str:
    """``:name`` parameters in the style of a driver."""
    if style == "named":
        return text
    if style == "pyformat":
        return _PARAMETER.sub(r"%(\1)s", text.replace("%", "%%"))
    if style == "numeric_dollar":
        return _PARAMETER.sub(lambda m: f"${names.index(m.group(1)) + 1}", text)
    if style == "qmark":
        return _PARAMETER.sub("?", text)
    raise ValueError(f"unknown parameter style {style!r}")


def positional(text: Text, given: Mapping[str, Any]) -> tuple[Any, ...]:
    """The values in the order of their places; a name that stands twice is given twice."""
    return tuple([given[name] for name in text.names])
