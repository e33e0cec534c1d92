"""The ladder keeps readable, used and usable apart, says why of every step, and internals alone stay at Low."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from auditor.conclusions import adjust_and_conclude
from auditor.findings import find
from auditor.records import Check, Conclusion, Measurement, Role, Severity
from auditor.synthesis.ladder import STEPS, climb, ladder, said
from auditor.testing.context import State
from auditor.testing.unadjusted import UnadjustedMeasurement
from tests.engine.small import small_plan

PLAN = small_plan()
SUBJECT = {"field": "race", "group": "Black"}
FINE = State(False, (), 0.5, "adverse", 0.0)
CAUSAL = {
    "draws": 39,
    "draws_needed": 39,
    "sign_agrees": 1,
    "held_out_left": 0.02,
    "specifications": 4,
    "specifications_agree": 4,
    "specifications_opposed": 0,
    "decisions_turned": 0.1,
    "decisions_p": 0.025,
}


def measured(metric: str, estimate: float | None, **more: Any) -> Measurement:
    row = Measurement(
        id=metric,
        test="t",
        metric=metric,
        role=Role.SUPPORTING,
        subject=SUBJECT,
        unit="logit",
        estimate=estimate,
        level=0.95,
    )
    return replace(row, **more)


def counted(item: Measurement, **counts: Any) -> Measurement:
    return replace(item, counts={**item.counts, **counts})


READ = measured(
    "probe_layers_readable",
    12.0,
    subject={**SUBJECT, "setting": "withheld"},
    p_adjusted=0.025,
    counts={"draws": 39, "draws_needed": 39, "probes": 22, "best_accuracy": 0.8, "smaller_group": 48},
)
STATED = measured("probe_layers_readable", 22.0, id="stated", subject={**SUBJECT, "setting": "stated"})
SELECTIVE = measured(
    "probe_selectivity",
    0.3,
    subject={**SUBJECT, "setting": "stated"},
    low=0.1,
    high=0.4,
    n=48,
    p_adjusted=0.025,
    counts={"draws": 44, "draws_needed": 39, "accuracy": 0.9, "control": 0.6, "ceiling": 0},
)
USED = measured("erasure_gap_removed", -1.0, p_adjusted=0.025, counts=CAUSAL)
STEERED = measured(
    "steering_potency",
    -1.0,
    p_adjusted=0.025,
    counts={name: value for name, value in CAUSAL.items() if name != "held_out_left"} | {"held_out_short": 0.02},
)
#: Nothing moves, and the scores of the groups do not differ: what a "no" takes.
SMALL = {"movement": 0.5, "movement_control": 0.6, "practical": 0.1, "gap": 0.0, "gap_low": -0.05, "gap_high": 0.05}
UNUSED = replace(
    USED, estimate=0.0, n=24, low=-0.02, high=0.02, p_adjusted=0.4, counts={**CAUSAL, **SMALL, "decisions_turned": 0.0}
)
UNMOVED = replace(
    UNUSED,
    metric="steering_potency",
    counts={**STEERED.counts, **SMALL, "decisions_turned": 0.0, "away_low": -0.02, "away_high": 0.02},
)
OUTPUT = measured("cf_net_effect", -0.1, conclusion=Conclusion.NO_EVIDENCE, test="counterfactual")


def reason(item: Measurement, step: str) -> str:
    (rung,) = climb([item], plan=PLAN)
    return rung.found[STEPS.index(step)].reason


@pytest.mark.parametrize(
    ("given", "height", "grade"),
    [
        ([READ], 1, "correlational"),
        ([READ, SELECTIVE], 2, "correlational"),
        ([READ, SELECTIVE, USED], 3, "causal"),
        ([READ, STEERED], 4, "causal"),
        ([replace(READ, p_adjusted=0.3)], 0, "none"),
        ([STATED], None, "none"),
    ],
)
def test_the_height_is_the_highest_step_that_holds(given: list[Measurement], height: int | None, grade: str) -> None:
    (rung,) = climb(given, plan=PLAN)

    assert (rung.height, rung.grade) == (height, grade)


def test_an_attribute_that_the_prompt_states_is_not_called_encoded() -> None:
    (rung,) = climb([STATED], plan=PLAN)

    assert rung.steps["encoded"] is None
    assert reason(STATED, "encoded") == "it was read only where the prompt states it, which says nothing"


def test_what_the_numbers_alone_give_away_stands_beside_what_the_model_holds() -> None:
    item = counted(READ, numbers=0.93)

    assert "best balanced accuracy 80.0%), from the application's numbers alone, without the model, at 93.0%" in reason(
        item, "encoded"
    )
    assert "numbers" not in reason(READ, "encoded")


def test_a_few_applications_cannot_say_that_it_is_not_encoded() -> None:
    few = counted(replace(READ, p_adjusted=0.4), smaller_group=12)

    assert climb([few], plan=PLAN)[0].steps["encoded"] is None
    assert reason(few, "encoded").startswith("too few applications to say: 12 in the smaller group, 30 needed")


def test_where_perfect_reading_would_not_stand_out_selectivity_is_not_known() -> None:
    full = counted(replace(SELECTIVE, p_adjusted=1.0, low=0.0), ceiling=1, accuracy=1.0, control=1.0)

    assert climb([full], plan=PLAN)[0].steps["selective"] is None
    assert reason(full, "selective").startswith("too few to say: not even perfect reading would stand out")


def test_a_difference_whose_interval_holds_0_is_not_selective() -> None:
    assert climb([replace(SELECTIVE, low=-0.01)], plan=PLAN)[0].steps["selective"] is None


def test_reading_no_better_than_words_without_a_meaning_is_not_selective() -> None:
    assert climb([replace(SELECTIVE, p_adjusted=0.4, n=30)], plan=PLAN)[0].steps["selective"] is False


def test_a_few_applications_cannot_say_that_it_is_not_selective() -> None:
    few = replace(SELECTIVE, p_adjusted=0.4, n=29)

    assert climb([few], plan=PLAN)[0].steps["selective"] is None
    assert reason(few, "selective").startswith("too few applications to say: 29, 30 needed; read at 90.0%")


@pytest.mark.parametrize(
    ("change", "held", "why"),
    [
        ({}, True, "10.0% of decisions turned, more than under its controls"),
        ({"draws": 38}, None, "too few draws to say: 38 of the 39 that its level needs"),
        ({"held_out_left": 0.29}, None, "29.0% of what a linear probe finds was left, and 10% is the most"),
        ({"held_out_left": None}, None, "what the erasure left on applications it was not fitted on is not known"),
        ({"sign_agrees": 0}, None, "it moves the wrong way"),
        ({"specifications_agree": 2}, None, "unstable, only 2 of 4 specifications agree, and at least 75% must"),
        ({"specifications_opposed": 1}, None, "unstable, 1 of 4 specifications find the opposite"),
        ({"specifications": 1, "specifications_agree": 1}, None, "the result was not repeated in any other way"),
        ({"decisions_turned": 0.0}, True, "moves the score; no decision turned"),
        ({"decisions_p": 0.6}, True, "not shown to be more than under its controls"),
        # Of two contrasts: what one alone would show at the plan's level, the family does not.
        ({"decisions_p": 0.03}, True, "not shown to be more than under its controls"),
        ({"decisions_turned": None}, True, "decisions were not counted against controls"),
    ],
)
def test_used_needs_all_that_makes_its_p_value_mean_something(
    change: dict[str, Any], held: bool | None, why: str
) -> None:
    item = counted(USED, **change)

    assert climb([item], plan=PLAN)[0].steps["used"] is held
    assert why in reason(item, "used")


@pytest.mark.parametrize(
    ("change", "held"),
    [
        ({}, False),
        ({"draws": 12}, None),
        ({"draws": 12, "stopped_early": 1}, False),
        ({"held_out_left": 0.29}, None),
        ({"specifications_agree": 1}, None),
        ({"sign_agrees": 0}, False),
        ({"specifications": 1, "specifications_agree": 1}, False),
    ],
)
def test_no_is_withheld_where_the_test_could_not_have_said_yes(change: dict[str, Any], held: bool | None) -> None:
    (rung,) = climb([counted(UNUSED, **change)], plan=PLAN)

    assert rung.steps["used"] is held


@pytest.mark.parametrize("item", [UNUSED, UNMOVED], ids=["used", "usable"])
@pytest.mark.parametrize(
    ("gap", "low", "high"), [(-1.0, -1.2, -0.8), (0.4, 0.1, 0.7), (0.05, 0.01, 0.09), (-0.002, -0.003, -0.001)]
)
def test_a_difference_that_an_intervention_leaves_as_it_was_is_made_elsewhere(
    item: Measurement, gap: float, low: float, high: float
) -> None:
    """Only the attribute's words differ between the prompts, so a difference in scores is a use of them somewhere."""
    step = "used" if item is UNUSED else "usable"
    differing = counted(item, gap=gap, gap_low=low, gap_high=high)

    assert climb([differing], plan=PLAN)[0].steps[step] is None
    assert "the model may read the field elsewhere" in reason(differing, step)


@pytest.mark.parametrize("item", [UNUSED, UNMOVED], ids=["used", "usable"])
@pytest.mark.parametrize("change", [{"low": -0.5}, {"high": 0.11}, {"gap_low": -0.2}, {"gap_high": 5.0}])
def test_what_may_be_large_is_no_no(item: Measurement, change: dict[str, float]) -> None:
    step = "used" if item is UNUSED else "usable"
    ends = {name: value for name, value in change.items() if name in ("low", "high")}
    wide = counted(replace(item, **ends), **{name: value for name, value in change.items() if name not in ends})

    assert climb([wide], plan=PLAN)[0].steps[step] is None
    assert "too few to say no: it could be as much as" in reason(wide, step)


@pytest.mark.parametrize("item", [UNUSED, UNMOVED], ids=["used", "usable"])
@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"movement": None}, "how far it moves the states is not known"),
        ({"movement": 0.0}, "it does not move the states at all"),
        ({"movement": 0.2, "movement_control": 0.6}, "shuffled labels by 60.0%, and 50% of that is the least"),
        ({"gap_low": None}, "how large the difference between the groups may be is not known"),
        ({"practical": None}, "how large the difference between the groups may be is not known"),
    ],
)
def test_a_no_needs_to_know_how_far_states_moved_and_scores_differ(
    item: Measurement, change: dict[str, Any], why: str
) -> None:
    step = "used" if item is UNUSED else "usable"

    assert climb([item], plan=PLAN)[0].steps[step] is False
    assert climb([counted(item, **change)], plan=PLAN)[0].steps[step] is None
    assert why in reason(counted(item, **change), step)


def test_what_states_do_not_hold_and_scores_do_not_show_is_not_used() -> None:
    absent = counted(UNUSED, movement=0.0, gap_low=0.0, gap_high=0.0)

    assert climb([absent], plan=PLAN)[0].steps["used"] is False


@pytest.mark.parametrize("item", [UNUSED, UNMOVED], ids=["used", "usable"])
@pytest.mark.parametrize("n", [2, 4, 12, 23])
def test_a_no_from_few_applications_is_none(item: Measurement, n: int) -> None:
    step = "used" if item is UNUSED else "usable"

    assert climb([replace(item, n=n)], plan=PLAN)[0].steps[step] is None
    assert f"too few applications to say no: measured on {n}, 24 needed" in reason(replace(item, n=n), step)


def test_a_yes_of_selective_needs_the_applications_of_an_interval() -> None:
    few = replace(SELECTIVE, n=23, low=None, high=None)

    assert climb([few], plan=PLAN)[0].steps["selective"] is None
    assert reason(few, "selective").startswith("too few applications to say: 23, 24 needed for an interval")


def test_the_smallest_p_value_that_the_draws_allow_is_enough() -> None:
    assert climb([replace(USED, p_adjusted=2 * (1 / 40))], plan=PLAN)[0].steps["used"] is True


def test_random_erasers_of_the_old_kind_say_nothing() -> None:
    old = replace(USED, p_adjusted=1e-6, counts={"random_largest": 0.1})

    assert climb([old], plan=PLAN)[0].steps["used"] is None
    assert reason(old, "used") == "its controls do not say how many draws stand behind its p-value"


def test_a_step_that_was_not_tested_says_why() -> None:
    item = replace(USED, estimate=None, conclusion=Conclusion.NOT_TESTED, conclusion_reason="the view has no heads.")

    assert climb([item], plan=PLAN)[0].steps["used"] is None
    assert reason(item, "used") == "the view has no heads"


def test_a_number_whose_self_check_failed_is_not_known_and_says_which() -> None:
    broken = replace(USED, checks=(Check("margin as decided", held=False, value=0.2, bound=1e-4),))
    (item,) = adjust_and_conclude([UnadjustedMeasurement(broken)])

    assert climb([item], plan=PLAN)[0].steps["used"] is None
    assert "margin as decided" in reason(item, "used")


def test_nothing_is_said_of_contrasts_no_test_on_internals_looked_at() -> None:
    assert ladder([OUTPUT], plan=PLAN) == ()


def test_outputs_and_internals_stand_side_by_side() -> None:
    (item,) = ladder([READ, USED, OUTPUT], plan=PLAN)

    assert item.conclusion_reason is not None
    assert item.conclusion_reason.startswith(
        "Outputs: no difference was found; internals: an intervention on the attribute turns decisions, more than its "
        "controls do. Encoded: yes; "
    )
    assert item.conclusion_reason.endswith("Usable: not known; not part of this run. Evidence: causal.")
    assert item.counts == {
        "encoded": 1,
        "selective": None,
        "used": 1,
        "usable": None,
        "moved_inside": 1,
        "decisions_moved": 1,
        "output_difference": 0,
    }


def test_causal_is_not_said_where_no_decision_turned() -> None:
    given = [counted(USED, decisions_turned=0.0), counted(STEERED, decisions_turned=0.0)]
    (item,) = ladder(given, plan=PLAN)
    (finding,) = find([*given, item], plan=PLAN, packs=(), state=FINE)

    assert item.conclusion_reason is not None
    assert "moves the score; no decision turned" in item.conclusion_reason
    assert item.conclusion_reason.endswith("Evidence: moves the score.")
    for text in (item.conclusion_reason, finding.title, finding.condition, finding.rule):
        assert "causal" not in text
        assert "moves decisions" not in text
        assert "move decisions" not in text


def test_an_unclear_output_beside_a_clean_one_is_no_clean_output() -> None:
    unclear = replace(OUTPUT, id="range", metric="cf_range_effect", conclusion=Conclusion.INCONCLUSIVE)

    assert climb([READ, OUTPUT, unclear], plan=PLAN)[0].outputs is None
    assert climb([READ, OUTPUT, replace(unclear, conclusion=Conclusion.DIFFERENCE_FOUND)], plan=PLAN)[0].outputs is True


figures = st.sampled_from([None, 0.0, 0.02, 0.3, 1.0])
counts = st.fixed_dictionaries(
    {
        "draws": st.sampled_from([None, 0, 38, 39, 99]),
        "draws_needed": st.just(39),
        "sign_agrees": st.sampled_from([None, 0, 1]),
        "held_out_left": figures,
        "specifications": st.sampled_from([None, 1, 4]),
        "specifications_agree": st.sampled_from([0, 1, 3, 4]),
        "decisions_turned": figures,
        "decisions_p": figures,
    }
)


@drawn(counts, st.sampled_from([None, 0.01, 0.05, 0.4]), st.sampled_from([None, -1.0, 0.0, 0.5]))
def test_what_a_report_prints_is_what_the_ladder_decided(
    found: dict[str, Any], p: float | None, estimate: float | None
) -> None:
    erased = replace(USED, estimate=estimate, p_adjusted=p, counts=found)
    given = [READ, SELECTIVE, erased, replace(STEERED, counts=found, p_adjusted=p)]
    (rung,) = climb(given, plan=PLAN)
    (item,) = ladder(given, plan=PLAN)

    assert [(step.name, step.held, step.reason) for step in said(item)] == [
        (step.name, step.held, step.reason) for step in rung.found
    ]
    assert all(step.reason for step in rung.found)


@pytest.mark.parametrize(
    ("given", "severity"), [([READ, SELECTIVE], Severity.OBSERVATION), ([READ, USED, STEERED], Severity.LOW)]
)
def test_internals_alone_are_never_above_low(given: list[Measurement], severity: Severity) -> None:
    (finding,) = find([*given, *ladder(given, plan=PLAN)], plan=PLAN, packs=(), state=FINE)

    assert finding.severity is severity
    assert finding.severity.rank <= Severity.LOW.rank


def test_an_attribute_that_is_not_even_read_gives_no_finding() -> None:
    given = [replace(READ, p_adjusted=0.4)]

    assert find([*given, *ladder(given, plan=PLAN)], plan=PLAN, packs=(), state=FINE) == ()
