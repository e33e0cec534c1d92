"""Maps of what happens inside a model: layer × position, heads, features, fields and layers.

They are drawn from measurements by the keys of their subjects alone, so that a test on internals needs no chart of its
own: ``layer`` with ``position`` makes a heat map, ``layer`` alone a line, and so does ``dose``; ``layer`` with ``head``
or ``node``, ``feature`` and ``field`` make bars. Whatever else the subject holds tells one map, or one line, from
another. Where a picture would hold too many lines, they are spread over several by what tells them apart, contrasts
last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from auditor.catalogue import on_outputs
from auditor.records import Measurement
from reports import numbers, wording
from reports.canvas import (
    AXIS,
    BARS,
    GRID,
    INK,
    NORMAL,
    PAPER,
    SERIES,
    TEXT,
    Canvas,
    Chart,
    Marker,
    decimals_of,
    nice_ticks,
)
from reports.how_many import of_one
from reports.wording import contrast, field_words, metric_label, sentence_case

AXES = (
    ("layer", "position"),
    ("layer", "head"),
    ("layer", "node"),
    ("feature",),
    ("dose",),
    ("share_of_edges",),
    ("layer",),
    ("field",),
)
LINES = (("layer",), ("dose",), ("share_of_edges",))
#: Tests on outputs have charts of their own.
CONTRAST = ("field", "group")
CONTROL = "random"  # a line of a control is never among those left out
OF_GROUPS = "group"  # rates and contrasts of groups have charts of their own
HEAT = ("#f3f5f6", "#dbe7ef", "#b5d0e3", "#80b0d1", "#4388b8", "#1c6299", "#0a3d68")
ON_DARK = "#fefefe"
PRINTED_FROM = 2  # the third of seven steps: from there on a cell carries its value
WIDTH, TOP, ROW = 700, 32, 24
BARS_AT_MOST, LINES_AT_MOST = 14, 4
AGAINST, FOR = "#b23a0e", SERIES
READING = {
    "heat": "Each cell: the estimate at one layer and position. Seven steps of one seventh of the largest size; the "
    "value is printed from the third step on where it has room.",
    "bars": "Bar: estimate. Line: interval. Plumb line: no effect. The largest first.",
    "lines": "Marker: estimate. Line through it: interval.",
}


@dataclass(frozen=True)
class Map:
    """Measurements that belong into one picture; ``kind`` is ``heat``, ``bars`` or ``lines``."""

    name: str
    kind: str
    title: str
    rows: tuple[Measurement, ...]

    @property
    def reading(self) -> str:
        """How to read it: what the marks are, at which level, and of how many."""
        words = READING[self.kind]
        bounded = [item for item in self.rows if item.low is not None and item.high is not None]
        head = wording.interval_head(bounded)
        head = head[:1].lower() + head[1:] if head[:1].isalpha() else head
        for mark in ("Line: interval.", "Line through it: interval."):
            words = words.replace(mark, mark.replace("interval", head) if bounded else "")
        if several := numbers.several_levels(bounded):
            words = f"{words} {several}"
        known = sorted({item.n for item in self.rows if item.n})
        if known:
            many = f"{numbers.count(known[0])} to {numbers.count(known[-1])}, in the tables"
            words = f"{words} n: {numbers.count(known[0]) if len(known) == 1 else many}."
        words = f"{words} {wording.illustration(self.rows)}"
        return " ".join(words.split())


def maps_of(measurements: Sequence[Measurement]) -> list[Map]:
    """The pictures that these measurements make, in their order. One cell, one bar or one case makes none."""
    found: dict[tuple[str, str, str, str, tuple[tuple[str, str], ...]], list[Measurement]] = {}
    for item in measurements:
        axes = axes_of(item)
        if axes is None or on_outputs(item.test) or (axes == ("field",) and OF_GROUPS in item.subject):
            continue
        named = () if axes in LINES else tuple(rest_of(item).items())
        found.setdefault((item.test, item.metric, item.unit, "+".join(axes), named), []).append(item)
    maps = []
    for (test, _, _, along, _), rows in found.items():
        for apart, mine in _spread(rows) if (along,) in LINES else [(rest_of(rows[0]), rows)]:
            if len(mine) < 2 or all(item.estimate is None for item in mine) or of_one(mine):
                continue
            kind = "heat" if along == "layer+position" else "lines" if (along,) in LINES else "bars"
            if kind == "lines" and len({str(item.subject[along]) for item in mine}) < 2:
                continue  # one place makes no line: its figures stand in a table
            words = [f"{key} {value}" for key, value in apart.items()]
            slug = f"map-{test}-{mine[0].metric}-{'-'.join([along, *words])}".lower()
            maps.append(
                Map(
                    name=re.sub(r"[^a-z0-9]+", "-", slug).strip("-")[:120],
                    kind=kind,
                    title=_title(mine[0], along, {**apart, **_same(mine)}),
                    rows=tuple(mine),
                )
            )
    return maps


def _spread(rows: Sequence[Measurement]) -> list[tuple[Mapping[str, str], list[Measurement]]]:
    """Lines that go into one picture, with what is the same in all of them."""
    keys = list(dict.fromkeys(key for item in rows for key in rest_of(item)))
    if axes_of(rows[0]) in (("dose",), ("share_of_edges",)):
        apart = [key for key in CONTRAST if key in keys]
    else:
        apart, left = [], [*(key for key in keys if key not in CONTRAST), *(key for key in CONTRAST if key in keys)]
        while left and max(map(_lines_in, _parted(rows, apart).values())) > LINES_AT_MOST:
            apart.append(left.pop(0))
    return [(dict(named), mine) for named, mine in _parted(rows, apart).items()]


def _same(rows: Sequence[Measurement]) -> dict[str, str]:
    """What the subjects of all rows have in common, beside the axes."""
    rests = [rest_of(item) for item in rows]
    return {key: value for key, value in rests[0].items() if all(rest.get(key) == value for rest in rests)}


def _parted(rows: Sequence[Measurement], keys: Sequence[str]) -> dict[tuple[tuple[str, str], ...], list[Measurement]]:
    parts: dict[tuple[tuple[str, str], ...], list[Measurement]] = {}
    for item in rows:
        named = tuple((key, rest_of(item)[key]) for key in keys if key in rest_of(item))
        parts.setdefault(named, []).append(item)
    return parts


def _lines_in(rows: Sequence[Measurement]) -> int:
    return len({tuple(rest_of(item).items()) for item in rows})


def _title(first: Measurement, along: str, apart: Mapping[str, str]) -> str:
    """``Share of the difference carried by layer and position, Race: Black − White``."""
    others = {key: value for key, value in apart.items() if key not in CONTRAST}
    parts = []
    if "field" in apart:
        name = sentence_case(field_words(apart["field"]))
        parts.append(f"{name}: {contrast(first)}" if "group" in apart else name)
    parts += [wording.named(key, value) for key, value in others.items()]
    named = f", {', '.join(parts)}" if parts else ""
    return f"{metric_label(first)} by {field_words(along.replace('+', ' and '))}{named}"


def axes_of(measurement: Measurement) -> tuple[str, ...] | None:
    """The keys of the subject that place it in a map; ``None`` where it belongs into none."""
    return next((axes for axes in AXES if all(key in measurement.subject for key in axes)), None)


def rest_of(measurement: Measurement) -> Mapping[str, str]:
    """The keys of the subject that tell one map from another."""
    axes = axes_of(measurement) or ()
    return {key: str(value) for key, value in measurement.subject.items() if key not in axes}


def draw_maps(measurements: Sequence[Measurement]) -> list[Chart]:
    """Every map as a chart."""
    drawing = {"heat": _heat, "bars": _bars, "lines": _lines}
    return [drawing[item.kind](item) for item in maps_of(measurements)]


def _heat(shown: Map) -> Chart:
    layers = _ordered(item.subject["layer"] for item in shown.rows)
    positions = _ordered(item.subject["position"] for item in shown.rows)
    known = [abs(item.estimate) for item in shown.rows if item.estimate is not None]
    largest = max(known, default=0.0) or 1.0
    left, right, row = 150.0, WIDTH - 2.0, 19
    across = (right - left) / len(layers)
    canvas = Canvas(WIDTH, TOP + row * len(positions) + 40)
    canvas.text(left - 10, 24, "Layer", align="right")
    every = max(1, -(-len(layers) // 28))
    for index, layer in enumerate(layers):
        if index % every == 0:
            canvas.text(left + across * (index + 0.5), 24, layer, align="center")
    for index, position in enumerate(positions):
        canvas.text(0, TOP + row * index + 13, _label(position), size=NORMAL, colour=INK)
    steps: dict[int, list[tuple[float, float, float, float]]] = {}
    words: list[tuple[float, float, str, bool]] = []
    for item in shown.rows:
        x = left + across * layers.index(str(item.subject["layer"]))
        top = TOP + row * positions.index(str(item.subject["position"]))
        if item.estimate is None:
            words.append((x + across / 2, top + 13, numbers.DASH, False))
            continue
        step = min(len(HEAT) - 1, int(len(HEAT) * abs(item.estimate) / largest))
        steps.setdefault(step, []).append((x, top, x + across, top + row))
        if step >= PRINTED_FROM and across >= 19:
            words.append((x + across / 2, top + 13, _number(item.estimate, shown), step > 3))
    for step in sorted(steps):
        canvas.boxes(steps[step], fill=HEAT[step], stroke=PAPER)
    for x, y, text, on_dark in words:
        canvas.text(x, y, text, align="center", size=9 if across < 26 else 10.5, colour=ON_DARK if on_dark else INK)
    base = TOP + row * len(positions) + 14
    canvas.text(right - 260, base + 10, "0", align="right")
    for index, fill in enumerate(HEAT):
        canvas.boxes([(right - 254 + 30 * index, base, right - 226 + 30 * index, base + 12)], fill=fill, stroke=AXIS)
    canvas.text(right - 38, base + 10, f"{_number(largest, shown)} {_unit(shown)}".strip())
    peak = max(shown.rows, key=lambda item: abs(item.estimate or 0.0))
    return canvas.finish(
        name=shown.name,
        title=shown.title,
        description=f"{len(layers)} layers by {len(positions)} positions. Largest: {_shown(peak)} at layer "
        f"{peak.subject['layer']}, {peak.subject['position']}.",
        caption=shown.reading,
    )


def _bars(shown: Map) -> Chart:
    ranked = sorted(shown.rows, key=lambda item: (-abs(item.estimate or 0.0), item.id))
    rows = ranked[:BARS_AT_MOST]
    scale = _scale(shown)
    seen = [scale * value for item in rows for value in _values(item)]
    ticks = nice_ticks(min([0.0, *seen]), max([0.0, *seen]) or 1.0, most=7)
    bottom = TOP + ROW * len(rows)
    canvas = Canvas(WIDTH, bottom + 30 + (18 if len(ranked) > len(rows) else 0), domain=_ends(ticks), span=(170, 500))
    interval = f" [{numbers.interval_head(shown.rows)}]" if any(item.low is not None for item in shown.rows) else ""
    canvas.text(WIDTH, 22, f"{_unit(shown)}{interval}".strip(), align="right")
    for tick in ticks:
        canvas.rule(canvas.x(tick), TOP - 2, canvas.x(tick), bottom, colour=GRID)
    signed = ticks[0] < 0
    for index, item in enumerate(rows):
        y = TOP + ROW * index + ROW / 2
        canvas.text(0, y + 4, _name(item), size=NORMAL, colour=INK)
        canvas.text(WIDTH, y + 4, _shown(item), align="right", size=NORMAL, colour=INK)
        if item.estimate is None:
            continue
        fill = BARS if not signed else AGAINST if item.estimate < 0 else FOR
        ends = sorted((canvas.x(0), canvas.x(scale * item.estimate)))
        canvas.boxes([(ends[0], y - 6, ends[1], y + 6)], fill=fill)
        if item.low is not None and item.high is not None:
            canvas.error_bar(scale * item.low, scale * item.high, y, colour=INK, width=1.25)
    canvas.plumb_line(0, top=TOP - 4, bottom=bottom + 5)
    canvas.axis(ticks, y=bottom, decimals=decimals_of(ticks), signed=signed)
    if len(ranked) > len(rows):
        canvas.text(0, bottom + 42, f"Smaller ones, in the table: {len(ranked) - len(rows)}.")
    stated = "; ".join(f"{_name(item)} {_shown(item)}" for item in rows[:5])
    return canvas.finish(
        name=shown.name,
        title=shown.title,
        description=f"The {len(rows)} largest of {len(ranked)}: {stated}.",
        caption=shown.reading,
    )


def _lines(shown: Map) -> Chart:
    along = (axes_of(shown.rows[0]) or ("layer",))[0]
    layers = _ordered(item.subject[along] for item in shown.rows)
    series = _series(shown.rows)
    drawn = _largest_lines(series)
    scale = _scale(shown)
    seen = [scale * value for rows in drawn.values() for item in rows for value in _values(item)]
    low, high = min(seen, default=0.0), max(seen, default=1.0)
    if high <= low:
        # One level line: room below it where it is the largest that a share can be.
        low, high = (low - 1.0, low) if shown.rows[0].unit == "rate" and low >= scale else (low, low + 1.0)
    ticks = nice_ticks(low, high, most=7)
    top, bottom, left, right = 28, 214, 44, 540
    left_out = len(series) - len(drawn)
    canvas = Canvas(WIDTH, bottom + 40 + (18 if left_out else 0), domain=_ends(ticks), span=(bottom, top))
    for tick in ticks:
        canvas.rule(left, canvas.x(tick), right, canvas.x(tick), colour=INK if tick == 0 else GRID)
        canvas.text(left - 6, canvas.x(tick) + 4, numbers.number(tick, decimals=decimals_of(ticks)), align="right")
    across = (right - left) / max(1, len(layers))
    every = max(1, -(-len(layers) // 24))
    for index, layer in enumerate(layers):
        if index % every == 0:
            words = layer.replace("-", numbers.MINUS)
            canvas.text(left + across * (index + 0.5), bottom + 16, words, align="center")
    canvas.text((left + right) / 2, bottom + 34, field_words(along), align="center")
    canvas.text(0, 12, _unit(shown))
    if left_out:
        canvas.text(0, bottom + 52, f"Smaller ones, in the table: {left_out}.")
    used: list[float] = []
    for number, (label, rows) in enumerate(drawn.items()):
        marker = LINE_MARKERS[number]
        placed = [
            (left + across * (layers.index(layer) + 0.5), i)
            for layer in layers
            for i in rows
            if str(i.subject[along]) == layer and i.estimate is not None
        ]
        points = [(x, canvas.x(scale * (i.estimate or 0.0))) for x, i in placed]
        for (x1, y1), (x2, y2) in pairwise(points):
            canvas.rule(x1, y1, x2, y2, colour=marker.colour, width=1.5, dashed=number % 2 == 1)
        for (x, y), (_, item) in zip(points, placed, strict=True):
            if item.low is not None and item.high is not None:
                canvas.rule(x, canvas.x(scale * item.low), x, canvas.x(scale * item.high), colour=marker.colour)
            canvas.marker(x, y, marker, size=34)
        if points:
            y = points[-1][1]
            while any(abs(y - other) < 14 for other in used):
                y += 14
            used.append(y)
            if label:  # a line alone is named by the title
                canvas.text(right + 6, y + 4, label, size=NORMAL, colour=marker.colour)
    peak = max(shown.rows, key=lambda item: abs(item.estimate or 0.0))
    return canvas.finish(
        name=shown.name,
        title=shown.title,
        description=f"By {field_words(along)}, {len(layers)} points. Largest: {_shown(peak)} at {field_words(along)} "
        f"{peak.subject[along]}.",
        caption=shown.reading,
    )


def _series(rows: Sequence[Measurement]) -> dict[str, list[Measurement]]:
    """The lines of a picture by name: by what is not the same in all of them."""
    same = _same(rows)
    series: dict[str, list[Measurement]] = {}
    for item in rows:
        name = ", ".join(_label(value) for key, value in rest_of(item).items() if key not in same)
        series.setdefault(name, []).append(item)
    return series


def _largest_lines(series: Mapping[str, list[Measurement]]) -> dict[str, list[Measurement]]:
    """As many as fit, in their order: those that reach furthest, and one control among them."""
    if len(series) <= LINES_AT_MOST:
        return dict(series)
    ranked = sorted(series, key=lambda name: -max(abs(item.estimate or 0.0) for item in series[name]))
    controls = [name for name in ranked if name.lower().startswith(CONTROL)]
    chosen = [name for name in ranked if name not in controls][: LINES_AT_MOST - len(controls[:1])]
    return {name: rows for name, rows in series.items() if name in (*chosen, *controls[:1])}


LINE_MARKERS = (
    Marker(SERIES, "circle", True),
    Marker(TEXT, "square", False),
    Marker("#b23a0e", "diamond", True),
    Marker("#6b4a86", "circle", False),
)


def _ordered(values: Iterable[object]) -> list[str]:
    """Each value once: in the order of numbers where all are numbers, else as they first came."""
    once = list(dict.fromkeys(str(value) for value in values))
    return sorted(once, key=float) if all(re.fullmatch(r"-?\d+(\.\d+)?", value) for value in once) else once


def _ends(ticks: Sequence[float]) -> tuple[float, float]:
    return ticks[0], ticks[-1]


def _values(item: Measurement) -> list[float]:
    return [value for value in (item.estimate, item.low, item.high) if value is not None]


def _scale(shown: Map) -> float:
    """Shares are printed in percent and differences of shares in percentage points."""
    return 100.0 if shown.rows[0].unit in ("rate", "rate_difference") else 1.0


def _name(item: Measurement) -> str:
    subject = item.subject
    if "node" in subject:
        return f"Layer {subject['layer']}, {subject['node']}"
    if "head" in subject:
        return f"Layer {subject['layer']}, head {subject['head']}"
    if "feature" in subject:
        where = f", layer {subject['layer']}" if "layer" in subject else ""
        return f"Feature {subject['feature']}{where}"
    return _label(subject["field"])


def _label(value: object) -> str:
    return sentence_case(field_words(str(value)))


def _unit(shown: Map) -> str:
    return "" if shown.rows[0].unit == "ratio" else numbers.unit_name(shown.rows[0])


def _shown(item: Measurement) -> str:
    return numbers.estimate_and_interval(item)


def _number(value: float, shown: Map) -> str:
    if shown.rows[0].unit in ("share", "ratio"):
        return numbers.ratio(value) if shown.rows[0].unit == "ratio" else numbers.share(value)
    scale = _scale(shown)
    return numbers.number(scale * value, decimals=0 if scale > 1 else 2)
