"""``manage.py jobmaster run`` and ``manage.py jobmaster check``."""

from __future__ import annotations

import logging
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobmaster.cluster.cluster import Cluster
from jobmaster.errors import JobMasterError
from jobmaster.integrations.django import get_cluster

__all__ = ["Command"]


class Command(BaseCommand):
    """Runs or checks the cluster of ``settings.JOBMASTER``."""

    help = "Runs the workers of settings.JOBMASTER, or checks that they could run."

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True)
        actions.add_parser("run", help="Run the workers until SIGTERM or Ctrl-C, then stop cleanly.")
        actions.add_parser("check", help="Open the database, making the tables if allowed; list handlers.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            cluster = get_cluster()
            if options["action"] == "run":
                self._run(cluster)
            else:
                self._check(cluster)
        except JobMasterError as fault:
            raise CommandError(str(fault)) from fault

    def _run(self, cluster: Cluster) -> None:
        if not cluster.settings_in_code.workers:
            raise CommandError(f"cluster {cluster.id!r} has no worker to run: call add_worker()")
        if not logging.getLogger().handlers:
            logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
        cluster.run()

    def _check(self, cluster: Cluster) -> None:
        try:
            status = cluster.status()
        finally:
            cluster.close()
        handlers = ", ".join(cluster.definition_ids) or "none"
        workers = ", ".join(worker.name for worker in cluster.settings_in_code.workers) or "none"
        place = cluster._backend.location
        self.stdout.write(f"cluster {status.cluster_id!r} on {place}: {status.mode.value}")
        self.stdout.write(f"handlers: {handlers}")
        self.stdout.write(f"workers: {workers}")
