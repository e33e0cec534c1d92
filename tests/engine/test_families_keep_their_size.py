"""A family is what the plan declared: a contrast that gave no p-value makes the others' adjustment no milder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from auditor.catalogue import find_tests
from auditor.conclusions import FAMILY_SIZE, adjust_and_conclude
from auditor.records import Check, Conclusion, Measurement, Role
from auditor.statistics.equivalence import Equivalence
from auditor.statistics.verdict import Evidence
from auditor.testing.families import FILED_FAMILY, MATCHED_FAMILY, PRIMARY_FAMILY, RANGE_FAMILY, SAME_APPLICANTS_FAMILY
from auditor.testing.unadjusted import UnadjustedMeasurement
from tests.engine.made_up import GROUP, Answers, made_up, pair_plan


def draft(
    name: str,
    p_value: float | None,
    *,
    family: str = PRIMARY_FAMILY,
    claim: float | None = None,
    declared: int | None = None,
    checks: tuple[Check, ...] = (),
) -> UnadjustedMeasurement:
    estimate = None if p_value is None else 0.03
    item = Measurement(
        id=name, test="t", metric="m", role=Role.PRIMARY, subject={}, unit="rate_difference", estimate=estimate,
        level=0.95, p_value=p_value, family=family, n=1000, checks=checks,
    )  # fmt: skip
    evidence = Evidence(
        estimate=estimate, p_adjusted=None, practical_threshold=0.02, pairs=1000, alpha=0.05, equivalence_alpha=0.05
    )
    equivalence = None if claim is None else Equivalence(claim < 0.05, 0.02, None, claim)
    return UnadjustedMeasurement(item, evidence, equivalence=equivalence, family_size=declared)


@pytest.mark.parametrize("family", ["primary", "exploratory: same applicants"])
def test_a_member_without_a_p_value_counts_in_its_family(family: str) -> None:
    first, _ = adjust_and_conclude([draft("first", 0.03, family=family), draft("second", None, family=family)])
    assert first.p_adjusted == pytest.approx(0.06)
    assert first.counts[FAMILY_SIZE] == 2
    assert (first.conclusion is Conclusion.DIFFERENCE_FOUND) is False or family != "primary"


def test_a_claim_of_equivalence_is_adjusted_over_contrasts_that_could_claim_nothing() -> None:
    first, _ = adjust_and_conclude([draft("first", 0.9, claim=0.03), draft("second", 0.9)])
    assert first.counts["equivalence_p"] == pytest.approx(0.06)
    assert first.conclusion is not Conclusion.EQUIVALENT_WITHIN_MARGIN


def test_contrasts_that_the_data_left_out_of_a_family_count_as_declared() -> None:
    [alone] = adjust_and_conclude([draft("alone", 0.02, declared=4)])
    assert alone.p_adjusted == pytest.approx(0.08)
    assert alone.counts[FAMILY_SIZE] == 4


def test_a_p_value_whose_check_failed_makes_no_other_adjustment_milder() -> None:
    failed = Check("packed equals alone", held=False, value=0.5, bound=1e-4)
    kept, gone = adjust_and_conclude([draft("kept", 0.03), draft("gone", 0.0001, checks=(failed,))])
    assert kept.p_adjusted == pytest.approx(0.06)
    assert gone.p_adjusted is None


def answers(margins: Callable[[np.random.Generator], np.ndarray], *, filed: int | None = None) -> Answers:
    generator = np.random.default_rng(1)
    reference = margins(generator)
    own = np.zeros(len(reference), dtype=bool)
    own[: len(own) // 2 if filed is None else filed] = True
    return Answers.of(reference, reference - 0.1, filed_group=own)


def test_every_contrast_stands_in_its_declared_families_whatever_the_data() -> None:
    few = answers(lambda generator: generator.normal(size=400), filed=5)  # five applications of the group: hidden
    context = made_up(few, plan=pair_plan(tests=("counterfactual", "group_rates")))
    drafts = [item for test in find_tests(context.plan.tests.run, where="test") for item in test.measure(context)]
    by_metric = {
        item.measurement.metric: item for item in drafts if item.measurement.subject.get("group") == GROUP
        and item.measurement.family
    }  # fmt: skip
    assert by_metric["smd"].measurement.p_value is None, "the small group hides it"
    declared = {metric: (item.measurement.family, item.family_size) for metric, item in by_metric.items()}
    assert declared["smd"] == declared["risk_difference"] == (FILED_FAMILY, 2)
    assert declared["cf_net_effect"] == (PRIMARY_FAMILY, 1)
    assert declared["cf_range_effect"] == (RANGE_FAMILY, 1)
    assert declared["cf_net_effect_matched"] == (SAME_APPLICANTS_FAMILY, 2)
    silent = made_up(answers(lambda generator: generator.normal(size=400) + 9))
    matched = next(
        item for test in find_tests(silent.plan.tests.run, where="test") for item in test.measure(silent)
        if item.measurement.metric == "cf_net_effect_matched"
    )  # fmt: skip
    assert (matched.measurement.family, matched.family_size) == (MATCHED_FAMILY, 1)


def test_the_difference_of_scores_as_filed_is_concluded_as_the_difference_of_rates_is() -> None:
    context = made_up(
        answers(lambda generator: np.sort(generator.normal(size=600))),
        plan=pair_plan(tests=("group_rates",)),
    )
    drafts = [item for test in find_tests(context.plan.tests.run, where="test") for item in test.measure(context)]
    settled = {item.metric: item for item in adjust_and_conclude(drafts) if item.subject.get("group") == GROUP}
    assert settled["smd"].conclusion is Conclusion.DIFFERENCE_FOUND
    assert "SD" in (settled["smd"].conclusion_reason or "")
    assert settled["smd"].counts["mde"] == pytest.approx(
        # (z(1 − q/4) + z(.8)) · √(1/300 + 1/300) at q = .10 over the two exploratory tests of this plan
        (1.959964 + 0.841621) * np.sqrt(2 / 300), rel=1e-3,
    )  # fmt: skip
