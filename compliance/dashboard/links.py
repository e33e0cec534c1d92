"""Where the numbers of an audit lead: to the cases behind them, and to the tables that are opened."""

from __future__ import annotations

from django.urls import reverse

from compliance.dashboard.cases import filter_of
from compliance.models import Audit
from reports.html import Links


def links(audit: Audit) -> Links:
    """The addresses of one audit, as its sections need them."""
    return Links(
        cases=lambda query: cases_link(audit, query),
        numbers=lambda name: reverse("numbers", args=[audit.number, name]),
    )


def cases_link(audit: Audit, query: str) -> str:
    """The address of the cases a query names."""
    words = filter_of(query).query
    return reverse("cases", args=[audit.number]) + (f"?{words}" if words else "")
