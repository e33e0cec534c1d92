"""The wording lint runs where a report is made: its own sentences are checked, what people typed is quoted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auditor.exceptions import InputError
from reports.blocks import ReportContent, Text
from reports.content import build_content
from reports.lint import forbidden_phrases, refuse_claims, typed_words
from tests.reports.conftest import Audit


@pytest.mark.parametrize(
    "claim",
    [
        "The model is approved for use.",
        "The model was validated.",
        "The model conforms to Regulation B.",
        "It conformed with the rule.",
        "The model met the requirements of ECOA.",
        "The model passes.",
        "The model is passing the audit.",
        "The model is safe to deploy.",
        "The decisions are bias-free.",
        "The model is not biased.",
        "The decisions are free of any bias.",
        "The model is non-discriminatory.",
        "The model is not discriminatory.",
        "The model was recertified.",
        "The model is uncertified.",
    ],
)
def test_claims_in_other_words_are_found(claim: str) -> None:
    assert forbidden_phrases(claim)


@pytest.mark.parametrize(
    "sentence",
    [
        "The model approved 8.0 percentage points fewer of the same applications.",
        "Applications approved at this cut-off",
        "This report is evidence, not an approval.",
        "All files agree with their hashes.",
        "The prompt is read in one forward pass-through.",
    ],
)
def test_ordinary_sentences_raise_no_alarm(sentence: str) -> None:
    assert forbidden_phrases(sentence) == []


def content_of(audit: Audit, governance: dict) -> ReportContent:
    return build_content(audit.bundle, governance)


def test_a_report_whose_own_sentence_claims_stops_with_one_line_that_names_it(working: Audit, governance: dict) -> None:
    content = content_of(working, governance)
    refuse_claims(content, packs=working.bundle.packs, typed=())
    claiming = replace(content, cover=(*content.cover, Text("This model is certified.")))
    with pytest.raises(InputError, match="This model is certified") as stopped:
        refuse_claims(claiming, packs=working.bundle.packs, typed=())
    assert "\n" not in str(stopped.value)


def test_what_people_typed_is_quoted_and_exempt(working: Audit, governance: dict) -> None:
    remark = "Is this model compliant?"
    content = replace(content_of(working, governance), cover=(Text(f"Asked by the requester: {remark}"),))
    typed = list(typed_words({**governance, "title": remark}, working.bundle.plan, working.bundle.run))
    refuse_claims(content, packs=working.bundle.packs, typed=typed)
    with pytest.raises(InputError, match="compliant"):
        refuse_claims(content, packs=working.bundle.packs, typed=typed_words({}, {}, {}))
