"""The drawing ground of every chart: one Altair layer stack in pixels, the palette, and SVG that names no style.

look.css recolours by value, so only the palette's values may appear, as attributes. Positions down the page are pixels;
positions across are data where the chart measures something and pixels where it only sets text.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from auditor.records import Conclusion
from reports.numbers import number

if TYPE_CHECKING:
    import altair as alt

INK, TEXT, GRID, BAND = "#14181b", "#47505a", "#e1e5e6", "#eef1f1"
AXIS, BARS, SERIES, PAPER, FRAME = "#8a949b", "#4a6072", "#0b5c9e", "#ffffff", "#b4bdc2"
FONT = "Inter, system-ui, sans-serif"
SMALL, NORMAL = 10.5, 11.5
VEGA_LITE = "6.1"
GROUND: Mapping[str, Any] = {
    "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
    "padding": 0,
    "background": "transparent",
    "autosize": {"type": "none"},
    "config": {"font": FONT, "aria": False, "view": {"stroke": None, "fill": None}},
}
BOB = "M-3.5,0h7l-3.5,8z"
BOB_ACROSS = "M0,-3.5v7l8,-3.5z"


@dataclass(frozen=True)
class Marker:
    """How a conclusion is drawn: colour, Vega shape, whether it is filled, whether its outline is dashed."""

    colour: str
    shape: str
    filled: bool
    dashed: bool = False


MARKERS = {
    Conclusion.DIFFERENCE_FOUND: Marker("#b23a0e", "diamond", True),
    Conclusion.DIFFERENCE_BELOW_THRESHOLD: Marker("#8a6100", "diamond", False),
    Conclusion.NO_EVIDENCE: Marker(BARS, "circle", False),
    Conclusion.EQUIVALENT_WITHIN_MARGIN: Marker(SERIES, "circle", True),
    Conclusion.INCONCLUSIVE: Marker("#6b4a86", "square", False, dashed=True),
    Conclusion.NOT_TESTED: Marker(AXIS, "stroke", False),
}


@dataclass(frozen=True)
class Chart:
    """A finished figure: its SVG, and the words that go with it."""

    name: str
    title: str
    description: str
    caption: str
    svg: str
    width: int
    height: int


@dataclass
class _Layer:
    kind: str
    mark: dict[str, Any]
    rows: list[dict[str, Any]]


@dataclass
class Canvas:
    """Collects Altair layers on a ground of ``width`` × ``height`` pixels; ``domain`` is drawn over ``span`` pixels.

    Marks of one look share one layer, which lies where the first of them was drawn.
    """

    width: int
    height: int
    domain: tuple[float, float] = (0.0, 1.0)
    span: tuple[float, float] = (0.0, 1.0)
    layers: dict[str, _Layer] = field(default_factory=dict)

    def x(self, value: float) -> float:
        """The pixel of a data value."""
        (low, high), (left, right) = self.domain, self.span
        return left + (value - low) / (high - low) * (right - left)

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        align: str = "left",
        size: float = SMALL,
        bold: bool = False,
        colour: str = TEXT,
    ) -> None:
        """Set words at pixels; ``y`` is the baseline."""
        mark = {"align": align, "baseline": "alphabetic", "fontSize": size, "fill": colour}
        if bold:
            mark["fontWeight"] = "bold"
        self._add([{"px": x, "y": y, "words": words}], "text", mark)

    def rule(
        self, x1: float, y1: float, x2: float, y2: float, *, colour: str = AXIS, width: float = 1, dashed: bool = False
    ) -> None:
        """Draw a straight line between pixels."""
        mark: dict[str, Any] = {"stroke": colour, "strokeWidth": width}
        if dashed:
            mark["strokeDash"] = [3, 3]
        self._add([{"px": x1, "y": y1, "px2": x2, "y2": y2}], "rule", mark)

    def boxes(
        self, boxes: Sequence[tuple[float, float, float, float]], *, fill: str, stroke: str | None = None
    ) -> None:
        """Fill rectangles ``(x1, y1, x2, y2)`` in pixels."""
        mark: dict[str, Any] = {"fill": fill}
        if stroke:
            mark |= {"stroke": stroke, "strokeWidth": 1}
        rows = [{"px": x1, "y": y1, "px2": x2, "y2": y2} for x1, y1, x2, y2 in boxes]
        if rows:
            self._add(rows, "rect", mark)

    def marker(self, x: float, y: float, marker: Marker, *, size: float = 80) -> None:
        """Draw a conclusion's marker at pixels."""
        mark: dict[str, Any] = {"shape": marker.shape, "size": size, "strokeWidth": 2, "opacity": 1}
        mark |= {"fill": marker.colour if marker.filled else PAPER, "stroke": marker.colour}
        if marker.dashed:
            mark |= {"strokeDash": [2.4, 1.6], "strokeWidth": 1.6}
        self._add([{"px": x, "y": y}], "point", mark)

    def error_bar(self, low: float, high: float, y: float, *, colour: str, width: float = 2) -> None:
        """Draw an interval in data units with end caps."""
        left, right = self.x(low), self.x(high)
        self.rule(left, y, right, y, colour=colour, width=width)
        for end in (left, right):
            self.rule(end, y - 3.5, end, y + 3.5, colour=colour, width=1.4)

    def band(self, half_width: float, *, top: float, bottom: float, words: str) -> None:
        """Shade ± ``half_width`` around zero: the practical threshold."""
        self.shade(-half_width, half_width, top=top, bottom=bottom, words=words)

    def shade(self, low: float, high: float, *, top: float, bottom: float, words: str) -> None:
        """Shade what lies between two values, with a label above it."""
        left, right = self.x(low), self.x(high)
        self.boxes([(left, top, right, bottom)], fill=BAND)
        for edge in (left, right):
            self.rule(edge, top, edge, bottom, dashed=True)
        # The label stays over the plot: what stands right of it has a column of its own.
        half = 3.3 * len(words)  # of the widest font a page may show it in
        middle = min(max((left + right) / 2, self.span[0] + half), self.span[1] - half)
        self.text(middle, top - 8, words, align="center")

    def axis(self, ticks: Sequence[float], *, y: float, decimals: int, signed: bool, suffix: str = "") -> None:
        """Draw ticks and their numbers below ``y``; zero has no sign."""
        for tick in ticks:
            pixel = self.x(tick)
            self.rule(pixel, y, pixel, y + 4)
            self.text(pixel, y + 18, number(tick, decimals=decimals, signed=signed) + suffix, align="center")

    def plumb_line(self, value: float, *, top: float, bottom: float) -> None:
        """Hang the ink line that ends in a bob."""
        pixel = self.x(value)
        self.rule(pixel, top, pixel, bottom - 3, colour=INK, width=1.25)
        # Vega scales a custom path by √size / 2, so a size of 4 leaves it in pixels.
        mark = {"shape": BOB, "size": 4, "fill": INK, "stroke": INK, "strokeWidth": 0, "opacity": 1}
        self._add([{"px": pixel, "y": bottom - 3}], "point", mark)

    def plumb_line_across(self, y: float, *, left: float, right: float) -> None:
        """Lay the ink line with its bob to the right, where the chart measures upwards."""
        self.rule(left, y, right, y, colour=INK, width=1.25)
        mark = {"shape": BOB_ACROSS, "size": 4, "fill": INK, "stroke": INK, "strokeWidth": 0, "opacity": 1}
        self._add([{"px": right, "y": y}], "point", mark)

    def finish(self, *, name: str, title: str, description: str, caption: str) -> Chart:
        """Render the stack to SVG with a title and a description for readers who do not see it."""
        layers = [[layer.kind, layer.mark, layer.rows] for layer in self.layers.values()]
        svg = _rendered(self.width, self.height, json.dumps(layers))
        return Chart(
            name, title, description, caption, _described(svg, name, title, description), self.width, self.height
        )

    def _add(self, rows: list[dict[str, Any]], kind: str, mark: dict[str, Any]) -> None:
        rows = [{key: _rounded(value) for key, value in row.items()} for row in rows]
        self.layers.setdefault(f"{kind} {sorted(mark.items())}", _Layer(kind, mark, [])).rows.extend(rows)


def nice_ticks(low: float, high: float, *, most: int = 9) -> list[float]:
    """Round tick values (steps of 1, 2 or 5) that cover ``low`` to ``high`` with at most ``most`` ticks."""
    rough = (high - low) / (most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(
        power * factor
        for factor in (1, 2, 5, 10, 20)
        if math.ceil(high / (power * factor)) - math.floor(low / (power * factor)) < most
    )
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(index * step, 10) for index in range(first, last + 1)]


def decimals_of(ticks: Sequence[float]) -> int:
    """Digits after the point that the ticks need."""
    step = ticks[1] - ticks[0]
    return max(0, -math.floor(math.log10(step) + 1e-9))


@lru_cache(maxsize=64)
def _rendered(width: int, height: int, layers: str) -> str:
    """SVG of layers as JSON; kept, because a page, a report and a check of it draw the same chart."""
    import vl_convert

    drawn = [_altair(width, height, *layer) for layer in json.loads(layers)]
    chart = json.dumps({**GROUND, "width": width, "height": height, "layer": drawn})
    return str(vl_convert.vegalite_to_svg(chart, vl_version=VEGA_LITE))


def _altair(width: int, height: int, kind: str, mark: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    import altair as alt  # a third of a second, and most processes know charts without drawing one

    # Channels and mark as Altair's own objects, given at once: its fluent methods copy the rows at every step, and what
    # is written in short ("px2", "words:N") is looked up in the whole schema.
    channels: dict[str, Any] = {"x": _pixels(alt.X, "px", width), "y": _pixels(alt.Y, "y", height)}
    if "px2" in rows[0]:
        channels |= {"x2": alt.X2(field="px2"), "y2": alt.Y2(field="y2")}
    if kind == "text":
        channels["text"] = alt.Text(field="words", type="nominal")
    chart = alt.Chart(
        alt.Data(values=rows),  # type: ignore[no-untyped-call]  # altair's class has no types
        mark=alt.MarkDef(**{"type": kind, "clip": False, **mark}),
        encoding=alt.FacetedEncoding(**channels),
    )
    return dict(chart.to_dict(validate=False, context={"top_level": False}))


def _pixels(kind: type[alt.X | alt.Y], field_name: str, extent: int) -> Any:
    scale = {"domain": [0, extent], "range": [0, extent], "nice": False, "zero": False}
    return kind(field=field_name, type="quantitative", scale=scale, axis=None)


def _rounded(value: Any) -> Any:
    return round(value, 2) if isinstance(value, float) else value


def _described(svg: str, name: str, title: str, description: str) -> str:
    svg = re.sub(r'\s+xmlns:xlink="[^"]*"', "", svg)
    opening = re.match(r"<svg([^>]*)>", svg)
    if opening is None:
        raise ValueError(f"{name}: the renderer gave no SVG")
    attributes = re.sub(r'\s+(class|role|aria-[a-z]+)="[^"]*"', "", opening.group(1))
    head = (
        f'<svg{attributes} role="img" aria-labelledby="{name}-t {name}-d">'
        f'<title id="{name}-t">{escape(title)}</title><desc id="{name}-d">{escape(description)}</desc>'
    )
    # The inner roles say "graphics-symbol" of every rectangle; with a title and a description they are noise.
    return head + re.sub(r'\s+(?:class|role|aria-[a-z]+)="[^"]*"', "", svg[opening.end() :])
