"""Pairs are read at the cut-off that a finding names, and what is listed there is what was counted."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import polars as pl
import pytest
from django.test import Client

from auditor.behaviour.metrics import CF_NET_EFFECT_MATCHED, CF_RANGE_EFFECT
from auditor.statistics.margins import net_effect_at_matched_point
from compliance.dashboard.cases import CaseFilter, every_case, find_cases
from compliance.dashboard.evidence import open_evidence
from compliance.models import Audit, FindingRecord, default_team
from tests.compliance.governed import EFFECT, FINDING, approved_plan, run, version_of

ARMS = ("race=White", "race=Black")


def sides(audit: Audit) -> dict[str, Any]:
    """The scores of both arms, whether each answer could be read, and the applications."""
    table = pl.DataFrame(list(every_case(open_evidence(audit), CaseFilter(arms=ARMS))))
    readable = {side: table[f"outcome_{side}"].is_in(["favourable", "adverse"]) for side in ("reference", "changed")}
    return {
        "control": table["margin_reference"].to_numpy(),
        "protected": table["margin_changed"].to_numpy(),
        "control_readable": readable["reference"].to_numpy(),
        "protected_readable": readable["changed"].to_numpy(),
        "clusters": table["cluster"].to_list(),
    }


def test_pairs_listed_at_the_matched_cut_off_are_those_that_are_counted_there(finished: Audit) -> None:
    effect = net_effect_at_matched_point(**sides(finished), target_rate=0.3, level=0.95)
    assert effect.point is not None
    at = effect.point.threshold
    assert at != 0
    evidence = open_evidence(finished)
    for flipped, counted in (("against", effect.counts.b), ("towards", effect.counts.c)):
        found = find_cases(evidence, CaseFilter(arms=ARMS, flipped=flipped, cut_off=at))
        assert found.total == counted
    own = find_cases(evidence, CaseFilter(arms=ARMS, flipped="any"))
    there = find_cases(evidence, CaseFilter(arms=ARMS, flipped="any", cut_off=at))
    assert effect.counts.b > 0
    assert [row["cluster"] for row in own.rows] != [row["cluster"] for row in there.rows]


def test_an_answer_that_is_none_is_favourable_at_no_cut_off(finished: Audit) -> None:
    found = find_cases(open_evidence(finished), CaseFilter(arms=ARMS, flipped="any", cut_off=-1e9))
    unread = {"invalid", "refused", "unreadable"}
    assert all({row["outcome_reference"], row["outcome_changed"]} & unread for row in found.rows)


def test_the_page_says_at_which_cut_off_pairs_flip_and_keeps_it(signed_in: Client, finished: Audit) -> None:
    at = "/audits/A-0001/cases/?arm=race=White|race=Black&flipped=any"
    page = signed_in.get(f"{at}&cut_off=0.25")
    text = page.content.decode()
    assert "changes at a cut-off of +0.25 logits instead of the model's own" in html.unescape(text)
    assert re.search(r'<option value="0.25"\s+selected>\s*\+0.25 logits\s*</option>', text)
    links = [html.unescape(link) for link in re.findall(r'href="(\?[^"]*#pair)"', text)]
    assert links
    assert all("cut_off=0.25" in link for link in links)
    assert "at the model's own cut-off" in html.unescape(signed_in.get(at).content.decode())


@pytest.mark.parametrize("word", ["high", "nan", "inf", "1e999", "٣"])
def test_a_cut_off_that_is_no_score_is_refused_in_one_line(signed_in: Client, finished: Audit, word: str) -> None:
    answer = signed_in.get("/audits/A-0001/cases/", {"arm": "|".join(ARMS), "cut_off": word})
    assert answer.status_code == 404
    assert "is not a score; expected a number of logits, such as 0.25" in html.unescape(answer.content.decode())


@pytest.mark.parametrize("metric", [CF_NET_EFFECT_MATCHED, CF_RANGE_EFFECT])
def test_its_cases_of_a_finding_are_the_pairs_that_flip_at_its_cut_off(signed_in: Client, metric: str) -> None:
    lead = replace(EFFECT, id=f"m.{metric}", metric=metric, counts={"threshold": -0.375, "b": 9, "c": 1})
    audit = run(
        plan=approved_plan(default_team(), name="governed"),
        model=version_of(default_team(), 1),
        findings=[replace(FINDING, measurements=(lead.id,))],
        measurements=[lead],
    )
    record = FindingRecord.objects.get(sightings__audit=audit)
    text = signed_in.get(record.get_absolute_url()).content.decode()
    links = {html.unescape(link) for link in re.findall(r'href="(/audits/[^"]*/cases/[^"]*)"', text)}
    assert links, text
    for link in links:
        assert parse_qs(urlsplit(link).query) == {
            "arm": ["race=a|race=b"], "flipped": ["any"], "cut_off": ["-0.375"]
        }  # fmt: skip


def test_its_cases_of_a_finding_at_the_models_own_cut_off_name_none(signed_in: Client) -> None:
    audit = run(plan=approved_plan(default_team(), name="governed"), model=version_of(default_team(), 1))
    text = signed_in.get(FindingRecord.objects.get(sightings__audit=audit).get_absolute_url()).content.decode()
    assert "/cases/?arm=" in text
    assert "cut_off" not in text
