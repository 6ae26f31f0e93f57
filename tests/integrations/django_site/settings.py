"""Settings; the database and the cluster come from the environment."""

from __future__ import annotations

import os
from typing import Any

from sqlalchemy.engine import make_url

url = make_url(os.environ["SITE_DATABASE"])
_is_mysql = url.drivername == "mysql"
if _is_mysql:
    import pymysql

    pymysql.install_as_MySQLdb()
_place: dict[str, Any] = (
    {"ENGINE": "django.db.backends.sqlite3", "NAME": url.database}
    if url.drivername == "sqlite"
    else {
        "ENGINE": "django.db.backends.mysql" if _is_mysql else "django.db.backends.postgresql",
        "NAME": url.database,
        "USER": url.username,
        "PASSWORD": url.password,
        "HOST": url.host or url.query.get("host"),
        "PORT": url.port or url.query.get("port", ""),
    }
)
SECRET_KEY = "not a secret"
USE_TZ = True
DATABASES = {"default": {**_place, "CONN_MAX_AGE": 600}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["tests.integrations.django_site.shop", "jobmaster.integrations.django"]
ROOT_URLCONF = "tests.integrations.django_site.urls"
ALLOWED_HOSTS = ["*"]
if os.environ.get("SITE_JOBMASTER"):
    JOBMASTER = os.environ["SITE_JOBMASTER"]
