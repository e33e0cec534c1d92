"""The ladder keeps readable, used and usable apart, and internals alone stay at Low."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auditor.behaviour.context import State
from auditor.findings import find
from auditor.mechanisms.ladder import climb, ladder
from auditor.records import Conclusion, Measurement, Role, Severity
from tests.engine.small import small_plan

PLAN = small_plan()
SUBJECT = {"field": "race", "group": "Black"}
FINE = State(False, (), 0.5, "adverse", 0.0)


def measured(metric: str, estimate: float, **more: object) -> Measurement:
    row = Measurement(
        id=metric, test="t", metric=metric, role=Role.SUPPORTING, subject=SUBJECT, unit="logit", estimate=estimate
    )
    return replace(row, **more)  # type: ignore[arg-type]


READ = measured("probe_layers_readable", 12.0, subject={**SUBJECT, "setting": "stated"})
SELECTIVE = measured("probe_selectivity", 0.3, low=0.1, high=0.4)
USED = measured("erasure_gap_removed", -1.0, p_adjusted=1e-4, counts={"random_largest": 0.1})
STEERED = measured("steering_potency", -1.0, p_adjusted=1e-4, counts={"random_largest": 0.1})
OUTPUT = measured("cf_net_effect", -0.1, conclusion=Conclusion.NO_EVIDENCE, test="counterfactual")


@pytest.mark.parametrize(
    ("given", "height", "grade"),
    [
        ([READ], 1, "correlational"),
        ([READ, SELECTIVE], 2, "correlational"),
        ([READ, SELECTIVE, USED], 3, "causal"),
        ([READ, STEERED], 4, "causal"),
        ([replace(READ, estimate=0.0)], 0, "correlational"),
    ],
)
def test_the_height_is_the_highest_step_that_holds(given: list[Measurement], height: int, grade: str) -> None:
    (rung,) = climb(given, plan=PLAN)

    assert (rung.height, rung.grade) == (height, grade)


def test_a_change_no_larger_than_a_random_one_is_not_use() -> None:
    (rung,) = climb([replace(USED, counts={"random_largest": 1.5})], plan=PLAN)

    assert rung.steps["used"] is False


def test_a_number_whose_self_check_failed_is_not_tested() -> None:
    (rung,) = climb([READ, replace(USED, estimate=None)], plan=PLAN)

    assert rung.steps["used"] is None


def test_nothing_is_said_of_contrasts_no_test_on_internals_looked_at() -> None:
    assert ladder([OUTPUT], plan=PLAN) == ()


def test_outputs_and_internals_stand_side_by_side() -> None:
    (item,) = ladder([READ, USED, OUTPUT], plan=PLAN)

    assert item.conclusion_reason == (
        "outputs: no difference was found; internals: interventions on the attribute move decisions. Evidence: causal."
    )
    assert item.counts == {
        "encoded": 1,
        "selective": None,
        "used": 1,
        "usable": None,
        "moved_inside": 1,
        "output_difference": 0,
    }


@pytest.mark.parametrize(
    ("given", "severity"), [([READ, SELECTIVE], Severity.OBSERVATION), ([READ, USED, STEERED], Severity.LOW)]
)
def test_internals_alone_are_never_above_low(given: list[Measurement], severity: Severity) -> None:
    (finding,) = find([*given, *ladder(given, plan=PLAN)], plan=PLAN, packs=(), state=FINE)

    assert finding.severity is severity
    assert finding.severity.rank <= Severity.LOW.rank


def test_an_attribute_that_is_not_even_read_gives_no_finding() -> None:
    given = [replace(READ, estimate=0.0)]

    assert find([*given, *ladder(given, plan=PLAN)], plan=PLAN, packs=(), state=FINE) == ()
