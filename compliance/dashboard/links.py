"""Where the numbers of an audit lead: to the cases behind them, and to the tables that are opened."""

from __future__ import annotations

import math
from dataclasses import replace

from django.urls import reverse
from django.utils.translation import gettext_noop

from auditor.behaviour.metrics import CF_CURVE_EFFECT, CF_NET_EFFECT_MATCHED, CF_RANGE_EFFECT
from auditor.decision_sources import is_decision_file
from auditor.records import Measurement
from compliance.dashboard.cases import CaseFilter, filter_of
from compliance.models import Audit
from reports.html import Links

#: Metrics that are taken at a cut-off other than the model's own, which their counts name.
AT_A_CUT_OFF = {
    CF_NET_EFFECT_MATCHED: gettext_noop("Matched"),
    CF_RANGE_EFFECT: gettext_noop("Largest in the range"),
    CF_CURVE_EFFECT: gettext_noop("In the range"),
}


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
    return _address(audit, filter_of(query))


def cases_behind(audit: Audit, item: Measurement, query: str | None = None) -> str:
    """The address of the cases behind a number: of one at another cut-off, the pairs that flip there.

    ``query`` names other cases than the number's own, such as those of the finding that it leads.
    """
    asked = filter_of(item.cases if query is None else query)
    cut_off = cut_off_of(item)
    return _address(
        audit, asked if cut_off is None else replace(asked, cut_off=cut_off, flipped=asked.flipped or "any")
    )


def cut_off_of(item: Measurement) -> float | None:
    """The cut-off, in logits, at which a number was taken, if that is not the model's own."""
    threshold = item.counts.get("threshold") if item.metric in AT_A_CUT_OFF else None
    return float(threshold) if threshold is not None and math.isfinite(threshold) else None


def _address(audit: Audit, asked: CaseFilter) -> str:
    if not has_cases(audit):
        return ""
    words = asked.query
    return reverse("cases", args=[audit.number]) + (f"?{words}" if words else "")
