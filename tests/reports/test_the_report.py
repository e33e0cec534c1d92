"""The finished PDF: what it says, what it holds, and that it comes out the same."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pikepdf
import pytest
from pypdf import PdfReader
from reportlab.pdfbase.pdfmetrics import stringWidth

from auditor.canonical import sha256_bytes
from auditor.records import Conclusion, Role, Severity
from reports.blocks import Section, Text
from reports.bundle import Bundle
from reports.content import build_content
from reports.cover import cover_verdict
from reports.governance import DesignApproval, Governance
from reports.lint import forbidden_phrases
from reports.paper import on_paper
from reports.pdf import render_pdf
from reports.pdf.document import shortened
from reports.pdf.styles import BODY, register_fonts
from reports.publish import publish
from reports.story import Story
from reports.tables import every_number
from reports.wording import QUIET, Design
from tests.reports.conftest import Audit


@pytest.fixture(params=["working", "mute"])
def audit(request: pytest.FixtureRequest) -> Audit:
    return request.getfixturevalue(request.param)


def test_the_text_uses_no_forbidden_phrase(audit: Audit, packs: list[dict]) -> None:
    assert [str(hit) for hit in forbidden_phrases(audit.text, packs)] == []


def test_every_measurement_is_on_a_page(audit: Audit) -> None:
    printed = audit.text.replace(" ", "")
    result = json.loads(audit.published.result.read_bytes())
    assert len(result["measurements"]) > 40
    design = Design.of(audit.bundle.plan)
    _, *tables = on_paper([every_number(audit.bundle.printable, design)])
    rows = [row for table in tables for row in table.rows]
    assert len(rows) == len(result["measurements"])
    assert len(set(rows)) > 0.9 * len(rows)
    assert [row for row in rows if "".join(row).replace(" ", "") not in printed] == []


def test_the_cover_fits_its_page(audit: Audit) -> None:
    pages = PdfReader(io.BytesIO(audit.published.report.read_bytes())).pages
    assert "Not covered" in pages[0].extract_text()
    assert "Contents" in pages[1].extract_text()


def _quiet(audit: Audit, **changes) -> Bundle:
    """The audit with every primary result within the margin, and a difference at the matched cut-off."""
    return replace(
        audit.bundle,
        measurements=tuple(
            replace(row, conclusion=Conclusion.EQUIVALENT_WITHIN_MARGIN, conclusion_reason=None)
            if row.role is Role.PRIMARY
            else replace(row, conclusion=Conclusion.DIFFERENCE_FOUND)
            if row.metric == "cf_net_effect_matched"
            else row
            for row in audit.bundle.measurements
        ),
        **changes,
    )


def test_a_clean_primary_result_does_not_hide_what_was_found_beside_it(working: Audit, governance: Governance) -> None:
    verdict = build_content(_quiet(working, findings=()), governance).verdict
    assert verdict.conclusion is Conclusion.EQUIVALENT_WITHIN_MARGIN
    assert verdict.beside.startswith("This is not the whole picture")


def test_no_card_reads_clean_beside_a_finding_of_medium_severity_or_more(
    working: Audit, governance: Governance
) -> None:
    for severity in (Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL):
        for conclusion in (None, *Conclusion):
            finding = replace(working.bundle.findings[0], severity=severity, conclusion=conclusion)
            bundle = _quiet(working, findings=(finding,))
            verdict = cover_verdict(Story(bundle=bundle, governance=governance, charts={}))
            assert verdict.conclusion not in QUIET
            assert finding.title in verdict.sentence


def test_a_difference_at_another_cut_off_leads_where_the_own_cut_off_shows_none(
    working: Audit, governance: Governance
) -> None:
    quiet = _quiet(working, findings=())
    row = next(item for item in quiet.measurements if item.metric == "cf_net_effect")
    elsewhere = replace(
        row,
        id="range",
        metric="cf_range_effect",
        family="cut-off range",
        estimate=-0.17,
        low=-0.22,
        high=-0.11,
        conclusion=Conclusion.DIFFERENCE_FOUND,
        counts={"rate": 0.87, "threshold": 1.2, "natural_inside": 0, "range_low": 0.78, "range_high": 0.98},
    )
    content = build_content(replace(quiet, measurements=(*quiet.measurements, elsewhere)), governance)
    verdict = content.verdict
    assert verdict.conclusion is Conclusion.DIFFERENCE_FOUND
    assert "17.0 percentage points fewer of the same applications at a cut-off that approves 87% of" in (
        verdict.sentence
    )
    assert "within ±2.0 pp" in conclusion_words(content)


def test_the_files_of_the_model_and_the_machine_are_named(working: Audit) -> None:
    assert "model.safetensors" in working.text
    assert "x86_64, Linux, 2 processors, Python 3.11.2, 2 threads for scoring" in working.text
    assert "None" not in working.text


def test_every_finding_is_on_a_page_with_its_recommendation(audit: Audit) -> None:
    for finding in audit.bundle.findings:
        assert finding.title in audit.text
        assert finding.recommendation in audit.text


def test_every_font_is_embedded(audit: Audit) -> None:
    with pikepdf.open(audit.published.report) as pdf:
        fonts = [item for item in pdf.objects if isinstance(item, pikepdf.Dictionary) and item.get("/Type") == "/Font"]
        assert fonts
        assert [str(font.BaseFont) for font in fonts if "/FontFile2" not in font.get("/FontDescriptor", {})] == []


def test_every_page_says_ungoverned_and_its_number(audit: Audit) -> None:
    pages = PdfReader(io.BytesIO(audit.published.report.read_bytes())).pages
    for number, page in enumerate(pages, start=1):
        text = page.extract_text()
        assert "ungoverned" in text
        assert f"Page {number} of {len(pages)}" in text


def test_a_running_line_is_cut_before_it_meets_the_mark_in_the_middle() -> None:
    register_fonts()
    long = "demo:underwriter · Mortgage approval decisions, a look inside on 48 applications"
    cut = shortened(long, 200)
    assert shortened(long, 400) == long
    assert cut.startswith("demo:underwriter · Mortgage")
    assert cut.endswith("…")
    assert stringWidth(cut, BODY, 6.8) <= 200
    assert shortened("word", 0) == "…"


def test_a_heading_stands_on_the_page_of_what_it_heads(working: Audit, governance: Governance) -> None:
    content = build_content(working.bundle, governance)
    heading, paragraph = Text("Where is it carried?", tone="heading"), Text("Here it is said. " * 40)
    for lines in range(30, 60, 4):  # somewhere in this range the heading comes to the foot of the page
        section = Section(
            "s", "1", "Section", (*[Text(f"line {number}") for number in range(lines)], heading, paragraph)
        )
        pdf = render_pdf(replace(content, cover=(), sections=(section,)), result=b"{}")
        pages = [page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages]
        (at,) = [page for page in pages if "Where is it carried?" in page]
        assert "Here it is said." in at


def test_the_contents_link_to_the_pages_they_name(working: Audit) -> None:
    with pikepdf.open(working.published.report) as pdf, pdf.open_outline() as outline:
        titles = [item.title for item in outline.root]
        assert titles[:3] == ["Verdict", "Contents", "1 Document control"]
        assert titles[-1] == "16 Integrity manifest"
        assert len([item for item in pdf.pages[1].Annots if item.Subtype == "/Link"]) >= 14


def test_the_result_is_attached_as_the_data_of_the_document(working: Audit) -> None:
    with pikepdf.open(working.published.report) as pdf:
        assert pdf.attachments["result.json"].get_file().read_bytes() == working.published.result.read_bytes()
        assert pdf.Root.AF[0].AFRelationship == "/Data"
        assert pdf.Root.Lang == "en-GB"


def test_the_hashes_are_printed_in_full(working: Audit) -> None:
    printed = working.text.replace(" ", "")
    for digest in (
        working.bundle.design_sha256,
        working.bundle.run_sha256,
        working.bundle.manifest_sha256,
        sha256_bytes(working.published.result.read_bytes()),
    ):
        assert digest in printed
    for line in working.bundle.files:
        assert line.sha256 in printed


def test_the_same_bundle_and_record_give_the_same_bytes(working: Audit, governance: Governance, tmp_path) -> None:
    again = publish(working.folder, governance, tmp_path / "again")
    assert again.sha256s == working.published.sha256s


def test_another_record_gives_another_report(working: Audit, governance: Governance) -> None:
    other = governance.model_copy(update={"audit_id": "A-0002"})
    result = working.published.result.read_bytes()
    assert render_pdf(build_content(working.bundle, other), result=result) != working.published.report.read_bytes()


def test_an_unanswered_prompt_is_the_first_thing_said_of_a_mute_model(mute: Audit) -> None:
    content = build_content(mute.bundle, Governance(audit_id="A-1", title="T", governed=False, status="complete"))
    assert "left 100.0% of its prompts without a usable answer" in content.verdict.others[0]
    assert "matched cut-off" in conclusion_words(content)


def conclusion_words(content) -> str:
    return str(next(section.blocks for section in content.sections if section.id == "conclusion"))


def test_an_incomplete_run_draws_no_conclusion(working: Audit, governance: Governance) -> None:
    content = build_content(working.bundle, governance.model_copy(update={"status": "incomplete"}))
    assert content.verdict.conclusion == "INCONCLUSIVE"
    assert "no conclusion is drawn" in content.verdict.sentence


def test_an_ungoverned_report_says_it_can_never_be_signed_and_a_governed_one_does_not(
    working: Audit, governance: Governance
) -> None:
    def sign_off(record: Governance) -> str:
        sections = build_content(working.bundle, record).sections
        return str(next(section.blocks for section in sections if section.id == "review_and_sign_off"))

    assert "can never be signed" in sign_off(governance)
    governed = sign_off(governance.model_copy(update={"governed": True}))
    assert "never be signed" not in governed
    assert "Not yet signed" in governed


def test_a_governed_report_names_who_approved_its_design_and_another_claims_no_approval(
    working: Audit, governance: Governance
) -> None:
    def control(record: Governance) -> dict:
        sections = build_content(working.bundle, record).sections
        block = next(section.blocks for section in sections if section.id == "document_control")[0]
        return dict(block.rows)

    approval = DesignApproval(by="vera", at="2026-11-21T11:12:00Z", reason="Read against the policy.")
    rows = control(governance.model_copy(update={"governed": True, "design_approval": approval}))
    assert rows["Governance"] == "governed: its design was approved by a second person before the run was asked for"
    assert rows["Design approved by"] == "vera, 21 Nov 2026, 11:12 UTC"
    assert rows["Reason given"] == "Read against the policy."
    rows = control(governance.model_copy(update={"design_approval": None}))
    assert "not asked for on the site with a design that a second person had approved" in rows["Governance"]
    assert "Design approved by" not in rows


def test_clauses_without_a_measurement_say_what_is_missing(working: Audit) -> None:
    assert (
        "Not tested: needs adverse-action reason fidelity and reason consistency across matched pairs, which the plan"
        in working.text
    )
    assert "Bases of this pack not tested" in working.text


def test_small_groups_of_people_are_not_counted_out(working: Audit) -> None:
    assert "Sex not stated < 11" in working.text
