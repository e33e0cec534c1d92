"""What the pages of policy packs say: clauses, what is required of which number, sources, reviews, differences."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, gettext_noop, pgettext

from auditor.policies.packs import catalogue
from compliance.line_differences import line_differences
from compliance.models import PlanVersion, PolicyPackReview, PolicyPackVersion
from compliance.tables.described import Column, Table
from reports import numbers

REVIEW_AFTER = timedelta(days=365)  # for a pack that nobody here has reviewed: from the day its sources were read
#: What the catalogue of packs calls the states of laws and standards.
_STATES = (
    gettext_noop("In force"),
    gettext_noop("Published framework or standard (not law)"),
    gettext_noop("Partly effective; some duties start later"),
    gettext_noop("Enacted, not yet effective"),
    gettext_noop("Enacted, duties not yet applicable"),
    gettext_noop("FEAT principles in force; guidelines only proposed"),
)
BASES = {
    "statutory": gettext_noop("in a statute"),
    "regulatory": gettext_noop("in a regulation"),
    "agency_rule_of_thumb_other_domain": gettext_noop("a rule of thumb of another domain"),
    "draft_regulatory_test": gettext_noop("from a draft that was not adopted"),
    "none_in_law": gettext_noop("law sets none"),
    "institution_set": gettext_noop("to be set by the institution"),
    "platform_default": gettext_noop("this platform's default; no law sets it"),
}
VERIFIED = {
    "secondary_source": gettext_noop("a public page was read"),
    "unverified": gettext_noop("nobody here has checked it"),
}
SIGNS = {
    "abs<=": gettext_noop("at most, in either direction,"),
    "<=": gettext_noop("at most"),
    ">=": gettext_noop("at least"),
    "==": gettext_noop("exactly"),
}


class ReviewForm(forms.Form):
    """That somebody read a pack against its sources."""

    due = forms.DateField(label=gettext_lazy("Review again by"), widget=forms.DateInput(attrs={"type": "date"}))
    note = forms.CharField(
        label=gettext_lazy("What was read, and what was found"), widget=forms.Textarea(attrs={"rows": 4})
    )


def review_due(pack: PolicyPackVersion, last: PolicyPackReview | None) -> date:
    """The day of the last review's end, else a year after its sources were read."""
    return last.due if last is not None else pack.as_of + REVIEW_AFTER


def state_words(status: str) -> str:
    """Where a law or standard stands, in words."""
    known: Mapping[str, Any] = catalogue()["status_state_values"]
    return _(str(known[status]["label"])) if status in known else status.replace("_", " ")


def retention_words(said: Mapping[str, Any]) -> str:
    """How long records are kept at least, and where that stands; empty where a pack says nothing of it."""
    if not said.get("min_months"):
        return ""
    return ", ".join(
        part for part in (_("{n} months at least").format(n=said["min_months"]), said.get("clause", "")) if part
    )


def pretty(content: Any) -> str:
    """Plain data as lines that can be compared."""
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False)


def difference_lines(first: PolicyPackVersion, second: PolicyPackVersion) -> list[str]:
    """What changed from one version to another, line by line."""
    return line_differences(pretty(first.content), pretty(second.content), names=(str(first), str(second)))


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """What a pack says of one number."""

    metric: str
    label: str
    role: str
    theory: str
    threshold: str
    basis: str
    note: str


def requirements(pack: PolicyPackVersion) -> list[Requirement]:
    """What a pack says of every number that it names, in its order."""
    labels = catalogue()["metric_catalog"]
    found = []
    for rule in pack.content["metrics"]:
        threshold = rule.get("threshold") or {}
        found.append(
            Requirement(
                metric=rule["metric"],
                label=str(labels.get(rule["metric"], {}).get("label", rule["metric"])),
                role=rule.get("role", "").replace("_", " "),
                theory=rule.get("theory", "").replace("_", " "),
                threshold=_threshold(threshold),
                basis=_(BASES.get(threshold.get("basis", ""), threshold.get("basis", ""))),
                note=threshold.get("note", ""),
            )
        )
    return found


def _threshold(said: Mapping[str, Any]) -> str:
    if not said:
        return ""
    value = said.get("value")
    sign = said.get("op", "")
    return _("to be set") if value is None else f"{_(SIGNS.get(sign, sign))} {value:g}"


def clauses_table(pack: PolicyPackVersion) -> Table:
    """The clauses of a pack, each with what would show that it is met, and how well its text was checked."""
    return Table(
        name="clauses",
        title=_("Clauses"),
        about=pack.pack_id,
        rows=pack.content["clauses"],
        columns=(
            Column("clause", _("Clause"), lambda row: row["ref"]),
            _english("requirement", _("What it asks for"), lambda row: row["requirement"], "long"),
            _english("evidence", _("Evidence"), lambda row: row.get("evidence", ""), "long"),
            Column("evidence_refs", "", lambda row: ", ".join(row.get("evidence_refs", ()))),
            Column("checked", _("Text"), lambda row: row.get("verification", ""), _checked),
        ),
    )


def _english(name: str, head: str, value: Callable[[Any], str], kind: str = "") -> Column:
    """A column of what a pack says itself: its words are English in every language."""

    def cell(row: Any) -> str:
        said = value(row)
        return format_html('<span lang="en">{}</span>', said) if said else numbers.DASH

    return Column(name, head, value, cell, kind)


def _checked(row: Mapping[str, Any]) -> str:
    said = row.get("verification", "")
    return _(VERIFIED.get(said, said)) or numbers.DASH


def requirements_table(pack: PolicyPackVersion) -> Table:
    """What a pack says of numbers: their role, and from where on a difference matters."""
    return Table(
        name="thresholds",
        title=_("Thresholds"),
        about=pack.pack_id,
        rows=requirements(pack),
        columns=(
            _english("number", pgettext("metric", "Number"), lambda row: row.label),
            Column("metric", "", lambda row: row.metric),
            _english("role", _("Role"), lambda row: row.role),
            _english("theory", _("Theory"), lambda row: row.theory),
            Column("threshold", _("Threshold"), lambda row: row.threshold),
            Column("basis", _("It stands on"), lambda row: row.basis, None, "long"),
            _english("note", _("Note"), lambda row: row.note, "long"),
        ),
    )


def attributes_table(pack: PolicyPackVersion) -> Table:
    """What a pack protects, and where it says so."""
    return Table(
        name="attributes",
        title=_("Protected attributes"),
        about=pack.pack_id,
        rows=pack.content["protected_attributes"],
        columns=(
            _english("attribute", _("Attribute"), lambda row: row.get("label", row["id"])),
            Column("id", "", lambda row: row["id"]),
            Column("clause", _("Clause"), lambda row: row.get("clause", ""), None, "long"),
            Column(
                "contrasts",
                _("Compared"),
                lambda row: "; ".join(
                    _("{group} against {reference}").format(group=pair[1], reference=pair[0])
                    for pair in row.get("counterfactual_contrasts", ())
                ),
                None,
                "long",
            ),
            Column("checked", _("Text"), lambda row: row.get("verification", ""), _checked),
        ),
    )


def reviews_table(reviews: Iterable[PolicyPackReview], pack: PolicyPackVersion) -> Table:
    """Who read it against its sources, until when that holds."""
    return Table(
        name="reviews",
        title=_("Reviews"),
        about=pack.pack_id,
        rows=reviews,
        columns=(
            Column("reviewed_at", _("When (UTC)"), lambda row: row.reviewed_at),
            Column("reviewer", _("Who"), lambda row: row.reviewer),
            Column("due", _("Holds until"), lambda row: row.due.isoformat()),
            Column("note", _("What was read"), lambda row: row.note, None, "long"),
        ),
    )


def plans_reading(user: Any, pack_id: str) -> list[int]:
    """The keys of the designs that are read under a pack, of those that somebody may see, newest first."""
    # The text is looked at first: only designs that may name it are taken apart.
    rows = PlanVersion.objects.for_user(user).filter(design_json__contains=f'"{pack_id}"')
    return [
        pk
        for pk, text in rows.values_list("pk", "design_json")
        if pack_id in json.loads(text).get("use", {}).get("policy_packs", ())
    ]
