"""One effect over the versions of a model: estimate, interval and what each audit could have seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from auditor.records import Conclusion, Measurement
from reports import numbers
from reports.canvas import AXIS, BAND, GRID, INK, MARKERS, NORMAL, Canvas, Chart, decimals_of, nice_ticks
from reports.how_many import between
from reports.wording import contrast, interval_head

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 700, 40, 612, 14, 196
MOST = 8


@dataclass(frozen=True)
class TrendPoint:
    """One audit's estimate of the effect, in the effect's own unit; ``version`` and ``when`` are printed below it."""

    version: str
    when: str
    audit: str
    estimate: float | None
    low: float | None
    high: float | None
    mde: float | None
    conclusion: Conclusion
    n: int


def trend_point(measurement: Measurement, *, version: str, when: str, audit: str) -> TrendPoint:
    """The point of a measurement."""
    return TrendPoint(
        version=version,
        when=when,
        audit=audit,
        estimate=measurement.estimate,
        low=measurement.low,
        high=measurement.high,
        mde=measurement.counts.get("mde"),
        conclusion=measurement.conclusion or Conclusion.NOT_TESTED,
        n=measurement.n,
    )


def trend_chart(
    points: Sequence[TrendPoint], *, measurement: Measurement, threshold: float, power: float
) -> Chart | None:
    """The effect of one contrast over audits, oldest left; ``None`` for fewer than two, or of one case.

    Parameters
    ----------
    points
        Oldest first; the last eight are drawn.
    measurement
        One of the measurements: it names contrast and unit.
    threshold
        Practical threshold in the effect's own unit (a share, or standard deviations).
    power
        Power that the smallest detectable differences hold at, a share.
    """
    if len(points) < 2 or max(point.n for point in points) <= 1:
        return None
    return _drawn(
        tuple(points[-MOST:]), (contrast(measurement), interval_head([measurement])), measurement.unit, threshold, power
    )


@lru_cache(maxsize=128)
def _drawn(points: tuple[TrendPoint, ...], words: tuple[str, str], unit: str, threshold: float, power: float) -> Chart:
    name_of, interval = words
    scale, name = (100.0, "pp") if unit == "rate_difference" else (1.0, {"sd": "SD", "logit": "logits"}.get(unit, unit))
    digits = 1 if scale > 1 else 2
    limit = scale * threshold
    seen = [scale * value for point in points for value in (point.estimate, point.low, point.high) if value is not None]
    ticks = nice_ticks(min([*seen, -1.5 * limit]), max([*seen, 1.5 * limit]), most=7)
    canvas = Canvas(WIDTH, BOTTOM + 57, domain=(ticks[0], ticks[-1]), span=(BOTTOM, TOP))
    step = (RIGHT - LEFT) / len(points)
    at = [LEFT + step * (index + 0.5) for index in range(len(points))]
    for x, point in zip(at, points, strict=True):
        if point.mde is not None:
            high, low = min(scale * point.mde, ticks[-1]), max(-scale * point.mde, ticks[0])
            canvas.boxes([(x - step / 2 + 2, canvas.x(high), x + step / 2 - 2, canvas.x(low))], fill=BAND)
    for tick in ticks:
        canvas.rule(LEFT, canvas.x(tick), RIGHT, canvas.x(tick), colour=GRID)
        label = numbers.number(tick, decimals=decimals_of(ticks), signed=True)
        canvas.text(LEFT - 6, canvas.x(tick) + 4, label, align="right")
    for edge in (limit, -limit):
        canvas.rule(LEFT, canvas.x(edge), RIGHT, canvas.x(edge), dashed=True)
        canvas.text(RIGHT + 12, canvas.x(edge) + 4, f"{numbers.number(edge, decimals=digits, signed=True)} {name}")
    canvas.text(RIGHT + 12, canvas.x(limit) - 10, "threshold")
    canvas.plumb_line_across(canvas.x(0), left=LEFT, right=RIGHT)
    known = [(x, scale * p.estimate) for x, p in zip(at, points, strict=True) if p.estimate is not None]
    for (x1, before), (x2, after) in pairwise(known):
        canvas.rule(x1, canvas.x(before), x2, canvas.x(after), colour=AXIS)
    for x, point in zip(at, points, strict=True):
        _point(canvas, point, x, scale=scale, digits=digits)
    _seen_label(canvas, points[-1], at[-1], scale=scale, digits=digits)
    listed = "; ".join(f"{p.version}: {_value(p.estimate, scale, digits)} {name}" for p in points)
    percent = numbers.percent(power, decimals=0)
    return canvas.finish(
        name="trend",
        title=f"{name_of}, {name}, by audit",
        description=f"Estimates with {interval}, oldest first: {listed}.",
        caption=f"Marker: estimate, its shape is the conclusion. Line: {interval}. Grey box: differences too small "
        f"for that audit to detect (MDE, {percent}% power). Dashed: practical threshold. Ink line: no difference. "
        f"n: {between([point.n for point in points])} applications an audit.",
    )


def _point(canvas: Canvas, point: TrendPoint, x: float, *, scale: float, digits: int) -> None:
    canvas.text(x, BOTTOM + 22, point.version, align="center", size=NORMAL, colour=INK)
    canvas.text(x, BOTTOM + 37, point.when, align="center")
    canvas.text(x, BOTTOM + 52, f"n = {numbers.count(point.n)}", align="center")
    marker = MARKERS[point.conclusion]
    if point.estimate is None:
        canvas.marker(x, canvas.x(0), MARKERS[Conclusion.NOT_TESTED])
        return
    if point.low is not None and point.high is not None:
        low, high = canvas.x(scale * point.low), canvas.x(scale * point.high)
        canvas.rule(x, low, x, high, colour=marker.colour, width=2)
        for end in (low, high):
            canvas.rule(x - 3.5, end, x + 3.5, end, colour=marker.colour, width=1.4)
    y = canvas.x(scale * point.estimate)
    canvas.marker(x, y, marker)
    canvas.text(x + 9, y + 4, _value(point.estimate, scale, digits), size=NORMAL, bold=True, colour=INK)


def _seen_label(canvas: Canvas, point: TrendPoint, x: float, *, scale: float, digits: int) -> None:
    """What the last audit could have seen, on the side of the line where the estimate is not."""
    if point.mde is None:
        return
    above = (point.estimate or 0.0) <= 0
    edge = canvas.x(scale * point.mde * (1 if above else -1))
    y = max(edge - 5, TOP - 3.0) if above else min(edge + 13, BOTTOM + 4.0)
    canvas.text(x, y, f"MDE ±{numbers.number(scale * point.mde, decimals=digits)}", align="center")


def _value(value: float | None, scale: float, digits: int) -> str:
    return numbers.number(None if value is None else scale * value, decimals=digits, signed=True)
