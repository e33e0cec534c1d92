"""Features of a model that counts a letter against applicants carry that letter, and decisions move with them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from auditor.conclusions import adjust_and_conclude
from auditor.language_models.local import LoadedModel
from auditor.language_models.packed import PackedScorer, PackingProbe
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms.sparse_features import method as sparse_features
from auditor.plan import Plan
from auditor.records import Case, Conclusion, Decision, Measurement, Outcome
from auditor.testing.context import Context
from tests.acceptance.planted import planted_model
from tests.engine.small import small_cases, small_data, small_plan
from tests.language_models.tiny import tiny_tokenizer
from tests.mechanisms import typed
from tests.mechanisms.asking import PACKABLE, asked, renderer

DATA = small_data(48)
ANSWERS = {"favourable": ["Y"], "adverse": ["N"], "mass_floor": 0.0}
DICTIONARY = {"expansion": 16, "k": 16, "steps": 150, "batch": 256, "tokens": 100_000}
SETTINGS = {"attributes": ("race",), "applications": 24, "features": 12, "random_draws": 39}


def plan_of(**dictionary: Any) -> Plan:
    return small_plan(
        prompt__answers=ANSWERS,
        tests__run=["sparse_features"],
        noise__reask=0,
        settings={"dictionary": {**DICTIONARY, **dictionary}},
    )


def context_with(model: Any, settings: Any, plan: Plan) -> ComputeContext:
    probe = PACKABLE if model.config.model_type == "llama" else PackingProbe(False, None, "no packing")
    return ComputeContext(
        plan=plan,
        settings=settings,
        loaded=LoadedModel(model, tiny_tokenizer(), None, "cpu"),
        scorer=PackedScorer(model, pack_tokens=64, probe=probe),
        render=renderer(plan, DATA),
        should_stop=lambda: False,
    )


def computed(model: Any, plan: Plan, **settings: Any) -> list[Any]:
    chosen = sparse_features.Settings(**{**SETTINGS, **settings})
    return typed.results(sparse_features, context_with(model, chosen, plan), asked(chosen, plan=plan, data=DATA))


def measured(model: Any, plan: Plan, results: list[Any]) -> tuple[Measurement, ...]:
    cases = small_cases(plan, DATA)
    margins = context_with(model, None, plan).margins([case.prompt for case in cases])
    context = Context(
        plan=plan,
        cases=cases,
        decisions={case.id: decided(case, float(margin)) for case, margin in zip(cases, margins, strict=True)},
        observed={},
        values={},
        observed_rate=None,
    )
    return adjust_and_conclude(list(sparse_features.measure(context, results)))


def decided(case: Case, margin: float) -> Decision:
    return Decision(case.id, margin, 1.0, 0.0, 0.0, Outcome.FAVOURABLE if margin >= 0 else Outcome.ADVERSE)


def of(measurements: tuple[Measurement, ...], metric: str, **subject: str) -> Measurement:
    found = [m for m in measurements if m.metric == metric and subject.items() <= m.subject.items()]
    assert len(found) == 1, [m.id for m in found]
    return found[0]


@pytest.fixture(scope="module")
def biased() -> Any:
    return planted_model("B", against=40.0)


@pytest.fixture(scope="module")
def results(biased: Any) -> list[Any]:
    return computed(biased, plan_of())


@pytest.fixture(scope="module")
def found(biased: Any, results: list[Any]) -> tuple[Measurement, ...]:
    return measured(biased, plan_of(), results)


def test_taking_out_the_chosen_features_removes_the_planted_difference(found: tuple[Measurement, ...]) -> None:
    item = of(found, "sparse_gap_removed", by="features", group="Black")

    assert all(check.held for check in item.checks), item.checks
    assert 0.5 < item.estimate / item.counts["gap"] < 1.3
    assert item.counts["random_largest"] < abs(item.estimate)
    assert item.counts["sign_agrees"] == 1
    # The smallest p-value that 39 draws can give.
    assert (item.counts["draws"], item.counts["draws_needed"]) == (39, 19)
    assert item.p_adjusted == pytest.approx(1 / 40)
    assert item.family == "inside: sparse_features"


def test_random_features_move_the_states_as_far_as_the_chosen_ones(found: tuple[Measurement, ...]) -> None:
    for metric in ("sparse_gap_removed", "sparse_steering_shift"):
        counts = of(found, metric, by="features", group="Black").counts
        assert counts["movement_control"] == pytest.approx(counts["movement"], rel=0.25)
        assert counts["movement"] > 0


def test_only_what_has_a_random_counterpart_has_a_p_value(found: tuple[Measurement, ...]) -> None:
    tested = {(m.metric, m.subject.get("by")) for m in found if m.p_value is not None}

    assert tested == {
        ("sparse_gap_removed", "features"),
        ("sparse_steering_shift", "features"),
        ("sparse_feature_difference", None),
    }


def test_fewer_draws_than_the_level_needs_say_so_and_give_no_p_value(biased: Any) -> None:
    plan = plan_of()
    item = of(
        measured(biased, plan, computed(biased, plan, random_draws=3)),
        "sparse_gap_removed",
        by="features",
        group="Black",
    )

    assert item.estimate is not None
    assert item.p_value is None
    assert item.conclusion is Conclusion.INCONCLUSIVE
    assert item.conclusion_reason == "too few draws to say: 3 of random features, where 19 are needed"


def test_the_baselines_stand_beside_the_features(found: tuple[Measurement, ...]) -> None:
    beside = {m.subject["by"]: m for m in found if m.metric == "sparse_gap_removed" and m.subject["group"] == "Black"}

    assert set(beside) == {"features", "coordinates", "principal components", "mean difference"}
    assert beside["mean difference"].counts["taken_out"] == 1
    assert beside["mean difference"].estimate == pytest.approx(beside["mean difference"].counts["gap"], rel=0.1)


def test_putting_the_features_values_in_moves_the_reference_towards_the_group(found: tuple[Measurement, ...]) -> None:
    item = of(found, "sparse_steering_shift", by="features", group="Black")

    assert item.estimate is not None
    assert item.estimate == pytest.approx(item.counts["gap"], rel=0.3)
    assert item.counts["random_largest"] < abs(item.estimate)
    assert item.counts["away"] > -0.3 * item.estimate


def test_reported_features_carry_layer_field_and_group_for_the_maps(found: tuple[Measurement, ...]) -> None:
    rows = [m for m in found if m.metric == "sparse_feature_effect" and m.subject["group"] == "Black"]

    assert rows
    assert all({"feature", "layer", "field", "group"} == set(row.subject) for row in rows)
    largest = max(rows, key=lambda row: abs(row.estimate or 0.0))
    difference = of(found, "sparse_feature_difference", group="Black", feature=largest.subject["feature"])
    assert difference.p_adjusted is not None
    assert difference.p_adjusted < 0.05


def test_the_dictionary_is_measured_on_held_out_applications_with_its_checks(found: tuple[Measurement, ...]) -> None:
    unexplained = of(found, "sparse_unexplained")
    recovered = of(found, "sparse_margin_recovered")

    assert unexplained.checks[0].name == "unexplained variance by another way"
    assert unexplained.checks[0].held
    assert unexplained.estimate is not None
    assert 0 < unexplained.estimate < 0.5
    assert recovered.checks[0].name == "error put back changes nothing"
    assert recovered.checks[0].held
    assert recovered.estimate is not None
    assert recovered.estimate > 0.5


def test_a_model_that_ignores_the_attribute_has_no_difference_to_remove() -> None:
    model, plan = planted_model("B", against=0.0), plan_of()
    item = of(measured(model, plan, computed(model, plan)), "sparse_gap_removed", by="features", group="Black")

    assert item.estimate is None or item.estimate == pytest.approx(0.0, abs=1e-3)
    assert item.p_value is None


def test_the_same_chunks_give_the_same_bytes_in_any_order(biased: Any, results: list[Any]) -> None:
    plan = plan_of()
    chosen = sparse_features.Settings(**SETTINGS)
    context = context_with(biased, chosen, plan)
    planned = typed.payloads(sparse_features, asked(chosen, plan=plan, data=DATA))
    again = [typed.result_of(sparse_features, context, payload) for payload in reversed(planned)]

    assert again == results[::-1]


def test_a_difference_that_rounding_could_make_has_no_direction(biased: Any, results: list[Any]) -> None:
    quality, attribute = results
    coarse = [quality, attribute.model_copy(update={"noise": replace(attribute.noise, logit=1e3)})]
    for metric in ("sparse_gap_removed", "sparse_steering_shift"):
        clear = of(measured(biased, plan_of(), results), metric, group="Black", by="features")
        item = of(measured(biased, plan_of(), coarse), metric, group="Black", by="features")
        assert "rounding alone" not in str(clear.conclusion_reason)
        assert item.conclusion is Conclusion.INCONCLUSIVE
        assert "that rounding alone could make" in str(item.conclusion_reason)
        assert item.p_value is None


def test_a_check_that_does_not_hold_takes_the_number_away(biased: Any, results: list[Any]) -> None:
    quality, attribute = results
    spliced = quality.spliced.model_copy(update={"identity": 0.1})
    broken = [quality.model_copy(update={"spliced": spliced}), attribute]
    item = of(measured(biased, plan_of(), broken), "sparse_margin_recovered")

    assert item.estimate is None
    assert "error put back changes nothing" in (item.missing_reason or "")
    other = [quality.model_copy(update={"fvu_again": 0.5}), attribute]
    assert of(measured(biased, plan_of(), other), "sparse_unexplained").estimate is None
