"""Handlers that use Django's database; found because this module is called ``jobs``."""

from __future__ import annotations

import threading
import time
from typing import Any

from django.db import connection

from jobmaster import JobContext, job
from tests.integrations.django_site.shop.models import Order


@job("confirm", max_retries=0)
def confirm(job: JobContext[Any]) -> str:
    order = Order.objects.get(pk=job.data["order"])
    order.confirmed_by = threading.current_thread().name
    order.save()
    return order.item


@job("confirm-async", max_retries=0)
async def confirm_async(job: JobContext[Any]) -> str:
    order = await Order.objects.aget(pk=job.data["order"])
    order.confirmed_by = "loop"
    await order.asave()
    return order.item


@job("fail", max_retries=0)
def fail(job: JobContext[Any]) -> None:
    Order.objects.count()
    raise ValueError("no")


@job("linger", max_retries=0, timeout=0.2)
def linger(job: JobContext[Any]) -> None:
    Order.objects.count()
    time.sleep(0.8)
    Order.objects.count()


@job("was-open", max_retries=0)
def was_open(job: JobContext[Any]) -> bool:
    """Whether the thread had a connection before this run used one."""
    open_before = connection.connection is not None
    Order.objects.count()
    time.sleep(0.05)
    return open_before
