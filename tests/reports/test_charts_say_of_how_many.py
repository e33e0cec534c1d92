"""Every chart says in words of how many it is, where it is printed and where it is shown; one case makes no chart."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from auditor.records import Measurement
from reports import sections
from reports.blocks import Figure, Text
from reports.bundle import Bundle
from reports.charts import effect_chart, power_chart, rate_chart, references, render_charts
from reports.cut_off_charts import curve_chart, margins_chart
from reports.how_many import n_words
from reports.inside_sections import inside
from reports.maps import maps_of
from reports.price_charts import price_chart
from reports.result_sections import results_primary
from reports.story import Story
from reports.trends import trend_chart, trend_point
from tests.reports.conftest import GOVERNANCE, Audit
from tests.reports.everything import everything
from tests.reports.test_maps import ROWS
from tests.reports.test_sentences import DESIGN, net

COUNTED = re.compile(r"\bn: (?:< )?\d[\d,]*\b")


@pytest.fixture(scope="module")
def full(working: Audit) -> Bundle:
    """The simulated audit with a measurement of every kind."""
    rows = {item.id: item for item in (*working.bundle.measurements, *everything(), *ROWS)}
    return replace(working.bundle, measurements=tuple(rows.values()))


def of_one_case(rows: list[Measurement]) -> list[Measurement]:
    return [replace(item, n=1) for item in rows]


def test_every_chart_of_a_report_has_its_n_in_words_below_it(full: Bundle) -> None:
    charts = render_charts(full)
    # The verdict's stands beside the line of its figures: "600 applications".
    assert {name for name, chart in charts.items() if not COUNTED.search(chart.caption)} == {"verdict"}
    assert {"effects", "rates", "power", "margins", "cut-off-curve", "readability", "margin-shift"} <= set(charts)
    assert any(name.startswith("map-") for name in charts)


def test_every_figure_of_a_page_has_its_n_in_words_below_it(full: Bundle) -> None:
    story = Story(full, GOVERNANCE, render_charts(full))
    figures = [block for kind in sections.SECTIONS for block in kind.blocks(story) if isinstance(block, Figure)]
    assert {block.chart.name for block in figures if not COUNTED.search(block.reading or block.chart.caption)} == set()
    assert len({block.chart.name for block in figures}) > 8


def test_a_trend_has_its_n_at_each_audit_and_below() -> None:
    points = [trend_point(net(n=many), version=f"v{many}", when="", audit="A") for many in (480, 600)]
    chart = trend_chart(points, measurement=net(), threshold=0.02, power=0.8)
    assert chart is not None
    assert "n = 480" in chart.svg
    assert "n = 600" in chart.svg
    assert chart.caption.endswith("n: 480 to 600 applications an audit.")


def test_each_kind_is_counted_by_itself_and_small_groups_as_in_tables() -> None:
    filed = net(id="f", test="group_rates", metric="selection_rate", n=7)
    assert n_words([net(n=480), net(n=600)], small_cell=11) == "n: 480 to 600 pairs."
    assert n_words([net(n=600), filed], small_cell=11) == "n: 600 pairs, < 11 applicants."
    assert n_words([net(test="arm_rates", n=600)], small_cell=11) == "n: 600 applications."
    assert n_words([net(estimate=None)], small_cell=11) == ""


def test_one_case_makes_no_chart(working: Audit) -> None:
    plan = working.bundle.plan
    rate = net(test="arm_rates", metric="selection_rate", unit="rate", estimate=1.0, low=None, high=None)
    curve = [net(id=str(share), metric="cf_curve_effect", counts={"rate": share}) for share in (0.5, 0.7)]
    gap = net(test="price_gaps", metric="price_gap_sd", unit="sd")
    points = [trend_point(net(n=1), version="v", when="", audit="A")] * 2
    for draw, rows in (
        (lambda rows: effect_chart(rows, DESIGN), [net()]),
        (lambda rows: power_chart(rows, DESIGN), [net()]),
        (lambda rows: rate_chart(rows, references(plan), DESIGN), [rate]),
        (lambda rows: curve_chart(rows, [], DESIGN), curve),
        (lambda rows: price_chart(rows, DESIGN), [gap]),
    ):
        assert draw(rows) is not None
        assert draw(of_one_case(rows)) is None
    assert margins_chart({"race=White": [0.1, 0.2]}, plan, {}) is not None
    assert margins_chart({"race=White": [0.1]}, plan, {}) is None
    assert trend_chart(points, measurement=net(), threshold=0.02, power=0.8) is None
    assert maps_of(ROWS)
    assert maps_of(of_one_case(ROWS)) == []


def test_its_sentence_stands_where_the_chart_would(working: Audit) -> None:
    single = net(n=1, low=None, high=None, p_value=None, p_adjusted=None)
    bundle = replace(working.bundle, measurements=(single,), findings=())
    words = [block.words for block in results_primary(Story(bundle, GOVERNANCE, {})) if isinstance(block, Text)]
    assert "Of one case there is no chart: Black against White −2.9 pp." in words

    bundle = replace(working.bundle, measurements=tuple(of_one_case(ROWS)), findings=())
    words = [block.words for block in inside(Story(bundle, GOVERNANCE, {})) if isinstance(block, Text)]
    assert [said for said in words if said.startswith("Of one case there is no chart: the largest of ")]
