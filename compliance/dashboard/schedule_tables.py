"""The tables of the pages of schedules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from django.utils.html import format_html
from django.utils.translation import gettext as _

from compliance.dashboard.list_tables import audit_link
from compliance.models import AuditSchedule, Event, ScheduleState
from compliance.tables.described import Column, Table
from compliance.templatetags.plumbline import plain_day, utc
from reports import numbers


def schedules_table(rows: Iterable[AuditSchedule], every: Callable[[], Iterable[Any]]) -> Table:
    """Schedules, the next first."""
    return Table(
        name="schedules",
        title=_("Schedules"),
        rows=rows,
        every=every,
        columns=(
            Column("schedule", _("Schedule"), lambda row: row.pk, _link),
            Column("design", _("Design"), lambda row: row.plan.title, None, "long"),
            Column("model", _("Model"), lambda row: row.language_model.name),
            Column("team", "", lambda row: row.team.name),
            Column("rhythm", _("How often"), lambda row: row.rhythm),
            Column("every_months", "", lambda row: row.every_months),
            Column("state", _("State"), lambda row: row.get_state_display(), _state),
            Column("problem", "", lambda row: row.problem),
            Column("next_on", _("Next day"), _next, lambda row: plain_day(_day(row)) or numbers.DASH, "num"),
            Column("last_audit", _("Last audit"), _last, _last_cell),
            Column("made_by", _("By"), lambda row: row.made_by),
        ),
    )


def _link(row: AuditSchedule) -> str:
    return format_html('<a href="{}">{}</a>', row.get_absolute_url(), _("Schedule {number}").format(number=row.pk))


def _state(row: AuditSchedule) -> str:
    said = format_html('<span class="state">{}</span>', row.get_state_display())
    return format_html("{} <small>{}</small>", said, row.problem) if row.problem else said


def _day(row: AuditSchedule) -> Any:
    return None if row.state == ScheduleState.ENDED else row.next_on


def _next(row: AuditSchedule) -> str | None:
    day = _day(row)
    return day.isoformat() if day else None


def _last(row: AuditSchedule) -> str | None:
    return row.last_audit.number if row.last_audit is not None else None


def _last_cell(row: AuditSchedule) -> str:
    return audit_link(row.last_audit) if row.last_audit is not None else numbers.DASH


def _at(event: Event) -> datetime:
    return datetime.fromisoformat(event.ts)


def happened_table(lines: Sequence[tuple[Event, str]]) -> Table:
    """What happened to a schedule, newest first."""
    return Table(
        name="history",
        title=_("History"),
        rows=lines,
        columns=(
            Column("seq", _("Event"), lambda line: line[0].seq, None, "num"),
            Column("at", _("When"), lambda line: _at(line[0]), lambda line: utc(_at(line[0]))),
            Column("by", _("By"), lambda line: line[0].actor),
            Column("what", _("What"), lambda line: line[1], None, "long"),
        ),
    )
