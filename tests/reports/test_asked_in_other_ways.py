"""What was asked in several ways is printed with how many agree and the extremes, whether they agree or not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from auditor.mechanisms._shared.specifications import agreement_words
from auditor.records import Conclusion, Measurement
from reports.governance import Governance
from reports.inside_sections import inside
from reports.specification_tables import AT_MOST, asked_otherwise, unstable
from reports.story import Story
from tests.reports.conftest import Audit
from tests.reports.test_evidence_ladder import measured

AGREED = {
    "specifications_asked": 9,
    "specifications": 9,
    "specifications_agree": 9,
    "specifications_opposed": 0,
    "specifications_lowest": 0.31,
    "specifications_highest": 0.44,
}
CONTRADICTED = {
    **AGREED,
    "specifications_agree": 6,
    "specifications_put_back": 3,
    "specifications_put_back_agree": 0,
    "specifications_lowest": -0.02,
}


def node(layer: int, **more: Any) -> Measurement:
    row = measured("patching", "patch_mlp", 0.4 - layer / 100, unit="ratio", n=24, counts=AGREED)
    subject = {"field": "race", "group": "Black", "layer": str(layer)}
    return replace(row, id=f"patching/patch_mlp/{layer}", subject=subject, **more)


def test_a_stable_result_is_in_the_table_too() -> None:
    table = asked_otherwise([node(1), node(2, counts={})])
    assert table is not None
    assert [row[2:] for row in table.rows] == [("9 of 9", "0.31", "0.44", "24", "stable")]
    assert "Layer 1" in str(table.rows[0][1]) or "layer 1" in str(table.rows[0][1])
    assert table.note.startswith("Of one figure asked in several ways: 1 stable.")
    assert not unstable([node(1)])


def test_unstable_results_come_first_and_all_are_counted() -> None:
    rows = [node(layer) for layer in range(20)]
    rows[17] = node(17, counts=CONTRADICTED, conclusion=Conclusion.INCONCLUSIVE)
    rows[18] = node(18, counts={**AGREED, "specifications": 0, "specifications_agree": 0})
    table = asked_otherwise(rows)

    assert table is not None
    assert len(table.rows) == AT_MOST
    assert table.rows[0][2:] == ("6 of 9", "−0.02", "0.44", "24", "unstable")
    assert table.note.startswith("Of 20 figures asked in several ways: 18 stable, 1 unstable, 1 too few to compare.")
    assert unstable(rows)


def test_nothing_that_was_not_repeated_makes_a_table() -> None:
    assert asked_otherwise([node(1, counts={}), node(2, counts={**AGREED, "specifications_asked": 1})]) is None
    assert asked_otherwise([node(1, estimate=None)]) is None


@pytest.mark.parametrize("counts", [AGREED, CONTRADICTED], ids=["stable", "unstable"])
def test_a_report_prints_it_whether_they_agree_or_not(
    counts: dict[str, Any], working: Audit, governance: Governance
) -> None:
    told = (node(1, counts=counts), node(2, counts=counts))
    blocks = inside(Story(replace(working.bundle, measurements=told), governance, {}))
    (table,) = [block for block in blocks if getattr(block, "title", "") == "Asked in other ways"]

    assert len(table.rows) == 2  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({}, ""),
        (AGREED, "9 of 9 specifications agree, from 0.31 to 0.44 logits"),
        (
            CONTRADICTED,
            "only 6 of 9 specifications agree, and at least 75% must (with the reference's state put in 0 of 3), from "
            "−0.020 to 0.44 logits",
        ),
        (
            {**AGREED, "specifications": 8, "specifications_agree": 8},
            "8 of 8 specifications agree, from 0.31 to 0.44 logits; 1 more gives no answer",
        ),
        (
            {**AGREED, "specifications": 0, "specifications_agree": 0},
            "9 specifications were asked, and too few gave an answer to compare, from 0.31 to 0.44 logits",
        ),
        ({**AGREED, "specifications_opposed": 2}, "2 of 9 specifications find the opposite, from 0.31 to 0.44 logits"),
    ],
)
def test_one_sentence_says_how_many_agree_which_do_not_and_the_extremes(counts: dict[str, Any], words: str) -> None:
    assert agreement_words(counts, named="logits") == words
