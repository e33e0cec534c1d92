"""The tables of findings: the list, who saw one, what was written about it, and its history."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from compliance.dashboard.finding_page import SightingLine
from compliance.dashboard.links import cases_behind
from compliance.dashboard.list_tables import Every, audit_link
from compliance.models import FindingNote, FindingRecord
from compliance.tables.described import Column, Table
from compliance.templatetags.plumbline import code, interval_words, plain_day, sev, utc
from reports import numbers


def records_table(rows: Sequence[Any], every: Every, *, today: date, name: str = "findings") -> Table:
    """Findings over all audits; rows as `finding_list.shown` gives them."""
    return Table(
        name=name,
        kind="folds",
        title=_("Findings"),
        rows=rows,
        every=every,
        columns=(
            Column("finding", _("Finding"), lambda row: row.number, _record_cell, "long"),
            Column("title", "", lambda row: row.title),
            Column("severity", _("Severity"), lambda row: row.severity, lambda row: sev(row.severity)),
            Column("state", _("State"), lambda row: row.stands.label, state_mark),
            Column("model", "", lambda row: row.language_model.name),
            Column("plan", "", lambda row: row.plan.title),
            Column("team", "", lambda row: row.team.name),
            Column("owner", _("Owner"), lambda row: row.owner.get_username() if row.owner else None),
            Column("due", _("Due"), lambda row: _iso(row.due_on), lambda row: due_cell(row, today), "num"),
            Column("overdue", "", lambda row: row.overdue(today)),
            Column("first_seen", "", lambda row: row.first_seen),
            Column("last_seen", _("Last seen"), lambda row: row.last_seen, _last_cell, "num"),
            Column("audits", "", lambda row: row.seen),
            Column("accepted_until", "", lambda row: _iso(row.accepted_until)),
            Column("response", "", lambda row: row.response),
            Column("remediation", "", lambda row: row.remediation),
            Column("rationale", "", lambda row: row.rationale),
        ),
    )


def record_link(record: FindingRecord) -> SafeString:
    """Its number, leading to its page."""
    return format_html('<a href="{}">{}</a>', record.get_absolute_url(), record.number)


def state_mark(record: FindingRecord) -> SafeString:
    """Where it stands."""
    return format_html('<span class="state">{}</span>', record.stands.label)


def due_cell(record: FindingRecord, today: date) -> str:
    """Its day, marked where it is past."""
    if record.due_on is None or not record.stands.live:
        return numbers.DASH
    said = plain_day(record.due_on)
    if not record.overdue(today):
        return said
    return format_html('<span class="late">{}<span class="sr">, {}</span></span>', said, _("overdue"))


def sightings_table(lines: Sequence[SightingLine], record: FindingRecord) -> Table:
    """The audits that saw it, newest first."""
    return Table(
        name="sightings",
        kind="folds",
        title=_("Audits that saw it"),
        about=record.number,
        rows=lines,
        columns=(
            Column(
                "audit",
                _("Audit"),
                lambda line: line.sighting.audit.number,
                lambda line: format_html(
                    "{} <small>{}</small>", audit_link(line.sighting.audit), line.sighting.finding.key
                ),
                "nowrap",
            ),
            Column("finding", "", lambda line: line.sighting.finding.key),
            Column(
                "version",
                _("Version"),
                lambda line: line.version,
                lambda line: format_html("<code>{}</code>", line.version),
            ),
            Column(
                "finished_at",
                _("Finished"),
                lambda line: line.sighting.audit.finished_at,
                lambda line: utc(line.sighting.audit.finished_at),
                "num",
            ),
            Column(
                "severity",
                _("Severity"),
                lambda line: line.sighting.finding.severity,
                lambda line: sev(line.sighting.finding.severity),
            ),
            Column(
                "estimate",
                _("Estimate [interval]"),
                lambda line: line.measurement.estimate if line.measurement else None,
                _estimate_cell,
                "num",
            ),
            Column("low", "", lambda line: line.measurement.low if line.measurement else None),
            Column("high", "", lambda line: line.measurement.high if line.measurement else None),
            Column("unit", "", lambda line: line.measurement.unit if line.measurement else None),
            Column("measurement", "", lambda line: line.measurement.id if line.measurement else None),
            Column("n", "n", lambda line: line.measurement.n if line.measurement else None, None, "num"),
            Column("change", pgettext("of a finding", "Change"), lambda line: line.change, None, "long"),
            Column("reopened", "", lambda line: line.sighting.reopened),
            Column(
                "conclusion",
                _("Conclusion"),
                lambda line: line.sighting.finding.conclusion,
                lambda line: (
                    code(line.sighting.finding.conclusion) if line.sighting.finding.conclusion else numbers.DASH
                ),
            ),
        ),
    )


def notes_table(notes: Sequence[FindingNote], record: FindingRecord) -> Table:
    """What was written and attached, newest first."""
    return Table(
        name="notes",
        title=_("Comments and files"),
        about=record.number,
        rows=notes,
        columns=(
            Column("written_at", _("When (UTC)"), lambda note: note.written_at, lambda note: utc(note.written_at)),
            Column("written_by", _("Who"), lambda note: note.written_by),
            Column("purpose", _("As"), lambda note: note.get_purpose_display()),
            Column("text", _("What"), lambda note: note.text, None, "long"),
            Column("file", _("File"), lambda note: note.file_name, _file_cell),
            Column("size", "", lambda note: note.size or None),
            Column("sha256", "", lambda note: note.sha256),
        ),
    )


def audit_findings_table(sightings: Sequence[Any], *, today: date, about: str) -> Table:
    """What became of the findings of one audit."""
    return Table(
        name="records",
        title=_("What became of these findings"),
        about=about,
        rows=sightings,
        columns=(
            Column("finding", _("In this audit"), lambda row: row.finding.key),
            Column(
                "record",
                _("Over all audits"),
                lambda row: row.record.number,
                lambda row: format_html("{} {}", record_link(row.record), row.record.title),
                "long",
            ),
            Column("change", pgettext("of a finding", "Change"), lambda row: row.get_trend_display()),
            Column("state", _("State"), lambda row: row.record.stands.label, lambda row: state_mark(row.record)),
            Column("owner", _("Owner"), lambda row: row.record.owner.get_username() if row.record.owner else None),
            Column(
                "due", _("Due"), lambda row: _iso(row.record.due_on), lambda row: due_cell(row.record, today), "num"
            ),
        ),
    )


def _record_cell(row: Any) -> SafeString:
    return format_html("{} {} <small>{}</small>", record_link(row), row.title, row.language_model.name)


def _last_cell(row: Any) -> SafeString:
    times = ngettext("once", "in {count} audits", row.seen).format(count=row.seen)
    return format_html("{} <small>{}</small>", plain_day(row.last_seen.date()), times)


def _estimate_cell(line: SightingLine) -> str:
    if line.measurement is None:
        return numbers.DASH
    at = cases_behind(line.sighting.audit, line.measurement)
    words = interval_words(line.measurement)
    return format_html('<a href="{}">{}</a>', at, words) if at else words


def _file_cell(note: FindingNote) -> str:
    if not note.sha256:
        return numbers.DASH
    at = reverse("finding_file", args=[note.record.number, note.pk])
    return format_html('<a href="{}">{}</a> <small>{}</small>', at, note.file_name, numbers.size(note.size))


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None
