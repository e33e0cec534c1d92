"""The tables of the plans' pages: drafts, registered designs, what differs, the fields of the prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from compliance.models import DesignState, PlanDraft, PlanVersion
from compliance.plans.editor import Difference
from compliance.plans.preview import FieldRow, Preview
from compliance.tables.described import Column, Table
from compliance.templatetags.plumbline import case_role, day, utc


def drafts_table(rows: Iterable[PlanDraft]) -> Table:
    """Drafts that are being written."""
    return Table(
        name="drafts",
        title="Drafts",
        rows=rows,
        columns=(
            Column("draft", "Draft", lambda row: row.name, _titled_link, "long"),
            Column("team", "Team", lambda row: row.team.name),
            Column("origin", "Copied from", lambda row: row.origin, None, "long"),
            Column(
                "changed_by",
                "Last saved",
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
        title="Registered designs",
        rows=rows,
        every=every,
        columns=(
            Column("title", "Design", lambda row: row.title, _design_cell, "long"),
            Column("name", "", lambda row: row.name),
            Column("version", "Version", lambda row: row.number, None, "num"),
            Column("team", "Team", lambda row: row.team.name),
            Column("state", "Stands", lambda row: row.design_state, _standing),
            Column("decided_by", "", lambda row: row.decided_by),
            Column("decided_at", "", lambda row: row.decided_at),
            Column("registered_at", "Registered", lambda row: row.registered_at, lambda row: day(row.registered_at)),
            Column("design_sha256", "", lambda row: row.design_sha256),
        ),
    )


def _design_cell(row: PlanVersion) -> SafeString:
    return format_html('<a href="{}">{}</a> <small>{}</small>', row.get_absolute_url(), row.title, row.name)


def _standing(row: Any) -> str:
    if row.design_state == DesignState.APPROVED:
        return format_html('<span class="strong">Approved</span> by {}, {}', row.decided_by, day(row.decided_at))
    if row.design_state == DesignState.RETIRED:
        return f"Retired by {row.decided_by}, {day(row.decided_at)}"
    if row.design_state == DesignState.RETURNED:
        return f"Returned with comments by {row.decided_by}, {day(row.decided_at)}"
    return "Proposed; nobody has approved it"


def differences_table(found: Sequence[Difference], *, origin: str, address: str, name: str = "differences") -> Table:
    """The keys that are not as in the plan something was copied from."""
    return Table(
        name=name,
        title=f"What differs from {origin}",
        rows=found,
        address=address,
        columns=(
            Column("key", "Key", lambda row: row.key, lambda row: format_html("<code>{}</code>", row.key)),
            Column("before", origin, lambda row: row.before, None, "long"),
            Column("here", "Here", lambda row: row.after, None, "long"),
        ),
    )


def fields_table(shown: Preview, *, address: str) -> Table:
    """The fields of the prompts that are shown, as each prompt says them; masked where the prompts are."""
    what = "Prompt" if shown.asks else "Row"
    prompts = tuple(
        Column(f"{what.lower()} {place + 1}", f"{what} {place + 1}", _words_at(place), None, "long")
        for place in range(len(shown.fields[0].words) if shown.fields else 0)
    )
    return Table(
        name="fields",
        title="Fields",
        rows=shown.fields,
        address=address,
        columns=(
            Column("field", "Field", lambda row: row.label),
            Column("name", "Name", lambda row: row.name, lambda row: format_html("<code>{}</code>", row.name)),
            Column(
                "role",
                "Role",
                lambda row: row.role,
                lambda row: f"{case_role(row.role)}{' (set by the plan)' if row.set_by_plan else ''}",
            ),
            Column("set_by_plan", "", lambda row: row.set_by_plan),
            *prompts,
        ),
    )


def _words_at(place: int) -> Callable[[FieldRow], str]:
    return lambda row: row.words[place]
