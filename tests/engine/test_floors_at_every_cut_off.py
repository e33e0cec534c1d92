"""Noise floors stand at the cut-offs the contrasts are read at: a floor elsewhere says nothing of them."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.conductor import Conclusions, conclude
from auditor.records import Case, Measurement
from auditor.statistics.cut_offs import cut_off_curve, largest_at
from tests.engine.small import biased, simulated, small_data, small_plan


@pytest.fixture(scope="module")
def unsteady(tmp_path_factory: pytest.TempPathFactory) -> Conclusions:
    """Nobody lies near the model's own cut-off; the placebo moves every other margin by half a nat either way."""
    worth = biased(shift={"Black": -0.6, "female": -0.2}, centre=4.0, spread=0.5, noise=0.0)

    def margin(case: Case) -> float:
        moved = 0.5 if int(case.cluster) % 2 else -0.5
        return worth(case) + (moved if case.role == "placebo" else 0.0)

    return conclude(simulated(tmp_path_factory.mktemp("unsteady"), small_plan(), small_data(300), margin))


def floors(conclusions: Conclusions, change: str, cut_off: str | None) -> list[Measurement]:
    return [
        item
        for item in conclusions.measurements
        if item.metric == "cf_noise_floor"
        and item.subject["change"] == change
        and item.subject.get("cut_off") == cut_off
    ]


def test_every_attribute_has_its_own_matched_floor(unsteady: Conclusions) -> None:
    matched = {
        item.subject["field"]: item.counts["threshold"]
        for item in unsteady.measurements
        if item.metric == "cf_net_effect_matched"
    }
    assert len(matched) > 1
    for change in ("placebo", "reask"):
        found = {item.subject["attribute"]: item.counts["threshold"] for item in floors(unsteady, change, "matched")}
        assert found == matched


def test_every_group_has_a_floor_where_its_effect_is_largest(unsteady: Conclusions) -> None:
    largest = {
        (item.subject["field"], item.subject["group"]): item.counts["threshold"]
        for item in unsteady.measurements
        if item.metric == "cf_range_effect"
    }
    for change in ("placebo", "reask"):
        found = {
            (item.subject["attribute"], item.subject["to"]): item.counts["threshold"]
            for item in floors(unsteady, change, "largest")
        }
        assert found == largest


def test_a_placebo_that_turns_nobody_at_the_models_own_cut_off_is_seen_to_turn_some_elsewhere(
    unsteady: Conclusions,
) -> None:
    [natural] = floors(unsteady, "placebo", None)
    assert natural.estimate == 0
    assert min(item.estimate or 0.0 for item in floors(unsteady, "placebo", "largest")) > 0.05
    most = max(floors(unsteady, "placebo", "matched"), key=lambda item: item.estimate or 0.0)
    assert unsteady.controls.placebo_matched.measurement == most.id
    assert unsteady.controls.placebo_largest.flip_rate > 0.05
    assert unsteady.controls.noise_floor_largest.flip_rate == 0


@pytest.mark.parametrize("seed", range(5))
def test_the_threshold_of_the_largest_effect_is_that_of_the_curve(seed: int) -> None:
    rng = np.random.default_rng(seed)
    control = rng.normal(1.5, 1.0, 80)
    protected = control + rng.normal(-0.4, 0.5, 80)
    readable = rng.random(80) > 0.05
    pair = {"control": control, "protected": protected, "protected_readable": readable}
    curve = cut_off_curve(**pair, rates=(0.7, 0.9), natural=0.0, level=0.95, swaps=99)
    assert curve.where is not None
    assert largest_at(**pair, rates=(0.7, 0.9), natural=0.0) == curve.where.threshold
