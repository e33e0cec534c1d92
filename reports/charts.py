"""The charts of a report, each drawn once from measurements and shown unchanged on the page and in the PDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from auditor.behaviour.metrics import (
    ADJUSTED_DIFFERENCE,
    CF_CURVE_EFFECT,
    CF_MEAN_SHIFT_SD,
    CF_NET_EFFECT,
    CF_NET_EFFECT_MATCHED,
    CF_RANGE_EFFECT,
    REFUSAL_RATE_GAP,
    RISK_DIFFERENCE,
    SELECTION_RATE,
)
from auditor.plan import Plan
from auditor.records import Conclusion, Measurement
from reports import numbers
from reports.bundle import Bundle
from reports.canvas import AXIS, BARS, GRID, INK, MARKERS, NORMAL, Canvas, Chart, Marker, decimals_of, nice_ticks
from reports.cut_off_charts import curve_chart, margins_chart, matched_thresholds
from reports.how_many import n_words, of_one
from reports.maps import draw_maps
from reports.price_charts import is_price_gap, price_chart
from reports.sentences import ratio_band
from reports.small_cells import people
from reports.wording import (
    CONCLUSION_ORDER,
    Design,
    conclusion_words,
    contrast,
    field_words,
    interval_head,
    interval_short,
    lead_measurement,
    sentence_case,
)

WIDTH = 700
ROW = 27
TOP = 32
FOOT = 46
VERDICT_WIDTH = 330
LETTER = 7.2
"""A letter of a bold number, at most, on the pictures' own scale."""


def render_charts(bundle: Bundle) -> dict[str, Chart]:
    """Every chart the bundle has data for, by name.

    Parameters
    ----------
    bundle
        A bundle with or without ``decisions.parquet``; charts without data are left out.
    """
    design = Design.of(bundle.plan)
    effects = [item for metric in (CF_NET_EFFECT, CF_NET_EFFECT_MATCHED) for item in bundle.measured(metric=metric)]
    lead = lead_measurement(bundle.printable, bundle.findings)
    charts: list[Chart | None] = [
        verdict_chart(lead, design) if lead is not None else None,
        effect_chart([item for item in effects if item.metric == CF_NET_EFFECT], design),
        effect_chart([item for item in effects if item.metric == CF_NET_EFFECT_MATCHED], design, where="matched"),
        margin_shift_chart(bundle.measured(metric=CF_MEAN_SHIFT_SD), design),
        rate_chart(bundle.measured(metric=SELECTION_RATE), references(bundle.plan), design),
        power_chart(
            [item for item in (*effects, *bundle.measured(metric=CF_RANGE_EFFECT)) if item.role == "primary"], design
        ),
        effect_chart(bundle.measured(metric=CF_RANGE_EFFECT), design, where="range"),
        *(gap_chart(bundle.measured(metric=metric), design, metric=metric) for metric in TAKEN),
        price_chart([item for item in bundle.printable if is_price_gap(item)], design),
        readability_chart(bundle.measured(metric=REFUSAL_RATE_GAP), design),
        curve_chart(bundle.measured(metric=CF_CURVE_EFFECT), bundle.measured(metric=CF_RANGE_EFFECT), design),
        margins_chart(bundle.margins, bundle.plan, matched_thresholds(bundle.printable)),
        *draw_maps(bundle.printable),
    ]
    return {chart.name: chart for chart in charts if chart is not None}


def references(plan: Plan) -> dict[str, str]:
    """Reference group by protected field, from the design."""
    return {item.field: item.reference for item in plan.attributes}


def by_conclusion(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Gravest conclusion first, then the largest effect."""
    order = {code: rank for rank, code in enumerate(CONCLUSION_ORDER)}
    return sorted(
        measurements,
        key=lambda item: (order[item.conclusion or Conclusion.NOT_TESTED], -abs(item.estimate or 0.0), item.id),
    )


def chart_table(measurements: Sequence[Measurement]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The table behind a chart: column heads, and one row of printed values for each measurement, in chart order."""
    head = ("Contrast", "Unit", "n", "Estimate", interval_head(measurements), "p", "p adjusted", "Conclusion")
    rows: list[tuple[str, ...]] = [
        (
            contrast(item),
            numbers.unit_name(item),
            numbers.count(item.n),
            numbers.estimate(item),
            numbers.interval(item),
            numbers.p_value(item.p_value),
            numbers.p_value(item.p_adjusted),
            sentence_case(conclusion_words(item.conclusion)) if item.conclusion else numbers.DASH,
        )
        for item in by_conclusion(measurements)
    ]
    return head, rows


#: At which cut-off a contrast in approvals is seen, beside its name.
PLACES = {CF_NET_EFFECT: "own cut-off", CF_NET_EFFECT_MATCHED: "matched", CF_RANGE_EFFECT: "range of cut-offs"}
EFFECTS = {
    "own": ("effects", "Change in approvals at the model's own cut-off"),
    "matched": ("effects-matched", "Change in approvals at the matched cut-off"),
    "range": ("effects-range", "Largest change in approvals over the range of cut-offs"),
}


def effect_chart(measurements: Sequence[Measurement], design: Design, *, where: str = "own") -> Chart | None:
    """Change of the approval rate by contrast, in percentage points; ``None`` without measurements."""
    name, title = EFFECTS[where]
    return _forest(
        measurements,
        name=name,
        title=title.replace("approvals", design.noun),
        threshold=100 * design.practical_rate,
        unit="pp",
        words=f"practical threshold ±{numbers.percent(design.practical_rate)} pp",
        directions=(f"fewer {design.noun}", f"more {design.noun}"),
        scale=100.0,
        small_cell=design.small_cell,
        method="Paired difference, one pair an application."
        + (" At the cut-off where it is largest; the interval holds for all cut-offs at once." * (where == "range")),
    )


#: Gaps in decisions already taken: chart and title.
TAKEN = {
    RISK_DIFFERENCE: ("decided-gaps", "Difference of favourable decisions on file"),
    ADJUSTED_DIFFERENCE: ("decided-gaps-equal", "Difference of favourable decisions at equal recorded factors"),
}


def is_gap(item: Measurement) -> bool:
    """Whether it is the gap of a group in decisions already taken, plain or at equal factors."""
    return item.metric in TAKEN and item.test in ("observed_rates", "observed_equal_factors")


def gap_chart(measurements: Sequence[Measurement], design: Design, *, metric: str) -> Chart | None:
    """Difference of decisions already taken, group by group; ``None`` where no decision file was measured."""
    name, title = TAKEN[metric]
    return _forest(
        [item for item in measurements if is_gap(item)],
        name=name,
        title=title,
        threshold=100 * design.practical_rate,
        unit="pp",
        words=f"practical threshold ±{numbers.percent(design.practical_rate)} pp",
        directions=(f"fewer {design.noun}", f"more {design.noun}"),
        scale=100.0,
        small_cell=design.small_cell,
        method="Different applicants."
        if metric == RISK_DIFFERENCE
        else "Different applicants, alike in the factors that the file records.",
        people="n",
    )


def readability_chart(measurements: Sequence[Measurement], design: Design) -> Chart | None:
    """Difference of answers that cannot be read, by contrast; ``None`` without measurements or without any."""
    if not any(item.estimate for item in measurements):
        return None  # every answer could be read: the table says so
    return _forest(
        measurements,
        name="readability",
        title="Answers that cannot be read, group minus reference",
        threshold=100 * design.practical_rate,
        unit="pp",
        words=f"practical threshold ±{numbers.percent(design.practical_rate)} pp",
        directions=("fewer unreadable", "more unreadable"),
        scale=100.0,
        small_cell=design.small_cell,
        method="Paired difference, one pair an application.",
    )


def margin_shift_chart(measurements: Sequence[Measurement], design: Design) -> Chart | None:
    """Mean shift of the decision margin in SD of the reference arm; ``None`` without measurements."""
    return _forest(
        measurements,
        name="margin-shift",
        title="Change of the score, by contrast",
        threshold=design.practical_margin_sd,
        unit="SD",
        words=f"practical threshold ±{numbers.number(design.practical_margin_sd, decimals=2)} SD",
        directions=("towards denial", "towards approval"),
        scale=1.0,
        small_cell=design.small_cell,
        method="Mean paired difference of the score (log-odds), in standard deviations of the reference arm's scores.",
    )


def verdict_chart(measurement: Measurement, design: Design) -> Chart:
    """The cover's small chart: one effect, its interval, the threshold band and the plumb line."""
    scale, (low, high), words, unit = _verdict_scale(measurement, design)
    values = [scale * value for value in (measurement.estimate, measurement.low, measurement.high) if value is not None]
    middle = 1.0 if measurement.unit == "ratio" else 0.0
    reach = 1.5 * max(high - middle, middle - low)
    ticks = nice_ticks(min([*values, middle - reach]), max([*values, middle + reach]), most=8)
    # Three storeys, so that nothing can meet: the number, the threshold's label, the plot.
    number_at, band_at, axis_at, mark_at = 12, 38, 82, 60
    canvas = Canvas(VERDICT_WIDTH, 106, domain=(ticks[0], ticks[-1]), span=(12, 318))
    canvas.shade(low, high, top=band_at, bottom=axis_at, words=f"threshold {words}")
    canvas.rule(12, axis_at, 318, axis_at)
    canvas.axis(ticks, y=axis_at, decimals=decimals_of(ticks), signed=middle == 0)
    canvas.plumb_line(middle, top=band_at, bottom=axis_at + 2)
    marker = MARKERS[measurement.conclusion or Conclusion.NOT_TESTED]
    if measurement.estimate is not None:
        if measurement.low is not None and measurement.high is not None:
            canvas.error_bar(scale * measurement.low, scale * measurement.high, mark_at, colour=marker.colour, width=3)
        canvas.marker(canvas.x(scale * measurement.estimate), mark_at, marker, size=130)
        shown = f"{numbers.estimate_and_interval(measurement)} {numbers.unit_name(measurement)}".rstrip()
        # Over its marker, as far as the picture has room for it.
        half = LETTER * len(shown) / 2
        centre = min(max(canvas.x(scale * measurement.estimate), half), VERDICT_WIDTH - half)
        canvas.text(
            centre,
            number_at,
            shown,
            align="center",
            size=NORMAL,
            bold=True,
            colour=INK,
        )
    return canvas.finish(
        name="verdict",
        title=f"{contrast(measurement)}, {unit}",
        description=f"Estimate and {interval_head([measurement])} {numbers.estimate_and_interval(measurement)} "
        f"{unit}; threshold {words}.",
        caption="",
    )


def _verdict_scale(measurement: Measurement, design: Design) -> tuple[float, tuple[float, float], str, str]:
    """What the cover's chart multiplies values by, the ends of its threshold band, the band's words and the unit."""
    if measurement.unit == "ratio":
        # No difference is a ratio of 1, and the threshold of a pack leaves alone what lies within [τ, 1/τ].
        tau = measurement.counts.get("threshold") or 1.0
        return 1.0, (tau, 1 / tau), ratio_band(measurement) or "not set", "ratio"
    if measurement.unit == "sd":
        limit = design.practical_margin_sd
        unit = numbers.unit_name(measurement)
        return 1.0, (-limit, limit), f"±{numbers.number(limit, decimals=2)} {unit}", unit
    limit = 100 * design.practical_rate
    return 100.0, (-limit, limit), f"±{numbers.number(limit, decimals=1)} pp", "pp"


def rate_chart(measurements: Sequence[Measurement], reference: Mapping[str, str], design: Design) -> Chart | None:
    """Approval rate of every group as filed and of every arm, with Wilson intervals; a square marks the reference."""
    blocks = [
        (title, [item for item in measurements if item.test == test])
        for title, test in (
            ("As filed: different applicants", "group_rates"),
            ("Same applications, only one field changed", "arm_rates"),
            ("Decisions already taken: different applicants", "observed_rates"),
        )
    ]
    shown = [item for _, items in blocks for item in items]
    if not any(item.estimate is not None for item in shown) or of_one(shown):
        return None
    counted = n_words(shown, small_cell=design.small_cell)
    bounds = [100 * bound for item in shown for bound in (item.low, item.high, item.estimate) if bound is not None]
    ticks = nice_ticks(max(0.0, min(bounds) - 1), min(100.0, max(bounds) + 1))
    lines = len(shown) + sum(1 for _, items in blocks if items)
    canvas = Canvas(WIDTH, TOP + lines * 21 + 34, domain=(ticks[0], ticks[-1]), span=(200, 500))
    bottom = TOP + lines * 21 + 6
    canvas.text(620, 20, f"% [{numbers.interval_head(shown)}]", align="right")
    canvas.text(WIDTH, 20, "n", align="right")
    for tick in ticks:
        canvas.rule(canvas.x(tick), TOP, canvas.x(tick), bottom, colour=GRID)
    y = float(TOP)
    for title, items in blocks:
        if items:
            canvas.text(0, y + 14, title, size=NORMAL, bold=True, colour=INK)
            y += 21
        for item in items:
            _rate_row(canvas, item, y + 10, reference, small_cell=design.small_cell)
            y += 21
    canvas.axis(ticks, y=bottom, decimals=decimals_of(ticks), signed=False, suffix="%")
    taken = all(item.test == "observed_rates" for item in shown)
    return canvas.finish(
        name="rates",
        title="Rate of favourable decisions on file"
        if taken
        else "Approval rate as filed, and with only one field changed",
        description=f"Wilson {numbers.interval_head(shown)}s of the approval rate by group; a square: reference.",
        caption=f"Wilson {numbers.interval_head(shown)}s. Square: reference group. Different applicants, whose other "
        f"circumstances differ too. {counted}"
        if taken
        else f"Wilson {numbers.interval_head(shown)}s. Square: reference group. The "
        "upper part compares different applicants, whose other "
        "circumstances differ too; the lower part compares the same applications. "
        f"{counted}",
    )


def power_chart(measurements: Sequence[Measurement], design: Design) -> Chart | None:
    """Smallest detectable difference of every primary contrast beside the practical threshold."""
    rows = [(item, mde) for item in measurements if (mde := item.counts.get("mde")) is not None]
    if not rows or of_one([item for item, _ in rows]):
        return None
    threshold = 100 * design.practical_rate
    ticks = nice_ticks(0.0, max([threshold, *(100 * mde for _, mde in rows)]) * 1.08, most=8)
    bottom = TOP + len(rows) * ROW
    left = 262  # room for the contrast and the cut-off it is seen at
    canvas = Canvas(WIDTH, bottom + FOOT - 16, domain=(ticks[0], ticks[-1]), span=(left, 560))
    canvas.boxes([(left, TOP, canvas.x(threshold), bottom)], fill="#eef1f1")
    canvas.text(0, 20, "Contrast")
    canvas.text(640, 20, "MDE, pp", align="right")
    canvas.text(WIDTH, 20, "n pairs", align="right")
    for index, (item, mde) in enumerate(rows):
        y = TOP + index * ROW + ROW / 2
        place = PLACES.get(item.metric, "")
        canvas.text(0, y + 4, f"{contrast(item)}{f', {place}' if place else ''}", size=NORMAL, colour=INK)
        canvas.boxes([(left, y - 6, canvas.x(100 * mde), y + 6)], fill=BARS)
        canvas.text(640, y + 4, numbers.percent(mde, decimals=1), align="right", size=NORMAL, colour=INK)
        canvas.text(WIDTH, y + 4, numbers.count(item.n), align="right", size=NORMAL)
    canvas.rule(canvas.x(threshold), TOP - 4, canvas.x(threshold), bottom, dashed=True, colour=AXIS)
    canvas.text(canvas.x(threshold), TOP - 12, f"threshold {numbers.number(threshold, decimals=1)} pp", align="center")
    canvas.rule(left, bottom, 560, bottom)
    canvas.axis(ticks, y=bottom, decimals=decimals_of(ticks), signed=False)
    power = numbers.percent(design.power, decimals=0)
    return canvas.finish(
        name="power",
        title=f"Smallest difference in {design.noun} each test could have seen with {power}% power",
        description="One bar a contrast; a bar beyond the threshold line could have missed a difference of that size.",
        caption=f"Smallest detectable difference (MDE) at {power}% power, "
        "as each measurement's method gives it. A bar "
        "that ends inside the grey band could have seen a difference of the practical threshold; any other could "
        f"have missed one. {n_words([item for item, _ in rows], small_cell=design.small_cell)}".rstrip(),
    )


def _forest(
    measurements: Sequence[Measurement],
    *,
    name: str,
    title: str,
    threshold: float,
    unit: str,
    words: str,
    directions: tuple[str, str],
    scale: float,
    small_cell: int,
    method: str,
    people: str = "n pairs",
) -> Chart | None:
    rows = by_conclusion(measurements)
    if not rows or of_one(rows):
        return None
    values = [scale * value for item in rows for value in (item.estimate, item.low, item.high) if value is not None]
    ticks = _ticks(values, threshold)
    bottom = TOP + len(rows) * ROW
    canvas = Canvas(WIDTH, bottom + FOOT, domain=(ticks[0], ticks[-1]), span=(170, 470))
    canvas.band(threshold, top=TOP, bottom=bottom, words=words.removeprefix("practical "))
    canvas.text(0, 24, "Contrast")
    canvas.text(592, 24, f"{unit} [{interval_short(rows)}]", align="right")
    canvas.text(642, 24, people, align="right")
    canvas.text(WIDTH, 24, "p adjusted", align="right")
    canvas.axis(ticks, y=bottom, decimals=decimals_of(ticks), signed=True)
    canvas.plumb_line(0, top=TOP, bottom=bottom + 5)
    zero = canvas.x(0)
    canvas.text(zero - 10, bottom + 36, f"← {directions[0]}", align="right")
    canvas.text(zero + 10, bottom + 36, f"{directions[1]} →")
    for index, item in enumerate(rows):
        y = TOP + index * ROW + ROW / 2
        code = item.conclusion or Conclusion.NOT_TESTED
        lead = code is Conclusion.DIFFERENCE_FOUND
        canvas.text(0, y + 4, contrast(item), size=NORMAL, bold=lead, colour=INK)
        if item.estimate is None:
            canvas.rule(zero - 5, y, zero + 5, y, colour=AXIS, width=2)
        else:
            if item.low is not None and item.high is not None:
                canvas.error_bar(scale * item.low, scale * item.high, y, colour=MARKERS[code].colour)
            canvas.marker(canvas.x(scale * item.estimate), y, MARKERS[code])
        canvas.text(592, y + 4, numbers.estimate_and_interval(item), align="right", size=NORMAL, bold=lead, colour=INK)
        canvas.text(642, y + 4, numbers.count(item.n), align="right", size=NORMAL)
        canvas.text(WIDTH, y + 4, numbers.p_value(item.p_adjusted), align="right", size=NORMAL)
        if index + 1 < len(rows):
            canvas.rule(0, y + ROW / 2, WIDTH, y + ROW / 2, colour=GRID)
    stated = "; ".join(f"{contrast(item)} {numbers.estimate_and_interval(item)}" for item in rows)
    return canvas.finish(
        name=name,
        title=title,
        description=f"Estimates and {interval_head(rows)} in {unit}: {stated}.",
        caption="Marker: estimate; its shape is the conclusion in the "
        f"table. Line: {interval_head(rows)}. Grey band: {words}. {method} "
        f"{n_words(rows, small_cell=small_cell)}".rstrip(),
    )


def _rate_row(canvas: Canvas, item: Measurement, y: float, reference: Mapping[str, str], *, small_cell: int) -> None:
    group = item.subject.get("group", "")
    is_reference = reference.get(item.subject.get("field", "")) == group
    label = f"{sentence_case(field_words(item.subject.get('field', '')))}: {group}"
    canvas.text(0, y + 4, label, size=NORMAL, colour=INK)
    if item.estimate is not None:
        if item.low is not None and item.high is not None:
            canvas.error_bar(100 * item.low, 100 * item.high, y, colour=INK, width=1.5)
        marker = Marker(INK, "square", False) if is_reference else Marker(INK, "circle", True)
        canvas.marker(canvas.x(100 * item.estimate), y, marker, size=55)
    canvas.text(620, y + 4, numbers.estimate_and_interval(item), align="right", size=NORMAL, colour=INK)
    canvas.text(WIDTH, y + 4, people(item, small_cell=small_cell), align="right", size=NORMAL)


def _ticks(values: Sequence[float], threshold: float, *, most: int = 9) -> list[float]:
    return nice_ticks(min([*values, -1.5 * threshold]), max([*values, 1.5 * threshold]), most=most)


__all__ = [
    "by_conclusion",
    "chart_table",
    "effect_chart",
    "margin_shift_chart",
    "power_chart",
    "rate_chart",
    "references",
    "render_charts",
    "verdict_chart",
]
