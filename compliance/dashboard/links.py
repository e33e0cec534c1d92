"""Where the numbers of an audit lead: to the cases behind them, and to the tables that are opened."""

from __future__ import annotations

from django.urls import reverse

from auditor.decision_sources import is_decision_file
from compliance.dashboard.cases import filter_of
from compliance.models import Audit
from reports.html import Links


def links(audit: Audit) -> Links:
    """The addresses of one audit, as its sections need them."""
    return Links(
        cases=lambda query: cases_link(audit, query),
        numbers=lambda name: reverse("numbers", args=[audit.number, name]),
    )


def has_cases(audit: Audit) -> bool:
    """Whether somebody was asked: of a file of decisions every row is counted, and none is a case of its own."""
    return not is_decision_file(audit.model.source)


def cases_link(audit: Audit, query: str) -> str:
    """The address of the cases a query names; empty where the audit has none."""
    if not has_cases(audit):
        return ""
    words = filter_of(query).query
    return reverse("cases", args=[audit.number]) + (f"?{words}" if words else "")
