"""A store in memory with indexes, for simulations with very many rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Any
from uuid import UUID

from sortedcontainers import SortedDict

from jobmaster.testing.memory.database import MemoryDatabase, Row

__all__ = ["IndexedDatabase"]

_WATCHED = frozenset({"bucket_id", "run_at", "new"})


class _IndexedRow(Row):
    """Tells its table when it changes place in an index."""

    def __setattr__(self, name: str, value: Any) -> None:
        table = self.__dict__.get("_table")
        if table is None or name not in _WATCHED:
            object.__setattr__(self, name, value)
        else:
            table.leave(self)
            object.__setattr__(self, name, value)
            table.enter(self)


class _LiveRows(dict[UUID, Row]):
    """The live rows, and in which index each of them stands."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: dict[tuple[str, int], Any] = defaultdict(SortedDict)
        self.held: dict[UUID, dict[UUID, Row]] = defaultdict(dict)

    def __setitem__(self, job_id: UUID, row: Row) -> None:
        if job_id in self:
            del self[job_id]
        super().__setitem__(job_id, row)
        row.__class__ = _IndexedRow
        row.__dict__["_table"] = self
        self.enter(row)

    def __delitem__(self, job_id: UUID) -> None:
        row = self[job_id]
        self.leave(row)
        row.__dict__.pop("_table", None)
        super().__delitem__(job_id)

    def enter(self, row: Row) -> None:
        """Into the index where it belongs."""
        if row.bucket_id is None:
            self.waiting[row.new.lane, int(row.new.priority)][row.order] = row
        else:
            self.held[row.bucket_id][row.new.id] = row

    def leave(self, row: Row) -> None:
        """Out of the index where it stands."""
        if row.bucket_id is None:
            del self.waiting[row.new.lane, int(row.new.priority)][row.order]
        else:
            held = self.held[row.bucket_id]
            del held[row.new.id]
            if not held:
                del self.held[row.bucket_id]


class IndexedDatabase(MemoryDatabase):
    """The same contents, found without looking through all of them."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.live = self._rows = _LiveRows()

    def claims(self, buckets: Collection[UUID]) -> list[Row]:
        return [row for bucket in set(buckets) for row in list(self._rows.held.get(bucket, {}).values())]

    def strays(self, living: Collection[UUID]) -> list[Row]:
        held = self._rows.held
        return [row for bucket in sorted(held.keys() - living) for row in held[bucket].values()]

    def ready(self, lane: str, priority: int) -> Iterator[Row]:
        waiting = self._rows.waiting.get((lane, priority))
        return iter(()) if waiting is None else iter(waiting.values())
