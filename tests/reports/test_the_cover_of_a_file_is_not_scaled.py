"""The first page of a report on a decision file is set in the size of every other first page."""

from __future__ import annotations

from pathlib import Path

import pytest
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import KeepInFrame, Paragraph

from auditor import audit
from reports.blocks import ReportContent
from reports.bundle import read_bundle
from reports.content import build_content
from reports.governance import Governance
from reports.pdf import document
from reports.pdf.styles import register_fonts
from reports.publish import write_manifest

GOVERNANCE = Governance(
    audit_id="A-0001", title="Mortgage decisions", governed=False, status="complete", requested_by="somebody"
)


def scale_of(content: ReportContent, folder: Path) -> float:
    """How much smaller the first page has to be set to be one page."""
    register_fonts()
    frame = next(each for each in document._story(content, {}) if isinstance(each, KeepInFrame))
    frame.wrapOn(Canvas(str(folder / "none.pdf")), document.COLUMN, document.COVER_HEIGHT)
    return float(getattr(frame, "_scale", 1.0))


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> ReportContent:
    """Of the ready-made register, whose groups have the longest names there are."""
    done = audit("plans/lending-decisions.toml", folder=tmp_path_factory.mktemp("run"))
    write_manifest(done.evidence)
    return build_content(read_bundle(done.evidence), GOVERNANCE)


def test_it_fits_its_page_as_it_is(content: ReportContent, tmp_path: Path) -> None:
    assert content.verdict is not None
    assert content.verdict.chart is not None
    assert scale_of(content, tmp_path) == 1.0


def test_a_ratio_has_one_form_on_it(content: ReportContent) -> None:
    assert content.verdict is not None
    ratios = [f"{content.verdict.sentence} {content.verdict.figures}", repr(content.cover)]
    assert all("0.92" in words for words in ratios)
    assert not any(" .92" in words or "[.8" in words for words in ratios)


def test_a_decision_file_is_not_called_a_model(content: ReportContent) -> None:
    register_fonts()
    frame = next(each for each in document._story(content, {}) if isinstance(each, KeepInFrame))
    words = [part.text for part in frame._content if isinstance(part, Paragraph)]
    assert any(text.startswith("Decision file: Loan application register") for text in words)
    assert not any(text.startswith("Model:") for text in words)
