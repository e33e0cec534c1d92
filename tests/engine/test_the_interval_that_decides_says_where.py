"""Over a range of cut-offs the interval that decides equivalence need not be that of the estimate beside it."""

from __future__ import annotations

from auditor.conclusions import adjust_and_conclude
from auditor.records import Conclusion, Measurement, Role
from auditor.statistics.equivalence import Equivalence
from auditor.statistics.results import Interval
from auditor.statistics.verdict import Evidence
from auditor.testing.unadjusted import UnadjustedMeasurement


def test_an_interval_of_another_cut_off_is_not_read_as_the_estimates_own() -> None:
    item = Measurement(
        id="x",
        test="t",
        metric="cf_range_effect",
        role=Role.PRIMARY,
        subject={"field": "race", "group": "Black"},
        unit="rate_difference",
        reference="White",
        estimate=-0.0107,
        level=0.95,
        p_value=0.5,
        n=1500,
        family="cut-off range",
    )
    evidence = Evidence(
        estimate=-0.0107, p_adjusted=None, practical_threshold=0.02, equivalence_alpha=0.05, alpha=0.05, pairs=1500
    )
    claim = Equivalence(True, 0.02, None, 0.01)
    over_a_range = UnadjustedMeasurement(
        item, evidence, equivalence=claim, deciding=lambda alpha: Interval(0.001, 0.019, 1 - 2 * alpha, "bootstrap")
    )
    [said] = adjust_and_conclude([over_a_range])
    assert said.conclusion is Conclusion.EQUIVALENT_WITHIN_MARGIN
    assert "that decides, at the cut-off where that is least sure, runs from +0.1 pp to +1.9 pp" in str(
        said.conclusion_reason
    )
