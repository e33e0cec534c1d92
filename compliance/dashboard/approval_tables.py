"""The tables of the page of an approval: the audits it can rest on, and what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.html import format_html_join
from django.utils.translation import gettext as _

from compliance.dashboard.list_tables import audit_link
from compliance.models import VersionDecision
from compliance.tables.described import Column, Table
from compliance.templatetags.plumbline import code, day, utc


def borne_table(rows: Sequence[Any]) -> Table:
    """Finished, governed audits of a version."""
    return Table(
        name="audits",
        title=_("Finished, governed audits of this version"),
        rows=rows,
        columns=(
            Column("audit", _("Audit"), lambda row: row.audit.number, lambda row: audit_link(row.audit)),
            Column("plan", _("Design"), lambda row: row.audit.plan.title, None, "long"),
            Column("conclusion", _("Conclusion"), lambda row: row.conclusion.value, lambda row: code(row.conclusion)),
            Column(
                "tells",
                _("Large enough to tell"),
                lambda row: row.tells,
                lambda row: _("yes") if row.tells else _("no"),
            ),
            Column(
                "finished_at",
                _("Finished"),
                lambda row: row.audit.finished_at,
                lambda row: day(row.audit.finished_at),
                "num",
            ),
        ),
    )


def decisions_table(rows: Sequence[VersionDecision]) -> Table:
    """What people proposed and decided about a version, newest first."""
    return Table(
        name="decisions",
        title=_("What was proposed and decided"),
        rows=rows,
        columns=(
            Column("decision", _("Decision"), lambda row: row.get_state_display()),
            Column("by", _("By"), lambda row: row.decided_by),
            Column("at", _("When"), lambda row: row.decided_at, lambda row: utc(row.decided_at)),
            Column("reason", _("Said"), lambda row: row.reason, None, "long"),
            Column("rests_on", _("Rests on"), lambda row: ", ".join(row.rests_on), _numbers),
            Column("described_sha256", "", lambda row: row.described_sha256),
        ),
    )


def _numbers(row: VersionDecision) -> str:
    return format_html_join(", ", '<a href="/audits/{}/">{}</a>', ((number, number) for number in row.rests_on))
