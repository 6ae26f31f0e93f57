"""What servers refuse, in words that name the agent and a way out. ``where`` is the agent and its servers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...errors import ConfigurationError, MessageTooLarge, StoreError, TransientStoreError
from .messages import Outgoing
from .wire import ServerWithoutTls

__all__ = [
    "is_decisive",
    "no_permission",
    "nobody_in_domain",
    "payload_fault",
    "too_large",
    "unreachable",
    "without_jetstream",
]

_CREDENTIALS = ("authorization", "authentication", "nkey", "jwt")
_UNTRUSTED = "certificate verify failed"
_FOLD, _OVERHEAD = 4, 64 * 1024
"""A message of outcomes holds data and result, each of which takes twice its room when it is quoted again;
and what workers hold is described in messages, too."""
_LEAST_JOB = 1024
"""Bytes of a job without which an agent is of no use."""


def is_decisive(said: str) -> bool:
    """Whether what a server said while one connected to it will not be otherwise in a moment."""
    text = said.lower()
    return any(word in text for word in (*_CREDENTIALS, _UNTRUSTED, str(ServerWithoutTls()).lower()))


def unreachable(where: str, fault: BaseException, said: Sequence[str]) -> StoreError | ConfigurationError:
    """Why nobody could be connected to; ``said`` is what the servers complained of."""
    if isinstance(fault, ServerWithoutTls) or str(ServerWithoutTls()) in said:
        return ConfigurationError(
            f"{where}: TLS is asked for, and the server does without: nothing was said to it; "
            "give the server a tls block, or leave out tls:// and the tls options"
        )
    shown = said[-1] if said else str(fault) or type(fault).__name__
    text = " ".join([*said, str(fault)]).lower()
    if any(word in text for word in _CREDENTIALS):
        return ConfigurationError(
            f"{where}: the server refuses the credentials: check user and password, token, nkey "
            "or credentials in its URL or connect_args"
        )
    if _UNTRUSTED in text:
        return ConfigurationError(
            f"{where}: the server's certificate is not trusted: {shown}; give the certificate of "
            "who signed it as tls_ca, or the name that it has as tls_hostname"
        )
    return TransientStoreError(
        f"{where}: no server answers: {shown}; see that it runs there and that the URL is right"
    )


def without_jetstream(where: str, fault: object = None) -> ConfigurationError:
    """The server has no JetStream, or, with ``fault``, this account has none."""
    if fault is not None:
        return ConfigurationError(
            f"{where}: JetStream is not enabled for this account: {fault}; enable it for the "
            "account in the server's configuration"
        )
    return ConfigurationError(
        f"{where}: JetStream is not enabled on this server: start nats-server with "
        "-js, or with a jetstream block in its configuration"
    )


def nobody_in_domain(where: str, domain: str, own: str | None) -> TransientStoreError:
    """Nobody answers for the JetStream domain that is asked for; ``own`` is that of the server."""
    there = f"the server's own is {own!r}" if own else "the server itself has none"
    return TransientStoreError(
        f"{where}: nobody answers for the JetStream domain {domain!r} of its connect_args, and {there}: "
        "correct or leave out domain, or see that a server of that domain is connected to this one"
    )


_DENIED = re.compile(r'permissions violation for (publish|subscription) to "([^"]+)', re.IGNORECASE)


def no_permission(
    where: str, subject: str, api: str, said: Sequence[str], *, listening: bool = False
) -> ConfigurationError | None:
    """The error for a subject on which the server lets this user not publish, or gives it no answer;
    ``listening``: to which it lets it not subscribe."""
    for text in said:
        found = _DENIED.search(text)
        if found is None:
            continue
        publishing = found[1].lower() == "publish"
        # the client library tells it in small letters
        denied = found[2].lower()
        refused = denied == subject.lower()
        if publishing and refused and not listening:
            shown = subject
        elif not publishing and listening and refused:
            shown = f"subscribing to {subject}"
        elif not publishing and not listening and denied.startswith("_inbox."):
            shown = "_INBOX.>"
        else:
            shown = ""
        if shown:
            return ConfigurationError(
                f"{where}: the user has no permission for {shown}: allow it "
                f"to publish to {api}.>, $JS.ACK.> and the subjects of this agent, and to subscribe to "
                "_INBOX.> and those"
            )
    return None


def too_large(where: str, messages: Sequence[Outgoing], takes: int) -> MessageTooLarge:
    """One of these is more than the server takes."""
    largest = max(len(message.body) for message in messages)
    return MessageTooLarge(
        f"{where}: a message has {largest} bytes, and the server takes {takes}: raise max_payload in its "
        "configuration, or lower max_message_bytes"
    )


def payload_fault(where: str, takes: int, largest: int | None) -> str | None:
    """What is wrong with the ``max_payload`` of a server: a job with its result has to fit into a message."""
    least = _FOLD * _LEAST_JOB + _OVERHEAD
    needed = least if largest is None else max(least, _FOLD * largest + _OVERHEAD)
    if takes >= needed:
        return None
    said = f"{where}: the NATS server takes messages of {takes} bytes (its max_payload)"
    if largest is None:
        return f"{said}, and an agent needs {least}: raise it to that at least in the server's configuration"
    said = f"{said}; with max_message_bytes {largest} a job and its result need {needed}: raise it to that"
    if takes < least < needed:
        return f"{said}; the least that serves is {least}, with max_message_bytes {_LEAST_JOB}"
    fits = (takes - _OVERHEAD) // _FOLD
    return f"{said}, or lower max_message_bytes to {fits}" if fits >= _LEAST_JOB else said
