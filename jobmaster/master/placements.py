"""Which job lives where: what the master keeps about jobs that are held here or live on agents.

A job lives in one store at a time. The master's row says in which, and its ``placement`` grows with every
move, here first; so that whoever comes with an older copy, or with its outcome, can be told so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from ..domain.copies import AgentKey, EndedJob, JobCopy, Mirror, Shipment
from ..domain.placement import portion
from ..errors import ConfigurationError, ConflictError
from ..ports.master import AgentRecord, Placement
from ..sql.database import STANDALONE, Database
from ..sql.endings import Writes
from ..sql.gateway import Tx
from ..sql.jobrows import STATUS_CODE, copy_of
from ..sql.newjobs import key_hash

__all__ = ["SqlPlacements"]

T = TypeVar("T")
_MICROSECOND = timedelta(microseconds=1)
_MEETINGS = 5
_FIRST = UUID(int=0)
"""Comes before every id."""
_PRIORITIES = (5, 4, 3, 2, 1)


class SqlPlacements:
    """The part of ``MasterStore`` that knows where jobs live."""

    _database: Database

    # --- agents -------------------------------------------------------------------------------------

    def agents(self) -> list[AgentRecord]:
        gateway = self._database.gateway
        uuid, instant = gateway.dialect.uuid, gateway.dialect.instant
        rows = gateway.read("agents", lambda tx: tx.rows("agent_list"))
        return [
            AgentRecord(AgentKey(row[0], uuid(row[1])), instant(row[2]), bool(row[3]))
            for row in rows
            if row[0] != STANDALONE
        ]

    def register_agent(self, agent: AgentKey) -> None:
        def work(tx: Tx) -> UUID:
            for row in tx.rows("agent_list"):
                if row[0] == agent.name:
                    return tx.dialect.uuid(row[1])
            if _given_up(agent) in dict(tx.rows("meta")):
                raise ConfigurationError(
                    f"agent {agent.name!r}: its store was given up while it did not answer, its jobs went "
                    "to others: what it still holds would run again. Empty it (drop its tables, or its "
                    "streams) to begin anew, or connect another database"
                )
            tx.run("agent_put", name=agent.name, store_id=agent.store_id)
            return agent.store_id

        known = self._again("register_agent", work)
        if known != agent.store_id:
            raise ConfigurationError(
                f"agent {agent.name!r}: its store is not the one that this cluster knows under that name (it "
                f"is stamped {agent.store_id}, expected {known}): it was wiped, restored or is another "
                "database; connect it to the right one, or give it up with forget_agent"
            )

    def set_draining(self, name: str, draining: bool) -> bool:
        def work(tx: Tx) -> int:
            if draining:
                tx.run("held_unpin", agent=name)
            return tx.run("agent_drain", name=name, draining=int(draining))

        return self._database.gateway.transaction("set_draining", work) > 0

    def forget_agent(self, name: str, empty: bool = False) -> int | None:
        def work(tx: Tx) -> int | None:
            for row in tx.rows("agent_list"):
                if row[0] == name and name != STANDALONE:
                    agent = AgentKey(name, tx.dialect.uuid(row[1]))
                    held = tx.run("held_again", store_id=agent.store_id)
                    if not empty:
                        tx.run("meta_put", name=_given_up(agent), value=name)
                    tx.run("held_unpin", agent=name)
                    tx.run("agent_forget", name=name)
                    return held
            return None

        return self._database.gateway.transaction("forget_agent", work)

    # --- what agents tell ---------------------------------------------------------------------------

    def record(self, agent: AgentKey, shipment: Shipment) -> frozenset[UUID]:
        def work(tx: Tx) -> frozenset[UUID]:
            writes = Writes()
            for record in shipment.attempts:
                writes.note(record)
            writes.write(tx)
            if shipment.returned:
                _hold(tx, agent, shipment.returned)
            if not shipment.ended:
                return frozenset()
            ids = [ended.id for ended in shipment.ended]
            places = _places(tx, ids)
            known = {tx.dialect.uuid(row[0]) for row in tx.rows("history_has", ids=ids)}
            refused, doubted, gone, rows = set(), [], [], []
            for ended in shipment.ended:
                # the first end of a job stands, also within a shipment: an agent may keep a settle twice of
                # which it lost the answer
                if ended.id in known:
                    continue
                if ended.id in places:
                    holder, placement, claim_no = places[ended.id]
                    if holder != agent.store_id or (placement, claim_no) > (ended.placement, ended.claim_no):
                        refused.add(ended.id)
                        if holder == agent.store_id and placement == ended.placement:
                            doubted.append(ended.id)
                        continue
                    gone.append(ended.id)
                known.add(ended.id)
                rows.append(_history_row(ended, agent.name))
            if gone:
                tx.run("job_drop", ids=gone)
            if doubted:
                # Who overtook the claim may have died before the job waited again there. It is offered once
                # more, which changes nothing where it is.
                tx.run("placement_doubted", store_id=agent.store_id, ids=doubted)
            tx.bulk("history_put", rows)
            return frozenset(refused)

        return self._again("record", work)

    def mirror(self, agent: AgentKey, copies: Sequence[JobCopy]) -> None:
        def work(tx: Tx) -> None:
            ids = [copy.id for copy in copies]
            known = {tx.dialect.uuid(row[0]) for row in tx.rows("jobs_there", ids=ids)}
            known |= {tx.dialect.uuid(row[0]) for row in tx.rows("history_has", ids=ids)}
            fresh = [copy for copy in _latest(copies) if copy.id not in known]
            tx.bulk("job_put", [job_row(copy, agent.store_id) for copy in fresh])

        self._again("mirror", work)

    def unmirror(self, job_ids: Collection[UUID] | None = None, limit: int = 1000) -> int:
        def work(tx: Tx) -> int:
            uuid = tx.dialect.uuid
            if job_ids is None:
                ended = [uuid(row[0]) for row in tx.rows("mirrors_ended", limit=limit)]
            else:
                ended = [uuid(row[0]) for row in tx.rows("history_has", ids=list(job_ids))]
            return tx.run("job_drop", ids=ended) if ended else 0

        return self._database.gateway.transaction("unmirror", work)

    def overtake(self, agent: AgentKey, copies: Sequence[JobCopy]) -> frozenset[UUID]:
        def work(tx: Tx) -> frozenset[UUID]:
            ids = [copy.id for copy in copies]
            places = _places(tx, ids)
            stale = {tx.dialect.uuid(row[0]) for row in tx.rows("history_has", ids=ids)}
            known, rows = [], []
            for copy in _latest(copies):
                holder, placement, claim_no = places.get(copy.id, (agent.store_id, copy.placement, 0))
                if holder != agent.store_id or placement > copy.placement:
                    stale.add(copy.id)
                if copy.id in stale or claim_no >= copy.claim_no:
                    continue
                if copy.id in places:
                    known.append(copy.id)
                rows.append(job_row(copy, agent.store_id))
            if known:
                tx.run("job_drop", ids=known)
            tx.bulk("job_put", rows)
            return frozenset(stale)

        return self._again("overtake", work)

    def mirrors(self, agent: AgentKey, after: UUID | None, limit: int) -> list[Mirror]:
        values = {"store_id": agent.store_id, "after": after or _FIRST, "limit": limit}
        rows = self._database.gateway.read("mirrors", lambda tx: tx.rows("mirrors", **values))
        return [Mirror(self._database.gateway.dialect.uuid(row[0]), row[1], row[2]) for row in rows]

    def doubt(self, agent: AgentKey, job_ids: Collection[UUID]) -> int:
        ids = list(job_ids)
        return self._database.gateway.transaction(
            "doubt", lambda tx: tx.run("placement_doubted", store_id=agent.store_id, ids=ids)
        )

    def stale(
        self, agent: AgentKey, job_ids: Collection[UUID], timeout: float | None = None
    ) -> frozenset[UUID]:
        ids = list(job_ids)

        def work(tx: Tx) -> frozenset[UUID]:
            uuid = tx.dialect.uuid
            # The history last: a job that ends between the two looks is met there.
            holders = {uuid(row[0]): row[1] for row in tx.rows("holders", ids=ids)}
            elsewhere = {
                job_id
                for job_id, holder in holders.items()
                if holder is None or uuid(holder) != agent.store_id
            }
            return frozenset(elsewhere | {uuid(row[0]) for row in tx.rows("history_has", ids=ids)})

        return self._database.gateway.read("stale", work, timeout=timeout)

    # --- what the master gives and takes ------------------------------------------------------------

    def place(
        self, lane: str, ahead: timedelta, limit: int, shares: Mapping[AgentKey, float]
    ) -> list[Placement]:
        names = {agent.name for agent in shares}

        def work(tx: Tx) -> list[Placement]:
            # Who asked for an agent that is being emptied gets another.
            emptied = {row[0] for row in tx.rows("agent_list") if row[3]} - names
            given: dict[AgentKey, list[JobCopy]] = {}
            left = limit
            for priority in _PRIORITIES:
                rows = tx.rows(
                    "held_due",
                    lane=lane,
                    priority=priority,
                    ahead=ahead // _MICROSECOND,
                    agents=sorted(names | emptied),
                    limit=left,
                )
                copies = [copy_of(tx.dialect, row) for row in rows]
                if lost := [copy.id for copy in copies if copy.agent in emptied]:
                    tx.run("job_pin", agent=None, ids=lost)
                    copies = [copy._replace(agent=None) if copy.agent in emptied else copy for copy in copies]
                for agent, part in portion(copies, shares).items():
                    given.setdefault(agent, []).extend(part)
                left -= len(copies)
                if left <= 0:
                    break
            for agent, part in given.items():
                tx.run("held_placed", store_id=agent.store_id, ids=[copy.id for copy in part])
            return [
                Placement(agent, [copy._replace(placement=copy.placement + 1) for copy in part])
                for agent, part in given.items()
            ]

        return self._database.gateway.transaction("place", work) if shares else []

    def confirm(self, agent: AgentKey, job_ids: Collection[UUID]) -> None:
        ids = list(job_ids)
        self._database.gateway.transaction(
            "confirm", lambda tx: tx.run("placed", store_id=agent.store_id, ids=ids)
        )

    def unconfirmed(self, limit: int) -> list[Placement]:
        def work(tx: Tx) -> list[Placement]:
            rows = tx.rows("unplaced", limit=limit)
            if not rows:
                return []
            uuid = tx.dialect.uuid
            names = {uuid(row[1]): row[0] for row in tx.rows("agent_list")}
            given: dict[UUID, list[JobCopy]] = {}
            for row in rows:
                given.setdefault(uuid(row[26]), []).append(copy_of(tx.dialect, row))
            return [
                Placement(AgentKey(names[store], store), part)
                for store, part in given.items()
                if store in names
            ]

        return self._database.gateway.read("unconfirmed", work)

    def repeat(self, agent: AgentKey, copies: Sequence[JobCopy]) -> list[JobCopy]:
        def work(tx: Tx) -> list[JobCopy]:
            places = _places(tx, [copy.id for copy in copies])
            nowhere = (None, 0, 0)
            there = {copy.id: places.get(copy.id, nowhere)[:2] for copy in copies}
            standing = [copy for copy in copies if there[copy.id] == (store, copy.placement)]
            if standing:
                tx.run("placement_repeated", ids=[copy.id for copy in standing])
            return standing

        store = agent.store_id
        return self._database.gateway.transaction("repeat", work)

    def give_back(self, agent: AgentKey, copies: Sequence[JobCopy]) -> None:
        def work(tx: Tx) -> None:
            ids = list(_places(tx, [copy.id for copy in copies]))
            if ids:
                repeated = {tx.dialect.uuid(row[0]) for row in tx.rows("repeated_there", ids=ids)}
                _hold(tx, agent, [copy for copy in copies if copy.id in ids and copy.id not in repeated])

        self._again("give_back", work)

    def take_back(self, agent: AgentKey, copies: Sequence[JobCopy]) -> None:
        self._again("take_back", lambda tx: _hold(tx, agent, copies))

    def next_held(self, lane: str) -> tuple[datetime, datetime] | None:
        gateway = self._database.gateway
        row = gateway.read("next_held", lambda tx: tx.rows("next_due", lane=lane))[0]
        waiting = [due for due in row[1:] if due is not None]
        if not waiting:
            return None
        return gateway.dialect.instant(row[0]), gateway.dialect.instant(min(waiting))

    # --- inside -------------------------------------------------------------------------------------

    def _again(self, what: str, work: Callable[[Tx], T]) -> T:
        """Again when somebody else inserts the same rows at the same moment: the next time they are met. A
        few times, since in a large portion there may then be others."""
        for _ in range(_MEETINGS):
            try:
                return self._database.gateway.transaction(what, work)
            except ConflictError:
                continue
        return self._database.gateway.transaction(what, work)


def _given_up(agent: AgentKey) -> str:
    """What ``meta`` says about the store of an agent that was forgotten with all that it may hold."""
    return f"given up {agent.store_id}"


def _hold(tx: Tx, agent: AgentKey, copies: Sequence[JobCopy]) -> None:
    """Jobs that lived on an agent are held here; copies that are not the live ones change nothing."""
    if not copies:
        return
    ids = [copy.id for copy in copies]
    places = _places(tx, ids)
    ended = {tx.dialect.uuid(row[0]) for row in tx.rows("history_has", ids=ids)}
    rows, moved = [], []
    for copy in _latest(copies):
        if copy.id in ended:
            continue
        placement = copy.placement
        if copy.id in places:
            holder, placement, claim_no = places[copy.id]
            # one that came late: the job was placed again, or its claim was overtaken, since
            if holder != agent.store_id or (placement, claim_no) > (copy.placement, copy.claim_no):
                continue
            moved.append(copy.id)
        rows.append(job_row(copy._replace(placement=placement + 1), None))
    if moved:
        tx.run("job_drop", ids=moved)
    tx.bulk("job_put", rows)
    tx.dialect.notify(tx, {copy.lane for copy in copies})


def _latest(copies: Sequence[JobCopy]) -> list[JobCopy]:
    """Each job once, as its latest claim left it: an agent may tell of one twice at a time."""
    found: dict[UUID, JobCopy] = {}
    for copy in copies:
        before = found.get(copy.id)
        if before is None or (before.placement, before.claim_no) <= (copy.placement, copy.claim_no):
            found[copy.id] = copy
    return list(found.values())


def _places(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, tuple[UUID | None, int, int]]:
    """Who holds these jobs, their placements and how far their claims count, locked."""
    uuid = tx.dialect.uuid
    return {
        uuid(row[0]): (None if row[1] is None else uuid(row[1]), row[2], row[3])
        for row in tx.rows("copies_lock", ids=ids)
    }


def job_row(copy: JobCopy, holder: UUID | None) -> tuple[object, ...]:
    """A row of ``job_put`` on the master."""
    hashed = None if copy.unique_key is None else key_hash(copy.unique_key)
    return (*copy, hashed, holder, 0, 0)


def _history_row(ended: EndedJob, agent: str) -> tuple[object, ...]:
    values = list(ended)
    values[24] = STATUS_CODE[ended.status]
    return (*values, agent)
