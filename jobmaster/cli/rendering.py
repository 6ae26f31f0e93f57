"""What commands print: JSON for programs, tables and short texts for people."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from ..domain.status import Priority

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = [
    "JsonOption",
    "ago",
    "console",
    "plain",
    "print_json",
    "priority_name",
    "short_instant",
    "table",
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_PIPE_WIDTH = 160
"""Columns of a table that goes to a file or a pipe, where no terminal says how wide it is."""


def plain(value: object) -> Any:
    """A value as JSON knows it: instants in ISO 8601, durations in seconds, priorities by name."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, IntEnum):
        return value.name.lower()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (UUID, bytes)):
        return str(value) if isinstance(value, UUID) else value.hex()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return value


def print_json(value: object) -> None:
    """Print a value as indented JSON."""
    json.dump(plain(value), sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def console(*, stderr: bool = False) -> Console:
    """A console on standard output. Wide when nobody watches, so that no id is cut."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(
        stderr=stderr, highlight=False, emoji=False, width=None if stream.isatty() else _PIPE_WIDTH
    )


def table(title: str | None, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table; a column whose name begins with ``#`` is set to the right. Cells are not read as markup."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        number = column.startswith("#")
        made.add_column(column.removeprefix("#"), justify="right" if number else "left", overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    return made


def priority_name(value: int) -> str:
    """``very low`` to ``critical``."""
    try:
        return Priority(value).name.lower().replace("_", " ")
    except ValueError:
        return str(value)


def short_instant(instant: datetime | None) -> str:
    """An instant for a table cell, in UTC to the second."""
    return "-" if instant is None else f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def ago(since: datetime, now: datetime) -> str:
    """``12 s ago``, ``in 5 min``."""
    seconds = (now - since).total_seconds()
    size = abs(seconds)
    if size < 1:
        return "now"
    for length, unit in ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s")):
        if size >= length:
            text = f"{size / length:.0f} {unit}"
            break
    return f"{text} ago" if seconds > 0 else f"in {text}"
