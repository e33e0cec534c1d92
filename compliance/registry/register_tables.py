"""The tables of the register's pages: registrations, systems, fields of a data set, first rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, pgettext

from auditor.run_record import MappedField
from compliance.dates import day_said
from compliance.models import Registration, SystemListing
from compliance.registry.proxy_words import PROXY_WORDS
from compliance.tables.described import Column, Table
from reports import numbers

Every = Callable[[], Iterable[Any]]
FORM_ONLY = gettext_noop(
    "Of every other column but the outcome only the form is shown (x a letter, 9 a digit) until somebody checks what "
    "the columns mean."
)


def registrations_table(rows: Iterable[Registration], every: Every) -> Table:
    """Everything on its way into the register."""
    return Table(
        name="registrations",
        title=_("Registrations"),
        rows=rows,
        every=every,
        columns=(
            Column("name", _("Name"), lambda row: row.name, _registration_link),
            Column("kind", _("Kind"), lambda row: row.get_kind_display()),
            Column("team", _("Team"), lambda row: row.team.name),
            Column("state", _("State"), lambda row: row.get_state_display()),
            Column("source", pgettext("source", "From"), lambda row: row.source, None, "long"),
            Column("requested_by", _("Asked for by"), lambda row: row.requested_by),
            Column("created_at", _("When"), lambda row: row.created_at),
            Column("error", "", lambda row: row.error),
        ),
    )


def _registration_link(row: Registration) -> str:
    return format_html('<a href="{}">{}</a>', reverse("registration", args=[row.public_id]), row.name)


def systems_table(rows: Iterable[SystemListing], every: Every) -> Table:
    """Systems, each with its current version."""
    return Table(
        name="systems",
        title=_("Systems"),
        rows=rows,
        every=every,
        columns=(
            Column("system", _("System"), lambda row: row.source, _system_link),
            Column("version", _("Version"), lambda row: row.version, None, "num"),
            Column("team", _("Team"), lambda row: row.team.name),
            Column("state", _("Stands"), lambda row: row.get_state_display(), _stands),
            Column("another_proposed", "", lambda row: row.waits),
            Column(
                "proposed_by",
                _("Proposed by"),
                lambda row: row.proposed_by,
                lambda row: f"{row.proposed_by}, {day_said(row.proposed_at)}",
            ),
            Column("proposed_at", "", lambda row: row.proposed_at),
            Column("approved_by", _("Approved by"), lambda row: row.approved_by, _approved),
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
    return _("{state}; another version is proposed").format(state=said) if row.waits else said


def _approved(row: SystemListing) -> str:
    return f"{row.approved_by}, {day_said(row.approved_at)}" if row.approved_at else numbers.DASH


def fields_table(fields: Iterable[Any], *, address: str) -> Table:
    """The fields of a registered data set."""
    return Table(
        name="schema",
        title=_("Fields"),
        rows=fields,
        address=address,
        columns=(
            Column("field", _("Field"), lambda item: item.label),
            Column("name", "", lambda item: item.name),
            Column("role", _("Role"), lambda item: item.role),
            Column("type", _("Type"), lambda item: item.type),
            Column("unit", _("Unit"), lambda item: item.unit),
        ),
    )


ROLES = {
    "predictor": gettext_noop("Given to the model"),
    "protected": gettext_noop("Protected"),
    **PROXY_WORDS,
    "recorded": gettext_noop("Recorded, not given to the model"),
    "outcome": gettext_noop("Outcome"),
    "id": gettext_noop("Identifier"),
}


#: Types as mappings name them.
_TYPES = (gettext_noop("number"), gettext_noop("category"), gettext_noop("flag"), gettext_noop("text"))
#: The roles within a list of how many fields have which: each of them in small letters.
_COUNTED = (
    gettext_noop("given to the model"),
    gettext_noop("protected"),
    gettext_noop("protected, and stands for another protected one"),
    gettext_noop("stands for a protected one"),
    gettext_noop("recorded, not given to the model"),
    gettext_noop("outcome"),
    gettext_noop("identifier"),
)


def role_words(role: str, *, counted: bool = False) -> str:
    """A role in words; ``counted`` as it stands behind a number."""
    said = ROLES.get(role, role)
    return _(said.lower() if counted else said)


def mapped_table(fields: Iterable[MappedField]) -> Table:
    """The fields of a registered data set, each with what its mapping says of it, in words."""
    return Table(
        name="mapping",
        title=_("Fields"),
        kind="folds",
        rows=tuple(fields),
        columns=(
            Column("field", _("Field"), lambda item: item.label or item.name),
            Column("name", _("Name"), lambda item: item.name, lambda item: format_html("<code>{}</code>", item.name)),
            Column("role", _("Role"), lambda item: item.role, lambda item: role_words(item.role)),
            Column("type", _("Type"), lambda item: item.type, lambda item: _(item.type)),
            Column("unit", _("Unit"), lambda item: item.unit),
            Column("read", _("How it is read"), mapping_words, None, "long"),
        ),
    )


def mapping_words(item: MappedField) -> str:
    """What a mapping says of one field, in a sentence or two."""
    said = [_columns_words(item)]
    if item.scale != 1.0:
        said.append(_("times {number}").format(number=f"{item.scale:g}"))
    if item.words:
        said.append(
            ", ".join(_("{code} means {word}").format(code=code, word=word) for code, word in item.words.items())
        )
    for name, values in ((_("favourable"), item.favourable), (_("adverse"), item.adverse)):
        if values:
            said.append(f"{name}: {', '.join((values,) if isinstance(values, str) else values)}")
    if item.missing:
        values = ", ".join(f"{value:g}" if isinstance(value, float) else value for value in item.missing)
        said.append(_("missing: {values}").format(values=values))
    if item.missing_from is not None:
        said.append(_("missing from {number} on").format(number=f"{item.missing_from:g}"))
    if item.role == "id" and item.repeats == "separate":
        said.append(_("rows whose id repeats are records of their own"))
    return "; ".join(said)


def _columns_words(item: MappedField) -> str:
    if item.column is not None:
        return _("column {name}").format(name=item.column)
    if item.ratio is not None:
        return _("column {first} divided by {second}").format(first=item.ratio[0], second=item.ratio[1])
    if item.one_of:
        return _("one of the columns {names}").format(names=", ".join(item.one_of))
    return _("from no column")


def preview_table(lines: Sequence[Sequence[str]], *, proposed: bool, address: str) -> Table:
    """The first rows of a table, as they were kept: what says who somebody is, is masked in them."""
    head, *rows = lines
    masked = _("First rows; ids, protected fields, their proxies and free text are masked.")
    return Table(
        name="first-rows",
        title=_("First rows"),
        caption=f"{masked} {_(FORM_ONLY)}" if proposed else masked,
        rows=rows,
        address=address,
        columns=tuple(
            Column(name or f"column {place}", name or _("Column {number}").format(number=place), _cell_at(place))
            for place, name in enumerate(head, start=1)
        ),
    )


def _cell_at(place: int) -> Callable[[Sequence[str]], str]:
    return lambda row: row[place - 1]
