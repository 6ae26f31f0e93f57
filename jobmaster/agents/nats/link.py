"""The connection of one agent to its NATS servers. Everything here happens in the agent's own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import nats
import nats.errors

from ...errors import ConfigurationError, StoreError, TransientStoreError
from ...payload.jsontext import read_bytes, write_bytes
from .answers import Answers, NobodyAnswersError
from .keys import key_file_fault
from .messages import Ack, Batch, Outgoing
from .options import NatsOptions
from .refusals import (
    is_decisive,
    no_permission,
    nobody_in_domain,
    too_large,
    unreachable,
    without_jetstream,
)
from .wire import UNCHECKED, Listening, Sink, WireClient

__all__ = ["ApiFault", "Link"]

_RESEND_AFTER = 1.5
"""Seconds after which a message that was not acknowledged is sent again, with its own id."""
_DECLINED = 0.1
"""Seconds after which messages are sent again for which nobody answered."""
_AT_ONCE = 250
"""Messages that are written at a time."""
_MOST_UNDER_WAY = 4_000
"""Messages that wait for their acknowledgements while more are written."""
_CONNECT_TIMEOUT = 2.0
_AGAIN_AFTER = 0.25
"""Seconds after which JetStream is asked again that could not do what it was asked for."""
_CLOSING = 0.3
_JOINING = 2.0
"""Seconds after which a server that has joined its cluster has heard which others have JetStream."""


class ApiFault(StoreError):
    """JetStream refused a request. ``said`` is its reason, ``code`` the number of that."""

    def __init__(self, where: str, said: str, code: int) -> None:
        self.said = said
        self.code = code
        super().__init__(f"{where}: {said}")


class _DecidedError(Exception):
    """Waiting for a connection any longer would not help."""


class Link:
    """One connection, kept alive: the client library reconnects, with jitter, to whichever server answers."""

    def __init__(self, agent: str, options: NatsOptions, logger: logging.Logger) -> None:
        self.agent = agent
        self.options = options
        self._logger = logger
        self._api = f"$JS.{options.domain}.API" if options.domain else "$JS.API"
        self._client: WireClient | None = None
        self._answers = Answers(self.send)
        self._cut = asyncio.Event()
        self._whole = asyncio.Event()
        self._said: list[str] = []
        """What the server complained of, oldest first."""
        self._tries = 0
        """How many complaints decide, while connecting, that there is no use in it; 0: none does."""
        self._patient = True
        self.on_reconnect: list[Callable[[], None]] = []

    # --- life ---------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether a server answers at present."""
        return self._client is not None and self._client.is_connected

    @property
    def max_payload(self) -> int:
        """The largest message that the server takes, in bytes."""
        assert self._client is not None
        return self._client.max_payload

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor version of the server."""
        assert self._client is not None
        found = self._client.connected_server_version
        return found.major, found.minor

    def _name(self) -> str:
        return f"agent {self.agent!r} at {self.options.shown}"

    async def connect(self, wait: float, *, patient: bool = True) -> None:
        """Connect, waiting so many seconds at most. Raises ``ConfigurationError`` for credentials that the
        server refuses and for a server without JetStream, ``TransientStoreError`` when none answers.

        What every server refuses is told at once; ``patient``: but for a connection that is refused, since a
        server may be starting."""
        if self._client is not None:
            return
        self._patient = patient
        fault = key_file_fault(self.options.connect_args)
        if fault is not None:
            raise ConfigurationError(f"{self._name()}: {fault}")
        deadline = time.monotonic() + wait
        while True:
            try:
                await self._try_to_connect(max(0.3, min(_CONNECT_TIMEOUT, deadline - time.monotonic())))
                break
            except TransientStoreError:
                left = deadline - time.monotonic()
                if left <= 0 or not patient:
                    raise
                await asyncio.sleep(min(left, random.uniform(0.1, 0.4)))

    async def _try_to_connect(self, timeout: float) -> None:
        client = WireClient(self.options.logins)
        self._said.clear()
        told = self._told()
        self._tries = len(self.options.servers)
        try:
            async with asyncio.timeout(timeout):
                await client.connect(
                    servers=self.options.servers,
                    name=f"jobmaster {self.agent}",
                    connect_timeout=2,
                    allow_reconnect=True,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=random.uniform(0.1, 0.4),  # type: ignore[arg-type]
                    ping_interval=3,
                    max_outstanding_pings=2,
                    pending_size=64 * 1024 * 1024,
                    error_cb=self._on_error,
                    disconnected_cb=self._on_cut,
                    closed_cb=self._on_cut,
                    reconnected_cb=self._on_whole,
                    **told,
                    **UNCHECKED,
                )
        except (OSError, nats.errors.Error, TimeoutError, ValueError, _DecidedError) as fault:
            self._tries = 0
            # a connection whose TLS did not come about never says that it is closed
            with contextlib.suppress(nats.errors.Error, OSError, TimeoutError):
                async with asyncio.timeout(_CLOSING):
                    await client.close()
            raise unreachable(self._name(), fault, self._said) from fault
        self._tries = 0
        self._client = client
        self._cut.clear()
        self._whole.set()
        await client.listen(self._answers.begin(client.new_inbox()), self._answers.heard)
        try:
            await self._require_jetstream()
        except BaseException:
            await self.close()
            raise

    def _told(self) -> dict[str, Any]:
        try:
            return self.options.for_client()
        except (OSError, ValueError) as fault:  # ssl.SSLError is an OSError
            raise ConfigurationError(
                f"{self._name()}: tls_ca, tls_cert and tls_key must be certificates and a key in PEM form: "
                f"{fault}"
            ) from fault

    async def _require_jetstream(self) -> None:
        assert self._client is not None
        info = self._client._server_info
        joined_at = time.monotonic() + (_JOINING if info.get("cluster") else 0.0)
        while True:
            try:
                await self.api("INFO", timeout=5.0)
                return
            except ApiFault as fault:
                raise without_jetstream(self._name(), fault.said) from fault
            except TransientStoreError as fault:
                if self.options.domain and isinstance(fault.__cause__, NobodyAnswersError):
                    raise nobody_in_domain(self._name(), self.options.domain, info.get("domain")) from fault
                if info.get("jetstream", False):
                    raise
                if time.monotonic() >= joined_at:
                    raise without_jetstream(self._name()) from fault
            await asyncio.sleep(0.2)

    async def close(self) -> None:
        """Disconnect. Idempotent."""
        client, self._client = self._client, None
        self._whole.clear()
        self._cut.set()
        if client is not None:
            with contextlib.suppress(nats.errors.Error, OSError, asyncio.TimeoutError):
                await client.close()

    async def _on_error(self, fault: Exception) -> None:
        text = str(fault) or type(fault).__name__
        self._said = [*self._said[-9:], text]
        self._logger.debug("agent %r: %s", self.agent, text)
        if "permissions violation" in text.lower():
            self._answers.refuse(lambda subject: self.denied(subject) is not None)
        if self._tries and (not self._patient or is_decisive(text)):
            self._tries -= 1
            if not self._tries:
                raise _DecidedError(text) from fault

    async def _on_cut(self) -> None:
        self._whole.clear()
        self._cut.set()
        self._cut = asyncio.Event()

    async def _on_whole(self) -> None:
        self._whole.set()
        self._logger.info("agent %r: connected again", self.agent)
        self._answers.ask_again()
        for tell in self.on_reconnect:
            tell()

    # --- plain messages -----------------------------------------------------------------------------

    async def ready(self, deadline: float) -> WireClient:
        """The client, once a server answers."""
        client = self._client
        if client is None:
            raise TransientStoreError(f"{self._name()}: not connected")
        if not client.is_connected or not self._whole.is_set():
            try:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    await self._whole.wait()
            except TimeoutError:
                said = f": {self._said[-1]}" if self._said else ""
                raise TransientStoreError(f"{self._name()}: no server answers{said}") from None
        return client

    async def send(self, subject: str, body: bytes = b"", reply: str = "") -> None:
        """A message that nobody acknowledges; dropped while no server answers."""
        client = self._client
        if client is not None and client.is_connected:
            try:
                await client.send(subject, body, reply)
            except nats.errors.Error as fault:
                raise TransientStoreError(f"{self._name()}: {fault}") from fault

    async def send_each(self, subjects: Sequence[str]) -> None:
        """An empty message to each of these; see :meth:`send`."""
        client = self._client
        if client is not None and client.is_connected and subjects:
            try:
                await client.send_empty(subjects)
            except nats.errors.Error as fault:
                raise TransientStoreError(f"{self._name()}: {fault}") from fault

    async def ask(self, subject: str, body: bytes, timeout: float, *, repeated: bool = True) -> bytes:
        """A request and its answer. ``repeated``: it is sent again when the answer stays away, since whoever
        had it may have died."""
        deadline = time.monotonic() + timeout
        await self.ready(deadline)
        try:
            return await self._answers.ask(subject, body, max(0.05, deadline - time.monotonic()), repeated)
        except NobodyAnswersError as fault:
            raise TransientStoreError(f"{self._name()}: nobody answers {subject}") from fault
        except (TimeoutError, nats.errors.Error) as fault:
            denied = self.denied(subject)
            if denied is not None:
                raise denied from fault
            said = self._of_a_cluster(str(fault) or "nats: timeout")
            raise TransientStoreError(f"{self._name()}: no answer to {subject}: {said}") from fault

    def _of_a_cluster(self, said: str) -> str:
        if self._client is None or not self._client._server_info.get("cluster"):
            return said
        return f"{said}; in a cluster more than half of the servers have to be up"

    def denied(self, subject: str, *, listening: bool = False) -> ConfigurationError | None:
        """The error for a subject on which the server lets this user not publish, or not listen."""
        return no_permission(self._name(), subject, self._api, self._said, listening=listening)

    async def flush(self, timeout: float = 5.0) -> None:
        """Wait until the server has read all that was sent, and said what it has against it."""
        client = await self.ready(time.monotonic() + timeout)
        try:
            await client.flush(timeout)  # type: ignore[arg-type]
        except (TimeoutError, nats.errors.Error) as fault:
            raise TransientStoreError(f"{self._name()}: {str(fault) or 'no sign of life'}") from fault

    async def listen(self, subject: str, sink: Sink) -> Listening:
        """Listen to a subject. What comes is never dropped for being too much."""
        client = await self.ready(time.monotonic() + 5.0)
        return await client.listen(subject, sink)

    def new_inbox(self) -> str:
        """A subject of one's own."""
        assert self._client is not None
        return str(self._client.new_inbox())

    # --- JetStream ----------------------------------------------------------------------------------

    async def api(self, endpoint: str, body: object = None, timeout: float = 5.0) -> dict[str, Any]:
        """A request to JetStream. Raises :class:`ApiFault` for a refusal, ``TransientStoreError`` for one
        that may pass."""
        text = b"" if body is None else write_bytes(body)
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            answer: dict[str, Any] = read_bytes(await self.ask(f"{self._api}.{endpoint}", text, left))
            fault = answer.get("error")
            if fault is None:
                return answer
            said = str(fault.get("description", fault))
            if fault.get("code") != 503 or fault.get("err_code") == 10039:
                raise ApiFault(self._name(), said, int(fault.get("err_code", 0)))
            # nobody leads the servers just now
            if deadline - time.monotonic() <= _AGAIN_AFTER:
                raise TransientStoreError(f"{self._name()}: {self._of_a_cluster(said)}")
            await asyncio.sleep(_AGAIN_AFTER)

    @property
    def api_prefix(self) -> str:
        """What the subjects of JetStream's own requests begin with."""
        return self._api

    async def offer(self, messages: Sequence[Outgoing], timeout: float = 5.0) -> None:
        """Messages for streams, when nobody wants to know what becomes of them."""
        client = await self.ready(time.monotonic() + timeout)
        try:
            await client.send_stored((message, self.new_inbox()) for message in messages)
        except nats.errors.Error as fault:
            raise TransientStoreError(f"{self._name()}: {fault}") from fault

    async def publish(self, messages: Sequence[Outgoing], timeout: float) -> list[Ack]:
        """Store messages; one answer for each, in order. A message without answer is sent again, with the id
        by which the server knows it.

        Raises ``TransientStoreError`` when time is up, ``ambiguous`` when some may be stored."""
        deadline = time.monotonic() + timeout
        largest = max((len(message.body) + len(message.subject) for message in messages), default=0)
        batch = Batch(len(messages))
        left = list(range(len(messages)))
        sent = False
        while left:
            try:
                client = await self.ready(deadline)
                if largest + 512 > client.max_payload:
                    raise too_large(self._name(), messages, client.max_payload)
                sent = await self._send_batch(client, messages, left, batch, deadline) or sent
            except TransientStoreError as fault:
                stored = any(ack is not None and ack.seq for ack in batch.acks)
                raise TransientStoreError(str(fault), ambiguous=sent or stored) from fault
            left = [n for n in left if batch.acks[n] is None]
            if left and time.monotonic() >= deadline:
                denied = self.denied(messages[left[0]].subject)
                if denied is not None:
                    raise denied
                raise TransientStoreError(
                    f"{self._name()}: {len(left)} of {len(messages)} messages were not acknowledged in time",
                    ambiguous=True,
                )
        return [ack for ack in batch.acks if ack is not None]

    async def _send_batch(
        self,
        client: WireClient,
        messages: Sequence[Outgoing],
        left: Sequence[int],
        batch: Batch,
        deadline: float,
    ) -> bool:
        """Send these and wait a while for their answers; whether any was sent."""
        replies: list[str] = []
        cut = self._cut
        batch.left, batch.declined = len(left), 0
        try:
            for start in range(0, len(left), _AT_ONCE):
                part = list(left[start : start + _AT_ONCE])
                fresh = self._answers.expect(batch, part)
                replies += fresh
                await client.send_stored(zip([messages[place] for place in part], fresh, strict=True))
                unsent = len(left) - start - len(part)
                if unsent:
                    # so that answers are read meanwhile
                    await asyncio.sleep(0)
                if not await self._answered(batch, unsent + _MOST_UNDER_WAY if unsent else 0, cut, deadline):
                    break
        except nats.errors.Error as fault:
            if not replies:
                raise TransientStoreError(f"{self._name()}: {fault}") from fault
        finally:
            if batch.left:
                self._answers.forget(replies)
        return bool(replies)

    async def _answered(self, batch: Batch, until: int, cut: asyncio.Event, deadline: float) -> bool:
        """Wait until only so many are unanswered; ``False`` when the connection broke or it took too long."""
        batch.until = until
        patience = min(deadline, time.monotonic() + _RESEND_AFTER)
        while batch.left > until:
            if cut.is_set() or time.monotonic() >= patience:
                return False
            if batch.left - batch.declined <= until:
                await asyncio.sleep(min(_DECLINED, max(0.0, deadline - time.monotonic())))
                return False
            before = batch.left
            if (
                not await batch.wait(max(0.01, min(0.25, patience - time.monotonic())))
                and batch.left < before
            ):
                patience = min(deadline, time.monotonic() + _RESEND_AFTER)
        return True
