"""The client library, with shorter ways for what an agent does by the thousand.

The library takes a message apart by regular expressions, makes an object of it, and hands it through a queue
to a task; it makes headers and flushes for each message that is sent. Here what arrives goes from the bytes
that were read straight to whoever listens, and what is sent is written a batch at a time. Connecting, keeping
alive and connecting again stay the library's. Where it is not made as the shorter ways suppose, its own are
gone, and nothing but time is lost.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.aio.transport import TcpTransport
from nats.protocol.parser import AWAITING_CONTROL_LINE, Parser

from .messages import Outgoing
from .servers import Login

__all__ = ["UNCHECKED", "Listening", "Sink", "WireClient", "status_of"]

Sink = Callable[[bytes, bytes, bytes, bytes], None]
"""Takes a message: its subject, where it is answered, its body and its headers. It may not block."""

_MSG, _HMSG = ord("M"), ord("H")
_AT_ONCE = 256 * 1024
"""Bytes that are written without asking whether the connection takes them in."""


UNCHECKED: dict[str, Any] = {
    name: True
    for name in ("skip_subject_validation",)
    if name in inspect.signature(Client.connect).parameters
}
"""Names are checked where they are given, and what to acknowledge is what the server said: the client, where
it can, need not look at every subject again."""


class _ShortParser(Parser):
    """Reads messages without regular expressions, and gives those of ``sinks`` to them at once."""

    def __init__(self, client: WireClient) -> None:
        self.sinks: dict[bytes, Sink] = {}
        self._client = client
        self._resets = 0
        self._enough = 0
        """Bytes without which nothing can be read: a message is announced with its length."""
        self._rest: Coroutine[Any, Any, None] | None = None
        """What of the last message has to be awaited."""
        super().__init__(client)

    def reset(self) -> None:
        """Begin anew: the connection did."""
        super().reset()
        self._resets += 1
        self._enough = 0

    async def parse(self, data: bytes = b"") -> None:
        """Take in what was read. Raises ``ProtocolError`` for what no server says."""
        if self.buf:
            self.buf += data
            if len(self.buf) < self._enough:
                return
            data = bytes(self.buf)
        self._enough = at = 0
        resets = self._resets
        while (end := data.find(b"\r\n", at)) >= 0:
            if data[at] in (_MSG, _HMSG):
                after = self._message(data, at, end)
                if not after:
                    break
                rest, self._rest = self._rest, None
                if rest is not None:
                    await rest
            else:
                after = end + 2
                self.buf = bytearray(data[at:after])
                await super().parse()
            if self._resets != resets:
                # the connection broke meanwhile: nothing of what it brought is left
                return
            at = after
        self.buf = bytearray(data[at:])

    def _message(self, data: bytes, at: int, end: int) -> int:
        """Take the message that begins at ``at`` out; where it ends, or 0 when some of it is missing."""
        words = data[at:end].split()
        headed = data[at] == _HMSG
        try:
            body = begin = end + 2
            after = begin + int(words[-1]) + 2
            if headed:
                body += int(words[-2])
            subject, sid = words[1], words[2]
        except (ValueError, IndexError):
            raise nats.errors.ProtocolError("nats: malformed MSG") from None
        if after > len(data):
            self._enough = after - at
            return 0
        reply = words[3] if len(words) == (6 if headed else 5) else b""
        sink = self.sinks.get(sid)
        if sink is None:
            self._rest = self._client._process_msg(
                int(sid), subject, reply, data[body : after - 2], data[begin:body]
            )
            return after
        try:
            sink(subject, reply, data[body : after - 2], data[begin:body])
        except Exception as fault:
            # as the library does with errors of those who listen
            self._rest = self._client.report(fault)
        return after


class Listening:
    """A subscription of :meth:`WireClient.listen`."""

    def __init__(self, subscription: Subscription, forget: Callable[[], object]) -> None:
        self._subscription = subscription
        self._forget = forget

    async def end(self) -> None:
        """Hear no more."""
        self._forget()
        await self._subscription.unsubscribe()


class ServerWithoutTls(nats.errors.Error):
    """TLS was asked for, and this server does without."""

    def __str__(self) -> str:
        return "the server does not ask for TLS"


class WireClient(Client):
    """The library's client, and whether the shorter ways fit it (``short``)."""

    def __init__(self, logins: Mapping[str, Login] | None = None) -> None:
        """``logins``: what some servers, as ``host:port``, are told instead of what all are."""
        super().__init__()
        self._logins = logins or {}
        self._login: dict[str, Any] | None = None
        self._sinks: dict[bytes, Sink] = {}
        self.short = _fits(self)
        if self.short:
            parser = _ShortParser(self)
            self._sinks = parser.sinks
            self._ps = parser

    async def _connect_to_server(self, s: Any) -> None:
        # the library leaves a connection open on which the server did not say a word
        if self._transport is not None:
            self._transport.close()  # type: ignore[no-untyped-call]
        await super()._connect_to_server(s)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        # before anything is said to it: the library would go on in the clear, password and all
        if initial_connection and self.options.get("tls") and not info.get("tls_required"):
            raise ServerWithoutTls
        await super()._process_info(info, initial_connection)

    async def _process_err(self, err_msg: str) -> None:
        # the library would give up for good, for instance when a password is changed under way
        text = err_msg.strip("'")
        if not self.is_connected or "permissions violation" in text.lower():
            await super()._process_err(err_msg)
            return
        fault = nats.errors.Error(f"nats: {text}")
        await self.report(fault)
        await self._process_op_err(fault)

    def _connect_command(self) -> bytes:
        if self._logins:
            names = ("user", "password", "token")
            if self._login is None:
                self._login = {name: self.options.get(name) for name in names}
            own = self._logins.get(self._current_server.uri.netloc) if self._current_server else None
            self.options.update(self._login if own is None else own._asdict())
        command: bytes = super()._connect_command()
        return command

    async def report(self, fault: Exception) -> None:
        """Tell whoever hears of errors."""
        await self._error_cb(fault)

    async def listen(self, subject: str, sink: Sink) -> Listening:
        """Give ``sink`` what comes on a subject. Nothing is dropped for being too much."""

        async def hear(message: Msg) -> None:
            sink(message.subject.encode(), message.reply.encode(), message.data, _headers_of(message))

        subscription = await self.subscribe(subject, cb=hear, pending_msgs_limit=-1, pending_bytes_limit=-1)
        number = getattr(subscription, "_id", -1)
        sid = b"%d" % number
        if self._subs.get(number) is subscription:
            self._sinks[sid] = sink
        return Listening(subscription, lambda: self._sinks.pop(sid, None))

    async def flush(self, timeout: int = 10) -> None:
        """Wait until the server has read all that was sent."""
        # the library's ping overtakes what it has not written yet
        await self._flush_pending(force_flush=True)
        await super().flush(timeout)

    async def send(self, subject: str, body: bytes, reply: str) -> None:
        """A message that no stream keeps, with the subject on which it may be answered, or none."""
        if not self.short:
            await self.publish(subject, body, reply=reply)
            return
        if len(body) > self.max_payload:
            raise nats.errors.MaxPayloadError
        await self._write(b"%b%b\r\n" % (f"PUB {subject} {reply} {len(body)}\r\n".encode(), body))

    async def send_empty(self, subjects: Sequence[str]) -> None:
        """A message without content to each of these."""
        if self.short:
            await self._write("".join([f"PUB {subject} 0\r\n\r\n" for subject in subjects]).encode())
            return
        for subject in subjects:
            await self.publish(subject)

    async def send_stored(self, messages: Iterable[tuple[Outgoing, str]]) -> None:
        """Messages for streams, each with the subject on which it is to be acknowledged."""
        if not self.short:
            for message, reply in messages:
                await self.publish(message.subject, message.body, reply=reply, headers=_headers(message))
            return
        pieces: list[bytes] = []
        for (subject, body, message_id, expected), reply in messages:
            if expected is None:
                headers = f"NATS/1.0\r\nNats-Msg-Id: {message_id}\r\n\r\n"
            else:
                headers = (
                    f"NATS/1.0\r\nNats-Msg-Id: {message_id}\r\n"
                    f"Nats-Expected-Last-Subject-Sequence: {expected}\r\n\r\n"
                )
            size = len(headers)
            pieces += (
                f"HPUB {subject} {reply} {size} {size + len(body)}\r\n{headers}".encode(),
                body,
                b"\r\n",
            )
        await self._write(b"".join(pieces))

    async def _write(self, text: bytes) -> None:
        """Send this as it is, or once the connection is whole again. Raises what ``publish`` does."""
        if self.is_closed:
            raise nats.errors.ConnectionClosedError
        if not self.is_connected and len(text) + self._pending_data_size > self._max_pending_size:
            raise nats.errors.OutboundBufferLimitError
        transport = self._transport
        if self.is_connected and not self._pending and len(text) <= _AT_ONCE and transport is not None:
            # nothing has to go before it
            transport.write(text)
            return
        await self._send_command(text)
        if self._flush_queue is not None and self._flush_queue.empty():
            await self._flush_pending()


def _headers(message: Outgoing) -> dict[str, str]:
    headers = {"Nats-Msg-Id": message.id}
    if message.expected is not None:
        headers["Nats-Expected-Last-Subject-Sequence"] = str(message.expected)
    return headers


def _headers_of(message: Msg) -> bytes:
    """What of the headers of a message is asked for: how a server answers that has nothing to give."""
    status = (message.headers or {}).get("Status", "")
    return b"NATS/1.0 %b\r\n\r\n" % status.encode() if status else b""


def status_of(headers: bytes) -> str:
    """The number with which a server answers that has nothing to give, such as ``404``; else nothing."""
    return headers[9:12].decode() if headers[8:9] == b" " else ""


_USED = {"_pending_data_size", "_max_pending_size", "_flush_queue", "_error_cb", "_subs", "_transport"}


def _fits(client: Any) -> bool:
    """Whether the library is made as the shorter ways suppose."""
    parser = getattr(client, "_ps", None)
    taken = ["sid", "subject", "reply", "data", "headers"]
    try:
        return (
            type(parser) is Parser
            and isinstance(parser.buf, bytearray)
            and parser.state == AWAITING_CONTROL_LINE
            and list(inspect.signature(client._process_msg).parameters) == taken
            and list(inspect.signature(client._send_command).parameters)[:1] == ["cmd"]
            and all(
                map(
                    inspect.iscoroutinefunction,
                    (client._process_msg, client._send_command, client._flush_pending, parser.parse),
                )
            )
            and vars(client).keys() >= _USED
            and isinstance(client._pending, list)
            and callable(TcpTransport.write)
        )
    except (AttributeError, TypeError, ValueError):
        return False
