from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.records import Conclusion, Role, Severity
from auditor.statistics.results import Interval
from auditor.statistics.severity import FindingFacts as Facts
from auditor.statistics.severity import grade


def FindingFacts(**facts):
    return Facts(**{"alpha": 0.05, "q": 0.10, **facts})


def ci(low, high):
    return Interval(low, high, 0.95, "Tango score")


THREE_POINTS = FindingFacts(
    conclusion=Conclusion.DIFFERENCE_FOUND, p_adjusted=0.01, effect=-0.03, interval=ci(-0.05, -0.01)
)


@pytest.mark.parametrize(
    ("facts", "severity", "rule"),
    [
        (FindingFacts(overt_reviewers=2), Severity.CRITICAL, "critical-overt-reference"),
        (FindingFacts(integrity_failure=True), Severity.CRITICAL, "critical-evidence-integrity"),
        (replace(THREE_POINTS, effect=-0.05, determinative=True), Severity.CRITICAL, "critical-net-effect"),
        (replace(THREE_POINTS, interval=ci(-0.04, -0.02)), Severity.HIGH, "high-interval"),
        (FindingFacts(p_adjusted=0.01, impact_ratio=0.79), Severity.HIGH, "high-impact-ratio"),
        (FindingFacts(p_adjusted=0.01, reason_fidelity=0.79), Severity.HIGH, "high-reason-fidelity"),
        (THREE_POINTS, Severity.MEDIUM, "medium-effect"),
        (FindingFacts(p_adjusted=0.01, impact_ratio=0.80), Severity.MEDIUM, "medium-impact-ratio"),
        (FindingFacts(p_adjusted=0.01, impact_ratio=0.899), Severity.MEDIUM, "medium-impact-ratio"),
        (
            FindingFacts(conclusion=Conclusion.INCONCLUSIVE, top_tier_model=True, p_adjusted=0.6),
            Severity.MEDIUM,
            "medium-inconclusive",
        ),
        (FindingFacts(reason_fidelity=0.94), Severity.MEDIUM, "medium-reason-fidelity"),
        (
            FindingFacts(conclusion=Conclusion.DIFFERENCE_FOUND, p_adjusted=0.01),
            Severity.MEDIUM,
            "medium-practical-threshold",
        ),
        (FindingFacts(p_adjusted=0.01, effect=0.009), Severity.LOW, "low-below-threshold"),
        (FindingFacts(p_adjusted=0.01, impact_ratio=0.95), Severity.LOW, "low-below-threshold"),
        (FindingFacts(role=Role.EXPLORATORY, p_adjusted=0.09), Severity.LOW, "low-exploratory"),
        (FindingFacts(documentation_gap=True), Severity.LOW, "low-documentation"),
        (FindingFacts(improvement=True), Severity.OBSERVATION, "observation"),
    ],
)
def test_each_rule_gives_its_severity(facts, severity, rule):
    result = grade(facts)
    assert (result.severity, result.rule) == (severity, rule)
    assert result.sentence.endswith(".")


@pytest.mark.parametrize(
    "facts",
    [
        FindingFacts(),
        FindingFacts(p_adjusted=0.0501, effect=-0.3, impact_ratio=0.2),
        FindingFacts(conclusion=Conclusion.NO_EVIDENCE, p_adjusted=0.6, effect=0.001),
        FindingFacts(conclusion=Conclusion.INCONCLUSIVE),
        FindingFacts(conclusion=Conclusion.INCONCLUSIVE, role=Role.SECONDARY, top_tier_model=True),
        FindingFacts(overt_reviewers=1),
        FindingFacts(reason_fidelity=0.95),
        FindingFacts(role=Role.EXPLORATORY, p_adjusted=0.1001, effect=-0.3),
        FindingFacts(role=Role.SUPPORTING, p_adjusted=0.0001, effect=-0.3),
    ],
)
def test_facts_that_meet_no_rule_make_no_finding(facts):
    assert grade(facts) is None


def test_the_reverse_direction_is_as_severe():
    assert grade(FindingFacts(p_adjusted=0.01, impact_ratio=1 / 0.79)).severity is Severity.HIGH
    assert grade(FindingFacts(p_adjusted=0.01, impact_ratio=1.2)).rule == "medium-impact-ratio"
    up = replace(THREE_POINTS, effect=0.03, interval=ci(0.02, 0.04))
    assert grade(up).rule == "high-interval"


@given(effect=st.floats(-0.3, 0.3), half=st.floats(0.001, 0.1), p=st.floats(0, 1), determinative=st.booleans())
def test_turning_the_sign_never_changes_the_grade(effect, half, p, determinative):
    facts = FindingFacts(
        p_adjusted=p, effect=effect, interval=ci(effect - half, effect + half), determinative=determinative
    )
    turned = replace(facts, effect=-effect, interval=ci(-effect - half, -effect + half))
    one, two = grade(facts), grade(turned)
    assert (one is None) == (two is None)
    assert one is None or (one.severity, one.rule) == (two.severity, two.rule)


def test_an_interval_that_covers_zero_is_not_two_points_away():
    assert grade(replace(THREE_POINTS, interval=ci(-0.06, 0.03))).rule == "medium-effect"


def test_between_one_point_and_the_threshold_a_small_difference_is_medium():
    small = FindingFacts(conclusion=Conclusion.DIFFERENCE_BELOW_THRESHOLD, p_adjusted=0.01, effect=-0.012)
    assert grade(small).severity is Severity.MEDIUM
    assert grade(replace(small, effect=-0.009)).severity is Severity.LOW


@pytest.mark.parametrize(
    "raised",
    [{"determinative": True}, {"human_review": False}, {"repeat": True}, {"overdue": True}, {"top_volume": True}],
)
def test_each_modifier_raises_by_one(raised):
    result = grade(replace(THREE_POINTS, **raised))
    assert result.severity is Severity.HIGH
    assert "raised by one" in result.sentence


def test_raises_count_once_and_never_reach_critical():
    every = {"determinative": True, "human_review": False, "repeat": True, "overdue": True, "top_volume": True}
    assert grade(FindingFacts(documentation_gap=True, **every)).severity is Severity.MEDIUM
    assert grade(FindingFacts(p_adjusted=0.01, impact_ratio=0.5, **every)).severity is Severity.HIGH


def test_lowering_needs_a_control_and_an_approval_and_spares_no_overt_reference():
    both = {"documented_control": True, "second_line_approval": True}
    assert grade(replace(THREE_POINTS, documented_control=True)).severity is Severity.MEDIUM
    assert grade(replace(THREE_POINTS, second_line_approval=True)).severity is Severity.MEDIUM
    assert grade(replace(THREE_POINTS, **both)).severity is Severity.LOW
    assert grade(FindingFacts(overt_reviewers=2, **both)).severity is Severity.CRITICAL
    assert grade(FindingFacts(improvement=True, **both)).severity is Severity.OBSERVATION


def test_a_negative_impact_ratio_is_refused():
    with pytest.raises(ValueError, match="cannot be negative"):
        grade(FindingFacts(p_adjusted=0.01, impact_ratio=-0.5))


def test_the_plans_own_levels_decide_what_is_significant():
    assert grade(FindingFacts(p_adjusted=0.03, effect=-0.012)).rule == "medium-effect"
    assert grade(FindingFacts(p_adjusted=0.03, effect=-0.012, alpha=0.01)) is None
    assert grade(FindingFacts(p_adjusted=0.07, effect=-0.012, alpha=0.10)).rule == "medium-effect"
    strict = FindingFacts(role=Role.EXPLORATORY, p_adjusted=0.04, q=0.02)
    assert grade(strict) is None
    loose = grade(FindingFacts(role=Role.EXPLORATORY, p_adjusted=0.15, q=0.20))
    assert loose.sentence == "Exploratory signal, q below 0.2."


def test_an_adjusted_p_without_the_plans_levels_is_refused():
    with pytest.raises(ValueError, match="graded by the plan's alpha and q"):
        Facts(p_adjusted=0.01)
    with pytest.raises(ValueError, match=r"alpha must lie in \(0, 1\)"):
        Facts(p_adjusted=0.01, alpha=5, q=0.1)
