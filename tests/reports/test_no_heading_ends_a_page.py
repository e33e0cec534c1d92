"""A heading stands on the page of what it is the heading of, however tall the first rows below it are."""

from __future__ import annotations

import io

import pytest
from pypdf import PdfReader
from reportlab.lib.pagesizes import A4
from reportlab.platypus import PageBreak, SimpleDocTemplate, Spacer

from reports.blocks import Pairs, Section, Table, Text
from reports.pdf import styles
from reports.pdf.document import BOTTOM, MARGIN, TOP, _section
from tests.reports.conftest import Audit

HEADINGS = {styles.H1.fontSize, styles.H2.fontSize}
FOOT = BOTTOM - 6


def last_lines(pdf: bytes) -> list[tuple[float, str]]:
    """By page, size and words of the lowest line above the foot."""
    found = []
    for page in PdfReader(io.BytesIO(pdf)).pages:
        lines: list[tuple[float, float, str]] = []

        def visit(text, matrix, text_matrix, font, size, lines=lines):  # type: ignore[no-untyped-def]
            y = text_matrix[5] * matrix[3] + matrix[5]
            if text.strip() and y > FOOT:
                lines.append((y, round(size * abs(text_matrix[3] * matrix[3]), 1), text.strip()))

        page.extract_text(visitor_text=visit)
        if lines:
            _, size, words = min(lines)
            found.append((size, words))
    return found


def test_no_page_of_a_report_or_its_annex_ends_with_a_heading(working: Audit) -> None:
    ends = last_lines(working.published.report.read_bytes()) + last_lines(working.published.annex.read_bytes())
    assert len(ends) > 10
    assert not [words for size, words in ends if size in HEADINGS]


@pytest.mark.parametrize("kind", ["long table", "short table", "pairs"])
def test_wherever_on_a_page_a_section_begins_its_headings_stay_with_it(kind: str) -> None:
    styles.register_fonts()
    tall = "Words of a cell that runs over many lines. " * 12
    rows = tuple((f"Row {number}", tall) for number in range({"long table": 20}.get(kind, 3)))
    block = (
        Pairs(title="Below", rows=rows)
        if kind == "pairs"
        else Table(title="Below", head=("A", "B"), rows=rows, align="ll", weights=(0.5, 0.5))
    )
    story = []
    for number, gap in enumerate(range(300, 660, 24), start=1):
        section = Section(id=f"s{number}", number=number, title="Heading", blocks=(Text("Over it", "heading"), block))
        story += [Spacer(1, gap), *_section(section, {}), PageBreak()]
    stream = io.BytesIO()
    margins = {"leftMargin": MARGIN, "rightMargin": MARGIN, "topMargin": TOP, "bottomMargin": BOTTOM}
    SimpleDocTemplate(stream, pagesize=A4, **margins).build(story)
    ends = last_lines(stream.getvalue())
    assert len(ends) >= 15
    assert not [words for size, words in ends if size in HEADINGS or words in ("Over it", "Below")]
