"""Rows of one id that are kept apart are one applicant's: they make no test surer."""

from __future__ import annotations

import pytest

from auditor.findings import SEEN
from auditor.records import Conclusion
from auditor.run_record import RunMapping
from auditor.testing.context import applicant_of
from tests.engine.rows_apart import ROWS, audited


@pytest.mark.parametrize(
    ("record", "applicant"),
    [("A7", "A7"), ("A7#2", "A7"), ("A7#12", "A7"), ("A7#1", "A7#1"), ("#2", "#2"), ("A#7#3", "A#7")],
)
def test_later_rows_are_read_as_their_applicants(record: str, applicant: str) -> None:
    assert applicant_of(record) == applicant


@pytest.mark.parametrize(("repeats", "apart"), [("separate", True), ("first", False), (None, False)])
def test_only_a_mapping_that_keeps_rows_apart_makes_applicants(repeats: str | None, apart: bool) -> None:
    field = {"name": "loan", "label": "Loan", "role": "id", "type": "category"} | (
        {"repeats": repeats} if repeats else {}
    )
    assert RunMapping.read({"name": "rows", "fields": [field]}, where="rows").keeps_rows_apart is apart
    assert not RunMapping.read({"name": "rows", "fields": []}, where="rows").keeps_rows_apart


def test_one_applicants_answer_five_times_is_no_finding_of_five(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A null model whose noise is each applicant's: five rows of one say the same thing five times."""
    false = 0
    for seed in range(8):
        done = audited(tmp_path_factory.mktemp(f"null{seed}"), seed=seed, shift={})
        false += any(item.conclusion in SEEN and item.test == "counterfactual" for item in done)
    assert false <= 2  # six of these eight before applicants were the unit


def test_a_large_difference_is_found_all_the_same(tmp_path_factory: pytest.TempPathFactory) -> None:
    done = audited(tmp_path_factory.mktemp("biased"), seed=1, shift={"Black": -1.5})
    own = next(item for item in done if item.metric == "cf_net_effect" and item.subject["group"] == "Black")
    assert own.conclusion is Conclusion.DIFFERENCE_FOUND
    assert own.n == ROWS
    assert own.counts["profiles"] == ROWS // 5
    filed = next(item for item in done if item.metric == "risk_difference" and item.subject["group"] == "Black")
    assert "some applicants have several rows" in str(filed.conclusion_reason)


def test_no_interval_or_test_counts_rows_of_one_applicant_as_people(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Wilson, Newcombe, Clopper and Pearson, DeLong, Fisher, z and Welch take rows for people: none is shown."""
    done = audited(tmp_path_factory.mktemp("plain"), seed=2, shift={})
    by_rows = ("Wilson", "Newcombe", "Clopper", "DeLong", "log normal", "Fisher", "two-proportion z", "Welch", "Wald")
    assert not {item.id: item.method for item in done if any(word in item.method for word in by_rows)}
    described = [item for item in done if item.test in ("arm_rates", "group_rates", "model_quality")]
    assert not [item.id for item in described if item.low is not None or item.p_value is not None]
    rate = next(item for item in described if item.metric == "selection_rate")
    assert rate.estimate is not None
    assert "some applicants have several rows" in rate.method
