"""The contract of ``Settlement`` as tests: claims, settling, keys, single jobs, rescue, retention."""

from __future__ import annotations

from datetime import timedelta

from .claiming import ClaimConformance
from .keys import KeyConformance
from .rescue import RescueConformance
from .settling import SettleConformance
from .stores import Stores, ended

__all__ = ["SettlementConformance"]


class SettlementConformance(ClaimConformance, SettleConformance, KeyConformance, RescueConformance):
    """Needs a fixture ``stores``."""

    def test_clean_removes_what_ended_long_enough_ago(self, stores: Stores) -> None:
        ids = ended(stores, 5)
        holder = stores.holder()
        (live,) = stores.enqueue()
        assert stores.settlement.clean(timedelta(hours=1)) == 0
        assert stores.settlement.clean(timedelta(0), limit=2) == 2
        assert stores.settlement.clean(timedelta(0)) == 3
        assert stores.settlement.clean(timedelta(0)) == 0
        assert all(stores.master.get_job(job_id) is None for job_id in ids)
        (claimed,) = holder.claim()
        holder.settle(holder.failed(claimed))
        assert len(stores.master.attempts(live)) == 1
        assert stores.settlement.clean(timedelta(0)) == 1
        assert stores.master.attempts(live) == []
