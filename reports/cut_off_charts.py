"""Charts about the cut-off: the scores of each arm with both cut-offs, and the effect against the cut-off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from auditor.behaviour.metrics import CF_NET_EFFECT_MATCHED, NEAR_CUT_OFF
from auditor.plan import Plan
from auditor.records import Measurement
from reports import numbers
from reports.canvas import AXIS, BAND, BARS, GRID, INK, NORMAL, SERIES, Canvas, Chart, Marker, decimals_of, nice_ticks
from reports.how_many import between, n_words, of_one
from reports.wording import Design, contrast, field_words, sentence_case

WIDTH, TOP, FOOT, BINS = 700, 32, 46, 56
PANEL_WIDTH, PANEL_HEIGHT, PANEL_FOOT = 350, 150, 46
PANELS_AT_MOST = 8


def matched_thresholds(measurements: Sequence[Measurement]) -> dict[str, float]:
    """The matched cut-off of every attribute, in logits, where the run gives it."""
    found: dict[str, float] = {}
    for item in measurements:
        threshold = item.counts.get("threshold")
        at_matched = item.metric == CF_NET_EFFECT_MATCHED or (
            item.metric == NEAR_CUT_OFF and item.subject.get("cut_off") == "matched"
        )
        if at_matched and threshold is not None and "field" in item.subject:
            found.setdefault(item.subject["field"], float(threshold))
    return found


def margins_chart(margins: Mapping[str, Sequence[float]], plan: Plan, matched: Mapping[str, float]) -> Chart | None:
    """How the scores of each arm lie about the cut-offs: a mute or one-sided model shows at a glance.

    Parameters
    ----------
    margins
        Sorted scores (log-odds, logits) by arm: ``race=White``.
    plan
        The design.
    matched
        The matched cut-off by attribute, in logits; empty where none was set.
    """
    reference = {item.field: item.reference for item in plan.attributes}
    arms = [arm for arm in margins if arm.partition("=")[0] in reference and len(margins[arm]) > 0]
    order = list(reference)
    arms.sort(
        key=lambda arm: (
            order.index(arm.partition("=")[0]),
            arm.partition("=")[2] != reference[arm.partition("=")[0]],
            arm,
        )
    )
    if not arms or max(len(margins[arm]) for arm in arms) == 1:
        return None
    natural = plan.operating_point.natural_margin
    values = np.concatenate([np.asarray(margins[arm]) for arm in arms])
    cuts = [natural, *matched.values()]
    ticks = nice_ticks(min(float(values.min()), min(cuts) - 0.5), max(float(values.max()), max(cuts) + 0.5))
    edges = np.linspace(ticks[0], ticks[-1], BINS + 1)
    shares = {arm: np.histogram(np.asarray(margins[arm]), bins=edges)[0] / len(margins[arm]) for arm in arms}
    tallest = max(float(share.max()) for share in shares.values())
    row = 36
    bottom = TOP + len(arms) * row
    canvas = Canvas(WIDTH, bottom + FOOT, domain=(ticks[0], ticks[-1]), span=(160, 490))
    canvas.text(0, 20, "Arm")
    canvas.text(570, 20, "≥ own cut-off", align="right")
    canvas.text(658, 20, "≥ matched", align="right")
    canvas.text(WIDTH, 20, "n", align="right")
    for index, arm in enumerate(arms):
        base = TOP + (index + 1) * row - 4
        field, _, group = arm.partition("=")
        values = np.asarray(margins[arm])
        mark = "□ " if reference[field] == group else ""
        canvas.text(0, base - 6, f"{mark}{sentence_case(field_words(field))}: {group}", size=NORMAL, colour=INK)
        canvas.boxes(
            [
                (
                    canvas.x(float(edges[at])),
                    base - 28 * float(share) / tallest,
                    canvas.x(float(edges[at + 1])),
                    float(base),
                )
                for at, share in enumerate(shares[arm])
                if share > 0
            ],
            fill=BARS,
        )
        canvas.rule(160, base, 490, base, colour=GRID)
        own = numbers.rate(float((values >= natural).mean()))
        canvas.text(570, base - 6, own, align="right", size=NORMAL, colour=INK)
        at_matched = numbers.DASH
        if field in matched:
            cut = matched[field]
            at_matched = numbers.rate(float((values >= cut).mean()))
            canvas.rule(canvas.x(cut), base - 30, canvas.x(cut), base + 2, colour=SERIES, width=1.5, dashed=True)
        canvas.text(658, base - 6, at_matched, align="right", size=NORMAL, colour=INK)
        canvas.text(WIDTH, base - 6, numbers.count(len(values)), align="right", size=NORMAL)
    canvas.axis(ticks, y=bottom, decimals=decimals_of(ticks), signed=True)
    canvas.plumb_line(natural, top=TOP - 4, bottom=bottom + 5)
    canvas.text(160, bottom + 38, "← towards denial")
    canvas.text(325, bottom + 38, "score, logits", align="center")
    canvas.text(490, bottom + 38, "towards approval →", align="right")
    dashed = (
        " The dashed line is the matched cut-off, at which the reference arm's approval rate is the one that the plan "
        "names."
        if matched
        else ""
    )
    return canvas.finish(
        name="margins",
        title="Scores by arm, with the cut-offs",
        description="Histogram of the score of every arm around the model's own cut-off and the matched one.",
        caption="Each row is a histogram of one arm's scores (log-odds of the favourable against the adverse answers) "
        "with common bins; heights are shares of the arm. The line with the bob hangs at the model's own cut-off: "
        f"cases at or above it are favourable.{dashed} A model that answers one way, or hardly at all, has its whole "
        f"row on one side. n: {between([len(margins[arm]) for arm in arms])} scores an arm.",
    )


def curve_chart(curve: Sequence[Measurement], largest: Sequence[Measurement], design: Design) -> Chart | None:
    """The effect against the cut-off, one panel a contrast, with the simultaneous band; ``None`` without points.

    Parameters
    ----------
    curve
        The points: ``counts.rate`` is what share of the reference arm the cut-off approves.
    largest
        The largest effect of each contrast over the range, which is marked.
    """
    panels: dict[tuple[str, str], list[Measurement]] = {}
    for item in curve:
        if item.estimate is not None and item.counts.get("rate") is not None:
            panels.setdefault((item.subject.get("field", ""), item.subject.get("group", "")), []).append(item)
    panels = {key: sorted(rows, key=_rate) for key, rows in panels.items() if len(rows) > 1}
    if not panels or of_one([item for rows in panels.values() for item in rows]):
        return None
    peaks = {(item.subject.get("field", ""), item.subject.get("group", "")): item for item in largest}
    shown = list(panels.items())[:PANELS_AT_MOST]
    rows = -(-len(shown) // 2)
    every = [item for _, items in shown for item in items]
    ringed = [peak for key, _ in shown if (peak := _ring(peaks.get(key))) is not None]
    limit = 100 * design.practical_rate
    values = [100 * value for item in every for value in (item.estimate, item.low, item.high) if value is not None]
    # The largest may lie between two points of the curve, and far beyond both.
    values += [100 * (item.estimate or 0.0) for item in ringed]
    up = nice_ticks(min([*values, -1.5 * limit]), max([*values, 1.5 * limit]), most=6)
    rates = [100 * _rate(item) for item in (*every, *ringed)]
    along = nice_ticks(min(rates), max(rates) if max(rates) > min(rates) else min(rates) + 1, most=6)
    left_out = len(panels) - len(shown)
    canvas = Canvas(WIDTH, rows * (PANEL_HEIGHT + PANEL_FOOT) + (18 if left_out else 0))
    for index, (key, items) in enumerate(shown):
        _panel(
            canvas,
            items,
            _ring(peaks.get(key)),
            left=(index % 2) * PANEL_WIDTH + 40.0,
            top=(index // 2) * (PANEL_HEIGHT + PANEL_FOOT) + 24.0,
            up=up,
            along=along,
            limit=limit,
        )
    if left_out:
        canvas.text(0, rows * (PANEL_HEIGHT + PANEL_FOOT) + 12, f"More contrasts, in the table: {left_out}.")
    stated = "; ".join(
        f"{contrast(items[0])}, largest {_largest([*items, *filter(None, [_ring(peaks.get(key))])])}"
        for key, items in shown
    )
    level = numbers.interval_head(every)
    grey = any(item.low is not None and item.high is not None for item in every)
    band = f"Grey: simultaneous {level}, for all cut-offs at once. " if grey else ""
    return canvas.finish(
        name="cut-off-curve",
        title=f"Change in {design.noun} against the cut-off",
        description=f"One panel a contrast, by the share of the reference arm that the cut-off approves: {stated}.",
        caption="Across: the share of the reference arm that a cut-off approves. Upwards: the difference in "
        f"{design.noun} there, in percentage points. {band}Dashed: practical threshold. Ink line: no difference. "
        "Ring: where the difference is largest. "
        f"{n_words(every, small_cell=design.small_cell)}",
    )


def _panel(
    canvas: Canvas,
    items: Sequence[Measurement],
    peak: Measurement | None,
    *,
    left: float,
    top: float,
    up: Sequence[float],
    along: Sequence[float],
    limit: float,
) -> None:
    right, bottom = left + PANEL_WIDTH - 64, top + PANEL_HEIGHT - 24

    def across(rate: float) -> float:
        return left + (rate - along[0]) / (along[-1] - along[0]) * (right - left)

    def height(value: float) -> float:
        return bottom - (value - up[0]) / (up[-1] - up[0]) * (bottom - top)

    canvas.text(
        left, top - 10, f"{contrast(items[0])}, n = {numbers.count(items[0].n)}", size=NORMAL, bold=True, colour=INK
    )
    places = [across(100 * _rate(item)) for item in items]
    middles = [(one + two) / 2 for one, two in pairwise(places)]
    starts, ends = [places[0], *middles], [*middles, places[-1]]
    canvas.boxes(
        [
            (start, height(100 * item.high), end, height(100 * item.low))
            for start, end, item in zip(starts, ends, items, strict=True)
            if item.low is not None and item.high is not None and end > start
        ],
        fill=BAND,
        stroke=BAND,
    )
    for tick in up:
        canvas.rule(left, height(tick), right, height(tick), colour=GRID)
        canvas.text(
            left - 5, height(tick) + 4, numbers.number(tick, decimals=decimals_of(up), signed=True), align="right"
        )
    for tick in along:
        canvas.rule(across(tick), bottom, across(tick), bottom + 4)
        canvas.text(across(tick), bottom + 16, f"{numbers.number(tick, decimals=decimals_of(along))}%", align="center")
    for edge in (limit, -limit):
        canvas.rule(left, height(edge), right, height(edge), colour=AXIS, dashed=True)
    canvas.rule(left, height(0), right, height(0), colour=INK, width=1.25)
    line = sorted([*items, *([peak] if peak is not None else [])], key=_rate)
    points = [(across(100 * _rate(item)), height(100 * (item.estimate or 0.0))) for item in line]
    for (x1, y1), (x2, y2) in pairwise(points):
        canvas.rule(x1, y1, x2, y2, colour=SERIES, width=1.75)
    if peak is not None:
        at = across(100 * _rate(peak)), height(100 * (peak.estimate or 0.0))
        canvas.marker(*at, Marker(SERIES, "circle", False), size=70)
    canvas.text((left + right) / 2, bottom + 32, f"approved of {items[0].reference or 'the reference'}", align="center")


def _ring(peak: Measurement | None) -> Measurement | None:
    """The largest effect of a contrast, where it has a value and a place on the curve."""
    known = peak is not None and peak.estimate is not None and peak.counts.get("rate") is not None
    return peak if known else None


def _rate(item: Measurement) -> float:
    return float(item.counts.get("rate") or 0.0)


def _largest(items: Sequence[Measurement]) -> str:
    peak = max(items, key=lambda item: abs(item.estimate or 0.0))
    return f"{numbers.estimate_and_interval(peak)} pp where {numbers.percent(_rate(peak))}% are approved"
