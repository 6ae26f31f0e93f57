"""One view: it places an order and its job, or neither."""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from jobmaster import JobRequest
from jobmaster.integrations.django import enqueue_on_commit, get_scheduler
from tests.integrations.django_site.shop.models import Order


def place(request: HttpRequest, item: str) -> HttpResponse:
    with transaction.atomic():
        order = Order.objects.create(item=item)
        enqueue_on_commit(JobRequest("confirm", {"order": order.pk}))
    return JsonResponse({"order": order.pk, "jobs": get_scheduler().count_jobs()})


urlpatterns = [path("place/<str:item>", place)]
