"""An order and the job that confirms it: both are stored, or neither is.

    python examples/transactional_enqueue.py
"""

import sqlite3

from jobmaster import ClusterConfig, JobContext, JobHandler

DATABASE = "transactional_enqueue.db"


class ConfirmOrder(JobHandler, definition_id="confirm-order"):
    def handle(self, job: JobContext) -> str:
        return f"confirmed {job.data.get_str('order')}"


cluster = ClusterConfig("shop").use_sqlite(DATABASE).add_worker().build()


def place_order(connection: sqlite3.Connection, order: str) -> None:
    """The job is part of the caller's transaction: it exists once that is committed, and only then."""
    connection.execute("INSERT INTO orders (name) VALUES (?)", (order,))
    cluster.scheduler.once_now(ConfirmOrder, {"order": order}, connection=connection)
    if order == "unpayable":
        raise ValueError("the payment was refused")


def main() -> None:
    with cluster:
        connection = sqlite3.connect(DATABASE)
        connection.execute("CREATE TABLE IF NOT EXISTS orders (name TEXT)")
        before = cluster.scheduler.count_jobs(definition_id="confirm-order")
        for order in ("a book", "unpayable", "a lamp"):
            try:
                with connection:  # commits, or rolls back when something is raised
                    place_order(connection, order)
            except ValueError as error:
                print(f"{order}: {error}, so there is no order and no job")
        connection.close()
        jobs = cluster.scheduler.find_jobs(definition_id="confirm-order", limit=2)
        for job in reversed(jobs.items):
            print(cluster.scheduler.wait(job.id, timeout=30).result)
        print(cluster.scheduler.count_jobs(definition_id="confirm-order") - before, "jobs for 3 attempts")


if __name__ == "__main__":
    main()
