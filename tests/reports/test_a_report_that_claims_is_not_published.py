"""The wording lint runs where a report is made: its own sentences are checked, what people typed is quoted."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auditor.exceptions import InputError
from reports.blocks import ReportContent, Text
from reports.content import build_content
from reports.governance import Governance
from reports.lint import forbidden_phrases, refuse_claims, typed_words
from tests.records import run_of
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
        "The model complies.",
        "This audit shows that it complies.",
        "The audit does not show that it is unfair.",
        "The audit does not show that the model complies and it is fair.",
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
        "This report does not show that it complies.",
        "That does not show that the model is fair.",
        "The audit cannot say whether the model complies.",
        "The absence of a difference is never a seal of approval.",
        "Approvals fall by 8.0 pp when only race changes from White to Black.",
        "This run cannot say whether applications with race Black fare as White.",
        "The range of cut-offs is that of the plan; each is set anew in every resample.",
        "Confirm with a second prompt before relying on it.",
        "Open the cases of this finding and read what the model answered for Black.",
    ],
)
def test_ordinary_sentences_raise_no_alarm(sentence: str) -> None:
    assert forbidden_phrases(sentence) == []


def content_of(audit: Audit, governance: Governance) -> ReportContent:
    return build_content(audit.bundle, governance)


def test_a_report_whose_own_sentence_claims_stops_with_one_line_that_names_it(
    working: Audit, governance: Governance
) -> None:
    content = content_of(working, governance)
    refuse_claims(content, packs=working.bundle.packs, typed=())
    claiming = replace(content, cover=(*content.cover, Text("This model is certified.")))
    with pytest.raises(InputError, match="This model is certified") as stopped:
        refuse_claims(claiming, packs=working.bundle.packs, typed=())
    assert "\n" not in str(stopped.value)


def test_what_people_typed_is_quoted_and_exempt(working: Audit, governance: Governance) -> None:
    remark = "Is this model compliant?"
    content = replace(content_of(working, governance), cover=(Text(f"Asked by the requester: {remark}"),))
    typed = list(typed_words(governance.model_copy(update={"title": remark}), working.bundle.run))
    refuse_claims(content, packs=working.bundle.packs, typed=typed)
    with pytest.raises(InputError, match="compliant"):
        refuse_claims(content, packs=working.bundle.packs, typed=())


GRADES = {"attributes": [{"field": "credit_history", "groups": ["good", "fair", "poor"], "reference": "good"}]}


@pytest.mark.parametrize(
    "sentence",
    [
        "fair",
        "The answer “fair” was given twice.",
        "Credit history: fair against good",
        "Fair − Good",
        "Changing credit history from good to fair lowers approvals.",
        "When only credit history changed from fair to good, approvals fell.",
        "good, fair and poor",
        "Adjusted over credit history: fair and credit history: poor.",
        "credit history (good, fair, poor)",
        "22.0% of the fair arm gave no readable answer.",
        "no evidence of a difference for poor and fair against good",
        "Of approvals: fair and poor against good.",
        "About 9 fewer approvals in 1,000 such applications than as fair (95% interval −20 to −1).",
        "As filed, those with credit history fair were approved 0.80 times as often as good.",
        "at a cut-off that approves 85.0% of the fair applications",
        "(fair against good): the rate of the fair applications is withheld and could be worked out from it.",
        "Tested: impact ratio, for credit history (fair, poor). Cannot say: impact ratio, for credit history (good)",
        "Cannot say, Fair − Good: too few pairs to say.",
        "Asked as credit history: fair; placebo: as filed",
    ],
)
def test_a_group_whose_name_is_forbidden_may_be_named(working: Audit, governance: Governance, sentence: str) -> None:
    content = replace(content_of(working, governance), cover=(Text(sentence),), sections=())
    refuse_claims(content, packs=(), typed=typed_words(governance, run_of(GRADES)))


@pytest.mark.parametrize(
    "claim",
    [
        "The model is fair.",
        "The model is fair to poor applicants.",
        "It is a fair model.",
        "Decisions are good and seen as fair.",
        "The model reaches fair decisions.",
        "Nothing was found that is not fair, good and proper.",
        "Its decisions are good and fair.",
    ],
)
def test_a_group_whose_name_is_forbidden_excuses_no_claim(working: Audit, governance: Governance, claim: str) -> None:
    content = replace(content_of(working, governance), cover=(Text(claim),), sections=())
    with pytest.raises(InputError, match="fair"):
        refuse_claims(content, packs=(), typed=typed_words(governance, run_of(GRADES)))
