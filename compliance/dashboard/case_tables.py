"""The tables of cases: singly, in pairs, those of one application, and what every field did to a decision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django.template.loader import get_template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from compliance.dashboard.cases import CaseFilter, CasePage
from compliance.dashboard.prompts import Attributions, attribution_of
from compliance.models import Audit
from compliance.tables.described import Column, Plain, Table
from compliance.templatetags.plumbline import arm, arms, case_role, logits, outcome, share, words

Every = Callable[[], Iterable[Mapping[str, Any]]]
FLIPPED = {"against": gettext_noop("▼ against"), "towards": gettext_noop("▲ towards")}


def singles_table(audit: Audit, found: CasePage, every: Every) -> Table:
    """Cases, each with its answer."""
    return Table(
        name="cases",
        title=_("Cases"),
        kind="wraps folds",
        about=audit.number,
        rows=found.rows,
        every=every,
        columns=(
            Column("case", _("Case"), lambda row: row["id"], lambda row: _case_link(audit, row["id"])),
            Column("application", "", lambda row: row["cluster"]),
            Column("role", _("Role"), lambda row: row["role"], lambda row: case_role(row["role"])),
            Column("changed", _("Changed"), lambda row: row["changed"], lambda row: words(row["changed"])),
            *_answer_columns(),
        ),
    )


def pairs_table(audit: Audit, asked: CaseFilter, found: CasePage, every: Every, *, opened: str) -> Table:
    """The same application twice; ``opened`` is the changed case of the pair that stands beside the list."""
    first, second = (arm(one) for one in asked.arms)
    drawn = get_template("compliance/_margins.html")
    return Table(
        name="pairs",
        title=_("Cases"),
        kind="wraps folds",
        about=audit.number,
        rows=found.rows,
        every=every,
        current=lambda row: bool(row["id_changed"] == opened),
        columns=(
            Column(
                "application", _("Application"), lambda row: row["cluster"], lambda row: _pair_link(asked, found, row)
            ),
            Column("case_reference", "", lambda row: row["id_reference"]),
            Column("case_changed", "", lambda row: row["id_changed"]),
            Column("flip", _("Flip"), lambda row: row["flip"], _flip_cell, "nowrap"),
            Column("reference", "", lambda row: asked.arms[0]),
            Column("changed", "", lambda row: asked.arms[1]),
            Column(
                "score_reference",
                first,
                lambda row: row["margin_reference"],
                lambda row: logits(row["margin_reference"]),
                "num",
            ),
            Column(
                "score_changed",
                second,
                lambda row: row["margin_changed"],
                lambda row: logits(row["margin_changed"]),
                "num",
            ),
            Column("shift", _("Shift, logits"), lambda row: row["shift"], lambda row: logits(row["shift"]), "num"),
            Column("outcome_reference", "", lambda row: row["outcome_reference"]),
            Column(
                "outcome_changed",
                _("Scores"),
                lambda row: row["outcome_changed"],
                lambda row: mark_safe(drawn.render({"row": row})),  # noqa: S308, a template escapes what it is given
            ),
        ),
    )


def siblings_table(audit: Audit, siblings: Sequence[Mapping[str, Any]], *, case_id: str, beside: str | None) -> Table:
    """All cases of an application; the one of the page and the one beside it are marked."""

    def link(row: Mapping[str, Any]) -> str:
        if row["id"] == case_id:
            return str(row["id"])
        at = reverse("case", args=[audit.number, case_id], query={"beside": row["id"]})
        return format_html('<a href="{}">{}</a>', at, row["id"])

    return Table(
        name="application",
        title=_("All cases of this application"),
        about=f"{audit.number}-{case_id}",
        rows=siblings,
        current=lambda row: row["id"] in (case_id, beside),
        columns=(
            Column("case", _("Case"), lambda row: row["id"], link),
            Column("role", _("Role"), lambda row: row["role"], lambda row: case_role(row["role"])),
            *_answer_columns(),
        ),
    )


def fields_table(audit: Audit, given: Attributions, cases: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> Table:
    """What every field did to the decision of one or two cases, by one test."""
    values, errors = [], []
    for place, case_id in enumerate(cases):
        values.append(
            Column(
                case_id,
                case_id,
                lambda row, case_id=case_id: attribution_of(given, case_id, row["field"], "value"),  # type: ignore[misc]
                lambda row, place=place: row["cells"][place],  # type: ignore[misc]
                "num",
            )
        )
        errors.append(
            Column(
                f"standard error of {case_id}",
                "",
                lambda row, case_id=case_id: attribution_of(given, case_id, row["field"], "standard_error"),  # type: ignore[misc]
            )
        )
    return Table(
        name="fields",
        title=_("Fields"),
        about=f"{audit.number}-{given.test}",
        rows=rows,
        columns=(
            Column("field", _("Field"), lambda row: row["field"], lambda row: words(row["field"])),
            *values,
            *errors,
        ),
    )


def _answer_columns() -> tuple[Column, ...]:
    return (
        Column("arms", _("Stands in"), _arms, lambda row: arms(row["arms"]), "long"),
        Column("outcome", _("Outcome"), lambda row: row["outcome"], lambda row: outcome(row["outcome"])),
        Column("score", _("Score, logits"), lambda row: row["margin"], lambda row: logits(row["margin"]), "num"),
        Column("mass", _("On answers, probability"), lambda row: row["mass"], lambda row: share(row["mass"]), "num"),
    )


def _arms(row: Mapping[str, Any]) -> Plain:
    return ", ".join(row["arms"])


def _case_link(audit: Audit, case_id: str) -> SafeString:
    return format_html('<a href="{}">{}</a>', reverse("case", args=[audit.number, case_id]), case_id)


def _pair_link(asked: CaseFilter, found: CasePage, row: Mapping[str, Any]) -> SafeString:
    wanted = urlencode({"page": found.page, "pair": row["id_changed"]})
    return format_html('<a href="?{}{}#pair">{}</a>', f"{asked.query}&" if asked.query else "", wanted, row["cluster"])


def _flip_cell(row: Mapping[str, Any]) -> SafeString:
    said = FLIPPED.get(row["flip"])
    return format_html('<span class="{}">{}</span>', "strong" if said else "quiet", _(said) if said else _("none"))
