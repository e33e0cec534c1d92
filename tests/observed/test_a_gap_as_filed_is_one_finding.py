"""A gap of the answers as filed that two tests measure is one finding, and no label calls answers decisions taken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

import auditor
from auditor.door.results import Audited
from reports.bundle import read_bundle
from reports.content import build_annex, build_content
from reports.publish import write_manifest
from tests.answering.asked import listed
from tests.answering.test_amounts_and_reasons_are_read import Officer
from tests.engine.small import small_data, small_plan
from tests.observed.test_a_plan_audits_a_decision_file import GOVERNANCE, words_of
from tests.systems.answering import answering


class Unequal(Officer):
    """Approves half of one group and the whole of the other."""

    def _said(self, text: str) -> str:
        black, odd = "Race Black" in text, sum(map(ord, text)) % 2
        return "deny" if black and odd else "approve"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    folder = tmp_path_factory.mktemp("both")
    plan = small_plan(
        schema=2,
        prompt__answers={"favourable": ["approve"], "adverse": ["deny"], "mass_floor": 0.0},
        reading={"readout": "choice", "max_tokens": 6},
        tests__run=["group_rates", "observed_rates"],
    )
    with answering(Unequal("choice")) as server:
        store = listed(folder, server.url)
        return auditor.audit(plan, folder=folder / "run", model="endpoint:x", data=small_data(120), store=store)


def as_filed(found: Audited) -> Iterator[dict[str, Any]]:
    for finding in json.loads((found.evidence / "findings.json").read_text()):
        if finding["title"].startswith("As filed") and "Black" in finding["title"]:
            yield finding


def test_one_measure_of_one_group_is_told_in_one_finding(both: Audited) -> None:
    measured = {item.id: item for item in both.conclusions.measurements}
    findings = list(as_filed(both))
    assert findings
    told = [
        (item.metric, item.subject["group"])
        for finding in findings
        for item in {measured[name].metric: measured[name] for name in finding["measurements"]}.values()
    ]
    assert len(told) == len(set(told)), told
    cited = {name for finding in findings for name in finding["measurements"]}
    for test in ("group_rates", "observed_rates"):
        assert any(measured[name].test == test and measured[name].metric == "risk_difference" for name in cited)


def test_no_label_of_answers_calls_them_decisions_taken(both: Audited) -> None:
    write_manifest(both.evidence)
    bundle = read_bundle(both.evidence)
    for words in map(words_of, (build_annex(bundle, GOVERNANCE), build_content(bundle, GOVERNANCE))):
        assert "Decisions taken" not in words
        assert "in decisions taken" not in words
    assert "Different applicants: rates" in words_of(build_annex(bundle, GOVERNANCE))
