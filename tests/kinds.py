"""What a URL names, and clusters on it; without drivers and servers: processes are started with this."""

from __future__ import annotations

from collections.abc import Mapping

from jobmaster import ClusterConfig

__all__ = ["kind_of", "use"]

_STEPS = {
    "sqlite": "use_sqlite",
    "postgresql": "use_postgres",
    "mysql": "use_mysql",
    "mssql": "use_sqlserver",
}


def kind_of(url: str) -> str:
    """``sqlite``, ``postgresql``, ``mysql`` or ``mssql``."""
    return url.partition(":")[0].partition("+")[0].replace("mariadb", "mysql")


def use(config: ClusterConfig, url: str, agents: Mapping[str, str] | None = None) -> ClusterConfig:
    """Keep everything in the database of ``url``; with ``agents``, that one is their master."""
    step = _STEPS[kind_of(url)]
    if not agents:
        made: ClusterConfig = getattr(config, step)(url)
        return made
    made = getattr(config, f"{step}_for_master")(url)
    for name, agent in agents.items():
        made.add_agent_connection(name, agent)
    return made
