"""What a run knows about the occurrence it makes up for: two entries of its metadata.

Few runs have something to say here, so it travels with them in the metadata and costs all others nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .planning import Due
from .schedule import MisfirePolicy

__all__ = [
    "IS_CATCHUP",
    "MISSED_COUNT",
    "RESERVED",
    "catchup_in",
    "catchup_of",
    "is_owed",
    "rewritten",
    "with_catchup",
]

RESERVED = "jobmaster."
"""What metadata keys of users must not begin with."""
IS_CATCHUP = f"{RESERVED}is_catchup"
MISSED_COUNT = f"{RESERVED}missed_count"


def with_catchup(metadata: str | None, due: Due) -> str | None:
    """A run's metadata as JSON text: that of its schedule, and what it makes up for."""
    if not due.is_catchup and not due.missed_count:
        return metadata
    found = {} if metadata is None else json.loads(metadata)
    if due.is_catchup:
        found[IS_CATCHUP] = True
    if due.missed_count:
        found[MISSED_COUNT] = due.missed_count
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def is_owed(metadata: str | None, misfire: MisfirePolicy) -> bool:
    """Whether a run was asked for by a backfill or is one of those that ``fire_all`` makes up for: it runs
    whatever comes after it."""
    late, count = catchup_of(metadata)
    return late and (count == 0 or misfire is MisfirePolicy.FIRE_ALL)


def rewritten(before: str | None, after: str | None) -> str | None:
    """The metadata ``after`` of a changed schedule for a run that was made with ``before``: it still makes up
    for what it made up for."""
    if before is None or RESERVED not in before:
        return after
    marks = {key: value for key, value in json.loads(before).items() if key in (IS_CATCHUP, MISSED_COUNT)}
    if not marks:
        return after
    found = {} if after is None else json.loads(after)
    return json.dumps(found | marks, ensure_ascii=False, separators=(",", ":"))


def catchup_of(metadata: str | None) -> tuple[bool, int]:
    """Whether a run makes up for a missed occurrence, and for how many it stands."""
    if metadata is None or RESERVED not in metadata:
        return False, 0
    return catchup_in(json.loads(metadata))


def catchup_in(metadata: Mapping[str, Any]) -> tuple[bool, int]:
    """The same of metadata that was read already."""
    return bool(metadata.get(IS_CATCHUP, False)), int(metadata.get(MISSED_COUNT, 0))
