"""The pages. Each needs a login, takes its rows through ``for_user`` and changes nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.http import Http404, HttpRequest, HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _

from auditor.exceptions import InputError
from auditor.records import Severity
from compliance.access import permissions as access
from compliance.dashboard import (
    audit_list,
    audit_page,
    audited_models,
    finding_list,
    finding_tables,
    home_page,
    inbox,
    list_tables,
    model_list,
    model_page,
    model_register,
)
from compliance.dashboard.asked import choice
from compliance.dashboard.event_lines import history_of
from compliance.dashboard.first_steps_page import FirstSteps, first_steps, team_for
from compliance.dashboard.list_pages import list_page
from compliance.dashboard.pages import for_officers, page
from compliance.dashboard.release_views import releases_page
from compliance.exceptions import EvidenceError
from compliance.execution.job import JobState
from compliance.governance.revalidation import revalidation_months
from compliance.models import Audit, ChainHead, FindingRecord, LanguageModel, LanguageModelVersion
from compliance.models.audits import AuditQuerySet
from compliance.tables.html import addresses
from compliance.tables.pages import page_of
from reports.unmoved import versions_sentence

SHORT = 6


@page
def home(request: HttpRequest) -> HttpResponseBase:
    """What waits, what is open, how the models stand; for whoever only examines, what was released to them."""
    if access.only_examines(request.user):
        return releases_page(request)
    now, audits = timezone.now(), _audits(request)
    done = audited_models.finished(audits)
    counted = home_page.live_findings(request.user, today=now.date())
    registered = audited_models.registered_models(request.user, done)
    audited = audited_models.standing_ones(registered)
    overdue = sorted((item for item in audited if item.overdue(now) > 0), key=lambda item: -item.overdue(now))
    tasks = inbox.tasks(audits, request.user, audited=audited, now=now)
    states = Counter(audits.unfinished().order_by().values_list("state", flat=True))
    running = audit_list.light(audits.filter(state__in=(JobState.RUNNING, JobState.CANCELLING))).first()
    matrix = home_page.matrix(counted, now=now)
    tiers = audited_models.tier_table(audited)
    trend = _newest_trend(audits, audited, done)
    late_models = [{"audited": item, "days": item.overdue(now)} for item in overdue]
    tables = [
        list_tables.tasks_table(tasks[:SHORT], lambda: tasks),
        list_tables.severity_table(matrix, home_page.AGES),
        list_tables.tier_table(tiers),
        list_tables.overdue_table(late_models[:SHORT], lambda: late_models),
        *([list_tables.trend_table(trend["trend"], number=1)] if trend else []),
    ]
    context = {
        "now": now,
        "tasks": tasks[:SHORT],
        "tasks_all": len(tasks),
        "matrix": matrix,
        "found": len(counted),
        "grave": sum(item.severity in (Severity.CRITICAL, Severity.HIGH) for item in counted),
        "models": len(audited),
        "first_tier": sum(item.tier == 1 for item in audited),
        "tiers": tiers,
        "overdue": late_models[:SHORT],
        "overdue_all": len(overdue),
        "registered": len(registered),
        "months": revalidation_months(),
        "audits_all": len(done) + sum(states.values()),
        "waiting": states[JobState.QUEUED],
        "running": running,
        "trend": trend,
        "chain": ChainHead.objects.filter(pk=1, seq__gt=0).first(),
        "first": None if done else _first_steps(request),
        "may_run": request.user.has_perm("compliance.run_audit"),
        "may_register": request.user.has_perm("compliance.add_languagemodelversion"),
    }
    return page_of(request, "compliance/home.html", context, tables)


@page
@for_officers
def audits(request: HttpRequest) -> HttpResponseBase:
    """All audits, newest first."""
    access.need(request.user, "view_audit")
    return list_page(request, "compliance/audits.html", audit_list.listing(request.user, request.GET))


@page
@for_officers
def models(request: HttpRequest) -> HttpResponseBase:
    """Every model in the register, with where it stands."""
    model_list.may_list(request.user)
    return list_page(request, "compliance/models.html", model_list.listing(request, now=timezone.now()))


@page
@for_officers
def model(request: HttpRequest, number: int) -> HttpResponseBase:
    """One model: how it stands, every audit of its versions, the trend of its effects, one version against another."""
    readable = Audit.objects.for_user(request.user)
    seen = LanguageModelVersion.objects.for_user(request.user).filter(pk=number).order_by()
    through = readable.filter(model=number).order_by()  # whoever may read an audit alone sees what it is of
    language_model = (
        seen.values_list("language_model", flat=True).first()
        or through.values_list("model__language_model", flat=True).first()
    )
    if language_model is None:
        raise Http404(_("no such model"))
    registered = LanguageModel.objects.select_related("team").get(pk=language_model)
    name = registered.name
    rows = audited_models.history(readable, language_model)
    codes = audited_models.gravest(row.pk for row in rows if row.complete)
    numbers = [row.number for row in rows]
    earlier, later = (choice(request.GET, name, numbers) for name in ("earlier", "later"))
    chosen = model_page.choose(rows, earlier=earlier, later=later)
    problem, comparison, compared = "", None, None
    drawn, undrawn = list[model_page.Trend](), ""
    try:
        drawn = model_page.trends(model_page.shown_in_trends(rows), most=4)
    except InputError as error:
        undrawn = str(error)
    if chosen is None and (earlier or later):
        line = _("{earlier} and {later}: expected two finished audits of one design on the same data.")
        problem = line.format(earlier=earlier or "–", later=later or "–")
    if chosen is not None:
        try:
            comparison = model_page.compared(*chosen)
        except (EvidenceError, InputError) as error:
            problem = str(error)
    done = audited_models.finished(readable.filter(model__language_model=language_model))
    (audited,) = audited_models.registered_models(request.user, done, only=[language_model])
    tells = {row.pk for row in done if row.tells}
    lines = [
        {
            "audit": row,
            "version": model_page.version_words(row),
            "conclusion": codes.get(row.pk),
            "tells": row.pk in tells,
        }
        for row in reversed(rows)
    ]
    governed = [line for line, row in zip(lines, reversed(rows), strict=True) if row.governed]
    trials = [line for line, row in zip(lines, reversed(rows), strict=True) if not row.governed]
    now = timezone.now()
    # Events call each version by its hash.
    hashes = registered.versions.order_by("pk").values_list("sha256", flat=True)
    history = history_of(
        request.user, registered.event_object, *(f"model {sha256[:12]}" for sha256 in hashes), about=name
    )
    records = finding_list.every(
        FindingRecord.objects.for_user(request.user)
        .filter(language_model=language_model)
        .order_by("-severity_rank", "-serial")
    )
    found_records = list(records)
    tables = [
        finding_tables.records_table(found_records, lambda: found_records, today=now.date()),
        list_tables.history_table(governed, name=name),
        list_tables.history_table(trials, name=name, trials=True),
        *(list_tables.trend_table(trend, number=number) for number, trend in enumerate(drawn, start=1)),
        history.table,
    ]
    if comparison is not None:
        changes = audit_page.comparison_file(comparison)
        tables.append(changes)
        compared = audit_page.comparison_table(comparison, addresses(changes, request))
    context = {
        "name": name,
        "number": number,
        "history": history,
        "audited": audited,
        "overdue": audited.overdue(now),
        "months": revalidation_months()[audited.tier],
        "lines": lines,
        "governed": governed,
        "trials": trials,
        "register": model_register.register_of(request.user, language_model),
        "records": found_records,
        "versions": len(hashes),
        "trends": drawn,
        "undrawn": undrawn,
        "comparable": model_page.comparable(rows),
        "comparison": comparison,
        "comparison_first": versions_sentence(comparison.measurements) if comparison else None,
        "compared": compared,
        "problem": problem,
    }
    return page_of(request, "compliance/model.html", context, tables)


def _first_steps(request: HttpRequest) -> FirstSteps | None:
    """The way to the first report, for those who work in a team that has none."""
    team = team_for(request.user) if request.user.has_perm("compliance.view_registration") else None
    return first_steps(request.user, team) if team is not None else None


def _audits(request: HttpRequest) -> AuditQuerySet:
    """The audits somebody may read; whoever may read none is told so."""
    access.need(request.user, "view_audit")
    return Audit.objects.for_user(request.user)


def _newest_trend(
    audits: AuditQuerySet, models: list[audited_models.AuditedModel], done: list[audited_models.Finished]
) -> dict[str, Any] | None:
    """The trend of the most recently audited model that has two audits of its newest plan."""
    plans: dict[int, list[int]] = {}
    for row in (item for item in done if item.governed):
        plans.setdefault(row.language_model, []).append(row.plan_id)
    of = {item.language_model: plans[item.language_model] for item in models}
    audited = next((item for item in models if of[item.language_model].count(of[item.language_model][0]) > 1), None)
    if audited is None:
        return None
    try:
        governed = audited_models.history(audits.filter(governed=True), audited.language_model)
        newest = model_page.trends(governed, most=1)
    except InputError:  # of a plan that this version cannot read; the page of its model says so
        return None
    return {"audited": audited, "trend": newest[0]} if newest else None
