"""Two versions on the same cases: the change of an effect is that of the applications, not of who applied."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from auditor.comparison import Answer, compare_versions
from auditor.plan import plan_from
from auditor.records import Conclusion, Measurement, Outcome

DESIGN = {
    "schema": 1,
    "name": "two-versions",
    "title": "Two versions",
    "use": {"business_use": "Loans", "decision_role": "advisory"},
    "prompt": {"template": "{race}:", "answers": {"favourable": [" yes"], "adverse": [" no"]}},
    "attributes": [{"field": "race", "groups": ["a", "b"], "reference": "a"}],
    "tests": {"run": ["counterfactual"]},
    "cases": {"seed": 3},
}
PLAN = plan_from(DESIGN, where="two versions")


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
    measured = {item.metric: item for item in compare_versions(plan=PLAN, earlier=same, later=same)}
    assert {item.estimate for item in measured.values()} == {0.0}
    assert measured["version_effect_change"].p_value == 1.0
    assert measured["version_effect_change"].conclusion is Conclusion.EQUIVALENT_WITHIN_MARGIN


def test_the_change_is_the_later_effect_less_the_earlier_one() -> None:
    earlier, later = answers(MARGINS, -0.8), answers(MARGINS, -0.1)

    def net(rows: list[Answer]) -> float:
        said = {item.case_id: item.outcome is Outcome.FAVOURABLE for item in rows}
        return float(np.mean([said[f"{n}/b"] - said[f"{n}/a"] for n in range(len(MARGINS))]))

    found = change(compare_versions(plan=PLAN, earlier=earlier, later=later))
    assert found.estimate == pytest.approx(net(later) - net(earlier))
    assert found.conclusion is Conclusion.DIFFERENCE_FOUND
    assert found.low is not None
    assert 0 < found.low < found.estimate < found.high
    assert found.n == len(MARGINS)


@settings(max_examples=15, deadline=None)
@given(st.floats(-1.5, 1.5), st.floats(-1.5, 1.5))
def test_turned_round_every_difference_changes_its_sign(first: float, second: float) -> None:
    one, other = answers(MARGINS[:150], first), answers(MARGINS[:150], second)
    there = compare_versions(plan=PLAN, earlier=one, later=other)
    back = compare_versions(plan=PLAN, earlier=other, later=one)
    for left, right in zip(there, back, strict=True):
        sign = 1 if left.metric == "version_flip_rate" else -1
        assert left.estimate == pytest.approx(sign * right.estimate)
        assert left.p_value is None or left.p_value == pytest.approx(right.p_value)


def test_cases_of_one_run_only_are_left_out_and_counted() -> None:
    whole = answers(MARGINS, -0.4)
    found = change(compare_versions(plan=PLAN, earlier=whole, later=whole[:400]))
    assert found.n == 200
    assert (found.counts["only_earlier"], found.counts["only_later"]) == (len(whole) - 400, 0)


def test_a_version_that_gives_everybody_one_answer_cannot_be_concluded_upon() -> None:
    mute = [replace(item, outcome=Outcome.ADVERSE) for item in answers(MARGINS, 0.0)]
    found = change(compare_versions(plan=PLAN, earlier=answers(MARGINS, -0.8), later=mute))
    assert found.conclusion is Conclusion.INCONCLUSIVE
    assert "the later version gives 100% of the reference arms one outcome" in found.conclusion_reason


def test_runs_without_a_common_case_give_reasons_instead_of_numbers() -> None:
    other = [replace(item, case_id=f"x{item.case_id}") for item in answers(MARGINS[:20], 0.0)]
    measured = compare_versions(plan=PLAN, earlier=answers(MARGINS[:20], 0.0), later=other)
    assert all(item.estimate is None and item.missing_reason for item in measured)
    assert change(measured).conclusion is Conclusion.INCONCLUSIVE


def test_rows_of_one_applicant_that_are_kept_apart_conclude_nothing() -> None:
    """Rows of one id have ids ``7``, ``7#2``; ids that only look so are applicants of their own."""
    rows = [
        replace(item, cluster=f"{int(item.cluster) // 2}{'#2' if int(item.cluster) % 2 else ''}")
        for item in answers(MARGINS, -0.8)
    ]
    later = [replace(item, cluster=row.cluster) for item, row in zip(answers(MARGINS, -0.1), rows, strict=True)]
    apart = compare_versions(plan=PLAN, earlier=rows, later=later, rows_apart=True)
    concluded = [item for item in apart if item.conclusion is not None]
    assert {item.conclusion for item in concluded} == {Conclusion.INCONCLUSIVE}
    assert all("some applicants have several rows" in (item.conclusion_reason or "") for item in concluded)
    assert change(compare_versions(plan=PLAN, earlier=rows, later=later)).conclusion is Conclusion.DIFFERENCE_FOUND


def test_sampled_answers_have_outcomes_and_no_margin() -> None:
    sampled = [replace(item, margin=None) for item in answers(MARGINS, -0.4)]
    measured = compare_versions(plan=PLAN, earlier=sampled, later=sampled)
    missing = [item.metric for item in measured if item.estimate is None]
    assert missing == ["version_margin_change", "version_range_change"]
    assert change(measured).conclusion is Conclusion.EQUIVALENT_WITHIN_MARGIN


def conclusions(measured: tuple[Measurement, ...]) -> dict[str, Conclusion | None]:
    """By metric, of the one group that is no reference; the gap of readability in the later version."""
    return {
        item.metric: item.conclusion
        for item in measured
        if item.subject.get("group") != "a" and item.subject.get("version") != "earlier"
    }


def unreadable(rows: list[Answer], chosen: Callable[[int, Answer], bool]) -> list[Answer]:
    return [
        replace(item, outcome=Outcome.INVALID) if chosen(number, item) else item for number, item in enumerate(rows)
    ]


def test_a_later_version_that_stops_answering_one_group_is_never_called_unchanged() -> None:
    """The approvals stay as they were: only those of group b who were denied get no answer any more."""
    earlier = answers(MARGINS, 0.0)

    def denied_and_b(_: int, item: Answer) -> bool:
        return item.arms == ("race=b",) and item.outcome is Outcome.ADVERSE and int(item.cluster) % 4 == 0

    measured = compare_versions(plan=PLAN, earlier=earlier, later=unreadable(earlier, denied_and_b))
    said = conclusions(measured)
    assert change(measured).estimate == 0.0
    assert said["version_refusal_change"] is Conclusion.DIFFERENCE_FOUND
    assert said["version_refusal_gap"] is Conclusion.DIFFERENCE_FOUND
    assert said["version_effect_change"] is Conclusion.INCONCLUSIVE
    assert said["version_range_change"] is Conclusion.DIFFERENCE_FOUND  # looser cut-offs approve none of the silent
    assert "a change of readable answers in the b arm was found" in (change(measured).conclusion_reason or "")
    assert "of the b arm, 0% of the a arm" in (change(measured).conclusion_reason or "")


def test_a_gap_in_readable_answers_that_both_versions_have_is_open_too() -> None:
    both = unreadable(answers(MARGINS, 0.0), lambda number, item: item.arms == ("race=b",) and number % 20 == 1)
    measured = compare_versions(plan=PLAN, earlier=both, later=both)
    said = conclusions(measured)
    assert said["version_refusal_change"] is Conclusion.EQUIVALENT_WITHIN_MARGIN
    assert said["version_refusal_gap"] is Conclusion.DIFFERENCE_FOUND
    assert said["version_effect_change"] is Conclusion.INCONCLUSIVE
    assert "in the earlier version" in (change(measured).conclusion_reason or "")


def test_a_version_that_turns_every_decision_says_so_first() -> None:
    earlier = answers(MARGINS, 0.0)
    later = [
        replace(
            item,
            margin=-(item.margin or 0.0),
            outcome=Outcome.ADVERSE if (item.margin or 0.0) > 0 else Outcome.FAVOURABLE,
        )
        for item in earlier
    ]
    measured = compare_versions(plan=PLAN, earlier=earlier, later=later)
    assert measured[0].metric == "version_flip_rate"
    assert measured[0].conclusion_reason.startswith("The later version decides 800 of 800 applications the other way.")
    assert change(measured).estimate == 0.0
    assert change(measured).conclusion is Conclusion.INCONCLUSIVE


def test_a_change_at_another_cut_off_stands_against_an_unchanged_effect_at_the_natural_one() -> None:
    """Nobody stands near the natural cut-off of either version, and the later one lowers every margin of group b."""
    high = np.random.default_rng(2).normal(3.0, 0.5, 600)
    high[:60] = -3.0
    measured = compare_versions(plan=PLAN, earlier=answers(high, 0.0), later=answers(high, -0.2))
    said = conclusions(measured)
    assert change(measured).estimate == 0.0
    assert said["version_range_change"] is Conclusion.DIFFERENCE_FOUND
    assert said["version_effect_change"] is Conclusion.INCONCLUSIVE
    assert "the effect changed by −" in (change(measured).conclusion_reason or "")


def test_margins_that_moved_by_whole_nats_have_an_interval_for_means_and_no_score_interval() -> None:
    """Seven of 100 margins move by exactly one nat: a mean of 0.07 nats, no rate."""
    earlier = answers(MARGINS[:100], 0.0)
    later = [
        replace(item, margin=(item.margin or 0.0) + 1.0) if item.role == "actual" and int(item.cluster) < 7 else item
        for item in earlier
    ]
    found = next(
        item
        for item in compare_versions(plan=PLAN, earlier=earlier, later=later)
        if item.metric == "version_margin_change"
    )
    moved = np.array([1.0] * 7 + [0.0] * 93)
    reach = stats.t.ppf(0.975, 99) * moved.std(ddof=1) / 10
    assert found.estimate == pytest.approx(0.07)
    assert (found.low, found.high) == pytest.approx((0.07 - reach, 0.07 + reach))
    assert "Tango" not in found.method


def test_too_few_denials_too_few_pairs_and_one_direction_are_no_equivalence() -> None:
    few = np.where(np.arange(600) < 20, -1.0, 1.0)
    said = change(compare_versions(plan=PLAN, earlier=answers(few, 0.0), later=answers(few, 0.0)))
    assert said.conclusion is not Conclusion.EQUIVALENT_WITHIN_MARGIN
    assert "too few denials to say: 20 of 600" in (said.conclusion_reason or "")
    small = change(compare_versions(plan=PLAN, earlier=answers(MARGINS[:40], 0.0), later=answers(MARGINS[:40], 0.0)))
    assert small.conclusion is Conclusion.INCONCLUSIVE
    assert "40 matched pairs, at least 50 needed" in (small.conclusion_reason or "")
    earlier = answers(MARGINS, 0.0)
    fewer = [
        replace(item, outcome=Outcome.ADVERSE, margin=-0.5)
        if item.arms == ("race=b",) and item.outcome is Outcome.FAVOURABLE and int(item.cluster) < 10
        else item
        for item in earlier
    ]
    one_way = change(compare_versions(plan=PLAN, earlier=earlier, later=fewer))
    assert one_way.counts["c"] == 0
    assert 5 < one_way.counts["b"] < 10
    assert one_way.conclusion is Conclusion.DIFFERENCE_BELOW_THRESHOLD


@pytest.mark.parametrize(("share", "cancels"), [(0.2, True), (0.01, False)])
def test_changes_that_cancel_over_applications_are_no_absence_of_a_change(share: float, cancels: bool) -> None:
    """Half of some applications gain by the group in the later version, the other half lose as much."""
    margins = np.where(np.arange(2000) % 2 == 0, 0.4, -0.4)
    chosen = np.random.default_rng(5).permutation(2000) < share * 2000
    later = answers(margins, 0.0)
    for number, item in enumerate(later):
        if item.arms == ("race=b",) and chosen[number // 2]:
            assert item.margin is not None
            turned = Outcome.ADVERSE if item.outcome is Outcome.FAVOURABLE else Outcome.FAVOURABLE
            later[number] = replace(item, margin=-item.margin, outcome=turned)
    said = change(compare_versions(plan=PLAN, earlier=answers(margins, 0.0), later=later))
    assert abs(said.estimate or 0.0) < 0.02
    why = "whom the change of version favours differs from application to application"
    assert (why in (said.conclusion_reason or "")) is cancels
    assert (said.conclusion is Conclusion.INCONCLUSIVE) is cancels


def test_the_level_is_the_designs_and_families_are_adjusted_apart() -> None:
    design = deepcopy(DESIGN)
    design["thresholds"] = {"alpha": 0.01}
    design["attributes"] = [{"field": "race", "groups": ["a", "b", "c"], "reference": "a"}]
    third = [
        replace(item, case_id=f"{item.case_id}/c", arms=("race=c",), role="counterfactual")
        for item in answers(MARGINS, 0.0)
        if item.role == "actual"
    ]
    earlier, later = [*answers(MARGINS, -0.1), *third], [*answers(MARGINS, -0.16), *third]
    measured = compare_versions(plan=plan_from(design, where="two versions"), earlier=earlier, later=later)
    effects = [item for item in measured if item.metric == "version_effect_change"]
    assert {item.level for item in measured if item.low is not None} == {0.99}
    moved = next(item for item in effects if item.subject["group"] == "b")
    assert moved.p_adjusted == pytest.approx(min(1.0, 2 * moved.p_value))
    assert {item.family for item in effects} == {"version comparison"}
    assert len({item.family for item in measured if item.family}) == 3
