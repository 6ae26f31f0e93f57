"""One NATS agent connection as this process has it: opened once, shared by its adapters."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol, TypeVar
from uuid import UUID, uuid4

from ...errors import ConfigurationError, TransientStoreError
from ...ports import Clock
from .acknowledging import Acknowledging
from .claims import Claims, Delivered, Intake
from .link import Link
from .loopthread import LoopThread
from .names import Names
from .options import NatsOptions
from .outbox import Outbox
from .permission import check_permission
from .pointed import PointedLink
from .puller import Puller
from .refusals import payload_fault
from .registry import Registry
from .streams import ensure_streams

__all__ = ["HORIZON", "FaultPoints", "NatsStore", "Session"]

T = TypeVar("T")
HORIZON = timedelta(seconds=2)
"""How long before they are due jobs are on a NATS agent: a message that was delivered cannot wait there."""
_OPEN_WAIT = 0.5
_TRY_AGAIN = 0.2


class FaultPoints(Protocol):
    """Called around what is written; see :class:`jobmaster.sql.gateway.FaultPoints`."""

    def reach(self, name: str) -> None:
        """The point ``name`` has been reached."""
        ...


class Session:
    """Everything that lives as long as the connection; it belongs to the agent's loop."""

    def __init__(self, store: NatsStore, names: Names) -> None:
        self.names = names
        self.lease = store.lease
        self.timeout = store.operation_timeout
        self.logger = store.logger
        if store.faults is None:
            self.link = Link(names.agent, store.options, store.logger)
        else:
            self.link = PointedLink(names.agent, store.options, store.logger, self.reach)
        self.outbox = Outbox(self.link, names, store.logger)
        self.registry = Registry(self.link, names)
        self.claims = Claims()
        self.acknowledging = Acknowledging(self.link, store.logger, self.writing)
        self.store_id = UUID(int=0)
        self.ears: list[Callable[[str, Collection[int]], None]] = []
        """Told of work by wake-ups, those of this process without the way to the server and back."""
        self.voice = uuid4().hex.encode()
        """By what wake-ups of this process are known."""
        self.delivered_before = 0
        """How many jobs had been delivered here when the master was last told of those that wait."""
        self._store = store

    async def open(self, wait: float) -> None:
        """Connect, make or check the streams. What passes, such as an election among servers, is waited for
        as long as a connection is."""
        deadline = time.monotonic() + wait
        try:
            while True:
                try:
                    await self._try_to_open(wait, deadline)
                    return
                except TransientStoreError:
                    if not self.link.connected or time.monotonic() >= deadline:
                        raise
                await asyncio.sleep(_TRY_AGAIN)
        except BaseException:
            await self.close()
            raise

    async def _try_to_open(self, wait: float, deadline: float) -> None:
        # who may not wait wants to know at once that a server is not there
        await self.link.connect(max(deadline - time.monotonic(), 2.0), patient=wait > 0)
        options = self._store.options
        where = f"agent {self.names.agent!r} at {options.shown}"
        fault = payload_fault(where, self.link.max_payload, self._store.largest)
        if fault is not None:
            raise ConfigurationError(fault)
        await check_permission(self.link, self.names)
        self.store_id = await ensure_streams(self.link, self.names, options, self._store.provision)

    async def close(self) -> None:
        """Disconnect. What was held is delivered to others when its lease has run out."""
        await self.acknowledging.confirmed()
        for intake in self.claims.intakes.values():
            await intake.puller.close()
        await self.outbox.close()
        await self.link.close()

    def intake(self, lane: str, priority: int) -> Intake:
        """The intake of a lane and priority."""
        found = self.claims.intakes.get((lane, priority))
        if found is None:
            puller = Puller(
                self.link,
                self.names.jobs,
                self.names.consumer(lane, priority),
                self.names.jobs_of(lane, priority),
                self.lease.total_seconds(),
                self._store.options.max_ack_pending,
                partial(Delivered, lane, priority),
                self.logger,
            )
            found = self.claims.intakes[lane, priority] = Intake(lane, priority, puller)
        return found

    def now(self) -> datetime:
        """The present by the master's clock."""
        return self._store.now()

    async def wake(self, lane: str, priorities: Collection[int] = ()) -> None:
        """Tell the workers of a lane that there is work, of these priorities or of any. Only a hint."""
        self.claims.stir(lane, priorities)
        for hear in tuple(self.ears):
            hear(lane, priorities)
        said = " ".join(map(str, priorities)).encode()
        await self.link.send(self.names.wake(lane), said, self.voice.decode())

    @contextmanager
    def writing(self, name: str) -> Iterator[None]:
        """Pass the fault points before and after what is written inside."""
        self.reach(f"{name}.before_commit")
        yield
        self.reach(f"{name}.after_commit")

    def reach(self, name: str) -> None:
        """Pass a fault point. An error that a test raises there is a lost answer."""
        faults = self._store.faults
        if faults is not None:
            try:
                faults.reach(name)
            except Exception as error:
                raise TransientStoreError(f"{name}: {error}", ambiguous=True) from error


class NatsStore:
    """Opens and closes the session; runs what the adapters ask for in its loop. Safe from any thread."""

    def __init__(
        self,
        name: str,
        cluster_id: str,
        prefix: str,
        options: NatsOptions,
        lease: timedelta,
        operation_timeout: float,
        clock: Clock,
        logger: logging.Logger,
        *,
        provision: bool = True,
        largest: int | None = None,
        faults: FaultPoints | None = None,
    ) -> None:
        self.name = name
        self.names = Names(prefix.strip("_") or "jm", cluster_id, name)
        self.options = options
        self.lease = lease
        self.operation_timeout = operation_timeout
        self.provision = provision
        self.largest = largest
        self.faults = faults
        self.logger = logger
        self._clock = clock
        self._loop = LoopThread(f"jobmaster-nats-{name}")
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._session: Session | None = None

    def now(self) -> datetime:
        """The present: NATS has no clock to ask, so it is the master's, as this process follows it."""
        return self._clock.now()

    def follow(self, clock: Clock) -> None:
        """Take the time from this clock, which follows the master's."""
        self._clock = clock

    def open(self, wait: float = _OPEN_WAIT) -> None:
        """Connect when need be. Raises ``ConfigurationError`` or ``TransientStoreError``."""
        with self._lock:
            if self._session is not None and self._pid == os.getpid():
                return
            self._pid = os.getpid()
            session = Session(self, self.names)
            try:
                self._loop.run(session.open(wait))
            except BaseException:
                self._loop.close()
                raise
            self._session = session

    def close(self) -> None:
        """Disconnect and end the thread. Idempotent."""
        with self._lock:
            session, self._session = self._session, None
            if session is not None and self._pid == os.getpid():
                self._loop.run(session.close())
                self._loop.close()

    @property
    def store_id(self) -> UUID:
        """The random id in the stamp; opens when need be."""
        return self._open_session().store_id

    def _open_session(self) -> Session:
        session = self._session
        if session is None or self._pid != os.getpid():
            self.open()
            session = self._session
        assert session is not None
        return session

    def call(self, work: Callable[[Session], Coroutine[Any, Any, T]], *, unconfirmed: bool = False) -> T:
        """Run this in the agent's loop and wait for it. It begins when what was settled here before is out of
        the stream; with ``unconfirmed`` at once."""
        session = self._open_session()
        return self._loop.run(work(session) if unconfirmed else _after_settles(session, work))


async def _after_settles(session: Session, work: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
    await session.acknowledging.confirmed()
    return await work(session)
