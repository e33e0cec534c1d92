"""Cases an opposing statistician brought: each read wrongly, or was not read at all, before it was mended."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from auditor.catalogue import find_tests
from auditor.conclusions import adjust_and_conclude
from auditor.findings import find
from auditor.records import Check, Conclusion, Measurement, Role
from auditor.rounding import significant
from auditor.testing.context import Context
from benchmarks.simulated_audits import World, context_of, draw, seeded_plan
from benchmarks.simulation_shapes import normal
from tests.engine.made_up import Answers, made_up, measured, pair_plan


def of(context: Context, metric: str) -> Measurement:
    return next(item for item in measured(context).values() if item.metric == metric)


def filed_gap(*, gap: float, n: int = 600) -> Answers:
    """Different applicants, Black ones worth ``gap`` less; no version changes anything."""
    generator = np.random.default_rng(3)
    filed = generator.random(n) < 0.4
    worth = generator.normal(1, 1, n) - gap * filed
    return Answers.of(worth, worth.copy(), filed_group=filed)


def test_a_difference_of_rates_that_a_pack_makes_primary_is_confirmed_at_the_packs_threshold() -> None:
    plan = pair_plan(tests=("group_rates",), use__policy_packs=["us-co-ins-10-1-1"])
    context = made_up(filed_gap(gap=0.8), plan=plan)
    difference = of(context, "risk_difference")
    assert (difference.role, difference.family) == (Role.PRIMARY, "as filed: risk_difference")
    assert difference.counts["threshold"] == 0.05


def test_a_primary_ratio_states_what_its_own_level_can_detect() -> None:
    stated = {}
    for alpha in (0.05, 0.001):
        plan = pair_plan(tests=("group_rates",), use__policy_packs=["us-fha"], thresholds__alpha=alpha)
        stated[alpha] = of(made_up(filed_gap(gap=0.0), plan=plan), "impact_ratio").counts["mde"]
    assert stated[0.001] < stated[0.05]


def test_no_finding_rests_on_a_run_whose_check_failed() -> None:
    context = made_up(filed_gap(gap=0.8), plan=pair_plan(tests=("counterfactual", "group_rates")))
    drafts = [draft for test in find_tests(context.plan.tests.run, where="t") for draft in test.measure(context)]
    failed = Check(name="packed equals alone", held=False, value=1.0, bound=0.001, covers_run=True, note="")
    drafts[-1] = replace(drafts[-1], measurement=replace(drafts[-1].measurement, checks=(failed,)))
    found = find(adjust_and_conclude(drafts), plan=context.plan, packs=context.packs, state=context.state)
    assert not [item for item in found if item.title.startswith("As filed")]


def test_one_comparison_is_not_said_to_be_outweighed_by_its_family() -> None:
    worth = np.random.default_rng(3).normal(1, 1, 600)
    shown = worth.copy()
    shown[np.argsort(np.where(worth > 0, worth, 9))[:5]] = -0.01
    natural = of(made_up(Answers.of(worth, shown)), "cf_net_effect")
    assert natural.p_value == natural.p_adjusted == 0.0625
    assert "over all comparisons of its family" not in str(natural.conclusion_reason)
    assert "made in another way" in str(natural.conclusion_reason)


def test_six_changes_one_way_at_a_cut_off_of_the_range_are_not_equivalent() -> None:
    generator = np.random.default_rng(14)
    worth = np.sort(generator.normal(1.1, 1, 1500))
    shown = worth + generator.normal(0, 0.003, 1500)
    start = generator.integers(150, 350)
    shown[start : start + 7] = worth[start] - 1e-3
    context = replace(made_up(Answers.of(worth, shown)), observed_rate=0.87)
    largest = of(context, "cf_range_effect")
    assert (largest.counts["b"], largest.counts["c"]) == (6, 0)
    assert largest.conclusion is not Conclusion.EQUIVALENT_WITHIN_MARGIN


def test_no_interval_stands_on_one_application() -> None:
    context = made_up(Answers.of(np.array([0.5]), np.array([0.0])), plan=pair_plan(tests=("counterfactual",)))
    assert not [item.id for item in measured(context).values() if item.low is not None]


def test_the_cut_off_of_a_count_is_the_one_of_the_effect_where_answers_are_unreadable() -> None:
    generator = np.random.default_rng(5)
    worth, readable = generator.normal(1, 1, 600), np.ones(600, dtype=bool)
    readable[generator.choice(600, 200, replace=False)] = False
    answers = Answers.of(worth, worth - 0.1, reference_readable=readable, group_readable=readable)
    found = measured(replace(made_up(answers), observed_rate=0.6)).values()
    near = next(item for item in found if item.metric == "near_cut_off" and item.subject["cut_off"] == "matched")
    matched = next(item for item in found if item.metric == "cf_net_effect_matched")
    assert near.counts["threshold"] == matched.counts["threshold"]


def test_significant_digits_round_half_away_from_zero() -> None:
    assert (significant(0.0625, 2), significant(0.03125, 3), significant(0.125, 2)) == ("0.063", "0.0313", "0.13")
    assert (significant(0.0, 2), significant(1.0, 3), significant(8.25e-10, 2)) == ("0", "1", "8.3e-10")


def test_an_auc_of_a_handful_of_denials_has_no_p_either() -> None:
    """DeLong's test is one of large samples: below the minimum of a label it goes with its interval."""
    found = {}
    for many in (25, 400):
        drawn = draw(World(worth=normal(0.9, 1.0), noise=normal(0.0, 0.3)), many, 7)
        found[many] = of(context_of(drawn, plan=seeded_plan(7)), "auc")
    assert found[25].estimate is not None
    assert (found[25].low, found[25].p_value) == (None, None)
    assert found[400].p_value is not None
