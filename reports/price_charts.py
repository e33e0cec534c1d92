"""Gaps of prices and amounts among approved applicants, one block a price: plain, and at equal recorded factors."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.behaviour.metrics import (
    AMOUNT_GAP_ADJUSTED_SD,
    AMOUNT_GAP_SD,
    PRICE_GAP_ADJUSTED_SD,
    PRICE_GAP_SD,
)
from auditor.records import Conclusion, Measurement
from reports import numbers
from reports.canvas import AXIS, GRID, INK, MARKERS, NORMAL, Canvas, Chart, decimals_of, nice_ticks
from reports.how_many import n_words, of_one
from reports.small_cells import people
from reports.wording import CONCLUSION_ORDER, Design, contrast, interval_head, interval_short, sentence_case

NAME = "decided-prices"
PLAIN, EQUAL = (PRICE_GAP_SD, AMOUNT_GAP_SD), (PRICE_GAP_ADJUSTED_SD, AMOUNT_GAP_ADJUSTED_SD)
DRAWN = (*PLAIN, *EQUAL)
WIDTH, TOP, ROW, FOOT = 700, 32, 24, 46
SPAN = (235, 470)


def is_price_gap(item: Measurement) -> bool:
    """Whether the chart draws it: a gap of a price or an amount, in SDs."""
    return item.metric in DRAWN


def price_chart(measurements: Sequence[Measurement], design: Design) -> Chart | None:
    """Every gap of prices and amounts in SDs; ``None`` where the file gave none.

    Parameters
    ----------
    measurements
        Gaps in SDs, plain and at equal factors, of any price or amount.
    """
    blocks = _blocks(measurements)
    shown = [item for _, items in blocks for item in items]
    if not any(item.estimate is not None for item in shown) or of_one(shown):
        return None
    threshold = design.practical_margin_sd
    values = [value for item in shown for value in (item.estimate, item.low, item.high) if value is not None]
    ticks = nice_ticks(min([*values, -1.5 * threshold]), max([*values, 1.5 * threshold]), most=7)
    bottom = TOP + (len(shown) + len(blocks)) * ROW
    canvas = Canvas(WIDTH, bottom + FOOT, domain=(ticks[0], ticks[-1]), span=SPAN)
    words = f"threshold ±{numbers.number(threshold, decimals=2)} SD"
    canvas.band(threshold, top=TOP, bottom=bottom, words=words)
    canvas.text(0, 24, "Contrast, among approved applicants")
    canvas.text(602, 24, f"SD [{interval_short(shown)}]", align="right")
    canvas.text(650, 24, "n", align="right")
    canvas.text(WIDTH, 24, "q", align="right")
    canvas.axis(ticks, y=bottom, decimals=decimals_of(ticks), signed=True)
    canvas.plumb_line(0, top=TOP, bottom=bottom + 5)
    zero = canvas.x(0)
    canvas.text(zero - 10, bottom + 36, "← lower for the group", align="right")
    canvas.text(zero + 10, bottom + 36, "higher for the group →")
    y = TOP + ROW / 2
    for title, items in blocks:
        canvas.text(0, y + 4, title, size=NORMAL, bold=True, colour=INK)
        y += ROW
        for item in items:
            _row(canvas, item, y, zero, small_cell=design.small_cell)
            y += ROW
        canvas.rule(0, y - ROW / 2, WIDTH, y - ROW / 2, colour=GRID)
    stated = "; ".join(f"{_what(item)}, {contrast(item)} {numbers.estimate_and_interval(item)}" for item in shown)
    return canvas.finish(
        name=NAME,
        title="Gaps of prices and amounts among approved applicants",
        description=f"Estimates and {interval_head(shown)} in SD: {stated}.",
        caption="Marker: estimate; its shape is the conclusion in the table. Line: "
        f"{interval_head(shown)}. Grey band: {words}. Of a price higher is worse for the group, of an amount lower. "
        "Different applicants; at equal factors as far as the file records them. "
        f"{n_words(shown, small_cell=design.small_cell)}",
    )


def _blocks(measurements: Sequence[Measurement]) -> list[tuple[str, list[Measurement]]]:
    """Every price or amount with its plain gaps, then those at equal factors; gravest first in each."""
    order = {code: rank for rank, code in enumerate(CONCLUSION_ORDER)}
    found: list[tuple[str, list[Measurement]]] = []
    for what in dict.fromkeys(_what(item) for item in measurements):
        for metrics, how in ((PLAIN, "as charged or granted"), (EQUAL, "at equal recorded factors")):
            mine = [item for item in measurements if _what(item) == what and item.metric in metrics]
            mine.sort(key=lambda i: (order[i.conclusion or Conclusion.NOT_TESTED], -abs(i.estimate or 0.0), i.id))
            if mine:
                found.append((f"{sentence_case(what)}, {how}", mine))
    return found


def _what(item: Measurement) -> str:
    return item.subject.get("what", "price")


def _row(canvas: Canvas, item: Measurement, y: float, zero: float, *, small_cell: int) -> None:
    code = item.conclusion or Conclusion.NOT_TESTED
    lead = code is Conclusion.DIFFERENCE_FOUND
    canvas.text(0, y + 4, contrast(item), size=NORMAL, bold=lead, colour=INK)
    if item.estimate is None:
        canvas.rule(zero - 5, y, zero + 5, y, colour=AXIS, width=2)
    else:
        if item.low is not None and item.high is not None:
            canvas.error_bar(item.low, item.high, y, colour=MARKERS[code].colour)
        canvas.marker(canvas.x(item.estimate), y, MARKERS[code])
    canvas.text(602, y + 4, numbers.estimate_and_interval(item), align="right", size=NORMAL, bold=lead, colour=INK)
    canvas.text(650, y + 4, people(item, small_cell=small_cell), align="right", size=NORMAL)
    canvas.text(WIDTH, y + 4, numbers.p_value(item.p_adjusted), align="right", size=NORMAL)
