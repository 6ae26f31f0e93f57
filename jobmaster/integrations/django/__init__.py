"""Django: one setting, handlers in the ``jobs`` modules of the installed apps, ``manage.py jobmaster run``.

>>> INSTALLED_APPS = [..., "jobmaster.integrations.django"]                         # doctest: +SKIP
>>> JOBMASTER = "shop.background:make_config"                                       # doctest: +SKIP
>>> def place_order(request: HttpRequest) -> HttpResponse:                          # doctest: +SKIP
...     with transaction.atomic():
...         order = Order.objects.create(customer=request.user)
...         enqueue_on_commit(JobRequest("send-invoice", {"order": order.pk}))
...     return HttpResponse(status=202)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ..absence import requiring

with requiring("django"):
    from django.apps import apps as installed  # `apps` would be hidden by the module of that name here

    from .connections import CloseConnections
    from .transactions import enqueue_on_commit

if TYPE_CHECKING:
    from ...cluster.cluster import Cluster
    from ...cluster.scheduler import Scheduler
    from .apps import JobMasterConfig

__all__ = ["CloseConnections", "enqueue_on_commit", "get_cluster", "get_scheduler"]


def get_cluster() -> Cluster:
    """The cluster that ``settings.JOBMASTER`` leads to, built at the first call; for administration.

    Raises ``ConfigurationError``; ``LookupError`` when ``jobmaster.integrations.django`` is not installed.
    """
    return cast("JobMasterConfig", installed.get_app_config("jobmaster")).cluster


def get_scheduler() -> Scheduler:
    """The scheduler of :func:`get_cluster`; connects to nothing until it is used.

    >>> get_scheduler().once_now("send-invoice", {"order": 7})                      # doctest: +SKIP
    """
    return get_cluster().scheduler
