"""The pages of one audit: its verdict and numbers, the cases behind them, its files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods

from auditor.controls import Controls
from auditor.exceptions import InputError
from auditor.plan import Plan
from auditor.records import Outcome
from compliance import actions
from compliance.access import permissions as access
from compliance.audits.asking import Door, request_page
from compliance.dashboard import audit_page, case_tables, finding_tables, number_filter, prompts
from compliance.dashboard import cases as case_pages
from compliance.dashboard.asked import choice
from compliance.dashboard.event_lines import history_of
from compliance.dashboard.evidence import EvidenceFolder, kept_file, open_evidence
from compliance.dashboard.from_elsewhere import from_elsewhere
from compliance.dashboard.links import AT_A_CUT_OFF, cut_off_of, has_cases
from compliance.dashboard.list_pages import views_of
from compliance.dashboard.live import live_page
from compliance.dashboard.pages import page
from compliance.dashboard.records import as_recorded, kept_story, measurement, story
from compliance.dashboard.release_forms import ReleaseForm
from compliance.dashboard.releases import releases_table, stands
from compliance.exceptions import EvidenceError
from compliance.execution.runner import PUBLISHED
from compliance.governance.events import chain_head, site_actor
from compliance.models import Audit, MeasurementRow, Release, Sighting
from compliance.tables.described import Table
from compliance.tables.html import AS, asked_of
from compliance.tables.lists import chosen_columns, offered_columns
from compliance.tables.pages import file_asked_for, page_of
from reports import sections, wording
from reports.canvas import Chart
from reports.charts import references
from reports.cover import cover_verdict
from reports.numbers import logit
from reports.story import Story


@page
def audit(request: HttpRequest, number: int) -> HttpResponseBase:
    """One audit: verdict, controls, findings, outputs, internals, provenance."""
    row = find_audit(request, number)
    return audit_page_of(request, row) if row.complete else live_page(request, row)


def audit_page_of(
    request: HttpRequest, row: Audit, *, releasing: ReleaseForm | None = None, status: int = 200
) -> HttpResponseBase:
    """The page of a finished audit; with the form by which it was to be released, if that was refused."""
    told, bundle, problem = _told(row)
    sighted = _sighted(request, row)
    records = finding_tables.audit_findings_table(sighted, today=timezone.now().date(), about=row.number)
    history = history_of(request.user, row.number, about=row.number)
    beside = [records, history.table]
    whole = [*audit_page.room_tables(row, told, evidence=not problem), *beside] if AS in request.GET else []
    if AS in request.GET:
        whole += _release(request, row, None)["releases"]
    if file := file_asked_for(request, whole) if whole else None:
        return file
    # Audits of earlier versions have no annex.
    names = [name for name in PUBLISHED if name in row.files or name != "annex.pdf"]
    verdict = cover_verdict(told)
    context = {
        "audit": row,
        "run": row.run,
        "problem": problem,
        "verdict": verdict,
        "card": audit_page.card(row, verdict),
        "rooms": audit_page.rooms(row, told, evidence=not problem),
        "opened": "" if problem else audit_page.opened_lines(row),
        "sighted": sighted,
        "drafts": len(told.bundle.findings) - len(sighted),
        "bundle": bundle,
        "head": chain_head(),
        "history": history,
        "has_cases": has_cases(row),
        "may_export": actions.may_export(request.user, row),
        "files": [
            {"name": name, "sha256": row.files.get(name), "kept": kept_file(row, name) is not None} for name in names
        ],
        "names": " ".join(names),
        **_release(request, row, releasing),
    }
    tables = {table.name: table for table in (*beside, *context["releases"])}
    return render(request, "compliance/audit.html", {**context, "tables": tables}, status=status)


@cache_control(private=True, no_store=True)
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def request_audit(request: HttpRequest) -> HttpResponseBase:
    """Ask for one audit or several: what they take is estimated first."""
    return request_page(request, Door(template="compliance/request_audit.html", context={}, listed_at="audits"))


@page
def numbers(request: HttpRequest, number: int, name: str) -> HttpResponseBase:
    """One table of an audit's numbers: a page, or the table alone for the page that opens it."""
    row = find_audit(request, number)
    if not row.complete:
        raise Http404(_("an audit that has not finished has no numbers"))
    told, *_unused, problem = _told(row)
    shown = audit_page.find_numbers(told, name)
    if shown is None and not problem:
        with _shown_as_recorded():
            shown = audit_page.find_numbers(kept_story(row, open_evidence(row)), name, among=sections.OPENED)
    if shown is None:
        raise Http404(_("no such numbers"))
    choices = number_filter.choices_of(shown)
    asked = number_filter.filter_from(request.GET, choices)
    every, shown = len(shown.measurements), replace(shown, measurements=asked.narrowed(shown))
    if file := file_asked_for(request, [audit_page.numbers_file(row, shown)] if AS in request.GET else []):
        return file
    table = audit_page.numbers_table(row, shown, asked=asked_of(request))
    if request.headers.get("HX-Request") == "true":
        return HttpResponse(table)
    context = {"audit": row, "numbers": shown, "table": table, "choices": choices, "asked": asked, "every": every}
    return render(request, "compliance/numbers.html", context)


@page
def section(request: HttpRequest, number: int, name: str) -> HttpResponseBase:
    """One section of report or annex that is opened: a page, or the section alone for the page that opens it."""
    row = find_audit(request, number)
    kind = next((kind for kind in sections.sections_in(sections.OPENED) if kind.id == name), None)
    if kind is None or not row.complete:
        raise Http404(_("no such section"))
    opening = request.headers.get("HX-Request") == "true"
    with _shown_as_recorded():
        told = kept_story(row, open_evidence(row))
        blocks = audit_page.opened_section(row, told, kind, alone=not opening)
        files = audit_page.opened_tables(row, told, kind) if AS in request.GET else []
    _viewed(request, row)  # some print the prompt of an application
    if file := file_asked_for(request, files):
        return file
    if opening:
        return HttpResponse(blocks)
    return render(request, "compliance/section.html", {"audit": row, "kind": kind, "blocks": blocks})


@page
def cases(request: HttpRequest, number: int) -> HttpResponseBase:
    """The cases behind a number; of pairs, one is open beside the list."""
    row = find_audit(request, number)
    evidence = _evidence(row)
    _viewed(request, row)
    design = row.plan.parsed
    planned = {arm for value, _ in _choices(design, ()) for arm in value.split("|")}
    wanted_cases = case_pages.filter_from(request.GET, evidence=evidence, planned=planned)
    asked = case_pages.reference_first(wanted_cases, references(design))
    found = case_pages.find_cases(evidence, asked)
    context = {
        "audit": row,
        "asked": asked,
        "found": found,
        "choices": _choices(design, asked.arms),
        "roles": case_pages.ROLES,
        "flips": case_pages.FLIPS,
        "outcomes": [item.value for item in Outcome],
        "cut_offs": _cut_offs(row, asked),
        "views": views_of(request),
        "at": request.path,
    }
    tables: list[Table] = []
    opened = ""
    if asked.paired and found.rows:
        # Of those on this page: the first is open where none is asked for.
        wanted = choice(request.GET, "pair", [item["id_changed"] for item in found.rows])
        open_row = next((item for item in found.rows if item["id_changed"] == wanted), found.rows[0])
        siblings = case_pages.application(evidence, open_row["id_changed"])
        by_id = {item["id"]: item for item in siblings}
        pair = [by_id[open_row["id_reference"]], by_id[open_row["id_changed"]]]
        context |= {"open": open_row, "siblings": siblings, **_sides(request, evidence, pair)}
        tables += _attributed(row, context)
        opened = open_row["id_changed"]
        case_pages.place(found.rows, cut_off=asked.cut_off or 0.0)

    def every() -> Iterator[dict[str, Any]]:
        return case_pages.every_case(evidence, asked)

    def table_of(asked: case_pages.CaseFilter) -> Table:
        if asked.paired:
            return case_tables.pairs_table(row, asked, found, every, opened=opened)
        return case_tables.singles_table(row, found, every)

    # Which columns there are to choose from, the table says; its links then carry those that were chosen.
    columns = chosen_columns(request.GET, table_of(asked))
    context["asked"] = asked = replace(asked, columns=columns)
    table = replace(table_of(asked), chosen=frozenset(columns) if columns else None)
    tables.append(table)
    context |= {"list_name": table.name, "offered": offered_columns(table)}
    return page_of(request, "compliance/cases.html", context, tables)


@page
def case(request: HttpRequest, number: int, case_id: str) -> HttpResponseBase:
    """One case beside another one of the same application."""
    row = find_audit(request, number)
    evidence = _evidence(row)
    siblings = case_pages.application(evidence, case_id)
    if not siblings:
        raise Http404(_("no such case"))
    _viewed(request, row)
    this = next(item for item in siblings if item["id"] == case_id)
    others = [item for item in siblings if item["id"] != case_id]
    wanted = choice(request.GET, "beside", [item["id"] for item in others])
    beside = next((item for item in others if item["id"] == wanted), None)
    # As filed beside what was changed: the pair that most numbers are made of.
    beside = beside or next((item for item in others if item["role"] == "actual"), others[0] if others else None)
    pair = [this] if beside is None else [beside, this] if beside["role"] == "actual" else [this, beside]
    context = {"audit": row, "case": this, "beside": beside, "siblings": siblings, **_sides(request, evidence, pair)}
    other = beside["id"] if beside else None
    tables = [
        case_tables.siblings_table(row, siblings, case_id=case_id, beside=other),
        *_attributed(row, context),
    ]
    return page_of(request, "compliance/case.html", context, tables)


@page
def download(request: HttpRequest, number: int, name: str) -> HttpResponseBase:
    """A published file, byte for byte as it was recorded."""
    row = find_audit(request, number)
    path = kept_file(row, name)
    if path is None:
        raise Http404(_("not on this server, or not the file that was recorded"))
    if from_elsewhere(request):
        return redirect(row)  # a link on another site takes no file: its page shows it, and who clicks there means it
    if request.method == "HEAD":  # nothing is taken
        actions.require_export(audit=row, actor=site_actor(request))
        return HttpResponse(headers={"Content-Length": str(path.stat().st_size)})
    actions.export_file(audit=row, name=name, actor=site_actor(request))
    return FileResponse(path.open("rb"), as_attachment=True, filename=f"{row.number}-{name}")


def _sides(request: HttpRequest, evidence: EvidenceFolder, pair: list[dict[str, Any]]) -> dict[str, Any]:
    """Two cases as they are shown beside each other, with what every field did to the decision where that is known."""
    ids = [item["id"] for item in pair]
    others = request.GET.copy()
    others.pop("by", None)
    changed = frozenset(item["changed"] for item in pair if item["changed"])
    try:
        given = prompts.attributions(evidence, ids, test=request.GET.get("by", ""))
    except EvidenceError as error:
        raise Http404(str(error)) from error
    return {
        "sides": [{"case": item, "pieces": prompts.marked(item, changed, given)} for item in pair],
        "given": given,
        "attributed": prompts.table(given, ids) if given else [],
        "again": f"{others.urlencode()}&" if others else "",
    }


def _attributed(row: Audit, context: dict[str, Any]) -> list[Table]:
    """The table of what the fields did, where that is known."""
    if not context["given"]:
        return []
    ids = [side["case"]["id"] for side in context["sides"]]
    return [case_tables.fields_table(row, context["given"], ids, context["attributed"])]


def _sighted(request: HttpRequest, row: Audit) -> list[Sighting]:
    """What became of its findings, for those who may see more than this audit."""
    rows = Sighting.objects.for_user(request.user).filter(audit=row).order_by("finding__position")
    return list(rows.select_related("finding", "record__owner"))


def _told(row: Audit) -> tuple[Story, str, str]:
    """A finished audit as its report tells it, the hash of its evidence, and why that cannot be shown, if it cannot."""
    problem, controls, bundle = "", Controls(), ""
    charts: dict[str, Chart] = {}
    try:
        evidence = open_evidence(row)
        controls, charts, bundle = evidence.controls(), evidence.charts(), evidence.manifest_sha256
    except (EvidenceError, InputError) as error:
        problem = str(error)
    measurements, findings = row.measurements.all(), row.findings.all()
    return story(row, measurements=measurements, findings=findings, controls=controls, charts=charts), bundle, problem


@contextmanager
def _shown_as_recorded() -> Iterator[None]:
    """What reads evidence in here finds nothing where a file is not there, or is not what was recorded."""
    try:
        with as_recorded():
            yield
    except EvidenceError as error:
        raise Http404(str(error)) from error


def _viewed(request: HttpRequest, row: Audit) -> None:
    """Who looks at whose answers is on record, in the words of the address, before anything is shown."""
    if request.method == "HEAD":
        return  # nothing is shown
    what = request.get_full_path().removeprefix(row.get_absolute_url())
    actions.view_evidence(audit=row, what=what, actor=site_actor(request))


def find_audit(request: HttpRequest, number: int) -> Audit:
    """An audit somebody may read. One they may not read is not there for them."""
    beside = ("plan", "model__language_model", "data", "design_decision")
    rows = Audit.objects.for_user(request.user).select_related(*beside)
    try:
        return rows.get(serial=number)
    except Audit.DoesNotExist:
        raise _over(request, number) or Http404(_("no such audit")) from None


def _over(request: HttpRequest, number: int) -> Http404 | None:
    """What was released to somebody and is over says so."""
    rows = Release.objects.read_by(request.user).filter(audit__serial=number)
    release = rows.select_related("audit").defer("audit__run_json").first()
    if release is None:
        return None
    line = _("{audit}: was released to you, {stands}; expected a release in force")
    return Http404(line.format(audit=release.audit.number, stands=stands(release)))


def _release(request: HttpRequest, row: Audit, refused: ReleaseForm | None) -> dict[str, Any]:
    """What somebody may do about releases of an audit, and see of them."""
    if access.only_examines(request.user):
        mine = Release.objects.current().filter(audit=row, reader=request.user.pk).first()
        return {"released": mine, "releases": []}
    rows = Release.objects.for_user(request.user).filter(audit=row)
    beside = rows.select_related("reader", "audit__plan", "audit__team")
    found = list(beside.defer("audit__run_json", "audit__plan__design_json"))
    may = access.may(request.user, "add_release", row.team_id)
    return {
        "releases": [releases_table(found, lambda: found, own=False)] if found else [],
        "releasing": (refused or ReleaseForm().for_audit(row)) if may else None,
    }


def _evidence(row: Audit) -> EvidenceFolder:
    try:
        evidence = open_evidence(row)
        evidence.table("cases.parquet")
        evidence.table("decisions.parquet")
    except EvidenceError as error:
        raise Http404(str(error)) from error
    return evidence


def _cut_offs(row: Audit, asked: case_pages.CaseFilter) -> list[tuple[str, str]]:
    """Cut-offs at which pairs may be read, as value and label; what was asked is among them."""
    found = dict[str, str]()
    if asked.paired:
        field, _equals, group = asked.arms[1].partition("=")
        taken = MeasurementRow.objects.filter(audit=row, metric__in=list(AT_A_CUT_OFF), subject__field=field)
        for item in map(measurement, taken.order_by("position")):
            cut_off = cut_off_of(item)
            if cut_off is not None and item.subject.get("group", group) == group:
                named = item.subject.get("cut_off")
                words = wording.sentence_case(named) if named else _(AT_A_CUT_OFF[item.metric])
                label = _("{words}: {cut_off} logits").format(words=words, cut_off=logit(cut_off))
                found.setdefault(str(cut_off), label)
    wanted = "" if asked.cut_off is None else str(asked.cut_off)
    if wanted and wanted not in found:
        found[wanted] = _("{cut_off} logits").format(cut_off=logit(asked.cut_off))
    return list(found.items())


def _choices(design: Plan, asked: tuple[str, ...]) -> list[tuple[str, str]]:
    """Contrasts and arms of a design, as value and label; what was asked is among them."""
    contrasts, arms = [], []
    for attribute in design.attributes:
        field, reference = attribute.field, attribute.reference
        name = wording.sentence_case(wording.field_words(field))
        for group in attribute.groups:
            arms.append((f"{field}={group}", f"{name}: {group}"))
            if group != reference:
                contrasts.append((f"{field}={reference}|{field}={group}", f"{name}: {group} − {reference}"))
    controls = [
        ("|".join(case_pages.CONTROLS[0]), _("Placebo: changed − as filed")),
        ("|".join(case_pages.CONTROLS[1]), _("Asked again: second − first")),
    ]
    choices = [*contrasts, *controls, *arms]
    wanted = "|".join(asked)
    known = wanted in {value for value, _ in choices}
    return choices if known or not wanted else [*choices, (wanted, wanted)]
