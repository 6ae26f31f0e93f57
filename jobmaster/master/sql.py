"""An SQL database as the master."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from ..domain.status import WorkerMode
from ..errors import ConflictError
from ..ports.master import ClusterSetting, Tended, WorkerInfo
from ..sql.gateway import Gateway, Tx
from ..sql.partitioning import tend
from ..sql.reading import SqlJobReader
from .placements import SqlPlacements

__all__ = ["SqlMasterStore"]

_MICROSECOND = timedelta(microseconds=1)
_FORGOTTEN_AFTER = timedelta(days=1)
_CHUNK = 5000


class SqlMasterStore(SqlJobReader, SqlPlacements):
    """``MasterStore`` on a :class:`~jobmaster.sql.Database`."""

    @property
    def _gateway(self) -> Gateway:
        return self._database.gateway

    def open(self) -> None:
        self._database.open()

    def close(self) -> None:
        self._database.close()

    def now(self) -> datetime:
        return self._gateway.read("now", Tx.now)

    # --- jobs ---------------------------------------------------------------------------------------

    def finished(self, job_ids: Collection[UUID]) -> frozenset[UUID]:
        wanted = list(job_ids)
        parts = [wanted[start : start + _CHUNK] for start in range(0, len(wanted), _CHUNK)]

        def work(tx: Tx) -> frozenset[UUID]:
            uuid = tx.dialect.uuid
            return frozenset(uuid(row[0]) for part in parts for row in tx.rows("history_has", ids=part))

        return self._gateway.read("finished", work)

    def tend_history(self, retention: timedelta | None) -> Tended:
        return tend(self._gateway, retention)

    # --- workers ------------------------------------------------------------------------------------

    def register_worker(self, worker: WorkerInfo, alive_for: timedelta) -> None:
        def work(tx: Tx) -> None:
            tx.run("worker_forget", id=worker.id)
            tx.run(
                "worker_put",
                id=worker.id,
                name=worker.name,
                agent_connection=worker.agent_connection,
                lane=worker.lane,
                mode=worker.mode.value,
                host=worker.host,
                pid=worker.pid,
                started_at=worker.started_at,
                alive_for=alive_for // _MICROSECOND,
                slots=worker.slots,
                unknown_definitions=json.dumps(list(worker.unknown_definitions)),
                backlog=worker.backlog,
            )

        self._gateway.transaction("register_worker", work)

    def see_worker(
        self,
        worker_id: UUID,
        unknown_definitions: Sequence[str],
        alive_for: timedelta,
        backlog: int = 0,
    ) -> bool:
        unknown = json.dumps(list(unknown_definitions))
        span = alive_for // _MICROSECOND
        seen = self._gateway.transaction(
            "see_worker",
            lambda tx: tx.run(
                "worker_see", id=worker_id, alive_for=span, unknown_definitions=unknown, backlog=backlog
            ),
        )
        return seen > 0

    def forget_worker(self, worker_id: UUID) -> None:
        self._gateway.transaction("forget_worker", lambda tx: tx.run("worker_forget", id=worker_id))

    def workers(self) -> list[WorkerInfo]:
        gateway = self._gateway
        day = _FORGOTTEN_AFTER // _MICROSECOND
        rows = gateway.read("workers", lambda tx: tx.rows("worker_list"))
        gone = gateway.read("workers", lambda tx: tx.rows("worker_gone", age=day))
        if gone[0][0]:
            gateway.transaction("workers", lambda tx: tx.run("worker_prune", age=day))
            rows = gateway.read("workers", lambda tx: tx.rows("worker_list"))
        uuid, instant = gateway.dialect.uuid, gateway.dialect.instant
        return [
            WorkerInfo(
                id=uuid(row[0]),
                name=row[1],
                agent_connection=row[2],
                lane=row[3],
                mode=WorkerMode(row[4]),
                host=row[5],
                pid=row[6],
                started_at=instant(row[7]),
                seen_at=instant(row[8]),
                slots=row[9],
                alive=bool(row[11]),
                unknown_definitions=tuple(json.loads(row[10])),
                backlog=row[12],
            )
            for row in rows
        ]

    # --- settings -----------------------------------------------------------------------------------

    def settings(self) -> Mapping[str, ClusterSetting]:
        return self._gateway.read("settings", _settings)

    def declare_settings(self, declared: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
        def work(tx: Tx) -> list[tuple[str, Any, Any]]:
            stored = _settings(tx)
            changes: list[tuple[str, Any, Any]] = []
            for name, value in declared.items():
                old = stored.get(name)
                if old is None:
                    tx.run("setting_add", name=name, value=json.dumps(value), pinned=0)
                    changes.append((name, None, value))
                elif not old.pinned and old.value != value:
                    tx.run("setting_set", name=name, value=json.dumps(value), pinned=0)
                    changes.append((name, old.value, value))
            return changes

        gateway = self._gateway
        for _ in declared:
            try:
                return gateway.transaction("declare_settings", work)
            except ConflictError:
                # Another process declared the same setting just now: the next look sees it.
                continue
        return gateway.transaction("declare_settings", work)

    def pin_setting(self, name: str, value: Any) -> None:
        def work(tx: Tx) -> None:
            if tx.run("setting_set", name=name, value=json.dumps(value), pinned=1) == 0:
                tx.run("setting_add", name=name, value=json.dumps(value), pinned=1)

        self._gateway.transaction("pin_setting", work)

    def unpin_setting(self, name: str) -> None:
        def work(tx: Tx) -> None:
            stored = _settings(tx).get(name)
            if stored is not None and stored.pinned:
                tx.run("setting_set", name=name, value=json.dumps(stored.value), pinned=0)

        self._gateway.transaction("unpin_setting", work)


def _settings(tx: Tx) -> dict[str, ClusterSetting]:
    return {
        name: ClusterSetting(name, json.loads(value), bool(pinned), version)
        for name, value, pinned, version in tx.rows("settings")
    }
