"""What the errors of SQL Server mean. Nothing here needs a driver: an error is its arguments.

pyodbc gives the SQLSTATE first and then a text of one record or several,
``[state] [vendor]… message (native number) (function)``, joined by ``; ``. Both Microsoft's driver and
FreeTDS fill it in this way; where a connection cannot be made, the record that says why may be any of
them.
"""

from __future__ import annotations

import re

from .dialect import Fault

__all__ = ["classify", "natives", "tidy"]

_NATIVE = re.compile(r"\((-?\d+)\)(?=\s*(?:\(SQL\w+\)|; \[|\Z))")
_TAIL = re.compile(r"\s*\((-?\d+)\)\s*(\(SQL\w+\))?\s*\Z")
_TAGS = re.compile(r"\A(?:\[[^\]]*\]\s*)+")

_DEADLOCK = 1205
_REFUSED = frozenset(
    (
        18456, 18452, 18470, 18486, 18487, 18488,  # login failed, disabled, locked out, password expired
        4060, 4064, 911, 916,  # no such database, or no way into it
        229, 230, 262, 297, 300, 2104, 2760, 15247,  # permission; 2760: no such schema, or none to use
        40532, 40615,  # the Azure server is not there; its firewall refuses this address
    )
)  # fmt: skip
_LOST = frozenset(
    (
        20, 64, 121, 233, 258, 10053, 10054, 10060, 10061, 11001,  # the network
        20002, 20003, 20004, 20006, 20009, 20017, 20020, 20047,  # FreeTDS: not connected, timed out, cut off
        596, 6005, 6006, 17142, 17148, 18401,  # killed, shutting down, paused, upgrading
        976, 983, 3906, 3908, 4221,  # a secondary, or not the primary any more: look for the new one
        10928, 10929, 40143, 40197, 40501, 40540, 40613, 49918, 49919, 49920,  # Azure moves or throttles
    )
)  # fmt: skip
_TRANSIENT = frozenset(
    (
        _DEADLOCK, 1222, 3960, 3961, 1204,  # deadlock, lock timeout, version conflict, no locks left
        701, 802, 8645, 8651, 8628,  # memory, or too long a wait for it
        1101, 1105, 9002, 3257,  # a file, or the log, is full
        922, 927, 952,  # the database is being recovered or restored
    )
)  # fmt: skip
_UNIQUE = frozenset((2601, 2627))
_CONTENT = frozenset(
    (
        2628, 8152, 8115, 220, 232, 241, 242, 244, 245, 248, 257, 511, 515, 547, 1946, 7119, 8114,
        9420, 13608, 13609,
    )
)  # fmt: skip
_MISSING = frozenset((207, 208, 1088, 4902))
_LOST_STATES = ("08", "HYT", "01002", "HY008")
_NO_DRIVER = ("IM002", "IM003", "IM004", "IM005")


def natives(error: BaseException) -> list[int]:
    """The native numbers of every record, in their order."""
    return [int(found) for found in _NATIVE.findall(_text(error))]


def classify(error: BaseException) -> Fault:
    """What an error of pyodbc means."""
    if isinstance(error, OverflowError):
        return Fault.CONTENT
    numbers = frozenset(natives(error))
    text = _text(error)
    for known, fault in (
        (_REFUSED, Fault.REFUSED),
        (_LOST, Fault.LOST),
        (_TRANSIENT, Fault.TRANSIENT),
        (_UNIQUE, Fault.UNIQUE),
        (_CONTENT, Fault.CONTENT),
        (_MISSING, Fault.MISSING_TABLE),
    ):
        if numbers & known:
            return fault
    state = str(error.args[0]) if error.args else ""
    if state.startswith(_NO_DRIVER) or "Can't open lib" in text or "certificate verify failed" in text:
        return Fault.REFUSED
    if state.startswith(_LOST_STATES):
        return Fault.LOST
    if state == "40001":
        return Fault.TRANSIENT
    if state in ("42S02", "42S22"):
        return Fault.MISSING_TABLE
    return Fault.CONTENT if state.startswith("22") else Fault.OTHER


def tidy(error: BaseException) -> str:
    """The first record as the server says it, without the tags and numbers around it."""
    text = _text(error)
    lines = [line.strip() for line in text.split("; [")[0].splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    said = _TAIL.sub("", _TAGS.sub("", lines[0])).strip() or lines[0]
    if "certificate verify failed" in text:
        said += " (give the server a certificate that this host trusts, or add TrustServerCertificate=yes)"
    return said


def _text(error: BaseException) -> str:
    return str(error.args[-1]) if error.args else ""
