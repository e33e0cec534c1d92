"""Patching tests end to end on a tiny model: numbers with their checks, reasons where there is none."""

from __future__ import annotations

import pytest

from auditor.mechanisms.attribution_patching import method as attribution_patching
from auditor.mechanisms.patching import method as patching
from tests.mechanisms.computing import compute_context, conclude, payload


def test_patching_says_where_the_difference_is_carried() -> None:
    result = patching.compute(compute_context(patching.Settings()), payload("Black", "Asian"))
    rows = {row.id: row for row in conclude(patching, [result])}
    for layer, position in (("0", "race"), ("2", "last token")):
        found = rows[f"patching/patch_stream/field=race/group=Black/layer={layer}/position={position}/vs=White"]
        assert found.estimate == pytest.approx(1, abs=1e-3)
    assert all(row.checks and row.estimate is not None and row.n == 2 for row in rows.values())
    assert len(rows) == 1 + 3 * 3 + 2


def test_values_of_different_length_are_left_out_and_counted() -> None:
    result = patching.compute(compute_context(patching.Settings()), payload("Hispanic"))
    rows = conclude(patching, [result])
    assert [row.estimate for row in rows] == [None]
    assert "different numbers of tokens" in str(rows[0].missing_reason)
    assert rows[0].counts["left_out"] == 1


def test_a_model_without_structure_is_not_tested_and_says_why() -> None:
    result = patching.compute(compute_context(patching.Settings(), "bloom"), payload("Black"))
    assert "needs the structure of the model" in str(conclude(patching, [result])[0].missing_reason)


def test_a_number_whose_check_did_not_hold_is_withheld() -> None:
    row = patching.compute(compute_context(patching.Settings()), payload("Black")).row()
    row["pairs"][0]["checks"][0]["held"] = False
    rows = conclude(patching, [row])
    assert all(row.estimate is None and "self-check did not hold" in str(row.missing_reason) for row in rows)


def test_attribution_patching_verifies_what_it_reports() -> None:
    settings = attribution_patching.Settings(top=3, sample=0.4)
    result = attribution_patching.compute(compute_context(settings), payload("Black", "Asian"))
    assert result.screened == 10
    assert len(result.nodes) == 3 + 3
    rows = {row.metric: row for row in conclude(attribution_patching, [result])}
    assert set(rows) == {
        "patch_gap", "screening_rank_agreement", "screening_sample_largest", "screening_missed_at_most", "patch_node"
    }  # fmt: skip
    assert all(row.estimate is not None for row in rows.values())
    again = attribution_patching.compute(compute_context(settings), payload("Black", "Asian"))
    assert again == result
