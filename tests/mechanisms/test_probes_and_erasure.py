"""A concept put into a model is found by probes and taken out by erasure; one that is not there is neither."""

from __future__ import annotations

from typing import Any

import pytest

from auditor.applications import Applications
from auditor.catalogue import TESTS
from auditor.conclusions import adjust_and_conclude
from auditor.language_models.local import LoadedModel
from auditor.language_models.packed import PackedScorer, PackingProbe
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.plan import Plan
from auditor.records import Case, Decision, Measurement, Outcome
from auditor.synthesis.ladder import climb, ladder
from auditor.testing.context import Context
from tests.acceptance.planted import planted_model
from tests.engine.small import small_cases, small_data, small_plan
from tests.language_models.tiny import tiny_tokenizer
from tests.mechanisms.asking import PACKABLE, asked, renderer, through_a_ledger

Found = tuple[list[dict[str, Any]], tuple[Measurement, ...], Plan]
probes, erasure, steering = (TESTS[name] for name in ("probes", "erasure", "steering"))
DATA = small_data(48)
ANSWERS = {"favourable": ["Y"], "adverse": ["N"], "mass_floor": 0.0}


def plan_of(test: str) -> Plan:
    return small_plan(prompt__answers=ANSWERS, tests__run=[test], noise__reask=0)


def context_with(
    model: Any, settings: Any, plan: Plan, *, probe: PackingProbe = PACKABLE, data: Applications = DATA
) -> ComputeContext:
    return ComputeContext(
        plan=plan,
        settings=settings,
        loaded=LoadedModel(model, tiny_tokenizer(), None, "cpu"),
        scorer=PackedScorer(model, pack_tokens=64, probe=probe),
        render=renderer(plan, data),
        should_stop=lambda: False,
    )


def concluded(
    test: Any, model: Any, *, probe: PackingProbe = PACKABLE, data: Applications = DATA, **settings: Any
) -> Found:
    """Run a test as the conductor does: planned, computed, kept as bytes, measured, settled."""
    test = TESTS[test.CARD.name]
    plan = plan_of(test.CARD.name)
    only = {"attributes": ("race",)} if "attributes" in test.Settings.model_fields else {}
    chosen = test.Settings(**only, **settings)
    computing = context_with(model, chosen, plan, probe=probe, data=data)
    pieces = list(test.plan_chunks(asked(chosen, plan=plan, data=data)))
    results = [through_a_ledger(test.compute(computing, through_a_ledger(piece.payload))) for piece in pieces]
    cases = small_cases(plan, data)
    margins = computing.margins([case.prompt for case in cases])
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
    return results, adjust_and_conclude(list(test.measure(context))), plan


def decided(case: Case, margin: float) -> Decision:
    return Decision(case.id, margin, 1.0, 0.0, 0.0, Outcome.FAVOURABLE if margin >= 0 else Outcome.ADVERSE)


@pytest.fixture(scope="module")
def biased() -> Any:
    return planted_model("B", against=40.0)


@pytest.fixture(scope="module")
def erased(biased: Any) -> Found:
    return concluded(erasure, biased, applications=24)


@pytest.fixture(scope="module")
def probed(biased: Any) -> Found:
    return concluded(probes, biased, applications=24, untrained=True)


def of(measurements: tuple[Measurement, ...], metric: str, **subject: str) -> Measurement:
    found = [m for m in measurements if m.metric == metric and subject.items() <= m.subject.items()]
    assert len(found) == 1, [m.id for m in found]
    return found[0]


def test_erasing_the_attribute_removes_the_planted_shift_and_shuffled_labels_do_not(
    erased: Found,
) -> None:
    item = of(erased[1], "erasure_gap_removed", group="Black")

    assert all(check.held for check in item.checks), item.checks
    assert item.estimate == pytest.approx(item.counts["gap"], rel=0.05)
    assert abs(item.counts["gap_erased"]) < 0.05 * abs(item.counts["gap"])
    assert item.counts["control_largest"] < 0.5 * abs(item.estimate)
    assert item.counts["draws"] == item.counts["draws_needed"] == 19
    assert item.counts["sign_agrees"] == 1
    assert item.counts["held_out_left"] < 0.1
    assert item.counts["movement_control"] == pytest.approx(item.counts["movement"], rel=0.2)
    assert item.p_adjusted == pytest.approx(0.05)
    assert item.family == "inside: erasure"


def test_a_model_that_ignores_the_attribute_loses_nothing() -> None:
    _, measurements, _ = concluded(erasure, planted_model("B", against=0.0), applications=24, relevant=False)
    item = of(measurements, "erasure_gap_removed", group="Black")

    assert item.estimate == pytest.approx(0.0, abs=1e-3)


def test_erasing_a_number_the_decision_rests_on_moves_margins(
    erased: Found,
) -> None:
    item = of(erased[1], "erasure_relevant_effect")

    assert item.subject["field"] == "income"
    assert item.estimate is not None
    assert item.estimate > 0


def test_the_untouched_margin_is_the_one_decided_on(erased: Found) -> None:
    (check,) = [check for check in erased[1][0].checks if check.name == "margin as decided"]

    assert check.held
    assert check.value is not None
    assert check.value < 1e-4


def test_a_stated_attribute_is_read_after_the_layer_that_carries_it(
    probed: Found,
) -> None:
    first = of(probed[1], "probe_balanced_accuracy", group="Black", setting="stated", at="last token", layer="0")
    later = of(probed[1], "probe_balanced_accuracy", group="Black", setting="stated", at="last token", layer="1")

    assert first.estimate == 0.5, "the last token's embedding is the same in every prompt"
    assert later.estimate == 1.0
    assert later.low is not None
    assert 0.5 < later.low < 1.0
    assert later.p_adjusted < 0.01
    assert all(check.held for check in later.checks), later.checks


def test_an_attribute_that_nothing_gives_away_is_not_read_when_withheld(
    probed: Found,
) -> None:
    item = of(probed[1], "probe_layers_readable", group="Black", setting="withheld")

    assert item.estimate == 0.0


def test_the_same_chunk_gives_the_same_bytes(biased: Any, probed: Found) -> None:
    again, _, _ = concluded(probes, biased, applications=24, untrained=True)

    assert again == probed[0]


def test_the_ladder_counts_an_erased_gap_as_used_and_causal(erased: Found, probed: Found) -> None:
    (rung,) = climb([*erased[1], *probed[1]], plan=erased[2])
    (item,) = ladder([*erased[1], *probed[1]], plan=erased[2])

    assert rung.steps["encoded"] is None, "too few applications withhold it"
    assert rung.steps["used"] is True
    assert rung.steps["usable"] is None
    assert rung.grade == "causal"
    assert item.estimate == 3.0


def test_steering_moves_margins_both_ways_with_the_dose_and_more_than_shuffled_labels(biased: Any) -> None:
    _, measurements, plan = concluded(steering, biased, applications=16, depths=(0.5,), doses=(1.0, 2.0))
    potency = of(measurements, "steering_potency", group="Black")
    shifts = {
        dose: of(measurements, "steering_shift", path="layer 1 into layer 1", dose=dose)
        for dose in ("1", "2", "-1", "-2")
    }

    assert potency.estimate is not None
    assert potency.estimate < 0
    assert potency.p_adjusted == pytest.approx(0.05)
    assert potency.counts["p_towards"] == potency.counts["p_away"] == potency.p_value
    assert potency.counts["draws"] == potency.counts["draws_needed"] == 19
    assert shifts["1"].estimate == pytest.approx(-shifts["-1"].estimate, rel=0.1)
    assert shifts["2"].estimate < shifts["1"].estimate
    assert potency.counts["away"] == shifts["-1"].estimate
    (rung,) = climb(measurements, plan=plan)
    assert rung.steps["usable"] is True
