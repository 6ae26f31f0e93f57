"""The streams of one agent: made when they are missing, checked when they are there, never changed."""

from __future__ import annotations

import base64
import logging
from typing import Any
from uuid import UUID, uuid4

from ...errors import ConfigurationError, TransientStoreError
from ...payload.jsontext import read, write
from .link import ApiFault, Link
from .messages import Outgoing
from .names import Names
from .options import NatsOptions

__all__ = ["CONSUMER_GONE", "ensure_consumer", "ensure_streams", "look_at_streams"]

_NO_STREAM = 10059
CONSUMER_GONE = 10014
_IN_USE = (10058, 10065)
"""Somebody else has just made it: the name, or its subjects."""
_NO_CLUSTER = (10074,)
_NO_PEERS = (10005,)
_UNLIMITED = (10113,)
_NOT_ALONE = (10099, 10100)
_AS_WANTED = ("ack_policy", "deliver_policy", "filter_subject", "max_deliver")
_NO_SPACE = (10047, 10023, 10002, 10028, 10122)
_WINDOW = 60
"""Seconds for which the server knows the ids of messages: longer than an enqueue is repeated."""
_SECOND = 1_000_000_000


async def ensure_streams(link: Link, names: Names, options: NatsOptions, provision: bool) -> UUID:
    """Make or check the streams, and the stamp that says whose they are; the id of this store.

    Raises ``ConfigurationError`` for streams that are set up otherwise, belong to others, or were deleted."""
    wanted = _streams(names, options)
    gone, faults, stamp = await look_at_streams(link, names, options)
    where = f"agent {names.agent!r} at {options.shown}"
    if stamp is not None:
        _check_stamp(stamp, names, where)
        if gone:
            raise ConfigurationError(
                f"{where}: stream {gone[0]!r} was deleted, with the jobs in it; give the agent up with "
                f"forget_agent and delete the stream {names.state!r} to begin anew"
            )
    if gone and not provision:
        raise ConfigurationError(
            f"{where}: there is no stream {gone[0]!r}, and disable_auto_provision() forbids to make it"
        )
    if faults:
        raise ConfigurationError(*(f"{where}: {fault}" for fault in faults))
    for name in gone:
        await _create(link, wanted[name], where)
    return UUID(stamp["store_id"]) if stamp is not None else await _stamp(link, names, where)


async def look_at_streams(
    link: Link, names: Names, options: NatsOptions
) -> tuple[list[str], list[str], dict[str, Any] | None]:
    """The streams that are missing, what is wrong with the others, and the stamp; changes nothing."""
    wanted = _streams(names, options)
    found = {name: await _info(link, name) for name in wanted}
    stamp = await _read_stamp(link, names) if found[names.state] is not None else None
    if stamp is not None:
        # stamped when all are made: what was missing before that may have been made by another process since
        found |= {name: await _info(link, name) for name, info in found.items() if info is None}
    gone = [name for name, info in found.items() if info is None]
    there = [(wanted[name], info) for name, info in found.items() if info is not None]
    return gone, [fault for config, info in there for fault in _faults(config, info)], stamp


def _streams(names: Names, options: NatsOptions) -> dict[str, dict[str, Any]]:
    shared = {
        "storage": "file",
        "max_age": 0,
        "max_msgs": -1,
        "max_msg_size": -1,
        "max_consumers": -1,
        "mirror": None,
        "sources": None,
        "subject_transform": None,
        **dict.fromkeys(("no_ack", "sealed", "deny_delete", "deny_purge"), False),
        "num_replicas": options.replicas,
        "duplicate_window": _WINDOW * _SECOND,
    }
    jobs = {
        **shared,
        "name": names.jobs,
        "subjects": [f"{names.root}.jobs.>"],
        "retention": "workqueue",
        "discard": "new",
        "max_bytes": options.max_bytes,
        "max_msgs_per_subject": -1,
    }
    outcomes = {
        **shared,
        "name": names.outcomes,
        "subjects": [f"{names.root}.outcomes.*"],
        "retention": "workqueue",
        "discard": "new",
        "max_bytes": None,
        "max_msgs_per_subject": -1,
    }
    state = {
        **shared,
        "name": names.state,
        "subjects": [f"{names.root}.state.>"],
        "retention": "limits",
        "discard": "old",
        "max_bytes": None,
        "max_msgs_per_subject": 1,
    }
    return {names.jobs: jobs, names.outcomes: outcomes, names.state: state}


_ASKED_FOR = ("num_replicas", "max_bytes")
"""Settings that count only when they were asked for."""
_LEAST_BYTES = 1_000_000
"""With less room jobs get stuck that have ended."""
_OPTION = {"num_replicas": "replicas", "max_bytes": "max_bytes"}


def _faults(wanted: dict[str, Any], info: dict[str, Any]) -> list[str]:
    config = info["config"]
    faults = []
    for name, value in wanted.items():
        there = config.get(name)
        least = value if name == "duplicate_window" else None
        if name == "max_bytes" and value is None and there is not None and 0 < there < _LEAST_BYTES:
            value = least = _LEAST_BYTES
        if name == "name" or (name in _ASKED_FOR and value is None):
            continue
        # a server leaves out what is not set, and what it does not know
        if there == value or not (there or value) or (least is not None and (there or 0) >= least):
            continue
        way = (
            f"change the stream, for instance with `nats stream edit`, or the option {_OPTION[name]}"
            if name in _OPTION
            else "it was made for something else: give the agent another name, or table_prefix"
        )
        needed = f"{value!r}" if least is None else f"at least {least!r}"
        faults.append(f"stream {wanted['name']!r} has {name} {there!r}, and {needed} is needed: {way}")
    return faults


async def _info(link: Link, name: str) -> dict[str, Any] | None:
    try:
        return await link.api(f"STREAM.INFO.{name}")
    except ApiFault as fault:
        if fault.code == _NO_STREAM:
            return None
        raise


async def _create(link: Link, wanted: dict[str, Any], where: str) -> None:
    # older servers do not know all of what is checked
    config = {name: value for name, value in wanted.items() if value or name in _ASKED_FOR}
    if config["num_replicas"] is None:
        config["num_replicas"] = 1
    if config["max_bytes"] is None:
        config["max_bytes"] = -1
    try:
        await link.api(f"STREAM.CREATE.{wanted['name']}", config, timeout=10.0)
    except ApiFault as fault:
        if fault.code in _IN_USE:
            there = await _info(link, wanted["name"])
            if there is not None and not _faults(wanted, there):
                return
        way = await _way_out(link, fault, wanted, config)
        raise ConfigurationError(
            f"{where}: stream {wanted['name']!r} cannot be made, the server says: {fault.said}; {way}"
        ) from fault
    except TransientStoreError as fault:
        # made all the same, perhaps; and a cluster that is too small says it in this way
        if await _info(link, wanted["name"]) is None:
            raise TransientStoreError(f"{where}: stream {wanted['name']!r} was not made: {fault}") from fault


async def _way_out(link: Link, fault: ApiFault, wanted: dict[str, Any], config: dict[str, Any]) -> str:
    """What to do about a stream that the server does not make."""
    replicas, most = config["num_replicas"], config["max_bytes"]
    if fault.code in _NO_CLUSTER:
        return f"replicas={replicas} needs as many servers in one cluster: start them, or leave replicas out"
    if fault.code in _NO_PEERS and replicas > 1:
        return (
            f"replicas={replicas} needs as many servers with JetStream and room, of the cluster's "
            "configuration: bring them up, or lower replicas"
        )
    if fault.code in _UNLIMITED:
        return "leave max_bytes_required out of the account's limits: not every stream of an agent has one"
    if fault.code in (*_NO_SPACE, *_NO_PEERS):
        room = "raise max_file_store of the server or the limits of the account"
        return f"lower max_bytes, which is {most}, or {room}" if most > 0 else room
    if fault.code in _IN_USE:
        others = [name for name in await _streams_on(link, wanted["subjects"][0]) if name != wanted["name"]]
        there = f"stream {others[0]!r} takes" if others else "another stream takes some of"
        return (
            f"{there} {wanted['subjects'][0]}: give this agent another name, or table_prefix, or take those "
            "subjects out of that stream"
        )
    return "see the limits of the account and the server's log"


async def _streams_on(link: Link, subject: str) -> list[str]:
    try:
        found: list[str] | None = (await link.api("STREAM.NAMES", {"subject": subject})).get("streams")
    except (ApiFault, TransientStoreError):
        return []
    return found or []


async def _read_stamp(link: Link, names: Names) -> dict[str, Any] | None:
    try:
        answer = await link.api(f"STREAM.MSG.GET.{names.state}", {"last_by_subj": names.in_state("stamp")})
    except ApiFault:
        return None
    found: dict[str, Any] = read(base64.b64decode(answer["message"]["data"]).decode())
    return found


def _check_stamp(stamp: dict[str, Any], names: Names, where: str) -> None:
    if stamp["cluster_id"] != names.cluster or stamp["store_name"] != names.agent:
        raise ConfigurationError(
            f"{where}: stream {names.state!r} belongs to agent {stamp['store_name']!r} of cluster "
            f"{stamp['cluster_id']!r}: give this agent another name, or table_prefix"
        )


async def _stamp(link: Link, names: Names, where: str) -> UUID:
    mine = {"cluster_id": names.cluster, "store_name": names.agent, "store_id": str(uuid4())}
    message = Outgoing(names.in_state("stamp"), write(mine).encode(), mine["store_id"], 0)
    (ack,) = await link.publish([message], 10.0)
    # of two processes that stamp at once, the first decides
    there = await _read_stamp(link, names)
    if there is None:
        raise TransientStoreError(f"{where}: the stamp was not stored: {ack.reason}")
    _check_stamp(there, names, where)
    return UUID(there["store_id"])


async def ensure_consumer(
    link: Link, stream: str, name: str, subject: str, ack_wait: float, most: int, logger: logging.Logger
) -> None:
    """A durable pull consumer. One that gives its holders less time is changed, and that is logged."""
    config: dict[str, Any] = {
        "durable_name": name,
        "ack_policy": "explicit",
        "ack_wait": int(ack_wait * _SECOND),
        "max_deliver": -1,
        "filter_subject": subject,
        "deliver_policy": "all",
        "replay_policy": "instant",
        "max_ack_pending": most,
        "max_waiting": 512,
    }
    try:
        there = (await link.api(f"CONSUMER.INFO.{stream}.{name}"))["config"]
    except ApiFault as fault:
        if fault.code != CONSUMER_GONE:
            raise
    else:
        _check_consumer(link, stream, name, config, there)
        if there["ack_wait"] >= config["ack_wait"] and there["max_ack_pending"] == most:
            return
        config["ack_wait"] = max(there["ack_wait"], config["ack_wait"])
        logger.warning(
            "consumer %s of stream %s: ack_wait %.1f s becomes %.1f s, max_ack_pending %d becomes %d",
            name,
            stream,
            there["ack_wait"] / _SECOND,
            config["ack_wait"] / _SECOND,
            there["max_ack_pending"],
            most,
        )
    try:
        await link.api(f"CONSUMER.DURABLE.CREATE.{stream}.{name}", {"stream_name": stream, "config": config})
    except ApiFault as fault:
        way = (
            f"another consumer takes jobs of {subject}: delete it, or have it read another stream"
            if fault.code in _NOT_ALONE
            else f"an agent needs five for each lane and one more, with max_ack_pending {most} (of "
            "connect_args): see the limits of the account and of JetStream in the server's configuration"
        )
        said = f"consumer {name!r} of stream {stream!r} cannot be made, the server says: {fault.said}; {way}"
        raise ApiFault(f"agent {link.agent!r} at {link.options.shown}", said, fault.code) from fault


def _check_consumer(
    link: Link, stream: str, name: str, wanted: dict[str, Any], there: dict[str, Any]
) -> None:
    """Raises :class:`ApiFault` for a consumer of which jobs would not come, or not again after a crash."""
    needed = {what: wanted[what] for what in _AS_WANTED}
    for what, value in {**needed, "deliver_subject": None}.items():
        found = there.get(what) or None
        if found == value or (what == "filter_subject" and found is None):
            continue  # older servers leave out a filter that lets everything through
        said = (
            f"consumer {name!r} of stream {stream!r} has {what} {found!r}, and {value!r} is needed: it was "
            "made by others; delete it, and the agent makes its own"
        )
        raise ApiFault(f"agent {link.agent!r} at {link.options.shown}", said, 0)
