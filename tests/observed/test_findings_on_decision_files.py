"""Findings of a decision file say what was decided on whom, each in the words of its own measure."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from auditor.behaviour.observed import prices
from auditor.conclusions import adjust_and_conclude
from auditor.decision_audit import conclude_decisions
from auditor.finding_rules import times_threshold
from auditor.finding_words import SEEN
from auditor.findings import find
from auditor.observed.building import taken
from auditor.observed.columns import Numbers, Observed
from auditor.policies.packs import load_packs
from auditor.records import Conclusion, Finding, Measurement, Role, Severity
from auditor.testing.state import State
from reports import wording
from tests.observed.asked import plan, run
from tests.observed.made_up import columns

NOBODY = State(degenerate=False, reasons=(), same_answer_share=0.0, same_answer="", low_mass_share=0.0)
RUN = ["observed_rates", "observed_equal_factors", "observed_prices", "observed_intersections"]


def judged(observed: Observed, **changes: Any) -> tuple[tuple[Measurement, ...], tuple[Finding, ...]]:
    asked = plan(tests={"run": RUN}, **changes)
    measured = conclude_decisions(asked, observed)
    packs = load_packs(asked.use.policy_packs, where=asked.name)
    return measured, find(measured, plan=asked, packs=packs, state=NOBODY)


@pytest.fixture(scope="module")
def large() -> Observed:
    return columns(6000, sexism=0.5)


def test_two_attributes_at_once_raise_findings_of_their_own_in_the_words_of_both(large: Observed) -> None:
    measured, findings = judged(large, use__policy_packs=["us-ecoa-regb", "us-fha"])
    (both,) = [item for item in findings if "race Black and sex female" in item.title]
    (gap,) = [item for item in measured if item.id in both.measurements]
    assert gap.test == "observed_intersections"
    assert gap.role is Role.EXPLORATORY
    assert both.severity is Severity.LOW
    assert "Exploratory: found on the way" in both.effect
    assert "audit it with only race and sex changed" in both.recommendation
    assert f"than {gap.reference}" in both.title


def test_two_attributes_at_once_below_their_minimum_raise_none(large: Observed) -> None:
    race, sex = large.attribute("race"), large.attribute("sex")
    assert race is not None
    assert sex is not None
    women = np.flatnonzero(race.mask("Black") & sex.mask("female") & large.decided)
    few = taken(large, np.setdiff1d(np.arange(large.n), women[25:]))
    _, findings = judged(few)
    assert not any("race Black and sex female" in item.title for item in findings)
    assert any("race Black" in item.title for item in findings)


def test_a_price_gap_speaks_of_approved_applicants_and_never_of_denials(large: Observed) -> None:
    asked = plan(tests={"run": ["observed_prices"]})
    measured = conclude_decisions(asked, large)
    findings = find(measured, plan=asked, packs=[], state=NOBODY)
    (black,) = [item for item in findings if "race Black" in item.title]
    assert black.title.startswith("Decisions taken: approved applicants with race Black got a ")
    assert " SD (" in black.title
    assert "denied" not in black.recommendation + black.effect + black.condition
    assert "approved Black and White applicants alike in what may set" in black.recommendation
    assert "price gap, in SD, of" not in black.title + black.condition


def test_a_rule_names_the_measure_it_judges_by(large: Observed) -> None:
    _, findings = judged(large, use__policy_packs=["us-fha"])
    (black,) = [item for item in findings if "race Black were favoured" in item.title]
    assert ", by impact ratio: " in black.rule


def test_what_stands_in_a_finding_beside_the_measure_that_earned_its_severity_does_not_lead(large: Observed) -> None:
    measured, findings = judged(large, use__policy_packs=["us-fha"])
    lead = wording.lead_measurement(measured, findings)
    assert lead is not None
    assert lead.role is Role.PRIMARY
    (gap,) = [item for item in measured if item.metric == "adjusted_difference" and item.subject["group"] == "Black"]
    assert gap.conclusion is Conclusion.DIFFERENCE_FOUND


def test_a_price_that_repeats_another_is_counted_once_and_said_in_one_line(large: Observed) -> None:
    rate = large.prices[0]
    spread = Numbers(name="spread", label="spread", unit="%", values=rate.values - 5.25)
    twice = replace(large, prices=(rate, spread))
    once = {item.id: item for item in adjust_and_conclude(list(prices.measure(run(large))))}
    again = {item.id: item for item in adjust_and_conclude(list(prices.measure(run(twice))))}
    assert again == once
    assert "spread rises and falls with rate exactly: compared and counted once" in twice.facts
    other = replace(spread, values=spread.values + np.arange(large.n) % 2 * 0.001)
    assert replace(large, prices=(rate, other)).repeated == ()
    fewer = replace(spread, values=np.where(np.arange(large.n) == np.flatnonzero(large.favourable)[0], np.nan, 1.0))
    assert replace(large, prices=(rate, fewer)).repeated == ()
    turned = replace(spread, values=-rate.values)
    assert replace(large, prices=(rate, turned)).repeated == ()


def test_the_meaning_of_a_difference_tells_a_main_question_from_a_signal(large: Observed) -> None:
    measured, _ = judged(large)
    design = wording.Design.of(plan())
    said = wording.conclusion_meaning(Conclusion.DIFFERENCE_FOUND, design, measured)
    assert "chance hardly explains it" not in said
    assert "exploratory signal" in said
    found = next(item for item in measured if item.conclusion is Conclusion.DIFFERENCE_FOUND)
    main = replace(found, role=Role.PRIMARY)
    assert "exploratory" not in wording.conclusion_meaning(Conclusion.DIFFERENCE_FOUND, design, [main])
    assert "(q below .10)" in wording.conclusion_meaning(Conclusion.DIFFERENCE_FOUND, design, [main, found])


def test_of_one_severity_the_largest_beside_its_threshold_comes_first(large: Observed) -> None:
    measured, findings = judged(large, use__policy_packs=["us-ecoa-regb", "us-fha"])
    by_id = {item.id: item for item in measured}
    thresholds = plan().thresholds
    order = [
        (finding.severity.rank, finding.conclusion in SEEN, times_threshold(by_id[finding.measurements[0]], thresholds))
        for finding in findings
    ]
    assert order == sorted(order, reverse=True)
    assert len({rank for rank, _, _ in order}) < len(order)  # otherwise severity alone ordered them


def test_sizes_of_different_units_are_compared_by_their_thresholds(large: Observed) -> None:
    gap = next(item for item in judged(large)[0] if item.unit == "rate_difference" and item.reference)
    thresholds, one = plan().thresholds, replace(gap, estimate=-0.04)
    assert times_threshold(one, thresholds) == pytest.approx(2.0)
    assert times_threshold(replace(one, unit="sd", estimate=0.3), thresholds) == pytest.approx(3.0)
    ratio = replace(one, unit="ratio", counts={"threshold": 0.8})
    assert times_threshold(replace(ratio, estimate=1.25), thresholds) == pytest.approx(1.0)
    assert times_threshold(replace(ratio, estimate=0.0), thresholds) == math.inf
    assert times_threshold(replace(one, estimate=None), thresholds) == 0.0
    assert times_threshold(replace(one, unit="count"), thresholds) == 0.0
