"""What this connection has asked servers for, and what waits for the answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from .messages import Batch
from .wire import status_of

__all__ = ["Answers", "NobodyAnswersError"]

_ASK_AGAIN = 1.0
"""Seconds after which a question is asked again: whoever had it may have died, and another does its work."""


class NobodyAnswersError(Exception):
    """Nobody listens on the subject of a question."""


class _Question:
    """One request. Its answer is awaited; it is sent again until that is there."""

    __slots__ = ("answer", "body", "deadline", "repeated", "subject", "timer")

    def __init__(
        self, subject: str, body: bytes, deadline: float, answer: asyncio.Future[bytes], repeated: bool
    ) -> None:
        self.subject = subject
        self.body = body
        self.deadline = deadline
        self.answer = answer
        self.repeated = repeated
        self.timer: asyncio.TimerHandle | None = None


class Answers:
    """One inbox for all answers of a connection: what was asked is known by the number at its end."""

    def __init__(self, send: Callable[[str, bytes, str], Awaitable[None]]) -> None:
        self._send = send
        self._prefix = ""
        self._skip = 0
        self._number = 0
        self._batches: dict[int, tuple[Batch, int]] = {}
        self._questions: dict[int, _Question] = {}
        self._sending: set[asyncio.Task[None]] = set()

    def begin(self, inbox: str) -> str:
        """Answers come to this inbox; the subject to listen on."""
        self._prefix = f"{inbox}."
        self._skip = len(self._prefix)
        return f"{inbox}.*"

    def heard(self, subject: bytes, reply: bytes, body: bytes, headers: bytes) -> None:
        """An answer has come."""
        number = int(subject[self._skip :])
        found = self._batches.pop(number, None)
        if found is not None:
            found[0].answer(found[1], body)
            return
        question = self._questions.get(number)
        if question is not None and not question.answer.done():
            if status_of(headers) == "503":
                question.answer.set_exception(NobodyAnswersError())
            else:
                question.answer.set_result(body)

    # --- messages that are acknowledged -------------------------------------------------------------

    def expect(self, batch: Batch, places: list[int]) -> list[str]:
        """Where the acknowledgements of these messages of a batch are to go."""
        first = self._number + 1
        self._number += len(places)
        for number, place in enumerate(places, first):
            self._batches[number] = (batch, place)
        return [f"{self._prefix}{number}" for number in range(first, self._number + 1)]

    def forget(self, replies: list[str]) -> None:
        """These are not waited for any more."""
        for reply in replies:
            self._batches.pop(int(reply[self._skip :]), None)

    # --- questions ----------------------------------------------------------------------------------

    async def ask(self, subject: str, body: bytes, timeout: float, repeated: bool) -> bytes:
        """The answer to a question; ``repeated``: it may be asked several times. Raises ``TimeoutError`` or
        :class:`NobodyAnswersError`."""
        self._number += 1
        number = self._number
        loop = asyncio.get_running_loop()
        question = _Question(subject, body, time.monotonic() + timeout, loop.create_future(), repeated)
        self._questions[number] = question
        first = min(timeout, _ASK_AGAIN) if repeated else timeout
        question.timer = loop.call_later(first, self._overdue, number)
        try:
            await self._send(subject, body, f"{self._prefix}{number}")
            return await question.answer
        finally:
            question.timer.cancel()
            del self._questions[number]

    def ask_again(self) -> None:
        """The connection is whole again: what was asked before may never have arrived, or its answer."""
        for number, question in self._questions.items():
            if question.repeated:
                self._send_again(number, question)

    def refuse(self, denied: Callable[[str], bool]) -> None:
        """Nobody will answer on these subjects: what is asked there is over."""
        for question in self._questions.values():
            if not question.answer.done() and denied(question.subject):
                question.answer.set_exception(TimeoutError())

    def _overdue(self, number: int) -> None:
        question = self._questions.get(number)
        if question is None or question.answer.done():
            return
        left = question.deadline - time.monotonic()
        if left <= 0.001 or not question.repeated:
            question.answer.set_exception(TimeoutError())
            return
        loop = asyncio.get_running_loop()
        question.timer = loop.call_later(min(left, _ASK_AGAIN), self._overdue, number)
        self._send_again(number, question)

    def _send_again(self, number: int, question: _Question) -> None:
        sending = asyncio.ensure_future(self._sent(number, question))
        self._sending.add(sending)
        sending.add_done_callback(self._sending.discard)

    async def _sent(self, number: int, question: _Question) -> None:
        try:
            await self._send(question.subject, question.body, f"{self._prefix}{number}")
        except Exception as fault:
            if not question.answer.done():
                question.answer.set_exception(fault)
