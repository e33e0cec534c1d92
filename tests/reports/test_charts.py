from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from reports.canvas import MARKERS, decimals_of, nice_ticks
from reports.charts import chart_table, render_charts
from tests.reports.conftest import Audit

PALETTE = {
    "#14181b",
    "#47505a",
    "#e1e5e6",
    "#eef1f1",
    "#8a949b",
    "#4a6072",
    "#0b5c9e",
    "#ffffff",
    "#b4bdc2",
    "#b23a0e",
    "#8a6100",
    "#6b4a86",
}


@pytest.fixture(scope="module")
def charts(working: Audit) -> dict[str, str]:
    return {path.stem: path.read_text(encoding="utf-8") for path in (working.folder / "figures").glob("*.svg")}


def test_every_chart_the_data_allows_is_drawn(charts: dict[str, str]) -> None:
    assert set(charts) == {"verdict", "effects", "effects-matched", "margin-shift", "rates", "power", "margins"}


def test_no_chart_names_a_foreign_host_or_a_style(charts: dict[str, str]) -> None:
    for svg in charts.values():
        assert set(re.findall(r'(?:https?:)?//[^"\s<]+', svg)) == {"http://www.w3.org/2000/svg"}
        assert "style" not in svg
        assert "href" not in svg


def test_only_the_palette_is_used(charts: dict[str, str]) -> None:
    for svg in charts.values():
        assert set(re.findall(r"#[0-9a-fA-F]{3,8}", svg)) <= PALETTE
        assert "rgb(" not in svg


def test_every_chart_has_a_title_a_description_and_readable_text(charts: dict[str, str]) -> None:
    for name, svg in charts.items():
        root = ElementTree.fromstring(svg)
        assert root.get("aria-labelledby") == f"{name}-t {name}-d"
        assert root[0].text
        assert root[1].text
        sizes = [float(size) for size in re.findall(r'font-size="([\d.]+)', svg)]
        assert min(sizes) >= 10.5


def test_no_text_is_drawn_outside_its_chart(working: Audit, mute: Audit) -> None:
    from reportlab.pdfbase.pdfmetrics import stringWidth

    from reports.pdf.styles import BODY, register_fonts

    register_fonts()
    for audit in (working, mute):
        for chart in render_charts(audit.bundle).values():
            for x, y, anchor, size, words in _texts(chart.svg):
                width = stringWidth(words, BODY, size)
                left = x - {"start": 0, "middle": width / 2, "end": width}[anchor]
                assert left >= -0.5, words
                assert left + width <= chart.width + 0.5, words
                assert 0 < y <= chart.height, words


def test_the_marker_is_the_conclusion(charts: dict[str, str]) -> None:
    assert f'fill="{MARKERS["DIFFERENCE_FOUND"].colour}"' in charts["effects"]
    assert "stroke-dasharray" in charts["effects"]


def test_the_table_behind_a_chart_holds_every_contrast(working: Audit) -> None:
    shown = working.bundle.measured(metric="cf_net_effect")
    head, rows = chart_table(shown)
    assert len(rows) == len(shown) == 4
    assert rows[0][0] == "Black − White"
    assert all(len(row) == len(head) for row in rows)


@pytest.mark.parametrize(("low", "high"), [(-8.3, 1.2), (0.0, 0.004), (-3.5, 0.5), (61.0, 100.0), (-0.1, 0.1)])
def test_ticks_are_round_cover_the_data_and_are_few(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low
    assert ticks[-1] >= high
    assert 2 <= len(ticks) <= 10
    assert all(abs(round(tick, decimals_of(ticks)) - tick) < 1e-9 for tick in ticks)


def _texts(svg: str):
    pattern = (
        r'<text(?: text-anchor="(\w+)")? '
        r'transform="translate\(([-\d.]+),([-\d.]+)\)"[^>]*font-size="([\d.]+)px"[^>]*>([^<]*)<'
    )
    found = re.findall(pattern, svg)
    assert len(found) == svg.count("<text")
    for anchor, x, y, size, words in found:
        yield float(x), float(y), anchor or "start", float(size), words.replace("&lt;", "<")
