"""Whether a user may write what an agent writes, found out before anything is written."""

from __future__ import annotations

from uuid import UUID

from .link import Link
from .messages import Outgoing
from .names import Names

__all__ = ["check_permission"]

_NEVER = 2**62
"""A sequence that no message has: a stream refuses what expects it."""


async def check_permission(link: Link, names: Names) -> None:
    """Raises ``ConfigurationError`` for a subject on which the server lets this user not publish. Of what is
    sent there nothing is stored."""
    subjects = [
        names.job("permission", 0, UUID(int=0)),
        names.outcome(0),
        names.in_state("permission"),
        f"$JS.ACK.{names.jobs}.permission.1.1.1.1.0",
        f"$JS.ACK.{names.outcomes}.permission.1.1.1.1.0",
    ]
    await link.offer([Outgoing(subject, b"", "permission", _NEVER) for subject in subjects])
    # nobody answers for a consumer that there is not
    pulling = f"{link.api_prefix}.CONSUMER.MSG.NEXT.{names.jobs}.permission"
    await link.send_each([pulling])
    # what the server has against it comes before the answer to this
    await link.flush()
    for subject in (*subjects, pulling):
        denied = link.denied(subject)
        if denied is not None:
            raise denied
