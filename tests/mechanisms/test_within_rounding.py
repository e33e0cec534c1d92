"""What rounding could make, or hide, is not known: it is no difference, no lack of one, and no step of the ladder."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from auditor.language_models.noise import noise_floor
from auditor.language_models.noise_floor import NoiseFloor
from auditor.language_models.targets import Target
from auditor.mechanisms._shared.controls import SMALLEST, within_rounding
from auditor.mechanisms.erasure import method as erasure
from auditor.mechanisms.look_ahead.part import Part
from auditor.mechanisms.look_ahead.result import PartResult
from auditor.mechanisms.steering import method as steering
from auditor.records import Conclusion
from auditor.synthesis.ladder import climb
from tests.acceptance.planted import CONSTANT, planted_model
from tests.engine.small import small_data
from tests.language_models.tiny import tiny_tokenizer
from tests.mechanisms import test_sae_sparse_features
from tests.mechanisms.test_probes_and_erasure import concluded, of

TESTS: dict[str, tuple[Any, dict[str, Any], str]] = {
    "used": (erasure, {"applications": 24, "relevant": False}, "erasure_gap_removed"),
    "usable": (steering, {"applications": 24, "depths": (0.5,)}, "steering_potency"),
}
TARGET = Target(*((tiny_tokenizer().convert_tokens_to_ids(answer),) for answer in "YN"))


def coarse(*, long: float = 250.0) -> Any:
    """A biased model in half precision, with both answers' logits so long that their spacing is nats."""
    model = planted_model("B", against=20.0)
    with torch.no_grad():
        for token in TARGET.favourable + TARGET.adverse:
            model.get_output_embeddings().weight[token, CONSTANT] = long
    return model.to(torch.bfloat16)


def with_a_long_other_token() -> Any:
    """The same in half precision, with short answers and one token of 40 times their length that no margin reads."""
    model = planted_model("B", against=20.0)
    with torch.no_grad():
        model.get_output_embeddings().weight[200] *= 40
    return model.to(torch.bfloat16)


@pytest.mark.parametrize("name", TESTS)
def test_half_precision_that_cannot_tell_says_neither_yes_nor_no(name: str) -> None:
    module, settings, metric = TESTS[name]
    model = coarse()
    _, measurements, plan = concluded(module, model, **settings)
    item = of(measurements, metric, group="Black")
    (rung,) = [rung for rung in climb(measurements, plan=plan) if rung.field == "race"]
    (step,) = [step for step in rung.found if step.name == name]

    assert noise_floor(model, TARGET).bound > 5 > noise_floor(planted_model("B", against=20.0), TARGET).bound
    assert item.conclusion is Conclusion.INCONCLUSIVE
    assert "rounding alone could make" in str(item.conclusion_reason)
    assert "There is no difference" not in str(item.conclusion_reason)
    assert step.held is None
    assert step.reason.startswith("rounding alone could make it, or hide it")


@pytest.mark.parametrize("name", TESTS)
def test_how_long_the_logits_of_tokens_are_that_no_margin_reads_hides_nothing(name: str) -> None:
    module, settings, metric = TESTS[name]
    model = with_a_long_other_token()
    _, measurements, _ = concluded(module, model, **settings)
    item = of(measurements, metric, group="Black")

    assert noise_floor(model).bound > 50 > 200 * noise_floor(model, TARGET).bound
    assert abs(item.counts["gap"]) == pytest.approx({"used": 5.36, "usable": 4.81}[name], abs=0.05)
    assert item.counts["within_rounding"] == 0
    assert "rounding alone" not in str(item.conclusion_reason)


@pytest.mark.parametrize(
    ("size", "floor", "hidden"),
    [
        (0.5, 2.0, True),
        (-0.5, 2.0, True),
        (2.5, 2.0, False),
        (0.0, 2.0, True),
        (0.0, SMALLEST, False),
        (0.0, 1e-6, False),
    ],
)
def test_a_figure_within_rounding_that_is_fine_is_none_and_within_coarse_rounding_not_known(
    size: float, floor: float, hidden: bool
) -> None:
    assert within_rounding(size, floor=floor) is hidden


def test_a_mean_of_look_ahead_whose_differences_rounding_could_make_is_no_difference() -> None:
    context: Any = SimpleNamespace(plan=SimpleNamespace(thresholds=SimpleNamespace(alpha=0.05)))
    values = np.random.default_rng(0).normal(0.02, 0.002, 24)
    found = {}
    for logit in (0.01, 1e-4):
        noise = NoiseFloor(logit=logit, state=1e-3, precision=1e-3, arithmetic="bfloat16 on cpu")
        part = Part(context, "look_ahead", [PartResult(left_out=0, noise=noise)])
        found[logit] = part.mean(values, method="mean").test.p_value

    assert found[0.01] == 1.0
    assert found[1e-4] < 1e-6


def test_an_attribute_without_an_effect_is_still_a_no_in_single_precision() -> None:
    model, data = planted_model("B", against=0.0), small_data(96)
    _, measurements, plan = concluded(erasure, model, data=data, applications=48, relevant=False)
    (rung,) = [rung for rung in climb(measurements, plan=plan) if rung.field == "race"]

    assert rung.steps["used"] is False
    assert of(measurements, "erasure_gap_removed", group="Black").counts["within_rounding"] == 0


def test_the_bound_of_margins_that_sparse_features_start_from_follows_the_precision() -> None:
    model, plan = coarse(), test_sae_sparse_features.plan_of()
    results = test_sae_sparse_features.computed(model, plan, random_draws=3)
    measurements = test_sae_sparse_features.measured(model, plan, results)
    bounds = {check.bound for each in measurements for check in each.checks if check.name == "margin as decided"}

    assert bounds == {noise_floor(model, TARGET).bound}
