"""Databases and agents as they are given, before anything is checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["GivenAgent", "GivenDatabase"]


class GivenDatabase(NamedTuple):
    """A database as given; ``origin`` is toml, env or code, in rising order of precedence."""

    origin: int
    step: str
    url: object
    options: Mapping[str, Any]


class GivenAgent(NamedTuple):
    """An agent connection as given; ``origin`` as there."""

    origin: int
    name: str
    url: object
    options: Mapping[str, Any]
