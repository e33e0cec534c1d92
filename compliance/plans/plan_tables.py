"""The tables of the plans' pages: drafts, registered designs, what differs, the fields of the prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from compliance.models import DesignState, PlanDraft, PlanVersion
from compliance.plans.editor import Difference
from compliance.plans.preview import FieldRow, Preview
from compliance.tables.described import Column, Table
from compliance.templatetags.plumbline import case_role, day, utc


def drafts_table(rows: Iterable[PlanDraft]) -> Table:
    """Drafts that are being written."""
    return Table(
        name="drafts",
        title=_("Drafts"),
        rows=rows,
        columns=(
            Column("draft", _("Draft"), lambda row: row.name, _titled_link, "long"),
            Column("team", _("Team"), lambda row: row.team.name),
            Column("origin", _("Copied from"), lambda row: row.origin, None, "long"),
            Column(
                "changed_by",
                _("Last saved"),
                lambda row: row.changed_by,
                lambda row: f"{row.changed_by}, {utc(row.changed_at)}",
            ),
            Column("changed_at", "", lambda row: row.changed_at),
        ),
    )


def _titled_link(row: PlanDraft) -> SafeString:
    return format_html('<a href="{}">{}</a>', row.get_absolute_url(), row.name)


def designs_table(rows: Iterable[Any], every: Callable[[], Iterable[Any]]) -> Table:
    """Designs in the register, each with the decision that stands."""
    return Table(
        name="designs",
        title=_("Registered designs"),
        rows=rows,
        every=every,
        columns=(
            Column("title", _("Design"), lambda row: row.title, _design_cell, "long"),
            Column("name", "", lambda row: row.name),
            Column("version", _("Version"), lambda row: row.number, None, "num"),
            Column("team", _("Team"), lambda row: row.team.name),
            Column("state", _("Stands"), lambda row: row.design_state, _standing),
            Column("decided_by", "", lambda row: row.decided_by),
            Column("decided_at", "", lambda row: row.decided_at),
            Column("registered_at", _("Registered"), lambda row: row.registered_at, lambda row: day(row.registered_at)),
            Column("design_sha256", "", lambda row: row.design_sha256),
        ),
    )


def _design_cell(row: PlanVersion) -> SafeString:
    return format_html('<a href="{}">{}</a> <small>{}</small>', row.get_absolute_url(), row.title, row.name)


def _standing(row: Any) -> str:
    if row.design_state == DesignState.APPROVED:
        return format_html(
            _('<span class="strong">Approved</span> by {who}, {when}'), who=row.decided_by, when=day(row.decided_at)
        )
    if row.design_state == DesignState.RETIRED:
        return _("Retired by {who}, {when}").format(who=row.decided_by, when=day(row.decided_at))
    if row.design_state == DesignState.RETURNED:
        return _("Returned with comments by {who}, {when}").format(who=row.decided_by, when=day(row.decided_at))
    return _("Proposed; nobody has approved it")


def differences_table(found: Sequence[Difference], *, origin: str, address: str, name: str = "differences") -> Table:
    """The keys that are not as in the plan something was copied from."""
    return Table(
        name=name,
        title=_("What differs from {what}").format(what=origin),
        rows=found,
        address=address,
        columns=(
            Column("key", _("Key"), lambda row: row.key, lambda row: format_html("<code>{}</code>", row.key)),
            Column("before", origin, lambda row: row.before, None, "long"),
            Column("here", _("Here"), lambda row: row.after, None, "long"),
        ),
    )


def fields_table(shown: Preview, *, address: str) -> Table:
    """The fields of the prompts that are shown, as each prompt says them; masked where the prompts are."""
    what, words = ("prompt", _("Prompt {number}")) if shown.asks else ("row", _("Row {number}"))
    prompts = tuple(
        Column(f"{what} {place + 1}", words.format(number=place + 1), _words_at(place), None, "long")
        for place in range(len(shown.fields[0].words) if shown.fields else 0)
    )
    return Table(
        name="fields",
        title=_("Fields"),
        rows=shown.fields,
        address=address,
        columns=(
            Column("field", _("Field"), lambda row: row.label),
            Column("name", _("Name"), lambda row: row.name, lambda row: format_html("<code>{}</code>", row.name)),
            Column(
                "role",
                _("Role"),
                lambda row: row.role,
                _role,
            ),
            Column("set_by_plan", "", lambda row: row.set_by_plan),
            *prompts,
        ),
    )


def _role(row: FieldRow) -> str:
    said = case_role(row.role)
    return _("{role} (set by the plan)").format(role=said) if row.set_by_plan else said


def _words_at(place: int) -> Callable[[FieldRow], str]:
    return lambda row: row.words[place]
