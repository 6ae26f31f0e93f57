"""Time zones by name: found without regard to case, stored in the official spelling."""

from __future__ import annotations

from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from .words import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

UTC = "UTC"


@lru_cache(maxsize=1)
def official_names() -> Mapping[str, str]:
    """The zone ids of the installed tz data by their lower-case spelling."""
    from pkgutil import get_data  # importlib.resources would take as long to import as the rest of the room

    listed = get_data("tzdata", "zones")
    if listed is None:
        raise FileNotFoundError("the installed tzdata has no list of its zones")
    return MappingProxyType({name.lower(): name for name in listed.decode().split()})


def official_name(name: str) -> str | None:
    """The official spelling of a zone id, or ``None`` when the tz data has no such zone.

    The id is looked up in the list and never used as a path, so no text can reach outside the tz data.
    """
    if name.upper() == UTC:
        return UTC
    return official_names().get(name.lower())


def zone_of(name: str) -> ZoneInfo:
    """The zone of an official name."""
    return ZoneInfo(name)


def nearest_zone(name: str) -> str | None:
    """The zone that was probably meant, quoted."""
    found = nearest(name, official_names())
    return None if found is None else f'"{official_names()[found]}"'


@lru_cache(maxsize=1)
def zone_data_version() -> str:
    """Which release of the tz data answers here, such as ``2026a``; ``unknown`` when it does not say."""
    from importlib.metadata import PackageNotFoundError, version
    from pathlib import Path
    from zoneinfo import TZPATH

    for folder in map(Path, TZPATH):
        for name, prefix in (("tzdata.zi", "# version "), ("+VERSION", "")):
            found = folder / name
            if found.is_file():
                with found.open(encoding="utf-8") as lines:
                    return lines.readline().strip().removeprefix(prefix)[:64]
        if (folder / "Europe").is_dir():
            return "unknown"
    try:
        return f"tzdata {version('tzdata')}"
    except PackageNotFoundError:
        return "unknown"
