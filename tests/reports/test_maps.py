"""Maps of internals and trends of effects: drawn by the subject's keys, readable without colour."""

from __future__ import annotations

from dataclasses import replace

from auditor.records import Conclusion, Measurement
from compliance.dashboard.evidence import chart_from
from reports.maps import draw_maps, maps_of
from reports.trends import MOST, TrendPoint, trend_chart
from tests.compliance.inside import measurements

ROWS = measurements()


def words(svg: str) -> str:
    import re

    return " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg))


def test_every_shape_of_subject_makes_its_picture() -> None:
    kinds = {item.name: item.kind for item in maps_of(ROWS)}
    assert kinds == {
        "map-patching-patch-effect-layer-position": "heat",
        "map-heads-head-effect-layer-head": "bars",
        "map-features-feature-effect-feature-layer-9": "bars",
        "map-field-attribution-mean-absolute-attribution-field-method-occlusion": "bars",
        "map-field-attribution-mean-absolute-attribution-field-method-shapley": "bars",
        "map-probe-balanced-accuracy-layer": "lines",
    }


def test_no_measurement_stands_in_two_pictures() -> None:
    placed = [row.id for item in maps_of(ROWS) for row in item.rows]
    assert sorted(placed) == sorted(row.id for row in ROWS)


def test_contrasts_of_groups_and_lonely_numbers_make_no_map() -> None:
    group = replace(ROWS[0], id="g", subject={"field": "race", "group": "Black"})
    assert maps_of([group, replace(group, id="h", subject={"field": "race", "group": "Hispanic"})]) == []
    assert maps_of([ROWS[0]]) == []


def test_pictures_are_charts_that_a_page_takes_in() -> None:
    for chart in draw_maps(ROWS):
        assert chart_from(chart.name, chart.svg).title == chart.title
        assert chart.description


def test_a_heat_map_prints_the_values_of_its_darker_cells() -> None:
    heat = draw_maps(ROWS)[0]
    assert ".99" in words(heat.svg).replace("1.00", ".99")
    assert "Last token" in words(heat.svg)
    assert "–" in words(heat.svg)  # the failed self-check has no number


def test_bars_print_every_estimate_with_its_interval_and_say_what_is_left_out() -> None:
    bars = next(chart for chart in draw_maps(ROWS) if "heads" in chart.name)
    assert "Layer 9, head 6" in words(bars.svg)
    assert "\u22120.15 [\u22120.18, \u22120.12]" in words(bars.svg)
    assert "Smaller ones, in the table: 1." in words(bars.svg)


def test_lines_are_named_at_their_ends() -> None:
    lines = next(chart for chart in draw_maps(ROWS) if "probe" in chart.name)
    assert "Race" in words(lines.svg)
    assert "Control labels" in words(lines.svg)


def test_a_line_alone_is_named_by_the_title_and_not_at_its_end() -> None:
    rows = [
        replace(ROWS[0], id=f"alone/{layer}", metric="causal_last_token", subject={"layer": str(layer)}, estimate=0.1)
        for layer in range(6)
    ]
    (chart,) = draw_maps(rows)
    title = "Share of the decision carried by the last token"
    assert title in chart.title
    assert "Share" not in words(chart.svg)


def test_circuits_of_a_contrast_are_two_lines_in_one_picture() -> None:
    rows = [
        replace(
            ROWS[0],
            id=f"{group}/{kind}/{share}",
            metric="circuit_faithfulness",
            subject={"field": "race", "group": group, "circuit": kind, "share_of_edges": share},
            estimate=size * float(share),
        )
        for group in ("Black", "Hispanic")
        for kind, size in (("found", 0.9), ("random", 0.3))
        for share in ("0.001", "0.01", "0.1", "1")
    ]
    drawn = draw_maps(rows)
    assert [item.kind for item in maps_of(rows)] == ["lines", "lines"]
    assert {"Found", "Random", "0.001", "0.1"} <= set(words(drawn[0].svg).split())
    assert "share of edges" in words(drawn[0].svg)
    assert "By share of edges, 4 points. Largest: " in drawn[0].description


def test_percentages_are_drawn_in_percent() -> None:
    shares = [replace(row, unit="rate") for row in ROWS if row.test == "probe"]
    drawn = draw_maps(shares)[0]
    assert "60" in words(drawn.svg).split()


def point(number: int, **values: float | None) -> TrendPoint:
    given = {"estimate": -0.03, "low": -0.05, "high": -0.01, "mde": 0.017, **values}
    return TrendPoint(
        version=f"v{number}", when="Nov 26", audit=f"A-{number:04d}", conclusion=Conclusion.DIFFERENCE_FOUND, n=600,
        **given,
    )  # fmt: skip


def lead() -> Measurement:
    return replace(
        ROWS[0], unit="rate_difference", subject={"field": "race", "group": "Black"}, reference="White", estimate=-0.03
    )


def test_a_trend_needs_two_audits() -> None:
    assert trend_chart([point(1)], measurement=lead(), threshold=0.02, power=0.8) is None


def test_a_trend_shows_estimates_threshold_and_what_the_last_audit_could_see() -> None:
    chart = trend_chart([point(1, estimate=-0.01), point(2)], measurement=lead(), threshold=0.02, power=0.8)
    assert chart is not None
    shown = words(chart.svg)
    assert "\u22121.0" in shown
    assert "\u22123.0" in shown
    assert "+2.0 pp" in shown
    assert "MDE ±1.7" in shown
    assert "v1" in shown
    assert "80% power" in chart.caption


def test_only_the_last_audits_are_drawn() -> None:
    chart = trend_chart([point(n) for n in range(20)], measurement=lead(), threshold=0.02, power=0.8)
    assert chart is not None
    assert [f"v{n}" in words(chart.svg).split() for n in (19, 20 - MOST, 19 - MOST)] == [True, True, False]


def test_an_audit_without_a_number_stays_in_the_row() -> None:
    gone = {"estimate": None, "low": None, "high": None, "mde": None}
    chart = trend_chart([point(1), point(2, **gone), point(3)], measurement=lead(), threshold=0.02, power=0.8)
    assert chart is not None
    assert "v2: –" in chart.description
