"""The sections of report and annex on the page of an audit: one function makes a section of both."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from django.test import Client
from pypdf import PdfReader

from auditor.records import Role
from compliance.dashboard.evidence import open_evidence
from compliance.dashboard.records import kept_story
from compliance.exceptions import EvidenceError
from compliance.execution.runner import audit_folder
from compliance.models import Audit, Event
from reports import sections
from reports.blocks import ANNEX, REPORT, Block, Table, Text
from reports.content import build_annex, build_content
from reports.inside_sections import NOT_PART
from reports.paper import on_paper
from reports.pdf import render_pdf
from reports.pdf.attach import stated_hashes
from reports.sections import OPENED, SectionKind
from reports.story import Story
from tests.compliance.test_officers_site import text_of
from tests.compliance.test_tampering import owner

OPENING = {"HX-Request": "true"}
SAID = "Every second bell rings <twice> & stays."


def bells(story: Story) -> list[Block]:
    """A section as somebody would write it: words, and a table of measurements."""
    (item, *_) = [item for item in story.measurements if item.role is Role.PRIMARY]
    table = Table("", ("Bell", "Estimate"), (("the first", "seven"),), "lr", (0.5, 0.5), of=(item,))
    return [Text(SAID), table]


@pytest.fixture(params=[OPENED, "outputs", "controls"])
def room(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Where on the page the added section stands."""
    added = SectionKind("bells", "Bells", bells, room=request.param)
    monkeypatch.setattr(sections, "SECTIONS", (*sections.SECTIONS, added))
    return str(request.param)


def test_a_section_that_is_added_is_on_the_page_and_in_the_report(
    signed_in: Client, finished: Audit, room: str
) -> None:
    told = kept_story(finished, open_evidence(finished))
    content = build_content(told.bundle, told.governance, charts=told.charts)
    pages = PdfReader(io.BytesIO(render_pdf(content, result=b"{}"))).pages
    printed = " ".join(" ".join(page.extract_text() for page in pages).split())
    assert f"{content.sections[-1].number} Bells {SAID}" in printed

    page = signed_in.get("/audits/A-0001/").content.decode()
    if room == OPENED:
        assert "<summary>Bells</summary>" in page
        (address,) = re.findall(r'hx-get="([^"]*/bells/)"', page)
        page = signed_in.get(address, headers=OPENING).content.decode()
    assert SAID in text_of(page.encode())
    assert "<twice>" not in page
    row = page.partition("the first")[2].partition("</tr>")[0]
    assert 'href="/audits/A-0001/cases/?arm=' in row


def test_every_section_of_both_documents_stands_somewhere_on_the_page(signed_in: Client, finished: Audit) -> None:
    page = signed_in.get("/audits/A-0001/").content.decode()
    for kind in sections.SECTIONS:
        if kind.room == OPENED:
            assert f'hx-get="/audits/A-0001/sections/{kind.id}/"' in page, kind.id
        else:
            # The heading of a room is that of its first section.
            first = sections.sections_in(kind.room)[0] is kind
            assert f'id="{kind.room if first else kind.id}"' in page, kind.id


def test_a_section_that_is_opened_says_what_is_printed_of_it(signed_in: Client, finished: Audit) -> None:
    told = kept_story(finished, open_evidence(finished))
    contents = [
        build_content(told.bundle, told.governance, charts=told.charts, annex_sha256=finished.files["annex.pdf"]),
        build_annex(told.bundle, told.governance, charts=told.charts),
    ]
    printed = {section.id: section for content in contents for section in content.sections}
    kinds = sections.sections_in(OPENED)
    assert len(kinds) > 10
    for kind in kinds:
        page = text_of(signed_in.get(f"/audits/A-0001/sections/{kind.id}/").content)
        for block in on_paper(printed[kind.id].blocks):
            for words in words_of(block):
                assert " ".join(words.split()) in page, (kind.id, words)


def words_of(block: Any) -> list[str]:
    """The words of a block, apart from those that a figure draws."""
    if isinstance(block, Text):
        return [block.words]
    cells = [value for row in getattr(block, "rows", ()) for value in row]
    said = [value if isinstance(value, str) else getattr(value, "words", "") for value in cells]
    return [words for words in (getattr(block, "title", ""), getattr(block, "note", ""), *said) if words]


def test_a_section_that_is_opened_rests_on_what_the_published_report_states(finished: Audit) -> None:
    told = kept_story(finished, open_evidence(finished))
    stated = stated_hashes((audit_folder(finished) / "report.pdf").read_bytes())
    assert {name: digest for name, digest in told.hashes.items() if digest}.items() <= stated.items()
    assert told.hashes["annex"] == finished.files["annex.pdf"]


def test_who_opens_a_section_is_on_record(signed_in: Client, finished: Audit) -> None:
    signed_in.get("/audits/A-0001/")
    before = Event.objects.count()
    signed_in.get("/audits/A-0001/sections/data_and_test_cases/", headers=OPENING)
    assert Event.objects.count() == before + 1


def test_a_section_of_evidence_that_was_changed_is_not_shown(signed_in: Client, finished: Audit) -> None:
    path = audit_folder(finished) / "evidence" / "packs.json"
    path.write_bytes(path.read_bytes() + b" ")
    assert signed_in.get("/audits/A-0001/sections/policy_packs_applied/").status_code == 404


def test_a_section_rests_on_the_files_that_it_reads(signed_in: Client, finished: Audit) -> None:
    path = audit_folder(finished) / "evidence" / "cases.parquet"
    path.write_bytes(path.read_bytes() + b" ")
    assert signed_in.get("/audits/A-0001/sections/limitations/").status_code == 200
    assert signed_in.get("/audits/A-0001/sections/data_and_test_cases/").status_code == 404


def test_a_story_is_told_again_until_a_file_of_it_is_touched(signed_in: Client, finished: Audit) -> None:
    told = kept_story(finished, open_evidence(finished))
    assert kept_story(finished, open_evidence(finished)) is told
    path = audit_folder(finished) / "evidence" / "measurements.json"
    path.write_bytes(path.read_bytes().replace(b"race", b"rice"))
    with pytest.raises(EvidenceError, match=r"measurements\.json: is not the file the manifest lists"):
        kept_story(finished, open_evidence(finished))
    assert signed_in.get("/audits/A-0001/sections/limitations/").status_code == 404


def test_without_its_evidence_a_page_offers_no_section_of_it(signed_in: Client, finished: Audit) -> None:
    (audit_folder(finished) / "evidence" / "manifest.json").unlink()
    page = signed_in.get("/audits/A-0001/").content.decode()
    assert "The evidence cannot be shown." in page
    assert "/sections/" not in page
    assert 'id="findings"' in page
    assert 'id="controls"' not in page


@pytest.mark.parametrize("name", ["nothing", "findings_register", "results_primary"])
def test_what_is_no_section_to_open_is_not_found(signed_in: Client, finished: Audit, name: str) -> None:
    assert signed_in.get(f"/audits/A-0001/sections/{name}/").status_code == 404


def test_both_documents_together_have_every_section_once() -> None:
    ids = [kind.id for kind in sections.SECTIONS]
    assert len(ids) == len(set(ids))
    assert [*sections.sections_of(REPORT), *sections.sections_of(ANNEX)] == list(sections.SECTIONS)


def test_no_heading_stands_over_nothing(signed_in: Client, finished: Audit) -> None:
    """What was not part of a run is said once."""
    with owner() as execute:
        execute("DELETE FROM compliance_measurementrow WHERE role = 'supporting'")
        page = signed_in.get("/audits/A-0001/").content.decode()
    assert NOT_PART in text_of(page.encode())
    assert 'id="tests_on_internals"' not in page
