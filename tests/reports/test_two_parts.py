"""A report and its technical annex: what each holds, and that the two are checked as one."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path

import pikepdf
import pytest
from pypdf import PdfReader

from auditor.canonical import sha256_file
from reports.content import build_annex, build_content
from reports.governance import Governance
from reports.pdf import render_pdf
from reports.pdf.attach import stated_hashes
from reports.verification import check, verify
from tests.reports.conftest import Audit

PAGES = 24


@pytest.fixture
def files(working: Audit, tmp_path: Path) -> dict[str, Path]:
    kinds = ("report", "annex", "result", "evidence")
    return {kind: Path(shutil.copy(getattr(working.published, kind), tmp_path)) for kind in kinds}


def text_of(path: Path) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(path.read_bytes())).pages).split())


def test_the_report_is_short_and_sends_the_validator_to_the_annex(working: Audit) -> None:
    with pikepdf.open(working.published.report) as report:
        assert len(report.pages) <= PAGES
    text = text_of(working.published.report)
    assert "annex" in text
    assert "You are a mortgage underwriter." not in text


def test_the_annex_has_prompt_and_measurements_and_no_verdict(working: Audit, governance: Governance) -> None:
    annex = build_annex(working.bundle, governance)
    assert annex.verdict is None
    text = text_of(working.published.annex)
    assert "Technical annex to model audit report A-0001" in text
    assert "read alone it has none" in text
    assert "You are a mortgage underwriter." in text
    assert all(line.sha256 in text.replace(" ", "") for line in working.bundle.files)


def test_no_section_stands_in_both(working: Audit, governance: Governance) -> None:
    report, annex = build_content(working.bundle, governance), build_annex(working.bundle, governance)
    assert not {section.id for section in report.sections} & {section.id for section in annex.sections}


def test_the_report_states_the_hash_of_its_annex_in_words_and_in_its_metadata(working: Audit) -> None:
    digest = sha256_file(working.published.annex)
    assert stated_hashes(working.published.report.read_bytes())["annex"] == digest
    assert digest in text_of(working.published.report).replace(" ", "")


def test_what_was_published_agrees_and_each_is_named_for_what_it_is(files: dict[str, Path]) -> None:
    said = check(list(files.values())).said
    assert f"{files['report']}: equal, to the last byte, to the report that is set again from evidence.zip" in said
    assert f"{files['annex']}: equal, to the last byte, to the annex that is set again from evidence.zip" in said
    for kinds in (["annex"], ["annex", "result"], ["report", "annex"], ["annex", "evidence"]):
        assert verify([files[kind] for kind in kinds]) == []


def test_another_annex_beside_a_report_is_named(files: dict[str, Path], working: Audit, governance: Governance) -> None:
    other = replace(build_annex(working.bundle, governance), title="Another title")
    files["annex"].write_bytes(render_pdf(other, result=files["result"].read_bytes()))
    found = verify([files["report"], files["annex"]])
    assert [(item.file, item.where) for item in found] == [("report.pdf", "stated annex hash")]
    assert "annex.pdf" in {item.file for item in verify(list(files.values()))}


def test_a_report_in_place_of_the_annex_is_named(files: dict[str, Path]) -> None:
    shutil.copy(files["report"], files["annex"])
    found = verify(list(files.values()))
    assert [(item.file, item.found) for item in found if item.file == "annex.pdf"] == [
        ("annex.pdf", "the report of an audit")
    ]


def test_an_annex_cut_short_is_named_beside_its_report(files: dict[str, Path]) -> None:
    files["annex"].write_bytes(files["annex"].read_bytes()[:-2000])
    assert "annex.pdf" in {item.file for item in verify(list(files.values()))}


def test_one_changed_page_of_the_annex_is_named(files: dict[str, Path], working: Audit, governance: Governance) -> None:
    changed = replace(build_annex(working.bundle, governance), cover=())
    files["annex"].write_bytes(render_pdf(changed, result=files["result"].read_bytes()))
    found = verify([files["annex"], files["evidence"]])
    assert [(item.file, item.where) for item in found] == [("annex.pdf", "page 1")]
