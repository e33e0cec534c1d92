"""A small difference of a decision file is told together with what goes beyond the threshold for the same groups."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from auditor import Audited, audit
from auditor.plan import read_plan
from auditor.records import Conclusion
from reports.blocks import ReportContent
from reports.bundle import read_bundle
from reports.closing import found_line
from reports.content import build_content
from reports.elsewhere import beyond_for_the_same
from reports.governance import Governance
from reports.publish import write_manifest
from reports.wording import Design, lead_measurement

GOVERNANCE = Governance(
    audit_id="A-0001", title="Mortgage decisions", governed=False, status="complete", requested_by="somebody"
)
PLAN = "plans/lending-decisions.toml"
BEYOND = "beyond the threshold at equal recorded factors: "


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    """Of the ready-made register: its impact ratio is small, at equal factors the same groups lie far apart."""
    return audit(PLAN, folder=tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def content(done: Audited) -> ReportContent:
    write_manifest(done.evidence)
    return build_content(read_bundle(done.evidence), GOVERNANCE)


def test_the_first_sentence_of_page_and_paper_names_what_is_beyond_the_threshold(content: ReportContent) -> None:
    assert content.verdict is not None
    assert content.verdict.conclusion is Conclusion.DIFFERENCE_BELOW_THRESHOLD
    assert "At equal recorded factors it is beyond the threshold: −8.0 pp." in content.verdict.sentence
    assert "at equal factors" not in str(content.verdict.beside).replace("prices at equal factors", "")  # said once


def test_the_terminal_names_it_too(done: Audited) -> None:
    line = found_line(done.measurements, done.findings, Design.of(read_plan(Path(PLAN))))
    assert f"; the same groups differ {BEYOND}−8.0 [" in line
    assert "(exploratory)" in line


def test_a_difference_that_is_none_of_the_same_groups_or_small_itself_is_not_taken(done: Audited) -> None:
    lead = lead_measurement(done.measurements, done.findings)
    assert lead is not None
    same = beyond_for_the_same(lead, done.measurements)
    assert same is not None
    assert (same.subject, same.reference) == (lead.subject, lead.reference)
    small = replace(same, conclusion=Conclusion.DIFFERENCE_BELOW_THRESHOLD)
    others = [item for item in done.measurements if item.subject != lead.subject]
    assert beyond_for_the_same(lead, [small, *others]) is None
    assert beyond_for_the_same(replace(lead, conclusion=Conclusion.DIFFERENCE_FOUND), done.measurements) is None
