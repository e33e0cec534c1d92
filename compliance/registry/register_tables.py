"""The tables of the register's pages: registrations, systems, fields of a data set, first rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils.html import format_html

from auditor.run_record import MappedField
from compliance.models import Registration, SystemListing
from compliance.registry.columns import PROXY_WORDS
from compliance.tables.described import Column, Table
from reports import numbers

Every = Callable[[], Iterable[Any]]
FORM_ONLY = (
    "Of every other column but the outcome only the form is shown (x a letter, 9 a digit) until somebody checks what "
    "the columns mean."
)


def registrations_table(rows: Iterable[Registration], every: Every) -> Table:
    """Everything on its way into the register."""
    return Table(
        name="registrations",
        title="Registrations",
        rows=rows,
        every=every,
        columns=(
            Column("name", "Name", lambda row: row.name, _registration_link),
            Column("kind", "Kind", lambda row: row.get_kind_display()),
            Column("team", "Team", lambda row: row.team.name),
            Column("state", "State", lambda row: row.get_state_display()),
            Column("source", "From", lambda row: row.source, None, "long"),
            Column("requested_by", "Asked for by", lambda row: row.requested_by),
            Column("created_at", "When", lambda row: row.created_at),
            Column("error", "", lambda row: row.error),
        ),
    )


def _registration_link(row: Registration) -> str:
    return format_html('<a href="{}">{}</a>', reverse("registration", args=[row.public_id]), row.name)


def systems_table(rows: Iterable[SystemListing], every: Every) -> Table:
    """Systems, each with its current version."""
    return Table(
        name="systems",
        title="Systems",
        rows=rows,
        every=every,
        columns=(
            Column("system", "System", lambda row: row.source, _system_link),
            Column("version", "Version", lambda row: row.version, None, "num"),
            Column("team", "Team", lambda row: row.team.name),
            Column("state", "Stands", lambda row: row.get_state_display(), _stands),
            Column("another_proposed", "", lambda row: row.waits),
            Column(
                "proposed_by",
                "Proposed by",
                lambda row: row.proposed_by,
                lambda row: f"{row.proposed_by}, {_day(row.proposed_at)}",
            ),
            Column("proposed_at", "", lambda row: row.proposed_at),
            Column("approved_by", "Approved by", lambda row: row.approved_by, _approved),
            Column("approved_at", "", lambda row: row.approved_at),
            Column("withdrawn_by", "", lambda row: row.withdrawn_by),
            Column("withdrawn_at", "", lambda row: row.withdrawn_at),
            Column("text_sha256", "", lambda row: row.text_sha256),
        ),
    )


def _system_link(row: SystemListing) -> str:
    return format_html('<a href="{}">{}</a>', row.get_absolute_url(), row.source)


def _stands(row: Any) -> str:
    said: str = row.get_state_display()
    return f"{said}; another version is proposed" if row.waits else said


def _approved(row: SystemListing) -> str:
    return f"{row.approved_by}, {_day(row.approved_at)}" if row.approved_at else numbers.DASH


def fields_table(fields: Iterable[Any], *, address: str) -> Table:
    """The fields of a registered data set."""
    return Table(
        name="schema",
        title="Fields",
        rows=fields,
        address=address,
        columns=(
            Column("field", "Field", lambda item: item.label),
            Column("name", "", lambda item: item.name),
            Column("role", "Role", lambda item: item.role),
            Column("type", "Type", lambda item: item.type),
            Column("unit", "Unit", lambda item: item.unit),
        ),
    )


ROLES = {
    "predictor": "Given to the model",
    "protected": "Protected",
    **PROXY_WORDS,
    "recorded": "Recorded, not given to the model",
    "outcome": "Outcome",
    "id": "Identifier",
}


def mapped_table(fields: Iterable[MappedField]) -> Table:
    """The fields of a registered data set, each with what its mapping says of it, in words."""
    return Table(
        name="mapping",
        title="Fields",
        kind="folds",
        rows=tuple(fields),
        columns=(
            Column("field", "Field", lambda item: item.label or item.name),
            Column("name", "Name", lambda item: item.name, lambda item: format_html("<code>{}</code>", item.name)),
            Column("role", "Role", lambda item: item.role, lambda item: ROLES.get(item.role, item.role)),
            Column("type", "Type", lambda item: item.type),
            Column("unit", "Unit", lambda item: item.unit),
            Column("read", "How it is read", mapping_words, None, "long"),
        ),
    )


def mapping_words(item: MappedField) -> str:
    """What a mapping says of one field, in a sentence or two."""
    said = [_columns_words(item)]
    if item.scale != 1.0:
        said.append(f"times {item.scale:g}")
    if item.words:
        said.append(", ".join(f"{code} means {word}" for code, word in item.words.items()))
    for name, values in (("favourable", item.favourable), ("adverse", item.adverse)):
        if values:
            said.append(f"{name}: {', '.join((values,) if isinstance(values, str) else values)}")
    if item.missing:
        said.append(
            f"missing: {', '.join(f'{value:g}' if isinstance(value, float) else value for value in item.missing)}"
        )
    if item.missing_from is not None:
        said.append(f"missing from {item.missing_from:g} on")
    if item.role == "id" and item.repeats == "separate":
        said.append("rows whose id repeats are records of their own")
    return "; ".join(said)


def _columns_words(item: MappedField) -> str:
    if item.column is not None:
        return f"column {item.column}"
    if item.ratio is not None:
        return f"column {item.ratio[0]} divided by {item.ratio[1]}"
    return f"one of the columns {', '.join(item.one_of)}" if item.one_of else "from no column"


def preview_table(lines: Sequence[Sequence[str]], *, proposed: bool, address: str) -> Table:
    """The first rows of a table, as they were kept: what says who somebody is, is masked in them."""
    head, *rows = lines
    masked = "First rows; ids, protected fields, their proxies and free text are masked."
    return Table(
        name="first-rows",
        title="First rows",
        caption=f"{masked} {FORM_ONLY}" if proposed else masked,
        rows=rows,
        address=address,
        columns=tuple(
            Column(name or f"column {place}", name or f"Column {place}", lambda row, place=place: row[place - 1])  # type: ignore[misc]
            for place, name in enumerate(head, start=1)
        ),
    )


def _day(moment: datetime) -> str:
    return numbers.date(moment.isoformat()).partition(",")[0]
