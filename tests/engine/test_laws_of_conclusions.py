"""Laws over the whole chain from answers to conclusions, whatever the answers are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.records import Conclusion
from tests.engine.made_up import GROUP, REFERENCE, Answers, conclusions, made_up, measured, pair_plan

ABSENCE = (Conclusion.EQUIVALENT_WITHIN_MARGIN, Conclusion.NO_EVIDENCE)
SEEN = (Conclusion.DIFFERENCE_FOUND, Conclusion.DIFFERENCE_BELOW_THRESHOLD)
OUTCOMES = ("cf_net_effect", "cf_net_effect_matched", "cf_range_effect")
FEW = settings(max_examples=4, deadline=None)


@st.composite
def answers(draw: st.DrawFn, *, sizes: tuple[int, ...] = (60, 320)) -> Answers:
    """Margins of a seeded model: a spread, a noise between versions, a shift for the group, ties or none."""
    generator = np.random.default_rng(draw(st.integers(0, 10_000)))
    size = draw(st.sampled_from(sizes))
    worth = generator.normal(draw(st.sampled_from((0.0, 0.8, 1.5))), draw(st.sampled_from((0.2, 1.0))), size)
    noise = draw(st.sampled_from((0.0, 0.02, 0.3)))
    shift = draw(st.sampled_from((0.0, 0.01, -0.1, 0.4)))
    reference, group = (worth + generator.normal(0, noise, size) for _ in range(2))
    step = draw(st.sampled_from((0.0, 0.1)))
    rounded = [np.round(values / step) * step if step else values for values in (reference, group + shift)]
    readable = generator.random(size) >= draw(st.sampled_from((0.0, 0.0, 0.01)))
    return Answers.of(*rounded, group_readable=readable)


@FEW
@given(answers())
def test_swapping_group_and_reference_turns_signs_and_nothing_else(given_answers: Answers) -> None:
    there = {item.metric: item for item in measured(made_up(given_answers)).values()}
    swapped = made_up(given_answers, plan=pair_plan(reference=GROUP))
    back = {item.metric: item for item in measured(swapped).values()}
    for metric in ("cf_net_effect", "refusal_rate_gap", "cf_mean_shift"):
        one, other = there[metric], back[metric]
        assert one.estimate == pytest.approx(-other.estimate)
        assert one.p_value is None or one.p_value == pytest.approx(other.p_value)
        assert (one.low is None) == (other.low is None)
        if one.low is not None:
            assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
        assert (one.conclusion in SEEN) == (other.conclusion in SEEN)
    assert there["cf_flip_rate"].estimate == back["cf_flip_rate"].estimate
    assert there["cf_flip_rate_against"].estimate == back["cf_flip_rate_towards"].estimate


@FEW
@given(answers())
def test_a_gap_between_applicants_changes_no_counterfactual_conclusion(given_answers: Answers) -> None:
    """The same pairs, filed at random or so that all of one group are worth least."""
    plan = pair_plan(tests=("counterfactual", "group_rates"))
    worst = np.argsort(np.argsort(given_answers.reference)) < len(given_answers.reference) // 3
    with_gap = made_up(replace(given_answers, filed_group=worst), plan=plan)
    alone = made_up(given_answers, plan=pair_plan())
    assert conclusions(with_gap) == conclusions(alone)
    assert conclusions(made_up(given_answers, plan=plan)) == conclusions(alone)


@FEW
@given(answers(sizes=(320,)), st.integers(0, 10_000), st.floats(0.02, 0.6))
def test_unreadable_answers_of_one_arm_never_show_the_absence_of_a_difference(
    given_answers: Answers, seed: int, share: float
) -> None:
    size = len(given_answers.group)
    rows = np.random.default_rng(seed).choice(size, max(1, int(np.ceil(share * size))), replace=False)
    after = conclusions(made_up(given_answers.with_unreadable(rows)))
    assert not {metric: said for metric, said in after.items() if metric in OUTCOMES and said in ABSENCE}


@FEW
@given(answers(sizes=(320,)), st.integers(0, 10_000), st.integers(1, 6))
def test_a_few_more_unreadable_answers_never_turn_a_conclusion_into_equivalent(
    given_answers: Answers, seed: int, count: int
) -> None:
    before = conclusions(made_up(given_answers))
    rows = np.random.default_rng(seed).choice(len(given_answers.group), count, replace=False)
    after = conclusions(made_up(given_answers.with_unreadable(rows)))
    turned = {metric for metric in OUTCOMES if after[metric] in ABSENCE and before[metric] not in ABSENCE}
    assert not turned


@FEW
@given(answers(sizes=(60, 200)), st.integers(2, 4))
def test_more_pairs_of_the_same_never_turn_a_difference_into_equivalence(given_answers: Answers, times: int) -> None:
    before = conclusions(made_up(given_answers))
    after = conclusions(made_up(given_answers.repeated(times)))
    for metric, said in before.items():
        if said is Conclusion.DIFFERENCE_FOUND:
            assert after[metric] is not Conclusion.EQUIVALENT_WITHIN_MARGIN


@FEW
@given(answers(), st.integers(0, 10_000))
def test_conclusions_do_not_depend_on_the_order_of_the_cases(given_answers: Answers, seed: int) -> None:
    plan = pair_plan(tests=("counterfactual", "group_rates"))
    order = np.random.default_rng(seed).permutation(2 * len(given_answers.group))
    straight = measured(made_up(given_answers, plan=plan))
    shuffled = measured(made_up(given_answers, plan=plan, order=order))
    assert {name: item.conclusion for name, item in straight.items()} == {
        name: shuffled[name].conclusion for name in straight
    }
    for name, item in straight.items():
        assert item.estimate == pytest.approx(shuffled[name].estimate)
        assert item.p_adjusted == pytest.approx(shuffled[name].p_adjusted)


def test_the_reference_of_the_plan_is_the_one_that_is_swapped() -> None:
    assert pair_plan().attributes[0].reference == REFERENCE
    assert pair_plan(reference=GROUP).attributes[0].reference == GROUP
