"""Real servers for tests, benchmarks and demonstrations.

One module per kind of server. Each kind is found in this order: a URL in the environment, a private
throw-away instance from binaries on this machine, else `ServerAbsent` with one sentence on how to get it.

`python -m tests.servers postgres` starts one, prints its URL and runs until Ctrl-C.
"""

from tests.servers.absence import ServerAbsent, absent
from tests.servers.mariadb import ExternalMariaDb, MariaDbServer, provide_mariadb
from tests.servers.nats import ExternalNats, NatsCluster, NatsServer, provide_nats
from tests.servers.postgres import ExternalPostgres, PostgresServer, provide_postgres
from tests.servers.sqlserver import ExternalSqlServer, provide_sqlserver, sqlserver_wanted

PROVIDERS = {
    "postgres": provide_postgres,
    "mariadb": provide_mariadb,
    "sqlserver": provide_sqlserver,
    "nats": provide_nats,
}
"""Kind of server → context manager function that yields a running one, or raises `ServerAbsent`."""

__all__ = [
    "PROVIDERS",
    "ExternalMariaDb",
    "ExternalNats",
    "ExternalPostgres",
    "ExternalSqlServer",
    "MariaDbServer",
    "NatsCluster",
    "NatsServer",
    "PostgresServer",
    "ServerAbsent",
    "absent",
    "provide_mariadb",
    "provide_nats",
    "provide_postgres",
    "provide_sqlserver",
    "sqlserver_wanted",
]
