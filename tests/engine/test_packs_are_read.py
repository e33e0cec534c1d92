"""Role, threshold and reference of a measure come from the plan's packs; small groups are hidden with all they give."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.conductor import Conclusions, conclude
from auditor.policies.packs import load_packs, metric_rule
from auditor.records import Case, Conclusion, Measurement, Role, Severity
from tests.engine.small import simulated, small_data, small_plan


def filed(folder: Path, *, black: float, packs: list[str], size: int = 600, **changes: object) -> Conclusions:
    """As filed, Black applications are approved at ``black`` of the rate of the others; no version changes anything."""

    def margin(case: Case) -> float:
        own = ("White", "Black", "White", "Black", "?", "Other")[number(case) % 6]
        rate = 0.8 * (black if own == "Black" else 1.0)
        return 1.0 if (number(case) // 6) % 100 < 100 * rate else -1.0

    return conclude(simulated(folder, small_plan(use__policy_packs=packs, **changes), small_data(size), margin))


def number(case: Case) -> int:
    """The row of the application: ids count from 1."""
    return int(case.cluster) - 1


def of(conclusions: Conclusions, metric: str, group: str = "Black") -> Measurement:
    [found] = [
        item
        for item in conclusions.measurements
        if item.test == "group_rates" and item.metric == metric and item.subject == {"field": "race", "group": group}
    ]
    return found


def test_an_impact_ratio_of_two_fifths_is_graded_where_a_pack_makes_it_primary(tmp_path: Path) -> None:
    conclusions = filed(tmp_path, black=0.4, packs=["us-fha"])
    ratio = of(conclusions, "impact_ratio")
    assert ratio.estimate == pytest.approx(0.4, abs=0.02)
    assert (ratio.role, ratio.family) == (Role.PRIMARY, "as filed: impact_ratio")
    assert ratio.conclusion is Conclusion.DIFFERENCE_FOUND
    assert ratio.counts["threshold"] == 0.8
    [finding] = [item for item in conclusions.findings if ratio.id in item.measurements]
    assert finding.severity is Severity.HIGH
    assert finding.rule.startswith("high-impact-ratio: ")
    assert finding.title == "As filed, applications with race Black are approved 0.41 times as often as White"
    assert "impact ratio 0.41" in finding.condition
    assert "a primary measure of Fair Housing Act (residential real-estate-related transactions)" in finding.condition


def test_without_such_a_pack_it_is_described_and_not_graded(tmp_path: Path) -> None:
    conclusions = filed(tmp_path, black=0.4, packs=["us-ecoa-regb"])
    ratio = of(conclusions, "impact_ratio")
    assert (ratio.role, ratio.family, ratio.conclusion) == (Role.EXPLORATORY, None, None)
    [finding] = [item for item in conclusions.findings if item.title.startswith("As filed")]
    assert finding.severity is Severity.LOW


def test_a_secondary_measure_is_not_confirmatory(tmp_path: Path) -> None:
    ratio = of(filed(tmp_path, black=0.4, packs=["uk-equality-consumer-duty"]), "impact_ratio")
    assert (ratio.role, ratio.family, ratio.conclusion) == (Role.SECONDARY, None, None)


def test_a_pack_that_compares_with_the_most_selected_group_has_its_ratio(tmp_path: Path) -> None:
    conclusions = filed(tmp_path, black=1.2, packs=["us-nyc-ll144"])
    [ratio] = [
        item for item in conclusions.measurements
        if item.metric == "impact_ratio" and item.subject.get("compared_with") and item.subject["field"] == "race"
    ]  # fmt: skip
    assert (ratio.subject["group"], ratio.reference, ratio.conclusion) == ("White", "Black", None)
    assert ratio.estimate == pytest.approx(1 / 1.2, abs=0.02)


@pytest.mark.parametrize(
    ("packs", "role", "threshold"),
    [
        (["us-fha"], Role.PRIMARY, 0.8),
        (["us-ecoa-regb"], Role.EXPLORATORY, None),
        (["us-ecoa-regb", "us-fha"], Role.PRIMARY, 0.8),
        (["eu-ai-act-hr5"], Role.PRIMARY, None),
        (["us-mrm-sr26-2"], None, None),
    ],
)
def test_the_strongest_role_of_the_packs_holds(packs: list[str], role: Role | None, threshold: float | None) -> None:
    rule = metric_rule(load_packs(packs, where="p"), "impact_ratio", field="race")
    assert (rule.role, rule.threshold) == (role, threshold)


def test_a_pack_does_not_speak_of_a_field_it_does_not_protect() -> None:
    assert metric_rule(load_packs(["us-fha"], where="p"), "impact_ratio", field="marital_status").role is None


def test_a_field_that_a_pack_protects_under_another_name_is_said_with_it() -> None:
    [pack] = load_packs(["us-nyc-ll144"], where="p")
    assert (pack.protects("race"), pack.protects("sex"), pack.protects("age")) == ("race_ethnicity", "sex", None)


def test_a_small_group_is_hidden_with_everything_that_gives_its_rate_back(tmp_path: Path) -> None:
    conclusions = filed(tmp_path, black=1.0, packs=["us-fha"], size=24, thresholds={"small_cell": 9})
    # 8 White and 8 Black, and 8 in neither: the total gives nothing back, and both are small.
    for metric in ("risk_difference", "impact_ratio", "denial_odds_ratio", "shortfall", "smd", "selection_rate"):
        item = of(conclusions, metric)
        assert (item.estimate, item.low, item.p_value, item.n) == (None, None, None, 0), metric
        assert item.missing_reason
        assert not {"k", "k_p", "n_p", "k_0", "n_0"} & item.counts.keys()


def test_a_small_group_is_hidden_and_what_the_total_leaves_of_it_is_no_small_group(tmp_path: Path) -> None:
    def margin(case: Case) -> float:
        return 1.0 if number(case) % 3 else -1.0

    data = small_data(600)
    plan = small_plan(attributes=[{"field": "race", "groups": ["White", "Other", "Black"], "reference": "White"}],
                      thresholds={"small_cell": 150})  # fmt: skip
    # 200 White, 200 Black, 100 Other, 100 in none of them: the total gives the last two together, 200, and neither.
    conclusions = conclude(simulated(tmp_path, plan, data, margin))
    rates = {group: of(conclusions, "selection_rate", group) for group in ("White", "Other", "Black")}
    assert rates["Other"].estimate is None
    assert [rates[group].estimate is None for group in ("White", "Black")] == [False, False]
    assert of(conclusions, "risk_difference", "Other").estimate is None


def test_a_group_below_the_minimum_is_inconclusive_and_has_no_interval(tmp_path: Path) -> None:
    conclusions = filed(tmp_path, black=0.1, packs=["us-fha"], size=60)
    difference = of(conclusions, "risk_difference")
    assert difference.estimate is not None
    assert (difference.low, difference.high) == (None, None)
    assert difference.conclusion is Conclusion.INCONCLUSIVE
    assert difference.conclusion_reason is not None
    assert "at least 30 needed" in difference.conclusion_reason
    assert of(conclusions, "selection_rate").low is None
