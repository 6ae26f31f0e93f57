"""What happens when a server cannot be had: skipped at home, a failure where it is required."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

REQUIRE = "JOBMASTER_TEST_REQUIRE"
"""Environment variable: the kinds of server whose absence is a failure, such as `sqlite,postgres`."""


class ServerAbsent(Exception):
    """No server of a kind can be had here; the message is one sentence that says how to get one."""


def required() -> frozenset[str]:
    """The kinds of server that `JOBMASTER_TEST_REQUIRE` names."""
    return frozenset(kind.strip() for kind in os.environ.get(REQUIRE, "").split(",") if kind.strip())


def absent(kind: str, reason: ServerAbsent) -> NoReturn:
    """End the requesting test: failed when `kind` is required, else skipped with `reason`."""
    if kind in required():
        pytest.fail(f"{REQUIRE} names {kind}, but: {reason}", pytrace=False)
    pytest.skip(str(reason))
