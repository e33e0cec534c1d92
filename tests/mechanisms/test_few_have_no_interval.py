"""Two applications have no interval: the same minimum holds for every figure of look-ahead, whatever it is made by."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from auditor.language_models.noise_floor import NoiseFloor
from auditor.mechanisms.look_ahead.part import Part, share
from auditor.mechanisms.look_ahead.result import PartResult
from auditor.statistics.minimums import FOR_A_SHARE, interval_may_stand
from auditor.statistics.rates import Tally, selection_rate
from auditor.statistics.results import Estimate

CONTEXT: Any = SimpleNamespace(
    plan=SimpleNamespace(thresholds=SimpleNamespace(alpha=0.05, bootstrap=2000), cases=SimpleNamespace(seed=1))
)

NOISE = NoiseFloor(logit=1e-6, state=1e-7, precision=1e-7, arithmetic="float32")


def rows(n: int) -> np.ndarray:
    return np.random.default_rng(0).normal(1.0, 0.2, (n, 2))


def estimates(part: Part[PartResult], n: int) -> dict[str, Estimate]:
    return {
        "mean": part.mean(rows(n)[:, 0], method="mean"),
        "share": part.resampled(np.abs(rows(n)), share, method="share"),
        "rate": selection_rate(Tally.of(rows(n)[:, 0] > 1), level=part.level),
    }


@pytest.mark.parametrize("kind", ["mean", "share", "rate"])
@pytest.mark.parametrize("n", [2, 8, FOR_A_SHARE - 1, FOR_A_SHARE])
def test_an_interval_stands_from_as_many_applications_as_a_share_takes(kind: str, n: int) -> None:
    part = Part(CONTEXT, "look_ahead", [PartResult(left_out=0, noise=NOISE)])
    found = part.draft(estimates(part, n)[kind], metric="m", unit="logit").measurement
    assert found.estimate is not None
    assert (found.low is not None) is interval_may_stand(n) is (n >= FOR_A_SHARE)
    assert (found.high is not None) is (n >= FOR_A_SHARE)
    assert ("illustration" in found.method) is (n < FOR_A_SHARE)
    assert n >= FOR_A_SHARE or found.p_value is None
