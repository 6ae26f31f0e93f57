"""Clusters and plain connections on whatever database a URL names."""

from __future__ import annotations

from jobmaster import ClusterConfig
from tests.servers.mariadb import connect


def use(config: ClusterConfig, url: str) -> ClusterConfig:
    """Keep everything in the database of ``url``."""
    if url.startswith("sqlite"):
        return config.use_sqlite(url)
    return config.use_mysql(url) if url.startswith(("mysql", "mariadb")) else config.use_postgres(url)


def execute_script(url: str, script: str) -> None:
    """Run the statements of a script, each ended by a semicolon, in a MySQL database, as its command line would."""
    with connect(url) as connection, connection.cursor() as cursor:
        for statement in script.split(";\n"):
            lines = [line for line in statement.splitlines() if not line.startswith("--")]
            if text := "\n".join(lines).strip():
                cursor.execute(text)
