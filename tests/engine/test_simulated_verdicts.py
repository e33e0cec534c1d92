"""Short forms of `python -m benchmarks simulations`: fixed seeds, bounds that the right chain keeps with room."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import pytest

from auditor.records import Conclusion
from benchmarks.simulated_audits import context_of, contrasts, draw, layout, the_plan
from benchmarks.simulation_scenarios import scenarios
from benchmarks.simulation_shapes import ONE, Scenario
from benchmarks.simulations import OUTCOMES, SEEN, Tally, simulate, summarise, upper

ABSENCE = (Conclusion.EQUIVALENT_WITHIN_MARGIN, Conclusion.NO_EVIDENCE)


@lru_cache
def tallies(name: str, audits: int, applications: int | None = None) -> tuple[Scenario, tuple[Tally, ...]]:
    """The first audits of a scenario, of its own size or another."""
    scenario = scenarios()[name]
    if applications is not None:
        scenario = replace(scenario, applications=applications)
    return scenario, tuple(simulate(scenario, number) for number in range(audits))


def test_gaps_between_applicants_lend_a_null_audit_no_significance() -> None:
    """Where as-filed gaps share a family with pairs of the same applicants they lend them their significance."""
    scenario, said = tallies("null, mixed noise", 10, 300)
    row = next(summarise(scenario, said, seconds=0.0))
    assert row.extra["any_false_finding"] <= 3 / 10
    assert row.false_findings is not None
    assert row.false_findings <= 1 / 10
    assert all(item.filed for item in said), "the gaps are there to be found"


@pytest.mark.parametrize("name", ["unequal readability, denials of one arm", "unequal readability, 22% of one arm"])
def test_an_arm_that_is_not_answered_is_found_and_nothing_of_it_is_called_equal(name: str) -> None:
    _, said = tallies(name, 3, 400)
    for item in said:
        assert item.said["refusal_rate_gap", ONE] in SEEN
        assert not [metric for metric in OUTCOMES if item.said[metric, ONE] in ABSENCE]


@pytest.mark.parametrize("side", ["above", "below"])
def test_a_difference_elsewhere_in_the_range_is_not_equivalent_at_the_natural_cut_off(side: str) -> None:
    """At the natural cut-off nothing or little differs; read there alone each of these audits was equivalent."""
    scenario, said = tallies(f"Δ at the margin, {side} the natural cut-off only", 2)
    row = next(summarise(scenario, said, seconds=0.0))
    assert row.false_equivalent == 0.0


def test_margins_that_all_fall_are_found_at_a_cut_off_where_they_turn_decisions() -> None:
    _, said = tallies("all margins fall, none near the natural cut-off", 2)
    for item in said:
        assert item.said["cf_range_effect", ONE] is Conclusion.DIFFERENCE_FOUND
        assert item.said["cf_net_effect", ONE] not in ABSENCE


def test_a_true_difference_at_the_margin_is_rarely_equivalent() -> None:
    """One contrast of four that is wrongly equivalent makes an audit count, so Holm must run over the four."""
    scenario, said = tallies("Δ at the margin, towards the group, 600 applications", 12)
    row = next(summarise(scenario, said, seconds=0.0))
    assert row.false_equivalent is not None
    assert row.false_equivalent <= 1 / 12


def test_the_stated_effect_is_found_about_as_often_as_stated() -> None:
    scenario, said = tallies("power at the stated effect, 300 applications, one way", 16)
    row = next(summarise(scenario, said, seconds=0.0))
    assert row.power is not None
    assert 9 / 16 <= row.power < 1


def test_a_simulated_audit_has_the_cases_of_a_real_one() -> None:
    """Five other versions, three attributes with four other groups between them, and every case in its arms."""
    made = layout(40)
    by_application = [[case for case in made.cases if case.cluster == f"A{row:05d}"] for row in range(40)]
    again = the_plan().noise.reask
    assert {len(cases) for cases in by_application} == {7}
    assert again >= 40
    for attribute in the_plan().attributes:
        for group in attribute.groups:
            arm = f"{attribute.field}={group}"
            assert all(sum(arm in case.arms for case in cases) == 1 for cases in by_application)
            inside = [case for case in made.cases if arm in case.arms]
            assert {case.groups[attribute.field] for case in inside} == {group}


def test_the_decisions_of_a_simulated_audit_are_those_of_its_draw() -> None:
    scenario = scenarios()["unequal readability, 22% of one arm"]
    drawn = draw(scenario.world, 100, 3)
    context = context_of(drawn)
    for number, key in enumerate(contrasts()):
        arm = context.arm("=".join(key))
        assert len(arm.clusters) == 100, number
    assert context.arm("race=Black").invalid.mean() == pytest.approx(1 - drawn.readable[2].mean())


def test_a_bound_on_a_share_is_that_of_clopper_and_pearson() -> None:
    assert upper(0, 10) == pytest.approx(1 - 0.05 ** (1 / 10))
    assert upper(10, 10) == 1.0
