"""What has ended on a NATS agent and is on its way to the master: the stream of outcomes.

A settle stores its outcomes here before it acknowledges the jobs; a saver ships them and acknowledges what
the master has recorded. A message holds a batch and never changes, so whoever looks keeps what it has read.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Collection, Sequence
from typing import NamedTuple

from ...domain.copies import Shipment
from ...domain.ids import uuid7
from ...errors import StoreError, TransientStoreError
from .envelope import decode_shipment, encode_shipment
from .link import ApiFault, Link
from .messages import Outgoing
from .names import Names
from .puller import Puller, sequence_of
from .streams import CONSUMER_GONE

__all__ = ["Outbox", "Parcel"]

_SHIPPER = "shipper"
"""The consumer by which outcomes are shipped."""
_MOST = 250
"""Outcomes of one message."""
_AT_ONCE = 250
"""Messages that are asked for at a time."""
_MOST_BYTES = 4 * 1024 * 1024
"""Bytes of messages that are asked for at a time, by the size of those before."""
_SHIP_WAIT = 15.0
"""Seconds after which what a saver took and did not ship is offered to others."""
_OVERHEAD = 4_096
_MOST_KEPT = 1_000
"""Messages whose contents are remembered."""


class _Arrival(NamedTuple):
    """A message of outcomes as it was delivered."""

    subject: str
    reply: str
    body: bytes


class Parcel(NamedTuple):
    """A message of outcomes that this process has in hand to ship it."""

    shipment: Shipment
    reply: str
    seq: int


class Outbox:
    """The stream of outcomes of one agent; everything happens in the agent's loop."""

    def __init__(self, link: Link, names: Names, logger: logging.Logger) -> None:
        self._link = link
        self._names = names
        self._logger = logger
        self._read: dict[int, Shipment] = {}
        self._puller = Puller(
            link, names.outcomes, _SHIPPER, f"{names.root}.outcomes.*", _SHIP_WAIT, 10_000, _Arrival, logger
        )
        self._shipping = asyncio.Lock()
        self._spare: list[Parcel] = []
        """Parcels in hand for the next shipment."""
        self._owed: list[Parcel] = []
        """Parcels that the master has and that could not be acknowledged."""

    async def close(self) -> None:
        """Forget what was read."""
        self._read.clear()
        self._spare.clear()
        await self._puller.close()

    async def store(self, shipment: Shipment, timeout: float) -> None:
        """Keep these until the master has them; durable on return."""
        portions = self._portions(shipment)
        messages = [
            Outgoing(self._names.outcome(len(part.ended) + len(part.returned)), body, uuid7().hex)
            for part, body in portions
        ]
        acks = await self._link.publish(messages, timeout)
        for (part, _), ack in zip(portions, acks, strict=True):
            if not ack.seq:
                raise StoreError(f"outcomes were refused: {ack.reason}")
            self._keep(ack.seq, part)

    def _keep(self, seq: int, part: Shipment) -> None:
        """Remember what a message holds: this process often is the one that ships it."""
        self._read[seq] = part
        while len(self._read) > _MOST_KEPT:
            del self._read[next(iter(self._read))]

    def _portions(self, shipment: Shipment) -> list[tuple[Shipment, bytes]]:
        """Pieces that fit into a message each."""
        body = encode_shipment(shipment)
        if (len(shipment) <= _MOST and len(body) + _OVERHEAD <= self._link.max_payload) or len(shipment) <= 1:
            return [(shipment, body)]
        return [part for half in _halves(shipment) for part in self._portions(half)]

    async def refresh(self) -> Sequence[Shipment]:
        """Everything that the master may not know, as it is stored now."""
        state = (await self._link.api(f"STREAM.INFO.{self._names.outcomes}", {"deleted_details": True}))[
            "state"
        ]
        if not state["messages"]:
            self._read.clear()
            return []
        gone = set(state.get("deleted") or ())
        there = [seq for seq in range(state["first_seq"], state["last_seq"] + 1) if seq not in gone]
        known = {seq: self._read[seq] for seq in there if seq in self._read}
        wanted = [seq for seq in there if seq not in known]
        for seq, part in zip(wanted, await asyncio.gather(*map(self._get, wanted)), strict=True):
            if part is not None:
                known[seq] = part
        self._read = known
        return [known[seq] for seq in sorted(known)]

    async def _get(self, seq: int) -> Shipment | None:
        try:
            answer = await self._link.api(f"STREAM.MSG.GET.{self._names.outcomes}", {"seq": seq})
        except ApiFault:
            return None
        return decode_shipment(base64.b64decode(answer["message"]["data"]))

    async def below_the_floor(self) -> dict[int, Shipment]:
        """What is still there though the shippers have everything up to it acknowledged, by sequence."""
        try:
            consumer = await self._link.api(f"CONSUMER.INFO.{self._names.outcomes}.{_SHIPPER}")
        except ApiFault as fault:
            if fault.code != CONSUMER_GONE:
                raise
            return {}
        if not consumer["delivered"]["consumer_seq"]:
            return {}
        floor = int(consumer["ack_floor"]["stream_seq"])
        await self.refresh()
        return {seq: part for seq, part in self._read.items() if seq <= floor}

    async def delete(self, seqs: Collection[int]) -> None:
        """Take messages out that nobody acknowledges."""
        for seq in seqs:
            try:
                body = {"seq": seq, "no_erase": True}
                await self._link.api(f"STREAM.MSG.DELETE.{self._names.outcomes}", body)
            except ApiFault as fault:
                # somebody else has deleted it
                self._logger.debug("outcomes %d: %s", seq, fault)
            self._read.pop(seq, None)

    async def size(self) -> tuple[int, int]:
        """How many outcomes wait, and their bytes."""
        body = {"subjects_filter": f"{self._names.root}.outcomes.*"}
        state = (await self._link.api(f"STREAM.INFO.{self._names.outcomes}", body))["state"]
        counted = (state.get("subjects") or {}).items()
        jobs = sum(int(subject.rsplit(".", 1)[1]) * messages for subject, messages in counted)
        return jobs, state["bytes"] if state["messages"] else 0

    async def next_parcels(self, limit: int) -> list[Parcel]:
        """Take messages in hand, to ship up to ``limit`` outcomes; more when the first message holds more."""
        async with self._shipping:
            await self._pay()
            taken, self._spare = self._spare, []
            jobs = sum(len(parcel.shipment) for parcel in taken)
            want = 0 if jobs >= limit else max(1, limit // _MOST)
            while want:
                arrived = await self._puller.pull(want)
                size = 0
                for arrival in self._puller.take(arrived):
                    size += len(arrival.body)
                    taken.append(self._parcel(arrival))
                    jobs += len(taken[-1].shipment)
                if arrived < want:
                    break
                # a settle of an idle worker stores one outcome, that of a busy one hundreds
                left = (limit - jobs) * len(taken) // max(1, jobs)
                want = max(0, min(_AT_ONCE, left, _MOST_BYTES * arrived // max(1, size)))
            return self._keep_within(taken, limit)

    def _parcel(self, arrival: _Arrival) -> Parcel:
        seq, _ = sequence_of(arrival.reply)
        known = self._read.get(seq)
        return Parcel(known if known is not None else decode_shipment(arrival.body), arrival.reply, seq)

    def _keep_within(self, taken: list[Parcel], limit: int) -> list[Parcel]:
        """Those that fit; the others are for the next time."""
        jobs = 0
        for place, parcel in enumerate(taken):
            jobs += len(parcel.shipment)
            if jobs > limit and place:
                self._spare = taken[place:]
                return taken[:place]
        return taken

    async def shipped(self, parcels: Sequence[Parcel], kept: Sequence[Shipment] = ()) -> None:
        """The master has these; ``kept`` are parts of them that it was not told of yet."""
        for part in kept:
            await self.store(part, 10.0)
        self._owed += parcels
        await self._pay()

    async def _pay(self) -> None:
        """Acknowledge what the master has, and what it had when no server answered."""
        if not self._owed:
            return
        await self._link.send_each([parcel.reply for parcel in self._owed[:-1]])
        await self._link.ask(self._owed[-1].reply, b"+ACK", 5.0)
        for parcel in self._owed:
            self._read.pop(parcel.seq, None)
        self._owed.clear()

    async def offer_again(self, parcels: Sequence[Parcel]) -> None:
        """They could not be shipped now; nor what was kept for the next time."""
        parcels, self._spare = [*parcels, *self._spare], []
        for parcel in parcels[:-1]:
            await self._link.send(parcel.reply, b"-NAK")
        try:
            # answered, so that they are there for whoever asks next
            await self._link.ask(parcels[-1].reply, b"-NAK", 2.0, repeated=False)
        except TransientStoreError as fault:
            self._logger.debug("outcomes are offered again later: %s", fault)


def _halves(shipment: Shipment) -> list[Shipment]:
    """Attempts go with the first part, so that runs are known before ends."""
    rows = [*shipment.attempts, *shipment.ended, *shipment.returned]
    middle = len(rows) // 2
    first, attempts, ended = [], len(shipment.attempts), len(shipment.ended)
    for start, end in ((0, middle), (middle, len(rows))):
        first.append(
            Shipment(
                shipment.ended[max(0, start - attempts) : max(0, end - attempts)],
                shipment.attempts[start:end],
                shipment.returned[max(0, start - attempts - ended) : max(0, end - attempts - ended)],
            )
        )
    return first
