"""A ratio of groups is told in ratios: its threshold, what could have been seen, its chart. It is never points."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from auditor.records import Conclusion, Measurement, Role
from reports import cover
from reports.charts import verdict_chart
from reports.cover_lines import _by_conclusion
from reports.sentences import conclusion_sentence, group_sentence, misses_threshold
from reports.story import Story
from reports.tables import contrasts
from tests.reports.conftest import GOVERNANCE, Audit
from tests.reports.test_sentences import DESIGN


def ratio(
    value: float, code: Conclusion, *, group: str = "Black", n: int = 2533, mde: float | None = 0.92
) -> Measurement:
    return Measurement(
        id=f"r/{group}",
        test="group_rates",
        metric="impact_ratio",
        role=Role.PRIMARY,
        subject={"field": "race", "group": group},
        reference="White",
        unit="ratio",
        estimate=value,
        low=value - 0.04,
        high=value + 0.04,
        level=0.95,
        n=n,
        p_value=0.3,
        p_adjusted=0.6,
        conclusion=code,
        counts={"threshold": 0.8, "mde": mde},
    )


def test_a_quiet_ratio_names_its_range_its_power_and_its_people() -> None:
    group = [
        ratio(0.99, Conclusion.NO_EVIDENCE),
        ratio(1.03, Conclusion.NO_EVIDENCE, group="Hispanic", n=2545, mde=0.94),
    ]
    said = group_sentence(group, DESIGN)
    assert "no evidence was found that the ratio of approvals" in said
    assert "lies outside 0.80 to 1.25. The test had" in said
    # The least powerful contrast is the one whose detectable ratio is farthest from 1.
    assert "80% power for a ratio of 0.92 (2,533 applications or more;" in said
    assert " pp" not in said
    assert "pairs" not in said
    assert "no evidence of a ratio outside 0.80 to 1.25 for Black and Hispanic against White" in _by_conclusion(
        group, DESIGN
    )


@pytest.mark.parametrize("value", [0.4, 1.6])
def test_a_ratio_that_was_found_lies_outside_its_range_in_either_direction(value: float) -> None:
    item = ratio(value, Conclusion.DIFFERENCE_FOUND)
    said = "That is outside 0.80 to 1.25, the range of the impact ratio set before the run (four fifths)."
    assert said in conclusion_sentence(item, DESIGN)
    assert "outside 0.80 to 1.25" in group_sentence(
        [item, ratio(value, Conclusion.DIFFERENCE_FOUND, group="X")], DESIGN
    )


def test_a_small_and_real_ratio_lies_inside_its_range() -> None:
    said = conclusion_sentence(ratio(0.93, Conclusion.DIFFERENCE_BELOW_THRESHOLD), DESIGN)
    assert "small and real: inside 0.80 to 1.25" in said


def test_power_is_compared_with_the_threshold_of_its_own_unit() -> None:
    assert not misses_threshold(ratio(1.0, Conclusion.NO_EVIDENCE, mde=0.92), DESIGN)
    assert misses_threshold(ratio(1.0, Conclusion.INCONCLUSIVE, mde=0.7), DESIGN)


def test_the_chart_of_a_ratio_hangs_from_one_and_shows_no_points() -> None:
    chart = verdict_chart(ratio(1.03, Conclusion.NO_EVIDENCE), DESIGN)
    assert " pp" not in json.dumps([chart.svg, chart.title, chart.description])
    assert "threshold 0.80 to 1.25" in chart.svg


def test_applicants_as_filed_are_not_called_pairs() -> None:
    assert "n pairs" not in contrasts([ratio(1.0, Conclusion.NO_EVIDENCE)], DESIGN, title="").head


def test_a_first_page_led_by_different_applicants_says_what_the_same_ones_show(working: Audit) -> None:
    own = next(item for item in working.bundle.measurements if item.metric == "cf_net_effect")
    same = replace(own, estimate=0.0, low=-0.01, high=0.01, conclusion=Conclusion.EQUIVALENT_WITHIN_MARGIN)
    bundle = replace(working.bundle, measurements=(same, ratio(0.99, Conclusion.NO_EVIDENCE)), findings=())
    page = cover.front_verdict(Story(bundle=bundle, governance=GOVERNANCE, charts={}))
    assert "as filed" in page.sentence
    assert any("the model's own cut-off lay within ±2.0 pp" in words for words in page.others)
