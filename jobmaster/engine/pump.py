"""The main loop of a worker: settle what is done, claim what fits, both in one transaction.

While a transaction is under way handlers run and the outbox fills, so batches grow with the load. Where the
store works on two at once, a second one leaves as soon as there is enough for it, so that neither side waits
for the other. What the store answers ambiguously is read back first.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from uuid import UUID

from ..domain.events import LeaseLost
from ..domain.status import ClusterMode, WorkerMode
from ..domain.verdict import StateChange, unstorable
from ..errors import StoreError, TransientStoreError
from ..ports import AgentTransport, ClaimRequest, Clock, Settled, Settlement
from .active import begun_before
from .announcer import Announcer
from .border import Border
from .depth import SHORT, Depth, mean_size
from .dispatcher import Dispatcher
from .errortext import storable
from .flights import Flight, Flights
from .gate import Gate
from .options import ClusterLimits, WorkerOptions
from .outage import Outage
from .outbox import Outbox
from .signals import Alarm
from .storethreads import StoreCalls
from .tenure import Tenure

__all__ = ["Pump"]

_SOON = 0.02
"""Seconds after the last work at which the worker looks when the next job is due."""
_LONGEST_POLL = 1.0
"""Seconds between polls of an idle worker; wake-ups are only hints."""
_GIVE_WAY = 0.2
"""Seconds by which a worker that meets jobs it has no handler for comes later, after others who may have."""
_LINGER = 0.005
"""Seconds for which verdicts wait for company while the worker is busy."""
_BITE = 0.3
"""The part of the buffer for which a settle leaves although another one is under way."""


class Pump:
    """Turns until cancelled. Holds the present tenure; begins another when one is lost."""

    def __init__(
        self,
        options: WorkerOptions,
        limits: ClusterLimits,
        transport: AgentTransport,
        settlement: Settlement,
        calls: StoreCalls,
        clock: Clock,
        outbox: Outbox,
        alarm: Alarm,
        announcer: Announcer,
        new_tenure: Callable[[], Tenure],
        border: Border,
        gate: Gate,
        depth: Depth,
        logger: logging.Logger,
    ) -> None:
        self._options = options
        self._limits = limits
        self._transport = transport
        self._settlement = settlement
        self._calls = calls
        self._clock = clock
        self._outbox = outbox
        self._alarm = alarm
        self._announcer = announcer
        self._new_tenure = new_tenure
        self._border = border
        self._logger = logger
        self.dispatcher: Dispatcher
        self.tenure: Tenure | None = None
        self.stopping = False
        self.woken = True
        """Whether a wake-up came since the last claim."""
        self._poll_at = 0.0
        self._poll_every = _SOON
        self._came_up_empty = False
        """Whether the last claim brought nothing."""
        self._flights = Flights(settlement.abreast, alarm.ring, gate)
        self._gate = gate
        self._depth = depth
        self._outage = Outage(transport.name, clock, announcer, logger)
        self._readback: list[StateChange] | None = None
        """After an ambiguous answer: the verdicts of that settle, until the store has been read."""

    @property
    def settled(self) -> bool:
        """Whether nothing waits to be stored."""
        return not self._outbox and not self._flights and self._readback is None

    @property
    def pending(self) -> int:
        """How many verdicts wait to be stored, those under way included."""
        return len(self._outbox) + self._flights.carried + len(self._readback or ())

    def look_soon(self) -> None:
        """Look at the store at the next turn. From any thread."""
        self._came_up_empty = False
        self._poll_at = 0.0

    def unsettled(self) -> list[StateChange]:
        """Take out what could not be stored."""
        left = list(self._readback or ())
        self._readback = None
        while self._outbox:
            left += self._outbox.take()
        return left

    async def run(self) -> None:
        """Turn until cancelled."""
        try:
            while True:
                await self._next()
        except asyncio.CancelledError:
            # the worker stops while calls go on, whose end nobody hears: what they bring is not settled
            for flight in self._flights.give_up():
                self._doubt(flight.changes)
            raise

    async def _next(self) -> None:
        landed = self._flights.landed()
        tenure = self.tenure
        if landed:
            await self._land(landed)
        elif tenure is None:
            await self._begin_tenure()
        elif not tenure.trust.holds():
            await self._lose(tenure)
        elif self._readback is None:
            await self._turn(tenure)
        elif self._flights:
            # what they bring would look strange to who reads the store now
            await self._alarm.sleep(_LONGEST_POLL)
        else:
            await self._read_back(tenure)

    # -- one turn --------------------------------------------------------------------------------------

    async def _turn(self, tenure: Tenure) -> None:
        if self.dispatcher.gathering and not self._may_claim():
            # what is being gathered waits for claims that do not come
            self.dispatcher.offer([])
        now = self._clock.monotonic()  # one for all: between two, the instant to look could pass unseen
        self._shed(now)
        claim, flush = self._wanted(tenure, now)
        if self._flights:
            # when other workers keep the store busy as well, small settles of all of them help nobody
            crowded = self._calls.busy > len(self._flights) or not self._gate.open
            if self._flights.full or not flush or crowded:
                await self._alarm.sleep(_LONGEST_POLL)
                return
        if claim and not flush and not self.woken and not tenure.plan.hungry:
            await self._peek()
            return
        if not (claim or flush):
            await self._alarm.sleep(self._idle_for(now))
            return
        # where many workers want to settle: wait, and take along what comes together meanwhile
        await self._gate.enter()
        gone = False
        try:
            if not tenure.trust.holds():
                return
            now = self._clock.monotonic()
            claim, flush = self._wanted(tenure, now)
            request = tenure.plan.request(self._room, self.dispatcher.closed, self.woken) if claim else None
            if request is not None or flush:
                self._settle(tenure, request)
                gone = True
        finally:
            if not gone:
                self._gate.leave()
        if not gone:
            await self._alarm.sleep(self._idle_for(now))

    def _wanted(self, tenure: Tenure, now: float) -> tuple[bool, bool]:
        """Whether it is time to claim, and to settle what waits."""
        if self._flights:
            bite = max(1, int(self._depth.size * _BITE))
            claim = tenure.plan.hungry and self._room >= bite and self._may_claim()
            return claim, claim or len(self._outbox) >= bite
        return self._wants_claim(tenure, now), self._flush_due(now)

    @property
    def _room(self) -> int:
        """How many more jobs may be claimed, beside those that are asked for already."""
        return self.dispatcher.room - self._flights.asked_for

    def _may_claim(self) -> bool:
        return (
            not self.stopping
            and self._limits.mode is ClusterMode.ACTIVE
            and self._options.mode not in (WorkerMode.COORDINATOR, WorkerMode.DRAIN)
            and self._border.may_claim()
        )

    def _wants_claim(self, tenure: Tenure, now: float) -> bool:
        room = self.dispatcher.room
        if room <= 0 or not self._may_claim():
            return False
        if self.dispatcher.starved:
            return self.woken or tenure.plan.hungry or now >= self._poll_at
        # the slots are busy: refill in big bites, since a transaction costs the same for few jobs as for many
        return (self.woken or tenure.plan.hungry) and room * 4 >= self._depth.size * 3

    def _flush_due(self, now: float) -> bool:
        waiting = len(self._outbox)
        if not waiting:
            return False
        if self.dispatcher.starved or waiting * 4 >= self._options.batch_size:
            return True
        return now - self._outbox.oldest_at >= _LINGER

    def _idle_for(self, now: float) -> float:
        until = now + _LONGEST_POLL
        if self.dispatcher.starved and self._poll_at > now:
            until = min(until, self._poll_at)
        if self._outbox:
            until = min(until, self._outbox.oldest_at + _LINGER)
        return max(0.001, until - now)

    def _shed(self, now: float) -> None:
        """Give back what waits for too long here."""
        waiting = self.dispatcher.waiting
        if self._depth.due(waiting, now) and (excess := self._depth.excess(waiting, self._taken(now), now)):
            self._logger.info("%d claimed jobs given back: others may have room for them sooner", excess)
            self.dispatcher.shed(excess)

    def _taken(self, now: float) -> int:
        """How many slots jobs occupy that are not short; all, when what waits may not begin."""
        if self.dispatcher.careful:
            return self._options.slots
        return begun_before(self.dispatcher.running.values(), now - SHORT)

    def _settle(self, tenure: Tenure, request: ClaimRequest | None) -> None:
        if request is not None:
            self.woken = False
        flight = Flight(tenure, self._outbox.take(), request)
        self._flights.start(flight, self._calls.run(self._guarded_settle, flight))
        self._note_expecting()

    async def _land(self, flights: list[Flight]) -> None:
        """Take in what settles have brought; after a fault, wait a little before the next."""
        met: StoreError | None = None
        for flight in flights:
            met = self._take_in(flight) or met
        self._note_expecting()
        if met is not None:
            self.woken = True
            await self._outage.wait(met)

    def _take_in(self, flight: Flight) -> StoreError | None:
        answer, changes = flight.answer, flight.changes
        if isinstance(answer, Settled):
            self._outage.over()
            self._learn(flight, answer)
            return None
        if not isinstance(answer, StoreError):
            self._logger.error("settle failed, reading the store", exc_info=answer)
            answer = StoreError(f"settle failed: {answer!r}")
            ambiguous = True
        else:
            ambiguous = isinstance(answer, TransientStoreError) and answer.ambiguous
        if flight.tenure is not self.tenure:
            self._logger.warning("%d outcomes dropped with the lease that was lost", len(changes))
        elif ambiguous:
            self._logger.warning("settle: answer lost, reading the store: %s", answer)
            self._doubt(changes)
        else:
            if not isinstance(answer, TransientStoreError):
                self._logger.error("settle refused: %s", answer)
            self._outbox.put_back(changes, self._clock.monotonic())
        return answer

    def _doubt(self, changes: list[StateChange]) -> None:
        """Nobody knows whether these are stored: the store has to be read."""
        self._readback = [*(self._readback or ()), *changes]

    def _note_expecting(self) -> None:
        self.dispatcher.expect_claims(self._flights.claiming or self._readback is not None)

    def _guarded_settle(self, flight: Flight) -> Settled:
        # on the store's thread, as late as can be: a worker that was frozen on its way here settles nothing
        if not flight.tenure.trust.holds():
            raise TransientStoreError("the lease is no longer trusted")
        began = self._clock.monotonic()
        settled = self._settlement.settle(flight.changes, flight.request)
        flight.took = self._clock.monotonic() - began
        return settled

    def _learn(self, flight: Flight, settled: Settled) -> None:
        tenure, changes, request = flight.tenure, flight.changes, flight.request
        now = self._clock.monotonic()
        if settled.refused:
            self._logger.warning("%d outcomes refused: their claims were lost", len(settled.refused))
        if settled.poisoned:
            changes = self._spare(changes, settled.poisoned)
        self._announcer.settled(changes, settled.refused)
        self.dispatcher.settled(changes)
        self._depth.settled(flight.took, mean_size(changes, settled.claimed), self._taken(now))
        if changes:
            self._border.stored()
        if request is None:
            return
        tenure.plan.learn(request, settled.claimed, flight.took)
        self._came_up_empty = not settled.claimed
        if settled.claimed:
            self._poll_every = _SOON
            self._poll_at = now + _SOON
        else:
            # look at once when the next job is due
            self._poll_at = now
        if tenure is self.tenure and (settled.claimed or self.dispatcher.gathering):
            self.dispatcher.offer(settled.claimed, more=tenure.plan.hungry)

    def _spare(self, changes: list[StateChange], poisoned: Mapping[UUID, str]) -> list[StateChange]:
        """Some verdicts hold something that the store refuses for good: their jobs fail and say so, so that
        none of them is brought again and again. The others."""
        now = self._clock.now()
        for change in changes:
            reason = poisoned.get(change.job.id)
            if reason is not None:
                self._logger.error("the outcome of job %s cannot be stored: %s", change.job.id, reason)
                verdict = unstorable(change, storable(reason, 4_000), now)
                self._outbox.put(verdict, self._clock.monotonic())
        return [change for change in changes if change.job.id not in poisoned]

    async def _peek(self) -> None:
        """Nothing is known to be ready: find out, cheaply, when to look again."""
        try:
            answer = await self._calls.run(self._transport.next_due, self._options.lane)
        except StoreError as fault:
            await self._outage.wait(fault)
            return
        self._outage.over()
        self._poll_every = min(_LONGEST_POLL, self._poll_every * 2)
        wait = self._poll_every
        came_up_empty, self._came_up_empty = self._came_up_empty, False
        if answer is not None:
            store_now, due = answer
            until_due = (due - store_now).total_seconds()
            if until_due > 0:
                wait = min(wait, until_due + (_GIVE_WAY if self.dispatcher.meets_unknown else 0.0))
            elif not came_up_empty:
                # or else it is claimed by others just now, or belongs into a closed bucket: wait a little
                self.woken = True
        self._poll_at = self._clock.monotonic() + wait

    # -- ambiguity and loss ----------------------------------------------------------------------------

    async def _read_back(self, tenure: Tenure) -> None:
        """After an ambiguous answer, compare what the buckets hold with what this worker remembers.

        A verdict whose claim is still there is settled again. One whose claim is gone was settled, or taken
        away; either way nothing is left to write. A claim that is not remembered is run.
        """
        pending = self._readback
        assert pending is not None
        try:
            stored = await self._calls.run(self._transport.claimed_in, tenure.buckets)
            remembered = self.dispatcher.claims().keys() | {change.job.id for change in pending}
            # one that has ended since is no stranger either: whoever checks strangers may give them back
            remembered |= self._outbox.ids()
            strangers = [job for job in stored if job.id not in remembered]
            fresh = await self._calls.run(self._settlement.recheck, strangers)
        except StoreError as fault:
            await self._outage.wait(fault)
            return
        self._readback = None
        held = {job.id: job.claim_no for job in stored}
        again = [change for change in pending if held.get(change.job.id) == change.job.claim_no]
        self._outbox.put_back(again, self._clock.monotonic())
        done = [change for change in pending if held.get(change.job.id) != change.job.claim_no]
        self._announcer.settled(done, frozenset())
        self.dispatcher.settled(done)
        known = self.dispatcher.claims()
        gone = [job_id for job_id, claim_no in known.items() if held.get(job_id) != claim_no]
        if gone:
            self._logger.warning("%d claims vanished from the store: their handlers are stopped", len(gone))
            self.dispatcher.abandon(gone)
        waiting = self._outbox.ids()
        self.dispatcher.offer([job for job in fresh if job.id not in known and job.id not in waiting])
        self._note_expecting()

    async def _lose(self, tenure: Tenure) -> None:
        """The buckets are no longer ours: stop handlers, settle nothing, begin anew with others."""
        self.tenure = None
        self._readback = None
        stopped = self.dispatcher.abandon()
        dropped = self._outbox.drop()
        self._logger.error(
            "lease lost: %d running handlers stopped, %d outcomes dropped; their jobs are rescued",
            len(stopped),
            len(dropped),
        )
        self._announcer.emit(LeaseLost(self._options.id, len(stopped), len(dropped)))
        await self._calls.run(tenure.forsake)

    async def _begin_tenure(self) -> None:
        if self.stopping:
            await self._alarm.sleep(_LONGEST_POLL)
            return
        try:
            self.tenure = await self._calls.run(self._new_tenure)
        except StoreError as fault:
            await self._outage.wait(fault)
        else:
            self.woken = True
            self._logger.info("new buckets opened after the lease was lost")
