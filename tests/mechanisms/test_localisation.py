"""A localisation that another direction or sum contradicts is inconclusive, and the extremes stand beside it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from auditor.mechanisms import attribution_patching
from auditor.mechanisms.localisation import DENOISING, NOISING, agree, repeated
from auditor.records import Conclusion
from tests.mechanisms.bench import bench, conclude, payload

PLAN = SimpleNamespace(thresholds=SimpleNamespace(alpha=0.05, bootstrap=2000), cases=SimpleNamespace(seed=1))
CONTEXT: Any = SimpleNamespace(plan=PLAN)


def gaps(count: int = 30) -> np.ndarray:
    return np.random.default_rng(0).normal(1.0, 0.3, count)


def test_a_node_that_carries_the_same_share_in_every_way_is_stable() -> None:
    own = gaps()
    noise = np.random.default_rng(1).normal(0, 0.05, (2, len(own)))
    found = agree(CONTEXT, {NOISING: 0.4 * own + noise[0], DENOISING: 0.5 * own + noise[1]}, own)
    assert (found.stable, found.said, found.agree) == (True, 4, 4)
    assert found.lowest.estimate == pytest.approx(0.4, abs=0.05)
    assert found.highest.estimate == pytest.approx(0.5, abs=0.05)


def test_a_node_that_is_enough_but_not_needed_is_inconclusive() -> None:
    """One of two copies: put in, it moves the margin; taken back, the other one keeps it."""
    own = gaps()
    noise = np.random.default_rng(1).normal(0, 0.05, len(own))
    about = repeated(CONTEXT, {NOISING: 0.8 * own, DENOISING: noise}, own)
    assert "only 2 of 4 specifications agree" in about["unstable"]
    assert "-0.0" in about["again"] or "0.0" in about["again"]
    assert about["counts"]["specifications_highest"] == pytest.approx(0.8)


def test_a_node_that_works_the_other_way_in_the_other_direction_is_inconclusive() -> None:
    own = gaps()
    about = repeated(CONTEXT, {NOISING: 0.8 * own, DENOISING: -0.3 * own}, own)
    assert "find the opposite" in about["unstable"]


def test_few_applications_are_not_repeated_and_say_so() -> None:
    own = gaps(4)
    found = agree(CONTEXT, {NOISING: own, DENOISING: own}, own)
    assert found.stable is None
    assert "4 applications, 24 needed" in found.reason


def test_unstable_nodes_are_measured_and_not_concluded() -> None:
    settings = attribution_patching.Settings(top=2, sample=0.2)
    result = attribution_patching.compute(bench(settings), payload(*["Black", "Asian"] * 26))
    assert all(len(pair["turned"]) == 2 for pair in result["pairs"])
    rng = np.random.default_rng(0)
    for pair in result["pairs"]:
        pair["exact"] = [pair["gap"] * share for share in 0.4 + rng.normal(0, 0.05, len(pair["exact"]))]
        pair["turned"] = [-pair["exact"][0], pair["exact"][1]]
    nodes = [row for row in conclude(attribution_patching, [result]) if row.metric == "patch_node"]
    assert [row.conclusion for row in nodes] == [Conclusion.INCONCLUSIVE, None]
    assert "find the opposite" in str(nodes[0].conclusion_reason)
    assert "4 of 4 specifications agree" in nodes[1].method
    assert all(row.estimate is not None and row.low < row.estimate < row.high for row in nodes)
    assert not any("illustration" in row.method for row in nodes)
