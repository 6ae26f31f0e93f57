"""The cluster of the site."""

from __future__ import annotations

import os

from jobmaster import ClusterConfig


def make_config() -> ClusterConfig:
    url = os.environ["SITE_CLUSTER"]
    config = ClusterConfig("site").grace_period(1)
    return config.use_sqlite(url) if url.startswith("sqlite") else config.use_postgres(url)


def with_worker() -> ClusterConfig:
    return make_config().add_worker(concurrency=4)
