"""What every Django process of the tests begins with; the tables of the shop are made when they lack."""

from __future__ import annotations

import os

import django


def set_up() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.integrations.django_site.settings"
    django.setup()
    from django.db import connection

    from tests.integrations.django_site.shop.models import Order

    if "shop_order" not in connection.introspection.table_names():
        with connection.schema_editor() as editor:
            editor.create_model(Order)
