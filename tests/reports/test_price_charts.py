"""Gaps of prices and amounts are drawn together, with how many approved applicants stand behind each."""

from __future__ import annotations

import pytest

from auditor.behaviour.observed import prices
from auditor.conclusions import adjust_and_conclude
from auditor.records import Measurement
from reports.canvas import MARKERS
from reports.price_charts import is_price_gap, price_chart
from reports.readings import READING, drawn_by
from reports.wording import Design
from tests.observed.asked import plan, run
from tests.observed.made_up import columns


@pytest.fixture(scope="module")
def gaps() -> list[Measurement]:
    return [item for item in adjust_and_conclude(list(prices.measure(run(columns(3000))))) if is_price_gap(item)]


def test_every_gap_in_sds_stands_in_its_block_with_its_n(gaps: list[Measurement]) -> None:
    chart = price_chart(gaps, Design.of(plan()))
    assert chart is not None
    for words in ("Rate, as charged or granted", "Rate, at equal recorded factors", "Limit, as charged or granted"):
        assert words in chart.svg
    assert len(gaps) == 12
    for item in gaps:
        assert f">{item.n:,}<" in chart.svg
    assert f'fill="{MARKERS["DIFFERENCE_FOUND"].colour}"' in chart.svg
    assert "practical" not in chart.svg
    assert drawn_by(chart.name, gaps) == gaps
    assert chart.name in READING


def test_without_a_price_or_an_amount_nothing_is_drawn(gaps: list[Measurement]) -> None:
    assert price_chart([], Design.of(plan())) is None
