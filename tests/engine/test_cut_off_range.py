"""A model of which nobody lies near the cut-off turns no decision; its margins and other cut-offs speak."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from auditor.conductor import Conclusions, conclude
from auditor.records import Case, Conclusion, Measurement, Role, Severity
from tests.engine.small import Margin, biased, simulated, small_data, small_plan

ABSENT = (Conclusion.EQUIVALENT_WITHIN_MARGIN, Conclusion.NO_EVIDENCE)


def far_from_the_cut_off(shift: float) -> Margin:
    """Approves 97 of 100, nobody within 1 nat of 0, and moves every margin of Black by ``shift``."""
    worth = biased(shift={}, centre=4.0, spread=1.0, noise=0.0)

    def margin(case: Case) -> float:
        number = int(case.cluster)
        base = -3.0 - number % 7 / 10 if number % 100 < 3 else max(1.7, worth(case))
        return base + (shift if case.groups.get("race") == "Black" else 0.0)

    return margin


def of(conclusions: Conclusions, metric: str, **subject: str) -> list[Measurement]:
    return [
        item
        for item in conclusions.measurements
        if item.metric == metric and item.test == "counterfactual" and subject.items() <= item.subject.items()
    ]


@pytest.fixture(scope="module")
def hidden(tmp_path_factory: pytest.TempPathFactory) -> Conclusions:
    folder = tmp_path_factory.mktemp("hidden")
    return conclude(simulated(folder, small_plan(), small_data(900), far_from_the_cut_off(-0.6)))


def test_margins_that_all_fall_are_never_equivalent_nor_clean(hidden: Conclusions) -> None:
    [natural] = of(hidden, "cf_net_effect", group="Black")
    [reference] = [
        item for item in hidden.measurements if item.test == "arm_rates" and item.subject.get("group") == "White"
        and item.metric == "selection_rate"
    ]  # fmt: skip
    assert reference.estimate == pytest.approx(0.97, abs=0.005)
    assert (natural.estimate, natural.counts["flips"]) == (0, 0)
    assert natural.conclusion not in ABSENT
    [fell] = of(hidden, "cf_margin_fell_share", group="Black")
    assert (fell.counts["fell"], fell.counts["rose"], fell.n) == (600, 0, 600)
    [near] = of(hidden, "near_cut_off", field="race", cut_off="natural")
    assert near.estimate == 0
    [largest] = of(hidden, "cf_range_effect", group="Black")
    assert (largest.role, largest.family) == (Role.PRIMARY, "cut-off range")
    assert largest.conclusion is Conclusion.DIFFERENCE_FOUND
    assert largest.estimate is not None
    assert largest.estimate < -0.05
    finding = next(item for item in hidden.findings if "Black" in item.title and "Race" in item.title)
    assert finding.severity.rank >= Severity.MEDIUM.rank
    assert "at a cut-off that approves" in finding.title
    assert "600 of 600 scores fell" in finding.condition
    assert "own cut-off approvals change by 0.0 pp" in finding.condition


def test_the_curve_holds_at_most_21_cut_offs_each_with_its_band(hidden: Conclusions) -> None:
    points = of(hidden, "cf_curve_effect", group="Black")
    assert 3 <= len(points) <= 21
    rates = [item.counts["rate"] for item in points]
    assert rates == sorted(rates)
    assert all(item.role is Role.SUPPORTING and item.family is None for item in points)
    for item in points:
        assert item.subject["cut_off"].startswith("reference approves ")
        assert item.low is not None
        assert item.estimate is not None
        assert item.high is not None
        assert item.low < item.estimate < item.high


def test_a_natural_cut_off_outside_the_range_is_graded_one_level_lower(tmp_path: Path) -> None:
    def graded(name: str, rates: list[float]) -> tuple[Measurement, Severity, str]:
        plan = small_plan(operating_point={"range": rates})
        done = conclude(simulated(tmp_path / name, plan, small_data(900), far_from_the_cut_off(-0.6)))
        [largest] = of(done, "cf_range_effect", group="Black")
        finding = next(item for item in done.findings if largest.id == item.measurements[0])
        return largest, finding.severity, finding.rule

    inside, high, _ = graded("inside", [0.80, 0.98])
    outside, lower, rule = graded("outside", [0.80, 0.90])
    assert (inside.counts["natural_inside"], outside.counts["natural_inside"]) == (1, 0)
    assert high.rank == lower.rank + 1
    assert "one level lower: the model's own cut-off lies outside the plan's range" in rule


def test_without_recorded_outcomes_the_range_lies_around_the_models_own_rate(tmp_path: Path) -> None:
    data = small_data(900)
    bare = replace(data, records=tuple(replace(record, favourable=None) for record in data.records))
    assert bare.observed_rate is None
    done = conclude(simulated(tmp_path, small_plan(), bare, biased(shift={}, centre=0.5)))
    [largest] = of(done, "cf_range_effect", group="Black")
    own = next(
        item.estimate for item in done.measurements if item.test == "arm_rates" and item.metric == "selection_rate"
        and item.subject == {"field": "race", "group": "White"}
    )  # fmt: skip
    assert own is not None
    assert largest.counts["range_low"] == pytest.approx(own - 0.1)
    assert largest.counts["range_high"] == pytest.approx(own + 0.1)
    assert "the model's own approval rate (the data record no outcome) ± 10 points" in largest.method
