"""A causal step read by margins, probabilities and decisions: what one of them alone says is said to be that."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.conclusions import adjust_and_conclude
from auditor.language_models.noise_floor import NoiseFloor
from auditor.mechanisms._shared.float_rows import numbers_of, table_of
from auditor.mechanisms._shared.scales import probability, scale_of, steepness
from auditor.mechanisms._shared.specifications import DECISIONS, MARGIN, PROBABILITY, Agreement, Specification
from auditor.mechanisms.erasure.repeats import Read
from auditor.mechanisms.erasure.result import Erasure, Ran
from auditor.mechanisms.steering.result import SteeredResult
from auditor.plan import Plan
from auditor.records import Conclusion, Measurement
from auditor.synthesis.ladder import climb
from auditor.testing.context import Context
from tests.acceptance.planted import planted_model
from tests.engine.small import small_cases, small_data
from tests.mechanisms.test_controlled_steps import turn
from tests.mechanisms.test_probes_and_erasure import concluded, context_with, decided, erasure, of, steering

DATA = small_data(120)
NOISE = NoiseFloor(logit=2e-6, state=1e-7, precision=1e-7, arithmetic="float32")


def ran(clean: np.ndarray, erased: np.ndarray, *, seed: int, layers: tuple[int, int] = (8, 22)) -> Erasure:
    """An erasure [applications, 2], whose controls move margins by a hundredth of a nat."""
    controls = clean + np.random.default_rng(seed).normal(0, 0.01, (19, *clean.shape))
    return Erasure(
        specification=Specification(window="after the field", layers=layers, seed=1 + seed),
        ran=Ran(
            clean=numbers_of(clean.ravel()),
            margins=numbers_of(erased.ravel()),
            controls=table_of(controls.reshape(19, -1)),
            turned=table_of(controls[::-1].reshape(19, -1)),
            mass=1.0,
            movement=1.0,
            movement_control=(1.0,) * 19,
            left=0.0,
            leftover=0.0,
            readable=1.0,
            readable_control=(1.0,) * 19,
        ),
    )


def agreed(clean: np.ndarray, erased: np.ndarray) -> Agreement:
    """Of a declared window and two repeats that do the same."""
    read = Read(groups=("White", "Black"), reference=0, threshold=0.0, noise=NOISE, floor=1e-5, alpha=0.05)
    declared, *repeats = [ran(clean, erased, seed=seed) for seed in range(3)]
    found = read.randomised(declared.ran, 1).together
    return read.agreement(declared, repeats, 1, found, exact=True)


def margins(count: int, *, gap: np.ndarray | float, centre: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
    """Untouched and erased: what the group is apart goes wholly."""
    reference = centre + np.random.default_rng(9).normal(0, 0.2, count)
    return np.stack([reference, reference + gap], axis=1), np.stack([reference, reference], axis=1)


def test_a_use_that_turns_no_decision_says_so_and_stays_a_use_of_the_score() -> None:
    found = agreed(*margins(40, gap=-0.5, centre=3.0))

    assert found.apart == {MARGIN: (3, 3), PROBABILITY: (3, 3), DECISIONS: (1, 0)}
    assert (found.agree, found.said, found.stable) == (6, 7, True)


def test_fewer_than_thirty_applications_cannot_say_that_no_decision_turns() -> None:
    found = agreed(*margins(29, gap=-0.5, centre=3.0))

    assert (found.agree, found.said, found.asked) == (6, 6, 7)
    assert DECISIONS not in found.apart


def test_decisions_that_turn_more_than_under_controls_agree_from_any_number() -> None:
    found = agreed(*margins(16, gap=-2.0, centre=1.0))

    assert found.apart[DECISIONS] == (1, 1)


def test_a_use_of_margins_where_the_answer_is_sure_is_unstable() -> None:
    """The probability goes the other way at the few applications that are not sure."""
    sure = np.arange(40) % 4 > 0
    found = agreed(*margins(40, gap=np.where(sure, -1.0, 0.4), centre=np.where(sure, 15.0, 0.0)))

    assert found.declared.estimate == pytest.approx(-0.65)
    assert found.apart == {MARGIN: (3, 3), PROBABILITY: (3, 0), DECISIONS: (1, 0)}
    assert found.opposed == 4
    assert (found.stable, found.conclusion) == (False, Conclusion.INCONCLUSIVE)


def test_an_erasure_that_does_nothing_does_nothing_by_any_metric() -> None:
    clean, _ = margins(40, gap=-0.5, centre=3.0)
    found = agreed(clean, clean + np.random.default_rng(3).normal(0, 0.002, clean.shape))

    assert found.declared.holds is False
    assert (found.stable, found.agree) == (True, found.said)


@given(st.lists(st.floats(-30, 30), min_size=1, max_size=20), st.floats(1e-6, 1e-3))
def test_rounding_moves_a_mean_probability_by_no_more_than_its_steepness_says(values: list[float], step: float) -> None:
    own = np.array(values)
    moved = abs(probability(own + step).mean() - probability(own).mean())
    assert moved <= step * steepness(PROBABILITY, own) * (1 + step) + 1e-15
    assert steepness(MARGIN, own) == 1.0
    assert set(scale_of(DECISIONS, threshold=0.0)(own)) <= {0.0, 1.0}


def measured(test: Any, model: Any, results: list[Any], plan: Plan) -> tuple[Measurement, ...]:
    cases = small_cases(plan, DATA)
    seen = context_with(model, test.Settings(), plan, data=DATA).margins([case.prompt for case in cases])
    decisions = {case.id: decided(case, float(margin)) for case, margin in zip(cases, seen, strict=True)}
    context = Context(
        plan=plan,
        cases=cases,
        decisions=decisions,
        observed={},
        values={},
        observed_rate=None,
        results={test.CARD.name: results},
    )
    return adjust_and_conclude(list(test.measure(context)))


@pytest.mark.parametrize(
    ("test", "metric", "step"),
    [(erasure, "erasure_gap_removed", "used"), (steering, "steering_potency", "usable")],
    ids=["erasure", "steering"],
)
def test_a_planted_use_far_from_every_cut_off_reads_so_on_the_ladder(test: Any, metric: str, step: str) -> None:
    """The same run, held against a cut-off at which decisions turn and against one at which none does."""
    model = planted_model("B", against=40.0)
    about = {"relevant": False, "repeats": ()} if test is erasure else {"depths": (0.5,), "doses": (1.0, 2.0)}
    results, rows, plan = concluded(test, model, data=DATA, applications=60, **about)
    far = plan.model_copy(update={"operating_point": plan.operating_point.model_copy(update={"natural_margin": -1e6})})

    near = of(rows, metric, group="Black").counts
    # Adding the direction turns no more decisions than random ones as long do: thirty applications are few.
    assert near["specifications_by_decisions_agree"] == (1 if test is erasure else 0)
    item = of(measured(test, model, results, far), metric, group="Black")
    (rung,) = climb([item], plan=far)
    (found,) = (each for each in rung.found if each.name == step)

    assert found.held is True
    assert "moves the score; no decision turned" in found.reason
    said = item.counts["specifications"]
    assert f"{said - 1} of {said} specifications agree (by decisions 0 of 1), from " in found.reason


def test_steering_with_the_halves_exchanged_can_contradict() -> None:
    model = planted_model("B", against=40.0)
    results, rows, plan = concluded(steering, model, data=DATA, applications=24, depths=(0.5,), doses=(1.0,))
    item = of(rows, "steering_potency", group="Black")
    assert item.counts["specifications_asked"] == 5
    assert item.counts["specifications"] >= 4

    turned = copy.deepcopy(results)
    turn(turned[0], turned[0]["exchanged"], turned[0]["exchanged"]["curve"])
    changed = of(measured(steering, model, turned, plan), "steering_potency", group="Black")

    assert changed.counts["specifications_agree"] < item.counts["specifications_agree"]
    assert changed.conclusion is Conclusion.INCONCLUSIVE
    assert "Unstable: only " in str(changed.conclusion_reason)


def test_the_halves_of_steering_change_places() -> None:
    model = planted_model("B", against=40.0)
    results, _, _ = concluded(steering, model, data=DATA, applications=24, depths=(0.5,), doses=(1.0, 2.0))
    result = SteeredResult.read(results[0])
    untouched = np.array(result.untouched.margins).reshape(24, -1)
    steered = np.array(result.steered.clean).reshape(12, -1)
    others = np.array(result.exchanged.clean).reshape(12, -1)

    assert sorted([*steered[:, 0], *others[:, 0]]) == pytest.approx(sorted(untouched[:, 0]))
    assert {point.dose for point in result.exchanged.curve} == {1.0}
    assert all(len(point.drawn.controls.towards) == 19 for point in result.exchanged.curve)
