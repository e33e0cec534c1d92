"""The largest difference stands on the picture of the cut-offs, on its curve, and in the words below it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auditor.records import Measurement
from reports import charts, cut_off_charts
from reports.bundle import Bundle
from reports.charts import verdict_chart
from reports.cut_off_charts import curve_chart
from reports.wording import Design, lower_first
from tests.reports.conftest import Audit
from tests.reports.everything import contrasts


@pytest.fixture
def design(working: Audit) -> Design:
    return Design.of(working.bundle.plan)


def of(metric: str) -> list[Measurement]:
    return [item for item in contrasts() if item.metric == metric]


@pytest.fixture
def curve() -> list[Measurement]:
    """Five points of one contrast, all of them small, without intervals as a run of few applications has them."""
    first = next(item for item in of("cf_curve_effect"))
    rates = (0.80, 0.84, 0.88, 0.92, 0.95)
    return [
        replace(first, id=f"{first.id}/{rate}", estimate=-0.05, low=None, high=None, counts={"rate": rate})
        for rate in rates
    ]


def ringed(curve: list[Measurement], *, estimate: float | None, rate: float | None) -> Measurement:
    """The largest of the contrast, between or beyond the points of its curve."""
    return replace(
        curve[0], id="largest", metric="cf_range_effect", estimate=estimate, low=None, high=None, counts={"rate": rate}
    )


@pytest.mark.parametrize("rate", [0.78, 0.86, 0.97])
def test_a_ring_far_from_the_points_lies_within_the_panel(
    curve: list[Measurement], design: Design, rate: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    rings: list[tuple[float, float]] = []
    ends: set[tuple[float, float]] = set()
    marker, rule = cut_off_charts.Canvas.marker, cut_off_charts.Canvas.rule

    def marked(self: object, x: float, y: float, *rest: object, **more: object) -> None:
        rings.append((x, y))
        marker(self, x, y, *rest, **more)  # type: ignore[arg-type]

    def ruled(self: object, x1: float, y1: float, x2: float, y2: float, **more: object) -> None:
        if more.get("colour") == cut_off_charts.SERIES:
            ends.update([(x1, y1), (x2, y2)])
        rule(self, x1, y1, x2, y2, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(cut_off_charts.Canvas, "marker", marked)
    monkeypatch.setattr(cut_off_charts.Canvas, "rule", ruled)
    chart = curve_chart(curve, [ringed(curve, estimate=-0.4, rate=rate)], design)
    assert chart is not None
    ((x, y),) = rings
    assert 40 <= x <= 40 + cut_off_charts.PANEL_WIDTH - 64
    assert 24 <= y <= cut_off_charts.PANEL_HEIGHT
    assert (x, y) in ends, "on its curve"
    assert f"largest −40.0 pp where {100 * rate:.1f}% are approved" in " ".join(chart.description.split())


def test_no_ring_is_drawn_of_a_largest_without_a_value(curve: list[Measurement], design: Design) -> None:
    chart = curve_chart(curve, [ringed(curve, estimate=None, rate=None)], design)
    assert chart is not None
    assert "−5.0" in chart.description


def test_a_band_that_is_not_there_is_not_explained(curve: list[Measurement], design: Design) -> None:
    bare = curve_chart(curve, [], design)
    banded = curve_chart([replace(item, low=-0.1, high=0.0) for item in curve], [], design)
    assert bare is not None
    assert banded is not None
    assert "Grey" not in bare.caption
    assert "Grey: simultaneous" in banded.caption


def test_the_number_of_the_first_page_stands_over_its_marker(
    working: Audit, design: Design, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed: dict[str, float] = {}
    text = charts.Canvas.text

    def written(self: object, x: float, y: float, words: str, **more: object) -> None:
        placed[words] = x
        text(self, x, y, words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(charts.Canvas, "text", written)
    lead = next(item for item in working.bundle.measurements if item.metric == "cf_net_effect")
    verdict_chart(replace(lead, estimate=-0.4, low=None, high=None), design)
    assert placed["−40.0 pp"] < 50
    verdict_chart(replace(lead, estimate=-0.4, low=-0.5, high=-0.3), design)
    assert placed["−40.0 [−50.0, −30.0] pp"] > 70, "no letter is cut"


@pytest.mark.parametrize(
    ("label", "within"),
    [
        ("Mantel–Haenszel odds ratio", "Mantel–Haenszel odds ratio"),
        ("Denial odds ratio", "denial odds ratio"),
        ("AUC against recorded outcomes", "AUC against recorded outcomes"),
        ("Test–retest", "test–retest"),
    ],
)
def test_names_of_people_keep_their_capitals_within_a_sentence(label: str, within: str) -> None:
    assert lower_first(label) == within


def test_the_fields_of_the_first_page_are_changed_one_at_a_time(working: Audit, whole_words: str) -> None:
    assert "each as filed and again with only race, sex or marital status changed" in whole_words


@pytest.fixture
def whole_words(working: Audit) -> str:
    bundle: Bundle = working.bundle
    assert [item.field for item in bundle.plan.attributes] == ["race", "sex", "marital_status"]
    return working.text
