"""The cluster of the site."""

from __future__ import annotations

import os

from jobmaster import ClusterConfig
from tests.databases import use


def make_config() -> ClusterConfig:
    url = os.environ["SITE_CLUSTER"]
    config = ClusterConfig("site").grace_period(1)
    return use(config, url)


def with_worker() -> ClusterConfig:
    return make_config().add_worker(concurrency=4)
