"""The table of depths claims no more than a test of that depth measures, and no less."""

from __future__ import annotations

from dataclasses import replace

import pytest

from auditor.catalogue import TESTS
from auditor.records import Measurement
from auditor.testing.card import Card
from reports.depths import ANSWERS, INTERNALS, NO, QUESTIONS, RECORD, Question
from tests.reports.test_evidence_ladder import measured


def can_run(card: Card, depth: str) -> bool:
    """Whether a test has what it needs at a depth."""
    if depth == RECORD:
        return card.needs_decision_file
    return not card.needs_decision_file and (depth == INTERNALS or not card.needs_internals)


def numbers_of(depth: str) -> list[Measurement]:
    """A row of every metric that tests of a depth measure."""
    return [
        replace(measured(test.CARD.name, metric.name, 0.1), subject={"field": "race", "group": "Black"})
        for test in TESTS.values()
        if can_run(test.CARD, depth)
        for metric in test.CARD.metrics
    ]


@pytest.mark.parametrize("depth", [RECORD, ANSWERS, INTERNALS])
@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.words)
def test_what_a_cell_claims_is_measured_at_that_depth(question: Question, depth: str) -> None:
    cell = {RECORD: question.record, ANSWERS: question.answers, INTERNALS: question.internals}[depth]
    measured_there = any(question.seen(item) for item in numbers_of(depth))
    by_hashes = depth == INTERNALS and question.by_files
    assert (cell != NO) is (measured_there or by_hashes)


def test_no_cell_promises_a_bound_in_place_of_a_number() -> None:
    assert not [cell for item in QUESTIONS for cell in (item.record, item.answers, item.internals) if "bound" in cell]
