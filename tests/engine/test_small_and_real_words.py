"""A small difference that was found is never worded as none, and an interval that reaches 0 says what found it."""

from __future__ import annotations

from dataclasses import replace

from auditor.finding_words import effect_of, found_by
from auditor.records import Conclusion, Measurement, Role

SMALL = Measurement(
    id="a", test="counterfactual", metric="cf_net_effect", role=Role.PRIMARY, unit="rate_difference", level=0.95,
    subject={"field": "race", "group": "Black"}, reference="White", estimate=-0.0004, low=-0.0007, high=-0.0001,
    n=90_000, p_adjusted=0.004, conclusion=Conclusion.DIFFERENCE_BELOW_THRESHOLD,
)  # fmt: skip


def test_a_small_real_effect_is_called_small_and_real() -> None:
    said = effect_of(SMALL)
    assert "No measurable change" not in said
    assert said.startswith("Fewer approvals")
    assert said.endswith("Small, and real.")
    assert effect_of(replace(SMALL, conclusion=Conclusion.NO_EVIDENCE)).startswith("No measurable change")


def test_an_interval_that_reaches_zero_beside_a_difference_says_what_found_it() -> None:
    found = replace(
        SMALL, metric="cf_range_effect", estimate=-0.029, low=-0.061, high=0.004,
        conclusion=Conclusion.DIFFERENCE_FOUND, counts={"rate": 0.81},
    )  # fmt: skip
    assert "found by the test over all cut-offs, adjusted p = " in effect_of(found)
    assert found_by(SMALL) == ""
    assert found_by(replace(found, conclusion=Conclusion.INCONCLUSIVE)) == ""
