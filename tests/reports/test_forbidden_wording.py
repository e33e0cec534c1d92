from __future__ import annotations

import pytest

from reports.lint import forbidden_phrases


@pytest.mark.parametrize(
    "claim",
    [
        "The model is compliant.",
        "This model was certified.",
        "The model is unbiased",
        "a fair model",
        "The lender treats applicants fairly.",
        "It is safe to use.",
        "The model passed the audit.",
        "All tests passed",
        "proves no discrimination",
        "a violation of §1002.4",
        "the model discriminates against women",
        "The difference is intentional.",
        "The model is ECOA\ncompliant",
        "It is FHA compliant",
    ],
)
def test_a_claim_about_the_law_is_found(claim: str, packs: list[dict]) -> None:
    assert forbidden_phrases(claim, packs)


@pytest.mark.parametrize(
    "sentence",
    [
        "No evidence of a difference ≥ 2.0 pp was found.",
        "Fair Housing Act (residential real-estate-related transactions)",
        "No discrimination on a prohibited basis in any aspect of a credit transaction",
        "Libraries: fairlearn 0.15.0, certifi 2026.1, safetensors 0.8.0",
        "SHA-256 fa1af0a1c0ffee00deadbeeffa1afa1afa1afa1afa1afa1afa1afa1afa1afa1a",
        "Section less_discriminatory_alternatives was not part of this run",
        "Compliance officer B",
        "affair, unfairleads, passage, bypassing",
    ],
)
def test_names_hashes_quotes_and_longer_words_are_let_be(sentence: str, packs: list[dict]) -> None:
    assert forbidden_phrases(sentence, packs) == []


def test_a_quoted_clause_does_not_excuse_the_same_words_elsewhere(packs: list[dict]) -> None:
    text = "No discrimination on a prohibited basis in any aspect of a credit transaction. We found no discrimination."
    hits = forbidden_phrases(text, packs)
    assert {hit.found for hit in hits} == {"no discrimination"}


def test_a_pack_adds_its_own_phrases() -> None:
    pack = {"wording": {"forbidden": ["CE-ready (unless a body said so)"]}}
    assert forbidden_phrases("The model is CE-ready.") == []
    assert [hit.phrase for hit in forbidden_phrases("The model is CE-ready.", [pack])] == ["CE-ready"]


@pytest.mark.parametrize(
    "claim",
    [
        "The lender is in compliance with Regulation B.",
        "The model meets the requirements of ECOA.",
        "The model is lawful.",
        "A certificate of audit",
        "bias‑free decisions",
        "No bias was found.",
        "free from discrimination",
        "non-discrimination is shown",
        "fair-minded",
        "It treats all groups equally.",
        "certifi-\ncation",
        "non\u00adcompliant",
    ],
)
def test_the_same_claim_in_other_words_or_broken_over_lines_is_found(claim: str) -> None:
    assert forbidden_phrases(claim)
