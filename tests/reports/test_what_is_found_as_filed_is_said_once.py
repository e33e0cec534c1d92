"""The sentence on exploratory differences calls answers as filed no decisions taken, and says a gap of them once."""

from __future__ import annotations

from auditor.records import AS_FILED_CASES, Conclusion, Measurement, Role
from reports.elsewhere import exploratory_sentence


def gap(test: str, cases: str, *, metric: str = "risk_difference", group: str = "Black") -> Measurement:
    """A difference that was found."""
    return Measurement(
        id=f"{test}/{metric}/{group}",
        test=test,
        metric=metric,
        role=Role.EXPLORATORY,
        subject={"field": "race", "group": group},
        reference="White",
        unit="rate_difference",
        estimate=-0.2,
        level=0.95,
        conclusion=Conclusion.DIFFERENCE_FOUND,
        cases=cases,
    )


def said(*rows: Measurement) -> str:
    return exploratory_sentence(rows) or ""


def test_a_gap_of_two_tests_is_said_once() -> None:
    of_rates, of_sheet = gap("group_rates", "arm:x"), gap("observed_rates", AS_FILED_CASES)
    assert said(of_rates, of_sheet) == said(of_rates)
    assert said(of_rates).count("Black") == 1


def test_answers_as_filed_are_no_decisions_taken() -> None:
    alone = said(gap("observed_rates", AS_FILED_CASES))
    assert "as filed, between different applicants" in alone
    assert "decisions taken" not in alone
    assert "in decisions taken" in said(gap("observed_rates", "role:record"))


def test_another_group_is_said_beside() -> None:
    both = said(gap("group_rates", "arm:x"), gap("observed_rates", AS_FILED_CASES, group="Asian"))
    assert "Black" in both
    assert "Asian" in both
