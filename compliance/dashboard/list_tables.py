"""The tables of the lists: audits, models, findings, tasks, and what is counted over two axes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from auditor.decision_sources import is_decision_file
from auditor.records import Measurement
from compliance.dashboard.audited_models import AuditedModel
from compliance.dashboard.home_page import Age
from compliance.dashboard.links import cases_behind
from compliance.dashboard.model_page import Trend, version_words
from compliance.models import Audit
from compliance.tables.described import Column, Table
from compliance.templatetags.plumbline import (
    code,
    conclusion_class,
    conclusion_short,
    day,
    detectable,
    interval_words,
    sev,
    utc,
    whole,
)
from compliance.words import translated
from reports import numbers, wording

Every = Callable[[], Iterable[Any]]


def audit_link(audit: Audit) -> SafeString:
    """Its number, leading to its page."""
    return format_html('<a href="{}">{}</a>', audit.get_absolute_url(), audit.number)


def progress(audit: Audit) -> SafeString:
    """Where a job stands, and how far it is."""
    state = format_html(
        '<span class="state{}">{}</span>', " state-live" if audit.state == "running" else "", audit.get_state_display()
    )
    if not audit.active or is_decision_file(audit.model.source):
        return state
    return format_html(
        '{} <small>{}</small> <progress class="slim" value="{}" max="{}" aria-label="{}"></progress>',
        state,
        _("{done} of {all} prompts scored").format(
            done=whole(audit.prompts_done), all=whole(audit.prompts) if audit.frozen else numbers.DASH
        ),
        audit.prompts_done,
        audit.prompts or 1,
        _("Prompts scored by {audit}").format(audit=audit.number),
    )


def asked(audit: Audit) -> str:
    """What it costs to ask, in words: of a decision file nobody is asked."""
    if is_decision_file(audit.model.source):
        return _("nobody is asked")
    return _("{count} prompts, repeats included").format(count=whole(audit.prompts))


def concluded(audit: Audit, conclusion: str | None) -> SafeString:
    """What it concluded, or where its job stands."""
    if not audit.complete:
        return progress(audit)
    return format_html('<a href="{}#verdict">{}</a>', audit.get_absolute_url(), code(conclusion))


def _finished(audit_of: Callable[[Any], Audit]) -> Column:
    return Column(
        "finished_at",
        _("Finished"),
        lambda row: audit_of(row).finished_at,
        lambda row: utc(audit_of(row).finished_at),
        "num",
    )


def audits_table(lines: Sequence[Mapping[str, Any]], every: Every) -> Table:
    """Audits; a line has ``audit``, ``lead`` (the measurement of its verdict) and ``findings`` by severity."""
    return Table(
        name="audits",
        title=_("Audits"),
        rows=lines,
        every=every,
        columns=(
            Column("audit", _("Audit"), lambda line: line["audit"].number, _audit_cell),
            Column("plan", "", lambda line: line["audit"].plan.title),
            Column("model", _("Model and data"), lambda line: line["audit"].model.language_model.name, _model_cell),
            Column("data", "", lambda line: line["audit"].data.name),
            Column("prompts", "", lambda line: line["audit"].prompts),
            Column("state", "", lambda line: line["audit"].get_state_display()),
            Column(
                "governed",
                _("Kind"),
                lambda line: line["audit"].governed,
                lambda line: _("Governed") if line["audit"].governed else _("Trial run"),
            ),
            Column("conclusion", _("Conclusion"), _lead_code, lambda line: concluded(line["audit"], _lead_code(line))),
            Column(
                "findings",
                _("Findings"),
                lambda line: ", ".join(f"{count} {severity}" for severity, count in line["findings"]),
                _counts_cell,
            ),
            Column("requested_by", "", lambda line: line["audit"].requested_by),
            _finished(lambda line: line["audit"]),
        ),
    )


def _audit_cell(line: Mapping[str, Any]) -> SafeString:
    return format_html("{} <small>{}</small>", audit_link(line["audit"]), line["audit"].plan.title)


def _model_cell(line: Mapping[str, Any]) -> SafeString:
    audit: Audit = line["audit"]
    return format_html(
        '<a href="{}">{}</a> <small>{}, {}</small>',
        reverse("model", args=[audit.model_id]),
        audit.model.language_model.name,
        audit.data.name,
        asked(audit),
    )


def _lead_code(line: Mapping[str, Any]) -> str | None:
    lead: Measurement | None = line["lead"]
    return lead.conclusion if lead is not None and line["audit"].complete else None


def _counts_cell(line: Mapping[str, Any]) -> str:
    audit: Audit = line["audit"]
    if not line["findings"]:
        return _("none raised") if audit.complete else numbers.DASH
    words = ((audit.get_absolute_url(), count, translated(severity)) for severity, count in line["findings"])
    return format_html_join(", ", '<a class="nowrap" href="{}#findings">{} {}</a>', words)


def models_table(lines: Sequence[Mapping[str, Any]], every: Every) -> Table:
    """Models of the register.

    A line has the ``model``, how many ``versions`` it has and how they are ``approved``, how it stands (``audited``),
    the ``days`` it is overdue, and the audits ``under_way``.
    """
    return Table(
        name="models",
        title=_("Models"),
        rows=lines,
        every=every,
        columns=(
            Column("model", _("Model"), lambda line: line["model"].name, _model_link, "long"),
            Column("tier", _("Tier"), lambda line: line["audited"].tier),
            Column("approved", _("Approved"), lambda line: line["approved"], None, "long"),
            Column("conclusion", _("Last conclusion"), _standing_code, _standing_cell),
            Column("audit", _("Rests on"), _standing_audit, _last_audit_cell),
            Column("finished_at", "", _standing_day),
            Column("trial_runs", _("Trial runs"), lambda line: line["audited"].trials, None, "num"),
            Column("under_way", "", lambda line: ", ".join(audit.number for audit in line["under_way"])),
            Column("due", _("Revalidation due"), lambda line: line["audited"].due, _due_cell),
            Column("no_date_because", "", lambda line: line["audited"].reason),
            Column("days_overdue", "", lambda line: max(0, line["days"])),
            Column("versions", "", lambda line: line["versions"]),
            Column("team", "", lambda line: line["model"].team.name),
            Column("owner", "", lambda line: line["model"].owner),
            Column("purpose", "", lambda line: line["model"].purpose),
            Column("access", "", lambda line: line["model"].get_access_display()),
        ),
    )


def _standing_code(line: Mapping[str, Any]) -> str | None:
    basis = line["audited"].basis
    return basis.conclusion.value if basis is not None else None


def _standing_cell(line: Mapping[str, Any]) -> SafeString | str:
    basis = line["audited"].basis
    return code(basis.conclusion) if basis is not None else numbers.DASH


def _standing_audit(line: Mapping[str, Any]) -> str | None:
    basis = line["audited"].basis
    return basis.audit if basis is not None else None


def _standing_day(line: Mapping[str, Any]) -> datetime | None:
    basis = line["audited"].basis
    return basis.finished_at if basis is not None else None


def _model_link(line: Mapping[str, Any]) -> str:
    audited: AuditedModel = line["audited"]
    if not audited.link:
        return format_html("{} <small>{}</small>", audited.name, _("no version yet"))
    return _audited_link(line)


def _audited_link(line: Mapping[str, Any]) -> SafeString | str:
    audited: AuditedModel = line["audited"]
    return format_html('<a href="{}">{}</a>', audited.link, audited.name) if audited.link else audited.name


def _last_audit_cell(line: Mapping[str, Any]) -> SafeString:
    under_way = format_html_join("", " {} {}", ((audit_link(audit), progress(audit)) for audit in line["under_way"]))
    return format_html("{}{}", _last_audit(line["audited"]), under_way)


def _last_audit(audited: AuditedModel) -> SafeString | str:
    if audited.basis is None:
        return numbers.DASH
    at = reverse("audit", args=[audited.basis.audit])
    finished = day(audited.basis.finished_at)
    return format_html('<a href="{}">{}</a> <small class="day">{}</small>', at, audited.basis.audit, finished)


def _due_cell(line: Mapping[str, Any]) -> str:
    audited: AuditedModel = line["audited"]
    if audited.due is None:
        return format_html("{} <small>{}</small>", numbers.DASH, audited.reason)
    said = day(audited.due)
    return format_html('<span class="late">{}</span>', said) if line["days"] > 0 else said


def overdue_table(lines: Sequence[Mapping[str, Any]], every: Every) -> Table:
    """Models whose next validation was due; lines as those of :func:`models_table`."""
    return Table(
        name="overdue",
        title=_("Overdue revalidations"),
        rows=lines,
        every=every,
        columns=(
            Column("model", _("Model"), lambda line: line["audited"].name, _overdue_cell),
            Column("tier", "", lambda line: line["audited"].tier),
            Column("audit", _("Rests on"), _standing_audit, lambda line: _last_audit(line["audited"])),
            Column("finished_at", "", _standing_day),
            Column("due", "", lambda line: line["audited"].due),
            Column("days_overdue", _("Overdue"), lambda line: line["days"], _days_cell, "num"),
        ),
    )


def _overdue_cell(line: Mapping[str, Any]) -> SafeString:
    tier = _("Tier {tier}").format(tier=line["audited"].tier)
    return format_html("{} <small>{}</small>", _audited_link(line), tier)


def _days_cell(line: Mapping[str, Any]) -> SafeString:
    days = line["days"]
    said = ngettext("{days} day", "{days} days", days).format(days=whole(days))
    return format_html('<span class="late">{}</span>', said)


def tasks_table(tasks: Sequence[Any], every: Every) -> Table:
    """What waits for somebody."""
    return Table(
        name="tasks",
        kind="folds",
        title=_("My tasks"),
        rows=tasks,
        every=every,
        columns=(
            Column(
                "task",
                _("Task"),
                lambda task: task.words,
                lambda task: format_html('<a href="{}">{}</a>', task.link, task.words),
            ),
            Column(
                "subject",
                _("Subject"),
                lambda task: task.subject,
                lambda task: format_html("{} <small>{}</small>", task.subject, task.detail),
            ),
            Column("detail", "", lambda task: task.detail),
            Column("late", "", lambda task: task.late),
            Column("due", _("Due"), lambda task: task.due, _task_due, "num"),
        ),
    )


def _task_due(task: Any) -> str:
    said = day(task.due)
    return format_html('<span class="late">{}</span>', said or _("overdue")) if task.late else said or numbers.DASH


def history_table(lines: Sequence[Mapping[str, Any]], *, name: str, trials: bool = False) -> Table:
    """Audits of a model, governed or trial runs; a line has ``audit``, ``version``, ``conclusion`` and ``tells``."""
    return Table(
        name="trial-runs" if trials else "history",
        kind="folds",
        title=(_("Trial runs of {model}") if trials else _("Governed audits of {model}")).format(model=name),
        rows=lines,
        columns=(
            Column("audit", _("Audit"), lambda line: line["audit"].number, lambda line: audit_link(line["audit"])),
            Column(
                "version",
                _("Version"),
                lambda line: line["version"],
                lambda line: format_html("<code>{}</code>", line["version"]),
            ),
            Column("plan", _("Plan and data"), lambda line: line["audit"].plan.title, _plan_cell),
            Column("data", "", lambda line: line["audit"].data.name),
            Column("prompts", "", lambda line: line["audit"].prompts),
            Column("state", "", lambda line: line["audit"].get_state_display()),
            Column(
                "conclusion",
                _("Conclusion"),
                lambda line: line["conclusion"] if line["audit"].complete else None,
                lambda line: concluded(line["audit"], line["conclusion"]),
            ),
            *([] if trials else [_counts_column()]),
            _finished(lambda line: line["audit"]),
        ),
    )


def _counts_column() -> Column:
    """Whether an audit moves the standing of its model."""

    def words(line: Mapping[str, Any]) -> str:
        if not line["audit"].complete:
            return numbers.DASH
        return _("yes") if line["tells"] else _("no: too small to tell")

    return Column("counts", _("Moves the standing"), lambda line: bool(line["tells"]), words)


def _plan_cell(line: Mapping[str, Any]) -> SafeString:
    audit: Audit = line["audit"]
    return format_html("{} <small>{}, {}</small>", audit.plan.title, audit.data.name, asked(audit))


def trend_table(trend: Trend, *, number: int) -> Table:
    """The numbers of one chart of a trend, an audit a row."""
    return Table(
        name=f"trend-{number}",
        title=trend.chart.title,
        rows=trend.rows,
        columns=(
            Column("audit", _("Audit"), lambda row: row[0].number, lambda row: audit_link(row[0])),
            Column(
                "version",
                _("Version"),
                lambda row: version_words(row[0]),
                lambda row: format_html("<code>{}</code>", row[1].version),
            ),
            Column(
                "finished_at", _("Finished"), lambda row: row[0].finished_at, lambda row: day(row[0].finished_at), "num"
            ),
            Column("measurement", "", lambda row: row[2].id),
            Column("n", _("n pairs"), lambda row: row[2].n, None, "num"),
            Column("estimate", _("Estimate [interval]"), lambda row: row[2].estimate, _estimate_cell, "num"),
            Column("low", "", lambda row: row[2].low),
            Column("high", "", lambda row: row[2].high),
            Column("unit", "", lambda row: row[2].unit),
            Column("mde", _("MDE"), lambda row: row[2].counts.get("mde"), lambda row: detectable(row[2]), "num"),
            Column("conclusion", _("Conclusion"), lambda row: row[2].conclusion, lambda row: code(row[2].conclusion)),
        ),
    )


def _estimate_cell(row: tuple[Audit, Any, Measurement]) -> str:
    at, words = cases_behind(row[0], row[2]), interval_words(row[2])
    return format_html('<a href="{}">{}</a>', at, words) if at else words


def severity_table(rows: Sequence[Mapping[str, Any]], ages: Sequence[Age]) -> Table:
    """Findings by severity and age."""
    heads = [*((f"days_{age.first}_on", age.label) for age in ages), ("all", _("All"))]
    return Table(
        name="severity-by-age",
        title=_("Findings by severity and age"),
        kind="matrix",
        rows=rows,
        columns=(
            Column("severity", _("Severity"), lambda row: row["severity"], lambda row: sev(row["severity"])),
            *(_counted(place, name, head) for place, (name, head) in enumerate(heads)),
        ),
    )


def tier_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Models by tier and last conclusion."""
    codes = [
        (item.value, conclusion_short(item), format_html('<span class="mk {}"></span>', conclusion_class(item)))
        for item in wording.CONCLUSION_ORDER
    ]
    heads = [*codes, ("all", _("All"), mark_safe(""))]
    return Table(
        name="tier-by-conclusion",
        title=_("Models by tier and last conclusion"),
        kind="matrix",
        rows=rows,
        columns=(
            Column("tier", _("Tier"), lambda row: row["tier"]),
            *(_counted(place, name, head, marked) for place, (name, head, marked) in enumerate(heads)),
        ),
    )


def _counted(place: int, name: str, head: str, marked: str = "") -> Column:
    """A column that counts: each of its cells leads to what it counts."""

    def cell(row: Mapping[str, Any]) -> str:
        found = row["cells"][place]
        if not found["count"]:
            return "0"
        late = format_html('<span class="sr">{}</span>', _(", one of them overdue")) if found.get("late") else ""
        return format_html('<a href="{}">{}{}</a>', found["link"], whole(found["count"]), late)

    def kind(row: Mapping[str, Any]) -> str:
        found = row["cells"][place]
        return f"k{found['shade']}" + (" k-late" if found.get("late") else "")

    return Column(name, head, lambda row: row["cells"][place]["count"], cell, kind, marked)
