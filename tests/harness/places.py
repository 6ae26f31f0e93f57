"""Configs on databases of any kind."""

from __future__ import annotations

from collections.abc import Mapping

from jobmaster import ClusterConfig

__all__ = ["place"]

_STEPS = {
    "sqlite": "use_sqlite",
    "postgresql": "use_postgres",
    "mysql": "use_mysql",
    "mariadb": "use_mysql",
    "mssql": "use_sqlserver",
}


def place(config: ClusterConfig, url: str, agents: Mapping[str, str] | None = None) -> ClusterConfig:
    """The config on this database alone, or with it as master of these agents."""
    step = _STEPS[url.partition(":")[0].partition("+")[0]]
    if not agents:
        return getattr(config, step)(url)
    getattr(config, f"{step}_for_master")(url)
    for name, agent in agents.items():
        config.add_agent_connection(name, agent)
    return config
