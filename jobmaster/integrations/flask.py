"""Flask: the scheduler as an extension, workers in the background when asked for, ``flask jobmaster run``.

>>> jobs = JobMaster()                                                              # doctest: +SKIP
>>> def create_app() -> Flask:                                                      # doctest: +SKIP
...     app = Flask(__name__)
...     app.config["JOBMASTER"] = "shop.background:make_config"
...     jobs.init_app(app)
...     return app
>>> current_app.extensions["jobmaster"].once_now("send-invoice", {"order": 7})      # doctest: +SKIP
"""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401  its exit hook has to be older than ours; see _LazyWorkers
import logging
import os
import threading
from typing import Any

from ..cluster.cluster import Cluster
from ..errors import ConfigurationError, JobMasterError
from ..handlers import CallNext, JobContext, Middleware
from .absence import requiring
from .source import ClusterSource, find_cluster

with requiring("flask"):
    import click
    from flask import Flask
    from flask.cli import AppGroup

__all__ = ["JobMaster", "app_context"]

NAME = "jobmaster"


class JobMaster:
    """The extension. ``app.extensions["jobmaster"]`` is the scheduler.

    ``cluster`` is a cluster, a ``ClusterConfig``, a function that returns one, or ``"module:attribute"``;
    without it ``app.config["JOBMASTER"]`` says so. With ``run_workers=True`` every process that serves
    requests runs the workers in a background thread, from its first request on: after a server such as
    gunicorn has forked, never before. They are stopped cleanly when the process exits.
    """

    def __init__(
        self, app: Flask | None = None, cluster: ClusterSource | None = None, *, run_workers: bool = False
    ) -> None:
        self._source = cluster
        self._run_workers = run_workers
        self._clusters: list[Cluster] = []
        if app is not None:
            self.init_app(app)

    def init_app(self, app: Flask, cluster: ClusterSource | None = None) -> None:
        """Serve ``app``; connects to nothing. Raises ``ConfigurationError``."""
        if NAME in app.extensions:
            raise ConfigurationError(f"the Flask application {app.name!r} has a scheduler already")
        candidates = (cluster, self._source, app.config.get("JOBMASTER"))
        source = next((given for given in candidates if given is not None), None)
        if source is None:
            raise ConfigurationError(
                f"the Flask application {app.name!r} names no cluster: call JobMaster(app, cluster), or set "
                'app.config["JOBMASTER"]'
            )
        found = find_cluster(source, 'app.config["JOBMASTER"]' if isinstance(source, str) else "cluster")
        built = found if isinstance(found, Cluster) else found.build()
        app.extensions[NAME] = built.scheduler
        self._clusters.append(built)
        if self._run_workers:
            app.before_request(_LazyWorkers(built).ensure)
        commands = AppGroup(NAME, help="Job orchestration.")
        running = "Run the workers until SIGTERM or Ctrl-C."
        commands.add_command(click.Command("run", callback=lambda: _run(built), help=running))
        app.cli.add_command(commands)

    def stop(self) -> None:
        """Stop the workers and release the connections of every application served; for tests. Idempotent."""
        for cluster in self._clusters:
            cluster.stop()


def app_context(app: Flask) -> Middleware:
    """Middleware that runs handlers within the context of ``app``, so that ``current_app`` and extensions
    such as Flask-SQLAlchemy work in them; not for ``execution="process"``.

    >>> config.add_middleware(app_context(app))                                     # doctest: +SKIP
    """

    async def in_app_context(job: JobContext[Any], call_next: CallNext) -> object:
        with app.app_context():
            return await call_next()

    return in_app_context


class _LazyWorkers:
    """Starts a cluster in the process that first asks for it, and stops it when that process exits.

    ``atexit`` is too late for a clean stop: by then no event loop can run anything in its executor. The hook
    that ends those executors runs earlier, in the reverse order of registration, so that one registered
    after it comes before it.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._lock = threading.Lock()
        self._pid: int | None = None

    def ensure(self) -> None:
        """Start unless it was started. After a fork the child leaves the work to its parent's workers."""
        if self._pid is not None:
            return
        with self._lock:
            if self._pid is None and not self._cluster.is_running:
                self._cluster.start()
                self._pid = os.getpid()
                threading._register_atexit(self._stop)  # type: ignore[attr-defined]

    def _stop(self) -> None:
        if self._pid == os.getpid():
            self._cluster.stop()


def _run(cluster: Cluster) -> None:
    if not cluster.settings_in_code.workers:
        raise click.ClickException(f"cluster {cluster.id!r} has no worker to run: call add_worker()")
    if not logging.getLogger().handlers:
        logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.INFO)
    try:
        cluster.run()
    except JobMasterError as fault:
        raise click.ClickException(str(fault)) from fault
