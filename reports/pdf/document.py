"""Pages: cover, contents, sections, running lines. Built twice, so that page numbers are known when printed."""

from __future__ import annotations

import io
from xml.sax.saxutils import escape

from reportlab import rl_config
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import stringWidth
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import BaseDocTemplate, Flowable, Frame, KeepInFrame, PageBreak, PageTemplate, Paragraph, Spacer
from reportlab.platypus import Table as Grid

from reports import numbers
from reports.blocks import ReportContent, Section, Text, Verdict
from reports.paper import on_paper
from reports.pdf import styles
from reports.pdf.attach import finish_pdf
from reports.pdf.flowables import PLAIN, Bookmark, CodeMark, drawing, grouped, placed, said

PAGE_WIDTH, PAGE_HEIGHT = A4
MARGIN = 21 * mm
COLUMN = PAGE_WIDTH - 2 * MARGIN
TOP, BOTTOM = 24 * mm, 22 * mm
COVER_HEIGHT = PAGE_HEIGHT - 46 * mm


def render_pdf(content: ReportContent, *, result: bytes) -> bytes:
    """Set a report and attach its result.

    Parameters
    ----------
    content
        What the report says.
    result
        The bytes of ``result.json``, attached as the data behind the document.

    Returns
    -------
    bytes
        A PDF with every font embedded; the same bytes for the same content.
    """
    rl_config.invariant = 1
    styles.register_fonts()
    pages: dict[str, int] = {}
    total = 0
    # The first pass finds the page of every anchor, the second prints them; numbers keep their width, so two suffice.
    for _ in range(2):
        document = _Document(content, pages=pages, total=total)
        document.build(_story(content, pages))
        pages, total = document.found, document.page
    return finish_pdf(document.stream.getvalue(), content=content, result=result)


class _Document(BaseDocTemplate):  # type: ignore[misc]  # reportlab has no types
    def __init__(self, content: ReportContent, *, pages: dict[str, int], total: int) -> None:
        self.stream = io.BytesIO()
        self.content, self.total = content, total
        self.found: dict[str, int] = {}
        super().__init__(
            self.stream,
            pagesize=A4,
            title=f"{content.title}: {content.model}",
            author="Plumbline",
            subject=content.subject,
            creator="Plumbline",
            lang="en-GB",
            initialFontName=styles.BODY,
            initialFontSize=9,
            invariant=1,
            leftMargin=MARGIN,
            rightMargin=MARGIN,
            topMargin=TOP,
            bottomMargin=BOTTOM,
        )
        frame = Frame(MARGIN, BOTTOM, COLUMN, PAGE_HEIGHT - TOP - BOTTOM, 0, 0, 0, 0, id="page")
        cover = Frame(MARGIN, 18 * mm, COLUMN, PAGE_HEIGHT - 36 * mm, 0, 0, 0, 0, id="cover")
        self.addPageTemplates(
            [
                PageTemplate("cover", [cover], onPage=self._cover, autoNextPageTemplate="page"),
                PageTemplate("page", [frame], onPage=self._running),
            ]
        )

    def afterFlowable(self, flowable: Flowable) -> None:  # noqa: N802
        """Note the page of every bookmark."""
        if isinstance(flowable, Bookmark):
            self.found[flowable.anchor] = self.page

    def _cover(self, canvas: Canvas, _: BaseDocTemplate) -> None:
        self._foot(canvas)

    def _running(self, canvas: Canvas, _: BaseDocTemplate) -> None:
        y = PAGE_HEIGHT - 15 * mm
        _line(
            canvas,
            f"Plumbline · {self.content.heading}",
            self.content.mark,
            f"{self.content.model} · {self.content.title}",
            y,
        )
        canvas.line(MARGIN, y - 5, PAGE_WIDTH - MARGIN, y - 5)
        self._foot(canvas)

    def _foot(self, canvas: Canvas) -> None:
        y = 13 * mm
        _line(canvas, self.content.mark, self.content.run_line, f"Page {self.page} of {self.total or self.page}", y)
        canvas.line(MARGIN, y + 10, PAGE_WIDTH - MARGIN, y + 10)


def _line(canvas: Canvas, left: str, middle: str, right: str, y: float) -> None:
    canvas.setFont(styles.BODY, 6.8)
    canvas.setFillColor(styles.QUIET)
    canvas.setStrokeColor(styles.RULE)
    canvas.setLineWidth(0.5)
    canvas.drawString(MARGIN, y, left)
    canvas.drawCentredString(PAGE_WIDTH / 2, y, middle)
    room = PAGE_WIDTH / 2 - MARGIN - stringWidth(middle, styles.BODY, 6.8) / 2 - 10
    canvas.drawRightString(PAGE_WIDTH - MARGIN, y, shortened(right, room))


def shortened(text: str, room: float) -> str:
    """``text`` as far as it fits into ``room`` points of the running lines, with … where it is cut."""
    if stringWidth(text, styles.BODY, 6.8) <= room:
        return text
    while text and stringWidth(f"{text}…", styles.BODY, 6.8) > room:
        text = text[:-1].rstrip(" ·")
    return f"{text}…"


def _story(content: ReportContent, pages: dict[str, int]) -> list[Flowable]:
    first: list[Flowable] = [
        Paragraph(
            escape(content.heading + (f" · {content.mark}: can never be signed" if content.mark else "")),
            styles.KIND,
        ),
        Paragraph(escape(content.title), styles.TITLE),
        Paragraph(escape(f"{content.audited}: {content.model}"), styles.MODEL),
        Spacer(1, 6),
    ]
    if content.verdict is not None:
        first += [_verdict(content.verdict), Spacer(1, 4)]
    for block in on_paper(content.cover):
        first += grouped(block, width=COLUMN, pages=pages).parts
    story: list[Flowable] = [
        Bookmark("cover", "Verdict" if content.verdict is not None else "Technical annex", 0),
        _Brand(),
        # One page whatever it holds: a reader must not look for the controls on the next.
        KeepInFrame(COLUMN, COVER_HEIGHT, first, mode="shrink"),
        PageBreak(),
        Bookmark("contents", "Contents", 0),
        Paragraph("Contents", styles.H1),
        _contents(content, pages),
    ]
    for section in content.sections:
        story += _section(section, pages)
    return story


def _section(section: Section, pages: dict[str, int]) -> list[Flowable]:
    title = f"{section.number} {section.title}"
    head: list[Flowable] = [Bookmark(section.id, title, 0), Paragraph(escape(title), styles.H1)]
    parts: list[Flowable] = []
    for block in on_paper(section.blocks):
        group = grouped(block, width=COLUMN, pages=pages)
        if isinstance(block, Text) and block.tone == "heading":
            head += group.parts
            continue
        # A heading goes to the page of what it stands over.
        parts += placed(group._replace(parts=[*head, *group.parts]), width=COLUMN)
        head = []
    return [*parts, *head]


def _contents(content: ReportContent, pages: dict[str, int]) -> Flowable:
    rows = [
        [
            Paragraph(f'<a href="#{section.id}">{section.number}</a>', styles.CONTENTS),
            Paragraph(f'<a href="#{section.id}">{escape(section.title)}</a>', styles.CONTENTS),
            Paragraph(
                '<para alignment="right"><a '
                f'href="#{section.id}">{pages.get(section.id, 0) or numbers.DASH}</a></para>',
                styles.CONTENTS,
            ),
        ]
        for section in content.sections
    ]
    look = [
        *PLAIN,
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 0),
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, styles.LINE),
    ]
    return Grid(rows, colWidths=[24, COLUMN - 64, 40], style=look, hAlign="LEFT")


def _verdict(verdict: Verdict) -> Flowable:
    left: list[Flowable] = [
        Paragraph(said(verdict.sentence), styles.VERDICT),
        Spacer(1, 4),
        CodeMark(verdict.conclusion, 9.0, coded=True),
    ]
    # Below both columns: beside the chart they would take four lines of a first page.
    figures = [Spacer(1, 4), Paragraph(said(verdict.figures), styles.SMALL)] if verdict.figures else []
    inner = COLUMN - 26
    rows: list[list[object]]
    if verdict.chart is None:
        rows, widths = [[left]], [inner]
    else:
        picture = drawing(verdict.chart, width=0.46 * inner)
        rows, widths = [[left, picture]], [0.53 * inner, 0.47 * inner]
    top = Grid(
        rows,
        colWidths=widths,
        style=[
            *PLAIN,
            ("VALIGN", (1, 0), (1, 0), "MIDDLE"),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 4),
        ],
    )
    beside = [Paragraph(said(verdict.beside), styles.VERDICT_BESIDE)] if verdict.beside else []
    others = [Paragraph(said(words), styles.VERDICT_SMALL) for words in verdict.others]
    look = [
        *PLAIN,
        ("BOX", (0, 0), (-1, -1), 0.8, styles.INK),
        ("LINEBEFORE", (0, 0), (0, -1), 3.5, styles.INK),
        ("LEFTPADDING", (0, 0), (-1, -1), 14),
        ("RIGHTPADDING", (0, 0), (-1, -1), 10),
        ("TOPPADDING", (0, 0), (-1, -1), 9),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 9),
    ]
    return Grid([[[top, *figures, *beside, *others]]], colWidths=[COLUMN], style=look, hAlign="LEFT")


class _Brand(Flowable):  # type: ignore[misc]  # reportlab has no types
    """The plumb bob and the name."""

    height = 22.0

    def wrap(self, width: float, height: float) -> tuple[float, float]:
        """One line."""
        return width, self.height

    def draw(self) -> None:
        """A line, a bob, a word."""
        canvas = self.canv
        canvas.setStrokeColor(styles.INK)
        canvas.setFillColor(styles.INK)
        canvas.setLineWidth(1.2)
        canvas.line(5, 22, 5, 11)
        path = canvas.beginPath()
        path.moveTo(1.5, 12)
        path.lineTo(8.5, 12)
        path.lineTo(5, 3.5)
        path.close()
        canvas.drawPath(path, stroke=0, fill=1)
        canvas.setFont(styles.BOLD, 9.5)
        canvas.drawString(14, 8, "Plumbline")
