"""What a master in memory keeps about jobs that live on agents."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from ...domain.copies import AgentKey, JobCopy, Mirror, Shipment
from ...domain.placement import portion
from ...errors import ConfigurationError
from ...ports import AgentRecord, Placement
from .copies import copy_of, row_of
from .database import MemoryDatabase, Row

__all__ = ["MemoryPlacements"]


class MemoryPlacements:
    """The part of ``MasterStore`` that knows where jobs live."""

    _database: MemoryDatabase

    def agents(self) -> list[AgentRecord]:
        with self._database.lock:
            return sorted(self._database.agents.values(), key=lambda record: record.name)

    def register_agent(self, agent: AgentKey) -> None:
        database = self._database
        with database.lock:
            if agent in database.given_up:
                raise ConfigurationError(f"agent {agent.name!r}: its store was given up")
            known = database.agents.setdefault(agent.name, AgentRecord(agent, database.clock.now(), False))
        if known.key != agent:
            raise ConfigurationError(
                f"agent {agent.name!r}: its store is not the one that this cluster knows under that name"
            )

    def set_draining(self, name: str, draining: bool) -> bool:
        with self._database.lock:
            found = self._database.agents.get(name)
            if found is not None:
                self._database.agents[name] = replace(found, draining=draining)
            if draining:
                self._unpin(name)
            return found is not None

    def _unpin(self, name: str) -> None:
        """Held jobs that were asked for on an agent may go anywhere."""
        for row in self._database.live.values():
            if row.bucket_id is None and row.new.agent == name:
                row.new = row.new._replace(agent=None)

    def forget_agent(self, name: str, empty: bool = False) -> int | None:
        with self._database.lock:
            found = self._database.agents.pop(name, None)
            if found is None:
                return None
            if not empty:
                self._database.given_up.add(found.key)
            held = self._database.claims({found.key.store_id})
            for row in held:
                row.bucket_id, row.unsynced = None, False
                row.placement += 1
            self._unpin(name)
            return len(held)

    def record(self, agent: AgentKey, shipment: Shipment) -> frozenset[UUID]:
        database = self._database
        refused: set[UUID] = set()
        with database.lock:
            for record in shipment.attempts:
                database.note(record)
            for ended in shipment.ended:
                if ended.id in database.history:
                    continue
                row = database.live.get(ended.id)
                if row is not None:
                    overtaken = (row.placement, row.claim_no) > (ended.placement, ended.claim_no)
                    if row.bucket_id != agent.store_id or overtaken:
                        refused.add(ended.id)
                        if row.bucket_id == agent.store_id and row.placement == ended.placement:
                            row.unsynced = True
                        continue
                    del database.live[ended.id]
                arrived = row_of(ended)
                arrived.agent = agent.name
                database.history[ended.id] = arrived
        self.take_back(agent, shipment.returned)
        return frozenset(refused)

    def mirror(self, agent: AgentKey, copies: Sequence[JobCopy]) -> None:
        database = self._database
        with database.lock:
            for copy in copies:
                if copy.id not in database.live and copy.id not in database.history:
                    database.live[copy.id] = row_of(copy, holder=agent.store_id)

    def unmirror(self, job_ids: Collection[UUID] | None = None, limit: int = 1000) -> int:
        database = self._database
        with database.lock:
            asked = database.live if job_ids is None else job_ids
            ended = [job_id for job_id in asked if job_id in database.history and job_id in database.live]
            for job_id in ended[:limit]:
                del database.live[job_id]
            return len(ended[:limit])

    def overtake(self, agent: AgentKey, copies: Sequence[JobCopy]) -> frozenset[UUID]:
        database = self._database
        stale: set[UUID] = set()
        with database.lock:
            for copy in copies:
                row = database.live.get(copy.id)
                elsewhere = row is not None and (
                    row.bucket_id != agent.store_id or row.placement > copy.placement
                )
                if copy.id in database.history or elsewhere:
                    stale.add(copy.id)
                elif row is None or row.claim_no < copy.claim_no:
                    database.live[copy.id] = row_of(copy, holder=agent.store_id)
        return frozenset(stale)

    def mirrors(self, agent: AgentKey, after: UUID | None, limit: int) -> list[Mirror]:
        with self._database.lock:
            rows = [row for row in self._database.claims({agent.store_id}) if not row.unsynced]
            found = sorted(row.new.id for row in rows if after is None or row.new.id > after)[:limit]
            news = [self._database.live[job_id].new for job_id in found]
            return [Mirror(new.id, new.lane, int(new.priority)) for new in news]

    def doubt(self, agent: AgentKey, job_ids: Collection[UUID]) -> int:
        with self._database.lock:
            rows = [self._database.live.get(job_id) for job_id in job_ids]
            here = [row for row in rows if row is not None and row.bucket_id == agent.store_id]
            for row in here:
                row.unsynced = True
            return len(here)

    def stale(
        self, agent: AgentKey, job_ids: Collection[UUID], timeout: float | None = None
    ) -> frozenset[UUID]:
        database = self._database
        with database.lock:
            return frozenset(
                job_id
                for job_id in job_ids
                if job_id in database.history
                or (job_id in database.live and database.live[job_id].bucket_id != agent.store_id)
            )

    def place(
        self, lane: str, ahead: timedelta, limit: int, shares: Mapping[AgentKey, float]
    ) -> list[Placement]:
        database = self._database
        names: set[str | None] = {agent.name for agent in shares} | {None}
        with database.lock:
            for name, record in database.agents.items():
                if record.draining and name not in names:
                    self._unpin(name)
            until = database.clock.now() + ahead
            due: list[Row] = []
            for priority in (5, 4, 3, 2, 1):
                due += [
                    row
                    for row in database.ready(lane, priority)
                    if row.run_at <= until and row.new.agent in names
                ]
            dealt = portion([copy_of(row) for row in due[:limit]], shares) if shares else {}
            for agent, part in dealt.items():
                for copy in part:
                    row = database.live[copy.id]
                    row.bucket_id, row.unsynced = agent.store_id, True
                    row.new = row.new._replace(recheck=False)
                    row.placement += 1
            return [
                Placement(agent, [copy_of(database.live[copy.id]) for copy in part])
                for agent, part in dealt.items()
            ]

    def confirm(self, agent: AgentKey, job_ids: Collection[UUID]) -> None:
        with self._database.lock:
            for job_id in job_ids:
                row = self._database.live.get(job_id)
                if row is not None and row.bucket_id == agent.store_id:
                    row.unsynced = False

    def unconfirmed(self, limit: int) -> list[Placement]:
        database = self._database
        with database.lock:
            keys = {record.key.store_id: record.key for record in database.agents.values()}
            given: dict[AgentKey, list[JobCopy]] = {}
            unsure = [row for row in database.live.values() if row.unsynced and row.bucket_id in keys]
            for row in unsure[:limit]:
                assert row.bucket_id is not None
                given.setdefault(keys[row.bucket_id], []).append(copy_of(row))
            return [Placement(agent, part) for agent, part in given.items()]

    def repeat(self, agent: AgentKey, copies: Sequence[JobCopy]) -> list[JobCopy]:
        standing = []
        with self._database.lock:
            for copy in copies:
                row = self._database.live.get(copy.id)
                if row is not None and (row.bucket_id, row.placement) == (agent.store_id, copy.placement):
                    row.new = row.new._replace(recheck=True)
                    standing.append(copy)
        return standing

    def give_back(self, agent: AgentKey, copies: Sequence[JobCopy]) -> None:
        with self._database.lock:
            live = self._database.live
            mine = [copy for copy in copies if copy.id in live and not live[copy.id].new.recheck]
            self.take_back(agent, mine)

    def take_back(self, agent: AgentKey, copies: Sequence[JobCopy]) -> None:
        database = self._database
        with database.lock:
            for copy in copies:
                if copy.id in database.history:
                    continue
                there = database.live.get(copy.id)
                if there is not None and (
                    there.bucket_id != agent.store_id
                    or (there.placement, there.claim_no) > (copy.placement, copy.claim_no)
                ):
                    continue
                placement = copy.placement if there is None else there.placement
                database.live[copy.id] = row_of(copy._replace(placement=placement + 1, started_at=None))
        database.wake({copy.lane for copy in copies})

    def next_held(self, lane: str) -> tuple[datetime, datetime] | None:
        database = self._database
        with database.lock:
            waiting = [row.run_at for p in range(1, 6) for row in database.ready(lane, p)]
            return (database.clock.now(), min(waiting)) if waiting else None
