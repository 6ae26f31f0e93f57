"""The application that Django installs: finds handlers, builds the cluster when it is first needed."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.utils.module_loading import autodiscover_modules

from ...cluster.cluster import Cluster
from ...errors import ConfigurationError
from ..source import find_cluster
from .connections import CloseConnections

__all__ = ["JobMasterConfig"]


class JobMasterConfig(AppConfig):
    """``settings.JOBMASTER`` names a configuration, a function without parameters that returns one, or a
    cluster. A configuration gets :class:`CloseConnections` as its outermost middleware; to a cluster that is
    built already the application adds it itself."""

    name = "jobmaster.integrations.django"
    label = "jobmaster"
    verbose_name = "Job orchestration"

    def __init__(self, app_name: str, app_module: Any) -> None:
        super().__init__(app_name, app_module)
        self._lock = threading.Lock()
        self._cluster: Cluster | None = None
        self.shared_databases: dict[str, bool] = {}
        """By alias, whether the cluster lives in that database, as far as it is known."""

    def ready(self) -> None:
        """Import the ``jobs`` modules of all installed apps, so that their handlers are found."""
        autodiscover_modules("jobs")
        register(check_setting)

    @property
    def cluster(self) -> Cluster:
        """The cluster; built once in each process, with the handlers imported by then."""
        with self._lock:
            if self._cluster is None:
                self._cluster = _build()
            return self._cluster


def _build() -> Cluster:
    source = getattr(settings, "JOBMASTER", None)
    if source is None:
        raise ConfigurationError('settings.JOBMASTER is not set: "module:attribute" names the cluster')
    found = find_cluster(source, "settings.JOBMASTER")
    if isinstance(found, Cluster):
        return found
    return found.add_middleware(CloseConnections()).build()


def check_setting(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """A system check: the setting is there."""
    if getattr(settings, "JOBMASTER", None) is not None:
        return []
    return [
        Error(
            "settings.JOBMASTER is not set",
            hint='"module:attribute" of a ClusterConfig, or of a function that returns one',
            id="jobmaster.E001",
        )
    ]
