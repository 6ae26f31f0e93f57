"""Two worker services of one cluster: a master, two agents, lanes, a process for each service.

    python examples/cluster_workers.py              # starts both, gives them work, stops them
    python examples/cluster_workers.py orders       # one service, until Ctrl-C; the other one elsewhere
    python examples/cluster_workers.py reports

All stores are SQLite files in the current directory; the environment variables SHOP_MASTER, SHOP_NORTH and
SHOP_SOUTH name other databases by their URLs. `cluster_producer.py` is a web application that only enqueues.
"""

import os
import subprocess
import sys
import time
from collections import Counter

from jobmaster import Cluster, ClusterConfig, JobContext, JobRequest, job


@job("ship-order")
async def ship_order(job: JobContext) -> str:
    return f"order {job.data.get_int('order')} shipped by {job.agent_connection}"


@job("make-report", lane="reports")
async def make_report(job: JobContext) -> str:
    return f"report on {job.data.get_str('month')} made by {job.agent_connection}"


def describe() -> ClusterConfig:
    """What every process of the cluster has in common: the master, and the agents with their names."""
    config = ClusterConfig("shop").lease(5)
    master = os.environ.get("SHOP_MASTER", "shop_master.db")
    steps = {
        "postgresql": config.use_postgres_for_master,
        "mysql": config.use_mysql_for_master,
        "mariadb": config.use_mysql_for_master,
        "mssql": config.use_sqlserver_for_master,
    }
    steps.get(master.partition(":")[0], config.use_sqlite_for_master)(master)
    config.add_agent_connection("north", os.environ.get("SHOP_NORTH", "shop_north.db"))
    config.add_agent_connection("south", os.environ.get("SHOP_SOUTH", "shop_south.db"))
    return config


def service(name: str) -> Cluster:
    """`orders` works on one agent; `reports` on the other, where it also serves a lane of its own."""
    config = describe().add_handlers(ship_order, make_report)
    if name == "orders":
        return config.add_worker("north", name="orders", concurrency=8).build()
    config.add_worker("south", name="overflow", concurrency=4)
    return config.add_worker("south", lane="reports", name="reports", concurrency=2).build()


def demonstrate() -> None:
    services = [subprocess.Popen([sys.executable, __file__, name]) for name in ("orders", "reports")]
    cluster = describe().add_handlers().build()  # the producer's half: it needs no handlers and no workers
    try:
        while len({worker.agent_connection for worker in cluster.workers() if worker.alive}) < 2:
            time.sleep(0.1)
        scheduler = cluster.scheduler
        jobs = [scheduler.once_now("ship-order", {"order": number}) for number in range(20)]
        reports = [JobRequest("make-report", {"month": m}, lane="reports") for m in ("May", "June")]
        jobs += scheduler.once_many(reports)  # one call, one transaction
        ended = [scheduler.wait(job.id, timeout=60) for job in jobs]
        print(f"{sum(job.definition_id == 'ship-order' for job in ended)} orders are shipped")
        for job in ended[20:]:
            print(job.result)
        print("by agent:", dict(Counter(job.agent_connection for job in ended)))
    finally:
        for process in services:
            process.terminate()
        for process in services:
            process.wait()
        cluster.close()


if __name__ == "__main__":
    if sys.argv[1:]:
        service(sys.argv[1]).run()
    else:
        demonstrate()
