"""What a finding tells people to do, and its first sentence, need no statistics to be understood."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from auditor.records import Conclusion, Finding, Role
from tests.engine.test_findings import MUTE, found, measured

JARGON = re.compile(
    r"\b(operating point|strat(um|a|ified)|contrasts?|arms?|counterfactual|logits?|log-odds|SDs?|pp|exploratory"
    r"|p-values?|confirmatory|equivalence|MDE|Holm|bootstrap|margins?|spellings|cluster|unadjusted|q =|family)\b"
)


def every_kind() -> Iterator[tuple[str, Finding]]:
    """A finding of every kind that outputs can give."""
    below, open_ = Conclusion.DIFFERENCE_BELOW_THRESHOLD, Conclusion.INCONCLUSIVE
    filed = {"test": "group_rates", "role": Role.EXPLORATORY, "conclusion": Conclusion.DIFFERENCE_FOUND}
    kinds = {
        "own": [measured("cf_net_effect", -0.08, -0.1, -0.05)],
        "more": [measured("cf_net_effect", 0.08, 0.05, 0.1)],
        "small": [measured("cf_net_effect", -0.004, -0.007, -0.001, conclusion=below)],
        "matched": [measured("cf_net_effect_matched", -0.04, -0.06, -0.025)],
        "range": [
            measured(
                "cf_range_effect", -0.1, -0.2, -0.05,
                counts={"rate": 0.9, "range_low": 0.8, "range_high": 0.98, "natural_inside": 1},
            )
        ],
        "score": [measured("cf_mean_shift_sd", -0.214, -0.25, -0.18)],
        "unreadable": [
            measured(
                "refusal_rate_gap", 0.22, 0.19, 0.25, counts={"unreadable_reference": 0, "unreadable_group": 132}
            )
        ],
        "exploratory": [measured("cf_net_effect_matched", -0.04, -0.06, -0.025, role=Role.EXPLORATORY)],
        "filed": [measured("risk_difference", -0.12, -0.2, -0.04, **filed)],
    }  # fmt: skip
    for name, rows in kinds.items():
        for finding in found(*rows):
            yield name, finding
    undecided = measured("cf_net_effect", 0.0, -0.02, 0.02, conclusion=open_, p_adjusted=0.8)
    for finding in found(undecided, use__model_tier=1):
        yield "undecided", finding
    for finding in found(undecided, state=MUTE):
        yield "mute", finding


FINDINGS = list(every_kind())


def test_every_kind_is_there() -> None:
    assert {name for name, _ in FINDINGS} == {
        "own", "more", "small", "matched", "range", "score", "unreadable", "exploratory", "filed", "undecided", "mute",
    }  # fmt: skip


@pytest.mark.parametrize(("name", "finding"), FINDINGS)
def test_advice_is_in_plain_words_and_says_something_to_do(name: str, finding: Finding) -> None:
    assert JARGON.search(finding.recommendation) is None, finding.recommendation
    first = finding.recommendation.split()[0]
    assert first in {"Ask", "Change", "Do", "Look", "Open", "The", "This"}, first
    assert re.search(r"\b(run|ask|open|change|look|write)\b", finding.recommendation.lower())


@pytest.mark.parametrize(("name", "finding"), FINDINGS)
def test_title_and_first_sentence_are_in_plain_words(name: str, finding: Finding) -> None:
    first = re.split(r"(?<=[a-z%)])[.:] ", finding.condition)[0]
    assert JARGON.search(finding.title) is None, finding.title
    assert JARGON.search(first) is None, first


@pytest.mark.parametrize(("name", "finding"), FINDINGS)
def test_effects_say_their_interval_without_signs(name: str, finding: Finding) -> None:
    inside = re.findall(r"interval ([^)]*)\)", finding.effect)
    assert not any(sign in said for said in inside for sign in "−+"), finding.effect
