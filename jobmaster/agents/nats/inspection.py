"""A look at a NATS agent from outside: nothing is made or changed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from ...errors import ConfigurationError
from .link import Link
from .loopthread import LoopThread
from .names import Names
from .options import NatsOptions
from .permission import check_permission
from .refusals import payload_fault
from .streams import look_at_streams

__all__ = ["NatsSight", "look"]


@dataclass(frozen=True, slots=True)
class NatsSight:
    """What a server holds of an agent. ``missing``: streams that are not there; ``faults``: what is set up
    otherwise in those that are; the stamp, if there is one."""

    version: str
    missing: Sequence[str]
    faults: Sequence[str]
    cluster_id: str | None = None
    name: str | None = None
    store_id: UUID | None = None


def look(names: Names, options: NatsOptions, wait: float, largest: int | None) -> NatsSight:
    """Connect, look, disconnect; ``largest`` are the most bytes of a job. Raises ``ConfigurationError`` or
    ``TransientStoreError``."""
    loop = LoopThread(f"jobmaster-nats-{names.agent}")
    try:
        return loop.run(_look(names, options, wait, largest))
    finally:
        loop.close()


async def _look(names: Names, options: NatsOptions, wait: float, largest: int | None) -> NatsSight:
    link = Link(names.agent, options, logging.getLogger(__name__))
    await link.connect(wait, patient=False)
    try:
        fault = payload_fault(f"agent {names.agent!r} at {options.shown}", link.max_payload, largest)
        if fault is not None:
            raise ConfigurationError(fault)
        await check_permission(link, names)
        missing, faults, stamp = await look_at_streams(link, names, options)
        version = ".".join(map(str, link.version))
        if stamp is None:
            return NatsSight(version, missing, faults)
        found = (stamp["cluster_id"], stamp["store_name"], UUID(stamp["store_id"]))
        return NatsSight(version, missing, faults, *found)
    finally:
        await link.close()
