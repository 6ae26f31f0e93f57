"""A whole transaction in one trip to the server.

The driver's own pipeline goes to the socket once for every statement, and a thread gives the interpreter away
each time that it does; here BEGIN, the statements and COMMIT leave in one write, and one wait brings the
answers. After an error the server skips the rest, COMMIT included, and the transaction is left to be rolled
back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from psycopg import pq
from psycopg.abc import PQGen
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.waiting import Ready, Wait

from .dialect import Text
from .pgarrays import Column
from .pgconnection import BoundedConnection

__all__ = ["Answer", "HotStatement", "trip"]

_PLACEHOLDER = re.compile(r"%(?:\((\w+)\)s|%)")
_TEXT, _BINARY = pq.Format.TEXT, pq.Format.BINARY


@dataclass(frozen=True, slots=True)
class HotStatement:
    """A statement prepared once per connection."""

    name: str
    sql: bytes
    parameters: tuple[str, ...]

    @classmethod
    def of(cls, name: str, text: Text) -> HotStatement:
        """From the form that the driver's cursors take."""
        parameters: list[str] = []

        def number(found: re.Match[str]) -> str:
            parameter = found[1]
            if parameter is None:
                return "%"
            if parameter not in parameters:
                parameters.append(parameter)
            return f"${parameters.index(parameter) + 1}"

        sql = _PLACEHOLDER.sub(number, text.sql)
        return cls(name, sql.encode(), tuple(parameters))


class Answer(NamedTuple):
    """What one statement of a trip brought: how many rows it touched, and its rows."""

    touched: int
    result: pq.abc.PGresult
    connection: BoundedConnection

    def rows(self, make: Callable[[Sequence[Any]], Any] = tuple) -> list[Any]:
        """The rows, each made from its values."""
        reader = Transformer.from_context(self.connection)
        reader.set_pgresult(self.result)
        return reader.load_rows(0, self.result.ntuples, make)


def trip(
    connection: BoundedConnection, statements: Sequence[tuple[HotStatement, Mapping[str, Any]]]
) -> list[Answer]:
    """Run these statements in a transaction of their own and commit it; what each of them brought.

    Arrays of :mod:`.pgarrays` go as they are, text and whole numbers as text. Raises what the driver raises.
    """
    wire = connection.pgconn
    wire.enter_pipeline_mode()
    try:
        results = connection.wait(_exchange(connection, wire, statements))
    finally:
        if wire.status == pq.ConnStatus.OK:
            wire.exit_pipeline_mode()
    for result in results:
        if result.status == pq.ExecStatus.FATAL_ERROR:
            # what was to be prepared may be there or not
            connection.forget_prepared()
            raise error_from_result(result)
    return [Answer(r.command_tuples or 0, r, connection) for r in results[-1 - len(statements) : -1]]


def _exchange(
    connection: BoundedConnection,
    wire: pq.abc.PGconn,
    statements: Sequence[tuple[HotStatement, Mapping[str, Any]]],
) -> PQGen[list[pq.abc.PGresult]]:
    for statement, _ in statements:
        if statement.name not in connection.prepared:
            connection.prepared[statement.name] = name = connection.new_name(statement.name)
            wire.send_prepare(name, statement.sql)
    wire.send_query_params(b"BEGIN", None)
    for statement, values in statements:
        _send(wire, connection.prepared[statement.name], statement.parameters, values)
    wire.send_query_params(b"COMMIT", None)
    wire.pipeline_sync()
    yield from _flush(wire)
    results: list[pq.abc.PGresult] = []
    while True:
        while wire.is_busy():
            if (yield Wait.R):
                wire.consume_input()
        result = wire.get_result()
        if result is None:
            continue  # between the answers of two statements
        if result.status == pq.ExecStatus.PIPELINE_SYNC:
            break
        results.append(result)
    return results


def _flush(wire: pq.abc.PGconn) -> Generator[Wait, Ready, None]:
    while wire.flush():
        if (yield Wait.RW) & Ready.R:
            wire.consume_input()


def _send(wire: pq.abc.PGconn, name: bytes, parameters: Sequence[str], values: Mapping[str, Any]) -> None:
    given = [values[parameter] for parameter in parameters]
    binary = [isinstance(value, Column) for value in given]
    wire.send_query_prepared(
        name,
        [value if raw else str(value).encode() for value, raw in zip(given, binary, strict=True)],
        param_formats=[_BINARY if raw else _TEXT for raw in binary],
        result_format=_BINARY,
    )
