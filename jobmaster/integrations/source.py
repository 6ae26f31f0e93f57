"""Where the cluster of an application comes from: an object, a function, or the name of either."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeAlias

from ..cluster.cluster import Cluster
from ..cluster.config import ClusterConfig
from ..errors import ConfigurationError

__all__ = ["ClusterSource", "find_cluster"]

ClusterSource: TypeAlias = Cluster | ClusterConfig | str | Callable[[], Cluster | ClusterConfig]
"""A cluster, a configuration, a function without parameters that returns one, or ``"module:attribute"``."""


def find_cluster(source: object, whose: str) -> Cluster | ClusterConfig:
    """What ``source`` leads to. ``whose`` is how messages call it.

    Raises ``ConfigurationError``; a module that fails while it is imported and a function that fails raise
    what they raise.
    """
    found: Any = _named(source, whose) if isinstance(source, str) else source
    if not isinstance(found, (Cluster, ClusterConfig)) and callable(found):
        found = found()
    if not isinstance(found, (Cluster, ClusterConfig)):
        raise ConfigurationError(
            f"{whose} leads to {found!r}, not to a Cluster, a ClusterConfig, or a function that returns one"
        )
    return found


def _named(reference: str, whose: str) -> Any:
    module_name, colon, attribute = reference.partition(":")
    if not colon or not attribute or not module_name:
        raise ConfigurationError(
            f'{whose} is {reference!r}: write "module:attribute", for instance "shop.background:make_config"'
        )
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as fault:
        if fault.name is None or not f"{module_name}.".startswith(f"{fault.name}."):
            raise
        raise ConfigurationError(f"{whose} is {reference!r}: there is no module {fault.name!r}") from fault
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise ConfigurationError(
                f"{whose} is {reference!r}: module {module_name!r} has no attribute {attribute!r}"
            ) from None
    return found
