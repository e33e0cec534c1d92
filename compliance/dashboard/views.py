"""The pages. Each needs a login, takes its rows through ``for_user`` and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from auditor.records import Outcome, Severity
from compliance.dashboard import audit_page
from compliance.dashboard import cases as case_pages
from compliance.dashboard.evidence import EvidenceFolder, kept_file, open_evidence
from compliance.dashboard.home_page import AGES, findings_of, lead_codes, matrix
from compliance.dashboard.live import live_page
from compliance.dashboard.records import story
from compliance.events import chain_head
from compliance.exceptions import EvidenceError
from compliance.models import Audit, FindingRow
from compliance.runner import PUBLISHED
from reports import wording
from reports.charts import references
from reports.cover import control_table, verdict

LINES = 25


def page(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """A page for people who are logged in; nothing of it is kept in a cache."""
    guarded = require_safe(cache_control(private=True, no_store=True)(login_required(view)))
    return wraps(view)(guarded)


@page
def home(request: HttpRequest) -> HttpResponse:
    """Audits, newest first, and findings by severity and age."""
    audits = _audits(request)
    listed = Paginator(audits.select_related("plan", "model", "data"), LINES).get_page(request.GET.get("page"))
    shown = list(listed.object_list)
    leads = lead_codes(shown)
    dated = list(FindingRow.objects.filter(audit__in=audits).values_list("audit_id", "severity", "audit__finished_at"))
    counts: dict[int, dict[str, int]] = {}
    for audit_id, severity, _ in dated:
        counts.setdefault(audit_id, {}).setdefault(severity, 0)
        counts[audit_id][severity] += 1
    lines = [
        {
            "audit": audit,
            "lead": leads.get(audit.pk),
            "findings": [(s.value, counts[audit.pk][s.value]) for s in reversed(Severity) if s in counts[audit.pk]]
            if audit.pk in counts
            else [],
        }
        for audit in shown
    ]
    return render(
        request,
        "compliance/home.html",
        {
            "lines": lines,
            "listed": listed,
            "matrix": matrix([(severity, moment) for _, severity, moment in dated], now=timezone.now()),
            "ages": AGES,
            "found": len(dated),
            "under_way": audits.unfinished().count(),
            "head": chain_head(),
        },
    )


@page
def findings(request: HttpRequest) -> HttpResponse:
    """Findings over all audits, worst first."""
    severity, age = request.GET.get("severity", ""), request.GET.get("age", "")
    severity = severity if severity in set(Severity) else ""
    span = next((item for item in AGES if item.name == age), None)
    found = findings_of(_audits(request), severity=severity, age=span.name if span else "", now=timezone.now())
    listed = Paginator(found, LINES).get_page(request.GET.get("page"))
    asked = "&".join(f"{key}={value}" for key, value in (("severity", severity), ("age", age if span else "")) if value)
    context = {"listed": listed, "severity": severity, "span": span, "asked": asked, "ages": AGES}
    return render(request, "compliance/findings.html", {**context, "severities": list(reversed(Severity))})


@page
def audit(request: HttpRequest, number: int) -> HttpResponse:
    """One audit: verdict, controls, findings, outputs, provenance."""
    row = _audit(request, number)
    if not row.complete:
        return live_page(request, row)
    problem, controls, charts, bundle = "", {}, {}, ""
    try:
        evidence = open_evidence(row)
        controls, charts, bundle = evidence.controls(), evidence.charts(), evidence.manifest_sha256
    except EvidenceError as error:
        problem = str(error)
    told = story(
        row, measurements=row.measurements.all(), findings=row.findings.all(), controls=controls, charts=charts
    )
    context = {
        "audit": row,
        "run": row.run,
        "problem": problem,
        "verdict": verdict(told),
        "facts": audit_page.facts(row, told),
        "controls": audit_page.plain(control_table(told, "")) if controls else None,
        "findings": audit_page.finding_blocks(row, told),
        "charts": audit_page.shown_charts(row, told),
        "every": audit_page.every_number(row, told),
        "bundle": bundle,
        "head": chain_head(),
        "files": [
            {"name": name, "sha256": row.files.get(name), "kept": kept_file(row, name) is not None}
            for name in PUBLISHED
        ],
    }
    return render(request, "compliance/audit.html", context)


@page
def cases(request: HttpRequest, number: int) -> HttpResponse:
    """The cases behind a number."""
    row = _audit(request, number)
    evidence = _evidence(row)
    design = row.plan.design
    asked = case_pages.reference_first(case_pages.filter_from(request.GET), references(design))
    context = {
        "audit": row,
        "asked": asked,
        "found": case_pages.find_cases(evidence, asked),
        "choices": _choices(design, asked.arms),
        "roles": case_pages.ROLES,
        "flips": case_pages.FLIPS,
        "outcomes": [item.value for item in Outcome],
    }
    return render(request, "compliance/cases.html", context)


@page
def case(request: HttpRequest, number: int, case_id: str) -> HttpResponse:
    """One case beside another one of the same application."""
    row = _audit(request, number)
    siblings = case_pages.application(_evidence(row), case_id)
    if not siblings:
        raise Http404("no such case")
    this = next(item for item in siblings if item["id"] == case_id)
    others = [item for item in siblings if item["id"] != case_id]
    beside = next((item for item in others if item["id"] == request.GET.get("beside")), None)
    # As filed beside what was changed: the pair that most numbers are made of.
    beside = beside or next((item for item in others if item["role"] == "actual"), others[0] if others else None)
    pair = [this] if beside is None else [beside, this] if beside["role"] == "actual" else [this, beside]
    changed = frozenset(item["changed"] for item in pair if item["changed"])
    sides = [{"case": item, "pieces": case_pages.marked(item, changed)} for item in pair]
    context = {"audit": row, "case": this, "beside": beside, "sides": sides, "siblings": siblings}
    return render(request, "compliance/case.html", context)


@page
def download(request: HttpRequest, number: int, name: str) -> FileResponse:
    """A published file, byte for byte as it was recorded."""
    row = _audit(request, number)
    path = kept_file(row, name)
    if path is None:
        raise Http404("not on this server, or not the file that was recorded")
    return FileResponse(path.open("rb"), as_attachment=True, filename=f"{row.number}-{name}")


def _audits(request: HttpRequest) -> Any:
    """The audits somebody may read; whoever may read none is told so."""
    if not request.user.has_perm("compliance.view_audit"):
        raise PermissionDenied
    return Audit.objects.for_user(request.user)


def _audit(request: HttpRequest, number: int) -> Audit:
    """An audit somebody may read. One they may not read is not there for them."""
    rows = Audit.objects.for_user(request.user).select_related("plan", "model", "data")
    try:
        return rows.get(serial=number)
    except Audit.DoesNotExist:
        raise Http404("no such audit") from None


def _evidence(row: Audit) -> EvidenceFolder:
    try:
        evidence = open_evidence(row)
        evidence.table("cases.parquet")
        evidence.table("decisions.parquet")
    except EvidenceError as error:
        raise Http404(str(error)) from error
    return evidence


def _choices(design: dict[str, Any], asked: tuple[str, ...]) -> list[tuple[str, str]]:
    """Contrasts and arms of a design, as value and label; what was asked is among them."""
    contrasts, arms = [], []
    for attribute in design["attributes"]:
        field, reference = attribute["field"], attribute["reference"]
        name = wording.sentence_case(wording.field_words(field))
        for group in attribute["groups"]:
            arms.append((f"{field}={group}", f"{name}: {group}"))
            if group != reference:
                contrasts.append((f"{field}={reference}|{field}={group}", f"{name}: {group} − {reference}"))
    controls = [
        ("|".join(case_pages.CONTROLS[0]), "Placebo: changed − as filed"),
        ("|".join(case_pages.CONTROLS[1]), "Asked again: second − first"),
    ]
    choices = [*contrasts, *controls, *arms]
    wanted = "|".join(asked)
    known = wanted in {value for value, _ in choices}
    return choices if known or not wanted else [*choices, (wanted, wanted)]
