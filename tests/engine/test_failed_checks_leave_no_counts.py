"""Where a check did not hold, the counts beside the estimate go with it: they are the same readings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from auditor.conclusions import adjust_and_conclude
from auditor.conductor import conclude
from auditor.records import Case, Check, Conclusion, Measurement, Role
from auditor.testing.unadjusted import UnadjustedMeasurement
from tests.engine.small import biased, simulated, small_data, small_plan

FAILED = Check("answers keep mass", held=False, value=0.2, bound=0.5)


def test_no_count_and_no_sentence_of_a_failed_measurement_stays() -> None:
    item = Measurement(
        id="a", test="t", metric="m", role=Role.SUPPORTING, subject={}, unit="logit", estimate=0.4, level=0.95,
        p_value=0.01, counts={"flips": 12, "gap": 0.3}, checks=(FAILED,), conclusion_reason="12 decisions turned.",
    )  # fmt: skip
    [settled] = adjust_and_conclude([UnadjustedMeasurement(item)])
    assert settled.counts == {"flips": None, "gap": None}
    assert settled.conclusion_reason == "The self-check 'answers keep mass' did not hold: 0.2 against 0.5."
    drafted = replace(item, conclusion=Conclusion.NOT_TESTED)
    [concluded] = adjust_and_conclude([UnadjustedMeasurement(drafted)])
    assert concluded.conclusion is Conclusion.INCONCLUSIVE


def test_a_failed_re_ask_check_leaves_neither_flips_nor_a_mean_change(tmp_path: Path) -> None:
    worth = biased(shift={"Black": -0.6}, noise=0.0)

    def margin(case: Case) -> float:
        return worth(case) + (0.5 if case.role == "reask" else 0.0)

    conclusions = conclude(simulated(tmp_path, small_plan(), small_data(300), margin))
    asked_again = [item for item in conclusions.measurements if item.subject.get("change") == "reask"]
    assert {item.metric for item in asked_again} == {"cf_noise_floor", "noise_margin"}
    for item in asked_again:
        assert item.estimate is None, item.id
        assert item.counts.get("flips") is None, item.id
        assert "packed equals alone" in (item.missing_reason or ""), item.id
    assert conclusions.controls.noise_floor.largest_margin_difference == 0.5, "the figure the check judged"
