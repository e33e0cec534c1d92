"""Blocks of content as reportlab flowables."""

from __future__ import annotations

import io
import re
from copy import copy
from functools import lru_cache
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.platypus import CondPageBreak, Flowable, LongTable, Paragraph, Spacer
from reportlab.platypus import Table as Grid
from svglib.svglib import svg2rlg

from auditor.records import Conclusion, Severity
from reports.blocks import Cases, Cell, Code, Figure, FindingBlock, Level, Literal, Pairs, Printed, Table, Target, Text
from reports.canvas import MARKERS, Chart
from reports.pdf import styles
from reports.wording import conclusion_words, sentence_case, severity_word

UNBROKEN = 18
LONG_TABLE = 14
TALL_TABLE = 180.0  # points, a quarter of a page: kept whole, a taller one leaves too much of a page empty
FIRST_ROWS = 2
CODE_SHARE = 0.62
GAP = 6.0  # points beside the words of a cell
LONGEST_WORD = 90.0  # points; a longer one, such as a path, breaks
PLAIN = [("FONTNAME", (0, 0), (-1, -1), styles.BODY), ("VALIGN", (0, 0), (-1, -1), "TOP")]
TIGHT = [
    ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ("RIGHTPADDING", (0, 0), (-1, -1), 5),
    ("TOPPADDING", (0, 0), (-1, -1), 2.4),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 2.4),
]
SEVERITY_COLOURS = {
    Severity.OBSERVATION: "#47505a",
    Severity.LOW: "#0b5c9e",
    Severity.MEDIUM: "#8a6100",
    Severity.HIGH: "#b23a0e",
    Severity.CRITICAL: "#b23a0e",
}


class CodeMark(Flowable):  # type: ignore[misc]  # reportlab has no types
    """A conclusion in words with the marker its charts use; ``coded``: its code stands small behind them."""

    def __init__(self, conclusion: Conclusion, size: float = 7.4, *, coded: bool = False) -> None:
        super().__init__()
        self.conclusion = conclusion
        self.words = sentence_case(conclusion_words(conclusion))
        self.code = conclusion.value if coded else ""
        self.size = size
        self.height = size * 1.45

    def wrap(self, width: float, height: float) -> tuple[float, float]:
        """As wide as it is given, one line high; the words shrink to the room."""
        self.width = width
        self.shown = self.size * min(1.0, width / self.needed())
        return width, self.height

    def needed(self) -> float:
        """Its width in points at full size."""
        room = 2.4 * self.size if self.code else 1.4 * self.size
        words = stringWidth(self.words, styles.BOLD if self.code else styles.BODY, self.size)
        return float(words + stringWidth(self.code, styles.MONO, CODE_SHARE * self.size) + room)

    def draw(self) -> None:
        """Marker, then the words, then the code where it is asked for."""
        marker, half = MARKERS[self.conclusion], self.shown * 0.42
        canvas, middle = self.canv, self.height * 0.42
        colour = HexColor(marker.colour)
        canvas.setStrokeColor(colour)
        canvas.setFillColor(colour if marker.filled else HexColor("#ffffff"))
        canvas.setLineWidth(0.9)
        if marker.dashed:
            canvas.setDash(1.3, 0.9)
        if marker.shape == "diamond":
            path = canvas.beginPath()
            path.moveTo(0, middle)
            for x, y in ((half, middle + half), (2 * half, middle), (half, middle - half)):
                path.lineTo(x, y)
            path.close()
            canvas.drawPath(path, fill=1)
        elif marker.shape == "circle":
            canvas.circle(half, middle, half * 0.9, fill=1)
        elif marker.shape == "square":
            canvas.rect(0.2 * half, middle - 0.8 * half, 1.6 * half, 1.6 * half, fill=1)
        else:
            canvas.line(0, middle, 2 * half, middle)
        canvas.setDash()
        canvas.setFillColor(colour)
        font, base = styles.BOLD if self.code else styles.BODY, middle - self.shown * 0.36
        canvas.setFont(font, self.shown)
        canvas.drawString(self.shown * 1.25, base, self.words)
        if self.code:
            canvas.setFillColor(styles.QUIET)
            canvas.setFont(styles.MONO, CODE_SHARE * self.shown)
            canvas.drawString(self.shown * 1.65 + stringWidth(self.words, font, self.shown), base, self.code)


class SeverityMark(Flowable):  # type: ignore[misc]  # reportlab has no types
    """A severity as four bars, filled up to its rank, and its word."""

    def __init__(self, severity: Severity) -> None:
        super().__init__()
        self.severity = severity
        self.height = 10.0

    def wrap(self, width: float, height: float) -> tuple[float, float]:
        """One line high."""
        self.width = width
        return width, self.height

    def draw(self) -> None:
        """Bars, then the word: the word alone is enough to read it."""
        canvas = self.canv
        for step in range(4):
            on = step < self.severity.rank
            canvas.setFillColor(HexColor(SEVERITY_COLOURS[self.severity] if on else "#e1e5e6"))
            canvas.rect(2.6 * step, 1.6, 1.9, 2.0 + 1.4 * step, stroke=0, fill=1)
        canvas.setFillColor(styles.INK)
        canvas.setFont(styles.BOLD, 7.6)
        canvas.drawString(13, 2.0, severity_word(self.severity))


class Bookmark(Flowable):  # type: ignore[misc]  # reportlab has no types
    """An invisible anchor and its line in the outline."""

    def __init__(self, anchor: str, title: str, level: int) -> None:
        super().__init__()
        self.anchor, self.title, self.level = anchor, title, level

    def wrap(self, width: float, height: float) -> tuple[float, float]:
        """Takes no room."""
        return 0, 0

    def draw(self) -> None:
        """Places the bookmark at the top of what follows."""
        self.canv.bookmarkPage(self.anchor, fit="XYZ", left=0, top=self.canv.absolutePosition(0, 0)[1] + 26, zoom=0)
        self.canv.addOutlineEntry(self.title, self.anchor, self.level, closed=False)


class Group(NamedTuple):
    """Flowables that belong together: on one page if ``keep``, else down to the first rows of their table."""

    parts: list[Flowable]
    keep: bool = True


def grouped(block: Printed, *, width: float, pages: dict[str, int]) -> Group:
    """A block as flowables for a column of ``width`` points; ``pages`` holds the page of every anchor."""
    if isinstance(block, Text):
        return Group([_text(block, width)])
    if isinstance(block, Pairs):
        return Group(_pairs(block, width, pages))
    if isinstance(block, Table):
        return _table(block, width, pages)
    if isinstance(block, Figure):
        return Group(_figure(block.chart, width=width))
    return Group(_finding(block, width, pages))


def placed(group: Group, *, width: float) -> list[Flowable]:
    """A group as the page maker wants it: a page break first where the room is too short."""
    # KeepTogether would do, but it splits a group whose last part can be split.
    need = 0.0
    for part in group.parts:
        tall = _height(part, width)
        need += tall
        if isinstance(part, LongTable) and (tall > TALL_TABLE or not group.keep):
            # What stands over a table needs its head and the first rows below it, however tall these are.
            need += sum(part._rowHeights[: 1 + FIRST_ROWS]) - sum(part._rowHeights)
            break
    return [CondPageBreak(need), *group.parts]


def drawing(chart: Chart, *, width: float) -> Any:
    """A chart's SVG as a reportlab drawing, shrunk to ``width`` points where it is wider."""
    # Each document has a picture of its own to scale and place; the shapes in it are only read.
    picture = copy(_read(chart.name, chart.svg))
    factor = min(width / picture.width, 1.0)
    picture.scale(factor, factor)
    picture.width, picture.height = picture.width * factor, picture.height * factor
    return picture


@lru_cache(maxsize=64)
def _read(name: str, svg: str) -> Any:
    """An SVG as a reportlab drawing; kept, because a report and its annex are each set twice."""
    picture = svg2rlg(io.BytesIO(svg.encode()))
    if picture is None:
        raise ValueError(f"{name}: the SVG could not be read")
    return picture


def cell(value: Cell, style: ParagraphStyle, pages: dict[str, int]) -> Flowable:
    """A cell's value as a flowable."""
    if isinstance(value, Code):
        return CodeMark(value.conclusion)
    if isinstance(value, Level):
        return SeverityMark(value.severity)
    if isinstance(value, Literal):
        return Paragraph(escape(value.words), styles.LITERAL)
    if isinstance(value, Cases):
        value = value.words
    if isinstance(value, Target):
        number = pages.get(value.anchor, 0)
        return Paragraph(f'<a href="#{escape(value.anchor)}">{number or "–"}</a>', style)
    # A short value is one word to the eye: "< .001" and "−2.9 pp" do not break.
    return Paragraph(
        escape(value.replace(" ", "\u00a0")) if style is styles.CELL_RIGHT and len(value) <= UNBROKEN else said(value),
        style,
    )


#: What is one word to the eye: an interval in brackets, a p-value, a number with its unit.
ONE_WORD = re.compile(r"\[[^\[\]]{1,28}\]|\b[pq] [<=] \.?\d[\d.]*|\d (?:pp|SD)\b|\bn = \d[\d,]*")


def said(words: str) -> str:
    """Prose as the page maker takes it: escaped, and no line ends inside ``[−10.5, −6.1]`` or ``p < .001``."""
    return escape(_joined(words))


def _joined(words: str) -> str:
    return ONE_WORD.sub(lambda found: found.group().replace(" ", "\u00a0"), words)


def _figure(chart: Chart, *, width: float) -> list[Flowable]:
    parts: list[Flowable] = [Paragraph(escape(chart.title), styles.H2), Spacer(1, 3), drawing(chart, width=width)]
    if chart.caption:
        parts.append(Paragraph(said(chart.caption), styles.SMALL))
    return parts


def _text(block: Text, width: float) -> Flowable:
    look = {"lead": styles.LEAD, "heading": styles.LEAD, "small": styles.SMALL, "note": styles.BODY_TEXT}.get(
        block.tone, styles.BODY_TEXT
    )
    paragraph = Paragraph(said(block.words), look)
    if block.tone != "note":
        return paragraph
    rule = [
        ("LINEBEFORE", (0, 0), (0, -1), 1.5, styles.RULE),
        ("LEFTPADDING", (0, 0), (-1, -1), 8),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 0),
    ]
    return Grid([[paragraph]], colWidths=[width], style=[*PLAIN, *rule], spaceBefore=4, spaceAfter=6)


def _pairs(block: Pairs, width: float, pages: dict[str, int]) -> list[Flowable]:
    rows = [[Paragraph(escape(label), styles.LABEL), cell(value, styles.CELL, pages)] for label, value in block.rows]
    lines = [("LINEBELOW", (0, 0), (-1, -1), 0.4, styles.LINE)]
    grid = Grid(
        rows, colWidths=[0.19 * width, 0.81 * width], style=[*PLAIN, *TIGHT, *lines], spaceAfter=8, hAlign="LEFT"
    )
    return [*_heading(block.title), grid]


def _table(block: Table, width: float, pages: dict[str, int]) -> Group:
    right = [letter == "r" for letter in block.align]
    head = [
        Paragraph(escape(words), styles.CELL_HEAD_RIGHT if flag else styles.CELL_HEAD)
        for words, flag in zip(block.head, right, strict=True)
    ]
    rows = [
        [cell(value, styles.CELL_RIGHT if flag else styles.CELL, pages) for value, flag in zip(row, right, strict=True)]
        for row in block.rows
    ]
    look = [
        *PLAIN,
        *TIGHT,
        ("LINEBELOW", (0, 0), (-1, 0), 0.8, styles.RULE),
        ("LINEBELOW", (0, 1), (-1, -1), 0.4, styles.LINE),
        ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
        ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
        *(("LEFTPADDING", (at, 0), (at, -1), GAP) for at in _after_numbers(block.align)),
    ]
    grid = LongTable(
        [head, *rows], colWidths=_widths(block, width), style=look, repeatRows=1, spaceAfter=3, hAlign="LEFT"
    )
    note = [Paragraph(said(block.note), styles.SMALL)] if block.note else [Spacer(1, 4)]
    return Group([*_heading(block.title), grid, *note], keep=len(rows) <= LONG_TABLE)


def _after_numbers(align: str) -> list[int]:
    """Columns of words behind a column of numbers, which ends where they would begin."""
    return [at for at in range(1, len(align)) if align[at - 1 : at + 1] == "rl"]


def _widths(block: Table, width: float) -> list[float]:
    """Column widths in points: by weight, and no column narrower than what must not break, ``[−12.4, −7.6]``.

    What a column lacks the others give in proportion to the room they have left.
    """
    total = sum(block.weights)
    given = [width * weight / total for weight in block.weights]
    needs = [
        max([_longest(head), *(_needed(row[at], right=block.align[at] == "r") for row in block.rows)])
        + GAP * (at in _after_numbers(block.align))
        for at, head in enumerate(block.head)
    ]
    lacking = sum(max(0.0, need - room) for need, room in zip(needs, given, strict=True))
    spare = sum(max(0.0, room - need) for need, room in zip(needs, given, strict=True))
    if not lacking or not spare:
        return given
    share = min(1.0, spare / lacking), min(1.0, lacking / spare)
    return [
        room + share[0] * (need - room) if need > room else room - share[1] * (room - need)
        for need, room in zip(needs, given, strict=True)
    ]


def _needed(value: Cell, *, right: bool) -> float:
    """The points that a cell needs so that nothing in it breaks which must not."""
    if isinstance(value, Code):
        return float(CodeMark(value.conclusion).needed()) + GAP
    if not isinstance(value, str):
        return 0.0
    if right and len(value) <= UNBROKEN:
        return float(stringWidth(value, styles.BODY, styles.CELL.fontSize)) + GAP
    return _longest(value)


def _longest(words: str) -> float:
    """The width of the longest word, of those that a line can hold; an interval in brackets is one."""
    sizes = [float(stringWidth(word, styles.BODY, styles.CELL.fontSize)) for word in _joined(words).split(" ")]
    return max([size for size in sizes if size <= LONGEST_WORD], default=0.0) + GAP


def _finding(block: FindingBlock, width: float, pages: dict[str, int]) -> list[Flowable]:
    item = block.finding
    head = [Bookmark(item.id, f"{item.id} {item.title}", 1), Paragraph(escape(f"{item.id} {item.title}"), styles.H2)]
    return [*head, *_pairs(Pairs(rows=block.rows), width, pages)]


def _height(part: Flowable, width: float) -> float:
    return float(part.wrap(width, 1e6)[1] + part.getSpaceBefore() + part.getSpaceAfter())


def _heading(title: str) -> list[Flowable]:
    return [Paragraph(escape(title), styles.H2)] if title else []
