"""Jobs that belong to the caller's transaction: inside it where the cluster lives there, else after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, connections, transaction

from ...cluster.requests import JobRequest
from ...domain.job import Job
from ...errors import ConfigurationError

if TYPE_CHECKING:
    from .apps import JobMasterConfig

__all__ = ["enqueue_on_commit"]


def enqueue_on_commit(*requests: JobRequest, using: str = DEFAULT_DB_ALIAS) -> list[Job] | None:
    """Enqueue these jobs, all or none, if and only if the transaction on the database ``using`` commits.

    When the cluster lives in that database the jobs are stored through Django's own connection, as part of
    the transaction, and returned: with the data they are there, or neither is. Otherwise they are enqueued
    by ``transaction.on_commit`` and ``None`` is returned; a process that dies between the two commits loses
    them. Outside of a transaction they are enqueued at once.

    Raises ``InvalidJob``, ``UnknownHandler`` and ``ConfigurationError`` before anything is stored, in
    either case. Whether the cluster lives in the database is asked of the databases themselves, once for
    each process. Let ``manage.py jobmaster check`` make the tables when you deploy: on SQLite the first call
    could not make them while the transaction that it is in holds the write lock.

    >>> with transaction.atomic():                                                  # doctest: +SKIP
    ...     order = Order.objects.create(customer=customer)
    ...     enqueue_on_commit(JobRequest("send-invoice", {"order": order.pk}))
    """
    config = cast("JobMasterConfig", apps.get_app_config("jobmaster"))
    scheduler = config.cluster.scheduler
    scheduler._requested(requests, "jobs")  # raises now what else would be raised after the commit
    with transaction.atomic(using=using, savepoint=False):
        if config.shared_databases.get(using, True):
            stored = _store_within(config, requests, using)
            if stored is not None:
                return stored
        transaction.on_commit(lambda: _store_after(config, requests), using=using)
        return None


def _store_within(config: JobMasterConfig, requests: Sequence[JobRequest], using: str) -> list[Job] | None:
    """The jobs, stored through Django's connection; ``None`` when the cluster does not live there."""
    known = using in config.shared_databases
    if not known:
        config.cluster.settings()  # opens the cluster's database: what is wrong there is raised here
    try:
        # atomic() has opened the connection; it is the driver's own
        stored = config.cluster.scheduler.once_many(requests, connection=connections[using].connection)
    except ConfigurationError:
        if known:
            raise
        config.shared_databases[using] = False
        return None
    config.shared_databases[using] = True
    return stored


def _store_after(config: JobMasterConfig, requests: Sequence[JobRequest]) -> None:
    config.cluster.scheduler.once_many(requests, returning="ids")
