"""Two versions on the same cases: the change of an effect is that of the applications, not of who applied."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.comparison import Answer, compare_versions
from auditor.records import Conclusion, Measurement, Outcome

DESIGN = {
    "attributes": [{"field": "race", "groups": ["a", "b"], "reference": "a"}],
    "thresholds": {
        "alpha": 0.05, "power": 0.8, "practical_rate": 0.02, "equivalence_rate": 0.02, "bootstrap": 2000,
    },
    "operating_point": {"degenerate_share": 0.98},
    "cases": {"seed": 3},
}  # fmt: skip


def answers(margins: np.ndarray, shift: float) -> list[Answer]:
    """Every application as filed with group a, and once as b, whose margin is shifted."""
    rows = []
    for number, margin in enumerate(margins):
        for group, role, value in (("a", "actual", margin), ("b", "counterfactual", margin + shift)):
            outcome = Outcome.FAVOURABLE if value >= 0 else Outcome.ADVERSE
            rows.append(Answer(f"{number}/{group}", str(number), role, (f"race={group}",), outcome, float(value)))
    return rows


def change(measured: tuple[Measurement, ...]) -> Measurement:
    return next(item for item in measured if item.metric == "version_effect_change")


MARGINS = np.random.default_rng(1).normal(0.3, 1.0, 800)


def test_a_version_beside_itself_has_not_changed() -> None:
    same = answers(MARGINS, -0.4)
    measured = {item.metric: item for item in compare_versions(design=DESIGN, earlier=same, later=same)}
    assert {item.estimate for item in measured.values()} == {0.0}
    assert measured["version_effect_change"].p_value == 1.0
    assert measured["version_effect_change"].conclusion is Conclusion.EQUIVALENT_WITHIN_MARGIN


def test_the_change_is_the_later_effect_less_the_earlier_one() -> None:
    earlier, later = answers(MARGINS, -0.8), answers(MARGINS, -0.1)

    def net(rows: list[Answer]) -> float:
        said = {item.case_id: item.outcome is Outcome.FAVOURABLE for item in rows}
        return float(np.mean([said[f"{n}/b"] - said[f"{n}/a"] for n in range(len(MARGINS))]))

    found = change(compare_versions(design=DESIGN, earlier=earlier, later=later))
    assert found.estimate == pytest.approx(net(later) - net(earlier))
    assert found.conclusion is Conclusion.DIFFERENCE_FOUND
    assert found.low is not None
    assert 0 < found.low < found.estimate < found.high
    assert found.n == len(MARGINS)


@settings(max_examples=15, deadline=None)
@given(st.floats(-1.5, 1.5), st.floats(-1.5, 1.5))
def test_turned_round_every_difference_changes_its_sign(first: float, second: float) -> None:
    one, other = answers(MARGINS[:150], first), answers(MARGINS[:150], second)
    there = compare_versions(design=DESIGN, earlier=one, later=other)
    back = compare_versions(design=DESIGN, earlier=other, later=one)
    for left, right in zip(there, back, strict=True):
        sign = 1 if left.metric == "version_flip_rate" else -1
        assert left.estimate == pytest.approx(sign * right.estimate)
        assert left.p_value is None or left.p_value == pytest.approx(right.p_value)


def test_cases_of_one_run_only_are_left_out_and_counted() -> None:
    whole = answers(MARGINS, -0.4)
    found = change(compare_versions(design=DESIGN, earlier=whole, later=whole[:400]))
    assert found.n == 200
    assert (found.counts["only_earlier"], found.counts["only_later"]) == (len(whole) - 400, 0)


def test_a_version_that_gives_everybody_one_answer_cannot_be_concluded_upon() -> None:
    mute = [replace(item, outcome=Outcome.ADVERSE) for item in answers(MARGINS, 0.0)]
    found = change(compare_versions(design=DESIGN, earlier=answers(MARGINS, -0.8), later=mute))
    assert found.conclusion is Conclusion.INCONCLUSIVE
    assert "the later version gives 100.0% of the reference arms one outcome" in found.conclusion_reason


def test_runs_without_a_common_case_give_reasons_instead_of_numbers() -> None:
    other = [replace(item, case_id=f"x{item.case_id}") for item in answers(MARGINS[:20], 0.0)]
    measured = compare_versions(design=DESIGN, earlier=answers(MARGINS[:20], 0.0), later=other)
    assert all(item.estimate is None and item.missing_reason for item in measured)
    assert change(measured).conclusion is Conclusion.INCONCLUSIVE


def test_sampled_answers_have_outcomes_and_no_margin() -> None:
    sampled = [replace(item, margin=None) for item in answers(MARGINS, -0.4)]
    measured = compare_versions(design=DESIGN, earlier=sampled, later=sampled)
    missing = [item.metric for item in measured if item.estimate is None]
    assert missing == ["version_margin_change"]
