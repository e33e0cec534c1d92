"""Small references, heavy tails, rare outcomes, few scores, unequal noise: what they are, and short forms of rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from auditor.records import Conclusion
from benchmarks.simulated_audits import arms_of, contrasts, draw, filed_codes, net_effect, the_plan
from benchmarks.simulation_rough import FEWEST, UNEQUAL, at_the_margin
from benchmarks.simulation_scenarios import scenarios
from benchmarks.simulations import simulate, summarise

AUDITS = 8
MOST = int(stats.binom.isf(0.001, AUDITS, 0.16))
"""Three families at .05 and one at .10 leave about a sixth of null audits with a finding of any kind."""
MARGIN = the_plan().thresholds.equivalence_rate


@pytest.mark.parametrize(
    "name", ["null, tails without a mean, 100 applications", "null, arms of unequal noise, 100 applications"]
)
def test_a_null_audit_of_a_rough_world_seldom_finds_anything(name: str) -> None:
    scenario = scenarios()[name]
    row = next(summarise(scenario, [simulate(scenario, number) for number in range(AUDITS)], seconds=0.0))
    assert row.false_findings is not None
    assert row.false_findings * AUDITS <= MOST


@pytest.mark.parametrize("number", [1, 21, 28])
def test_few_turned_decisions_at_the_margin_are_not_equivalent_over_the_range(number: int) -> None:
    """In these audits one decision of 300 turned at the natural cut-off, where 2 % do in truth."""
    scenario = scenarios()[f"Δ at the margin, tails without a mean, {FEWEST} applications"]
    said = simulate(scenario, number).said
    for key in contrasts():
        assert said["cf_range_effect", key] is not Conclusion.EQUIVALENT_WITHIN_MARGIN


@pytest.mark.parametrize("name", at_the_margin())
def test_the_true_effect_of_a_world_at_the_margin_is_the_margin(name: str) -> None:
    world, _ = at_the_margin()[name]
    drawn = draw(world, 100_000, 11)
    for key in world.loud or world.flips:
        # A share of turned decisions has a standard error of half a thousandth; noise of its own turns far more.
        assert abs(net_effect(drawn, key)) == pytest.approx(MARGIN, abs=0.0045 if world.loud else 0.0018)


def test_an_arm_that_is_judged_anew_has_the_same_law_and_goes_less_with_the_other() -> None:
    scenario = scenarios()["null, arms of unequal noise, without a mean, 100 applications"]
    drawn = draw(scenario.world, 20_000, 3)
    together = {}
    for key in contrasts():
        control, group = (drawn.margins[row] for row in arms_of(drawn, key))
        assert stats.ks_2samp(control, group).pvalue > 1e-4
        together[key] = stats.spearmanr(control, group).statistic
    assert max(together[key] for key in UNEQUAL) < min(together[key] for key in contrasts() if key not in UNEQUAL)


@pytest.mark.parametrize("share", [0.05, 0.15])
def test_a_small_reference_is_as_small_as_it_says(share: float) -> None:
    for attribute in the_plan().attributes:
        codes = filed_codes(4000, share)[attribute.field]
        mine = float(np.mean(codes == attribute.groups.index(attribute.reference)))
        assert mine == pytest.approx(share, abs=0.02)


def test_the_rows_of_a_table_do_not_change_from_one_process_to_the_next() -> None:
    """Flips are given to contrasts in the plan's order: a set has another order in every process."""
    for scenario in scenarios().values():
        flipped = [key for key in contrasts() if key in scenario.world.flips]
        assert list(scenario.world.flips) == flipped
