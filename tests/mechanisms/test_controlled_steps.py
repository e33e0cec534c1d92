"""What an officer reads of erasure and steering, and when neither yes nor no is said."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from auditor.conclusions import adjust_and_conclude
from auditor.mechanisms._shared.concepts import family_of
from auditor.plan import Plan
from auditor.records import Conclusion, Measurement
from auditor.synthesis.ladder import climb
from auditor.testing.context import Context
from tests.acceptance.planted import SCALE, planted_model
from tests.engine.small import small_cases, small_plan
from tests.mechanisms.test_probes_and_erasure import DATA, concluded, context_with, decided, erasure, of, steering


@pytest.fixture(scope="module")
def biased() -> Any:
    return planted_model("B", against=40.0)


def again(test: Any, model: Any, results: list[Any], plan: Plan) -> tuple[Measurement, ...]:
    """Measured anew from results at hand."""
    cases = small_cases(plan, DATA)
    margins = context_with(model, test.Settings(), plan).margins([case.prompt for case in cases])
    decisions = {case.id: decided(case, float(margin)) for case, margin in zip(cases, margins, strict=True)}
    context = Context(
        plan=plan,
        cases=cases,
        decisions=decisions,
        observed={},
        values={},
        observed_rate=None,
        results={test.CARD.name: results},
    )
    return adjust_and_conclude(list(test.measure(context)))


def step(measurements: tuple[Measurement, ...], plan: Plan, name: str) -> Any:
    (rung,) = [rung for rung in climb(measurements, plan=plan) if rung.field == "race"]
    return rung.steps[name]


def test_the_sentence_says_what_went_away_what_turned_and_against_what(biased: Any) -> None:
    _, measurements, _ = concluded(erasure, biased, applications=24, relevant=False)
    said = str(of(measurements, "erasure_gap_removed", group="Black").conclusion_reason)

    assert said.startswith("Erasing race after its field takes 100% off the difference in scores; ")
    assert "19 erasures with shuffled labels" in said
    assert "19 moves as large in random directions" in said
    assert "p = 0.050 before adjustment. 5 of 5 specifications agree, from \u2212" in said
    assert said.endswith(" logits.")


def test_too_few_applications_for_the_level_say_nothing(biased: Any) -> None:
    _, measurements, plan = concluded(erasure, biased, applications=8, relevant=False)
    item = of(measurements, "erasure_gap_removed", group="Black")

    assert item.counts["draws"] == 7
    assert "too few draws to say: 7 of 19, these applications allow 7" in str(item.conclusion_reason)
    assert step(measurements, plan, "used") is None


def test_an_attribute_that_is_not_tested_at_full_strength_says_so_and_is_in_no_family(biased: Any) -> None:
    for test, metric, name in ((erasure, "erasure_gap_removed", "used"), (steering, "steering_potency", "usable")):
        _, measurements, plan = concluded(test, biased, applications=16, full_strength=("sex",))
        item = of(measurements, metric, group="Black")

        assert item.family is None
        assert item.counts["draws"] == 3
        assert "too few draws to say: 3 of" in str(item.conclusion_reason)
        assert step(measurements, plan, name) is None


def test_the_family_is_the_contrasts_at_full_strength() -> None:
    plan = small_plan()

    assert family_of(plan, erasure.Settings()).size == 2
    assert family_of(plan, erasure.Settings(full_strength=("race",))).fields == ("race",)
    assert family_of(plan, erasure.Settings(attributes=("sex",))).size == 1


def test_a_window_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match="begin before it ends"):
        erasure.Settings(layers=(0.75, 0.25))


def test_the_windows_that_are_repeated_and_their_extremes_stand_in_the_counts(biased: Any) -> None:
    _, measurements, _ = concluded(erasure, biased, applications=24, relevant=False)
    counts = of(measurements, "erasure_gap_removed", group="Black").counts

    assert counts["specifications"] == counts["specifications_agree"] >= 2
    assert counts["specifications_lowest"] <= counts["specifications_highest"]


def turned_round(test: Any, results: list[Any]) -> list[Any]:
    """What every repeat did, in the other direction."""
    turned = copy.deepcopy(results)
    if test is erasure:
        for ran in (each["ran"] for each in turned[0]["repeats"]):
            ran["margins"] = [2 * clean - after for clean, after in zip(ran["clean"], ran["margins"], strict=True)]
        return turned
    turn(turned[0], turned[0]["steered"], [point for point in turned[0]["steered"]["curve"] if point["dose"] == 2.0])
    return turned


def turn(result: Any, half: Any, points: list[Any]) -> None:
    """The points of a half of steering do the opposite."""
    groups = result["groups"]
    clean = np.array(half["clean"]).reshape(-1, len(groups))
    for point in points:
        before = {"towards": clean[:, groups.index(result["reference"])], "away": clean[:, point["group"]]}
        point["margins"] = {way: (2 * own - np.array(point["margins"][way])).tolist() for way, own in before.items()}


@pytest.mark.parametrize("test", [erasure, steering], ids=["erasure", "steering"])
def test_a_causal_step_that_another_specification_contradicts_is_inconclusive(test: Any, biased: Any) -> None:
    """The same run, with what every repeat did turned round."""
    about = {"relevant": False} if test is erasure else {"depths": (0.5,), "doses": (1.0, 2.0)}
    results, measurements, plan = concluded(test, biased, applications=24, **about)
    metric = {erasure: "erasure_gap_removed", steering: "steering_potency"}[test]
    turned = turned_round(test, results)
    item = of(measurements, metric, group="Black")
    changed = of(again(test, biased, turned, plan), metric, group="Black")

    assert item.counts["specifications_agree"] == item.counts["specifications"] >= 2
    assert item.conclusion is not Conclusion.INCONCLUSIVE
    assert changed.counts["specifications_agree"] < changed.counts["specifications"]
    assert changed.conclusion is Conclusion.INCONCLUSIVE
    assert "Unstable: " in str(changed.conclusion_reason)


def test_settling_keeps_the_randomisation_p_value_as_the_familys() -> None:
    _, measurements, _ = concluded(steering, planted_model("B", against=40.0), applications=24, depths=(0.5,))
    families = {item.family for item in measurements if item.family}

    assert families == {"inside: steering"}
    assert adjust_and_conclude([]) == ()


def test_a_mediator_of_part_of_the_difference_that_a_random_move_outdoes_is_not_called_unused() -> None:
    """Part of the difference goes through what is carried, the rest is read from the field once more, late."""
    carried, late, share = 3, 7, 0.3
    model = planted_model("B", against=20.0)
    with torch.no_grad():
        second = model.model.layers[1].self_attn
        second.v_proj.weight[0, 0] = 1.0
        second.o_proj.weight[late, 0] = SCALE
        for word in model.lm_head.weight:
            word[late] = word[carried] * (1 - share)
            word[carried] *= share
    _, measurements, plan = concluded(erasure, model, applications=24, relevant=False)
    item = of(measurements, "erasure_gap_removed", group="Black")

    assert 0.2 < item.counts["share"] < 0.6
    assert item.p_adjusted > 0.05
    assert item.counts["p_labels"] == pytest.approx(0.05)
    assert step(measurements, plan, "used") is None
