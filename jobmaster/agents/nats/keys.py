"""Files of keys, read before a server is asked: on a wrong one the client library fails in its own ways."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["key_file_fault"]

_SEED = re.compile(r"BEGIN USER NKEY SEED-+\s+(\S+)\s+-+END")
_CLAIMS = re.compile(r"BEGIN NATS USER JWT-+\s+\S+\.\S+\.\S+\s+-+END")


def key_file_fault(connect_args: Mapping[str, Any]) -> str | None:
    """What is wrong with the file of an nkey or of credentials, if one is given; nothing of what it holds."""
    nkey, credentials = connect_args.get("nkey"), connect_args.get("credentials")
    if nkey is not None and not _is_seed(_read(nkey).strip()):
        return f"connect_args: nkey must be a file with the seed of a user, and {nkey!r} holds none"
    if credentials is not None:
        text = _read(credentials)
        seed = _SEED.search(text)
        if seed is None or not _CLAIMS.search(text) or not _is_seed(seed[1]):
            return (
                "connect_args: credentials must be a file with the claims (JWT) and the seed of a user, and "
                f"{credentials!r} is none"
            )
    return None


def _read(path: str) -> str:
    return Path(path).read_bytes().decode(errors="replace")


def _is_seed(text: str) -> bool:
    import nkeys

    try:
        nkeys.from_seed(bytearray(text.encode()))
    except (nkeys.NkeysError, ValueError):
        return False
    return True
