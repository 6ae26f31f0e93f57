"""Settles under way: what each carries, and what it brings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from ..domain.verdict import StateChange
from ..ports import ClaimRequest, Settled
from .gate import Gate
from .tenure import Tenure

__all__ = ["Flight", "Flights"]


class Flight:
    """One settle: verdicts and a request on the way out, an answer or a fault on the way back."""

    __slots__ = ("answer", "changes", "left", "request", "task", "tenure", "took")

    def __init__(self, tenure: Tenure, changes: list[StateChange], request: ClaimRequest | None) -> None:
        self.tenure = tenure
        self.changes = changes
        self.request = request
        self.left = False
        """Whether it has given its place at the gate back."""
        self.answer: Settled | Exception | None = None
        """``None`` until it is back."""
        self.took = 0.0
        """Seconds for which the store worked on it."""
        self.task: asyncio.Task[None] | None = None

    @property
    def asked_for(self) -> int:
        """How many jobs it may bring."""
        return 0 if self.request is None else sum(self.request.limits.values())


class Flights:
    """The settles of one worker that have left and have not been taken in, at most ``abreast``; ``ring`` is
    called when one is back."""

    def __init__(self, abreast: int, ring: Callable[[], None], gate: Gate) -> None:
        self._abreast = abreast
        self._ring = ring
        self._gate = gate
        self._flights: list[Flight] = []

    def __len__(self) -> int:
        return len(self._flights)

    @property
    def full(self) -> bool:
        """Whether no other may leave."""
        return len(self._flights) >= self._abreast

    @property
    def carried(self) -> int:
        """How many verdicts are on their way."""
        return sum(len(flight.changes) for flight in self._flights)

    @property
    def asked_for(self) -> int:
        """How many jobs may come in with them."""
        return sum(flight.asked_for for flight in self._flights)

    @property
    def claiming(self) -> bool:
        """Whether one of them may bring jobs."""
        return any(flight.request is not None for flight in self._flights)

    def start(self, flight: Flight, call: Coroutine[Any, Any, Settled]) -> None:
        """Let it leave, through the gate, in which it has a place until it is back."""
        self._flights.append(flight)
        flight.task = asyncio.get_running_loop().create_task(self._fly(flight, call))
        flight.task.add_done_callback(lambda _: self._leave(flight))

    async def _fly(self, flight: Flight, call: Coroutine[Any, Any, Settled]) -> None:
        try:
            flight.answer = await call
        except Exception as fault:
            flight.answer = fault
        # before anybody hears of it: who is woken looks at the gate at once
        self._leave(flight)
        self._ring()

    def _leave(self, flight: Flight) -> None:
        if not flight.left:
            flight.left = True
            self._gate.leave()

    def landed(self) -> list[Flight]:
        """Take out those that are back."""
        back = [flight for flight in self._flights if flight.answer is not None]
        if back:
            self._flights = [flight for flight in self._flights if flight.answer is None]
        return back

    def give_up(self) -> list[Flight]:
        """Take out all; nobody waits for those that are not back."""
        flights, self._flights = self._flights, []
        for flight in flights:
            if flight.task is not None:
                flight.task.cancel()
        return flights
