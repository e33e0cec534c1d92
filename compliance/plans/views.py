"""Pages on which plans are written, looked at and decided on. What they change, actions change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import RequestDataTooBig
from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from compliance import actions
from compliance.access import permissions as access
from compliance.actions.plans import TRANSITIONS, design_state, wrote
from compliance.dashboard.event_lines import history_of
from compliance.dashboard.list_pages import list_page
from compliance.exceptions import ComplianceError
from compliance.form_fields import one_way_lines
from compliance.governance.events import site_actor
from compliance.models import Audit, DataSetVersion, DesignState, LanguageModelVersion, PlanDraft, PlanVersion
from compliance.models.versions import number_of
from compliance.plans import plan_tables
from compliance.plans.checks import Checked, check_text
from compliance.plans.depth import Depth, depth_of_source, depth_of_text
from compliance.plans.editor import Difference, differences, form_of, lines_between
from compliance.plans.forms import AgainForm, BeginForm, DecisionForm
from compliance.plans.merge import DraftSides, attribute_count, merged, plain, posted_values
from compliance.plans.preview import Preview, preview
from compliance.plans.reading import comments_on, read_of
from compliance.plans.shelf import ready_made, written_out
from compliance.registry.views import page
from compliance.tables.described import Table
from compliance.tables.lists import Filter, Listing, by, named
from compliance.tables.pages import page_of

BATCH = 200
WRITE = "add_planversion"
TOML_SIDE = "as-toml"
DEPTH_SIDE = "as-depth"
RAN = Exists(Audit.objects.filter(plan=OuterRef("pk")).order_by())
LONGEST = 400_000
DECIDED = {
    DesignState.APPROVED: gettext_noop("The design is approved."),
    DesignState.RETURNED: gettext_noop("The design is returned with comments."),
    DesignState.RETIRED: gettext_noop("The design is retired."),
}


@dataclass(frozen=True, kw_only=True)
class State:
    """What stands on an editor's page: both sides, what is wrong, and on which data and model it is previewed."""

    draft: DraftSides
    checked: Checked
    data: DataSetVersion | None
    model: LanguageModelVersion | None
    preview: Preview | None
    depth: Depth
    data_sets: list[DataSetVersion]
    models: list[LanguageModelVersion]


@page("GET", "HEAD")
def plans(request: HttpRequest) -> HttpResponseBase:
    """Ready-made plans, drafts, and the designs in the register."""
    access.need(request.user, "view_planversion")
    drafts = PlanDraft.objects.for_user(request.user).filter(plan=None).select_related("team")
    drafts = drafts.defer("text", "agreed", "origin_text", "changes")
    context = {
        "shelf": list(ready_made().values()),
        "drafts": drafts,
        "may_write": request.user.has_perm(f"compliance.{WRITE}"),
    }
    return list_page(request, "plans/plans.html", _listing(request.user), context, [plan_tables.drafts_table(drafts)])


def _listing(user: Any) -> Listing:
    rows = PlanVersion.objects.for_user(user).defer("design_json").select_related("team").standing()
    return Listing(
        noun="registered design",
        rows=rows,
        search=named("title", "name", "team__name", "design_sha256"),
        hint=_("Title, name, hash"),
        filters=(
            Filter(
                name="state",
                label=_("Stands"),
                narrow=lambda found, value: found.filter(design_state=value),
                offered=[(item.value, str(item.label)) for item in DesignState],
            ),
            Filter(
                name="used",
                label=_("Audits"),
                narrow=lambda found, value: found.filter(RAN if value == "yes" else ~RAN),
                offered=(("yes", _("Run by some")), ("no", _("Run by none"))),
            ),
        ),
        sorts=(
            by("newest", _("Newest first"), "-registered_at", "-pk", column="registered_at", descending=True),
            by("title", _("Title"), "title", "-pk", column="title"),
            by("decided", _("Last decided first"), F("decided_at").desc(nulls_last=True), "-pk", column="state",
               descending=True),
        ),
        # Numbers are counted for the rows of a page, not for all.
        lines=lambda found: list(found.numbered()),
        every=lambda found: found.numbered().iterator(BATCH),
        table=plan_tables.designs_table,
    )  # fmt: skip


@page("GET", "HEAD", "POST")
def begin(request: HttpRequest) -> HttpResponse:
    """Begin a draft as a copy."""
    access.need(request.user, WRITE)
    asked = {"origin": request.GET["from"]} if "from" in request.GET else None
    form = BeginForm(request.POST or None, user=request.user, initial=asked)
    if form.is_valid():
        kind, _, key = form.cleaned_data["origin"].partition(":")
        team, data = form.cleaned_data["team"], None
        if kind == "ready":
            source = ready_made()[key]
            name, origin, text, copy_of = source.title, source.file, source.text, None
        else:
            version = PlanVersion.objects.for_user(request.user).numbered().get(pk=key)
            name, origin, text = version.title, f"{version.name}, version {number_of(version)}", written_out(version)
            copy_of = version
            # What was written from a table stays bound to it when it comes back and is corrected.
            written = version.drafts.filter(data__team=team).select_related("data").first()
            data = written.data if written is not None else None
        row = actions.begin_draft(
            team=team,
            name=name,
            origin=origin,
            text=text,
            copy_of=copy_of,
            data=data,
            actor=site_actor(request),
        )
        return redirect(row)
    return render(request, "plans/new.html", {"form": form}, status=400 if form.errors else 200)


@page("GET", "HEAD", "POST")
def draft(request: HttpRequest, pk: int) -> HttpResponseBase:
    """The editor. Buttons: check what is on the page, save it, or register it as a design."""
    row = _draft(request, pk)
    if request.method != "POST":
        return _editor(request, row, _stored(request, row))
    access.require(request.user, WRITE, row.team_id)
    state = _sent(request, row)
    if "check" in request.POST:
        return _editor(request, row, state)
    sound = state.checked.plan is not None and not state.draft.changes
    try:
        with transaction.atomic():  # saved and registered, or neither: the database may be busy in between
            actions.save_draft(
                draft=row,
                revision=_revision(request),
                name=_name(state.draft, row),
                text=state.draft.text,
                agreed=state.draft.agreed,
                changes=state.draft.changes,
                actor=site_actor(request),
            )
            if "register" in request.POST and sound and state.checked.plan is not None:
                made = actions.register_draft(draft=row, plan=state.checked.plan, actor=site_actor(request))
                return redirect(made)
        if "register" in request.POST:
            trouble = _("It is saved, not registered: what is marked below has to be mended first.")
            return _editor(request, row, state, trouble=trouble, status=422)
        messages.success(request, _("The draft is saved."))
        return HttpResponseRedirect(f"{row.get_absolute_url()}?{_previewed(state)}")
    except ComplianceError as error:
        row.refresh_from_db()
        overtaken = row.plan_id is None and row.revision != _revision(request)
        return _editor(request, row, state, trouble=str(error), overtaken=overtaken, status=409)


@page("POST")
def check(request: HttpRequest, pk: int) -> HttpResponseBase:
    """What is wrong with what is being typed, and the other side of it. Nothing is kept."""
    row = _draft(request, pk)
    access.require(request.user, WRITE, row.team_id)
    state = _sent(request, row)
    context = _context(request, row, state)
    typed = request.headers.get("HX-Trigger", "")
    # The side somebody types in is left alone: what they typed since would be lost. Rows that moved must be renumbered.
    moved = state.draft.attributes != attribute_count(plain(_agreed(request)) or {})
    context["swap_form"] = moved or typed == DEPTH_SIDE or (typed == TOML_SIDE and state.checked.readable)
    context["swap_models"] = typed == DEPTH_SIDE
    context["swap_text"] = typed != TOML_SIDE or state.draft.text != one_way_lines(request.POST.get("text", ""))
    return page_of(request, "plans/_checked.html", context, _tables(row, state, context["differences"]))


@page("GET", "HEAD")
def plan(request: HttpRequest, pk: int) -> HttpResponseBase:
    """A registered design: what it says, where it stands, who decided so."""
    return _plan_page(request, _plan(request, pk))


@page("POST")
def decide(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Approve, return or retire a design."""
    row = _plan(request, pk)
    access.require(request.user, "approve_planversion", row.team_id)
    form = DecisionForm(request.POST)
    if form.is_valid():
        state = DesignState(form.cleaned_data["state"])
        try:
            actions.decide_on_design(
                plan=row, state=state, reason=form.cleaned_data["reason"], actor=site_actor(request)
            )
            messages.success(request, _(DECIDED[state]))
            return redirect(row)
        except ComplianceError as error:
            form.add_error(None, str(error))
            return _plan_page(request, row, form=form, status=409)
    return _plan_page(request, row, form=form, status=400)


@page("POST")
def again(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Answer the comments of a returned design, and submit it once more."""
    row = _plan(request, pk)
    access.require(request.user, WRITE, row.team_id)
    form = AgainForm(request.POST)
    if not form.is_valid():
        return _plan_page(request, row, answer=form, status=400)
    try:
        actions.submit_design_again(plan=row, reason=form.cleaned_data["reason"], actor=site_actor(request))
    except ComplianceError as error:
        form.add_error(None, str(error))
        return _plan_page(request, row, answer=form, status=409)
    messages.success(request, _("The design waits for a decision again."))
    return redirect(row)


def _plan_page(
    request: HttpRequest,
    row: PlanVersion,
    *,
    form: DecisionForm | None = None,
    answer: AgainForm | None = None,
    status: int = 200,
) -> HttpResponseBase:
    state = design_state(row)
    may = access.may(request.user, "approve_planversion", row.team_id) and bool(TRANSITIONS[state])
    own = may and wrote(row, site_actor(request))
    offered = [item for item in TRANSITIONS[state] if not (own and item != DesignState.RETIRED)]
    may_write = access.may(request.user, WRITE, row.team_id)
    origin = row.drafts.first()
    history = history_of(request.user, row.event_object, about=row.name)
    changed = differences(origin.origin_text, origin.text) if origin else None
    against = _last_approved(row)
    # What the approver compares is what would be run: both are written out as the register holds them.
    approved_changes = differences(written_out(against), written_out(row)) if against is not None else None
    reading = read_of(row, request)
    context = {
        "plan": row,
        "state": state,
        "decisions": row.decisions.all(),
        "text": written_out(row),
        "origin": origin,
        "comments": comments_on(origin.copy_of) if origin is not None and origin.copy_of is not None else (),
        "changed": changed,
        "against": against,
        "approved_changes": approved_changes,
        "reading": reading,
        "form": form or (DecisionForm().offer(offered) if may else None),
        "answer": answer or (AgainForm() if may_write and state is DesignState.RETURNED else None),
        "own": own,
        "may_write": may_write,
        "may_run": access.may(request.user, "run_audit", row.team_id),
        "may_schedule": access.may(request.user, "run_audit", row.team_id) and state is DesignState.APPROVED,
        "used": Audit.objects.for_user(request.user).filter(plan=row).count(),
        "history": history,
    }
    tables, here = [history.table], row.get_absolute_url()
    if origin and changed:
        tables.append(plan_tables.differences_table(changed, origin=origin.origin, address=here))
    if against is not None and approved_changes:
        words = _("{name}, version {number}").format(name=against.name, number=number_of(against))
        tables.append(
            plan_tables.differences_table(approved_changes, origin=words, address=here, name="since-approved")
        )
    if reading.preview is not None and reading.preview.fields:
        tables.append(plan_tables.fields_table(reading.preview, address=f"{here}?{reading.query}"))
    return page_of(request, "plans/plan.html", context, tables, status=status)


def _last_approved(row: PlanVersion) -> PlanVersion | None:
    """The approved design of the same name that was registered last before this one."""
    before = PlanVersion.objects.filter(team=row.team_id, name=row.name, pk__lt=row.pk)
    found: PlanVersion | None = before.numbered().approved().first()
    return found


def _editor(
    request: HttpRequest,
    row: PlanDraft,
    state: State,
    *,
    trouble: str = "",
    overtaken: bool = False,
    status: int = 200,
) -> HttpResponseBase:
    """The page; where somebody else saved meanwhile, with both texts, and to be saved on top of theirs."""
    context = {**_context(request, row, state), "trouble": trouble, "overtaken": overtaken}
    if overtaken:
        context |= {"revision": row.revision, "apart": lines_between(row.text, state.draft.text)}
    tables = _tables(row, state, context["differences"])
    return page_of(request, "plans/draft.html", context, tables, status=status)


def _tables(row: PlanDraft, state: State, changed: list[Difference] | None) -> list[Table]:
    """The tables of the editor. Their files are those of what is saved: nothing unsaved is sent with an address."""
    shown, tables = state.preview, list[Table]()
    if shown is not None and shown.fields:
        tables.append(plan_tables.fields_table(shown, address=f"{row.get_absolute_url()}?{_previewed(state)}"))
    if changed:
        tables.append(plan_tables.differences_table(changed, origin=row.origin, address=row.get_absolute_url()))
    return tables


def _context(request: HttpRequest, row: PlanDraft, state: State) -> dict[str, Any]:
    found = state.preview.problem if state.preview else None
    problems = [*state.checked.problems, *([found] if found else [])]
    saved = (row.text, row.changes) == (state.draft.text, state.draft.changes)
    return {
        "row": row,
        "state": state,
        "form": form_of(state.draft, problems, depth=state.depth),
        "depths": list(Depth),
        "problems": [*(problem.line for problem in problems), *state.draft.refused.values()],
        "waiting": bool(state.draft.changes),
        "comments": comments_on(row.copy_of) if row.copy_of is not None else (),
        "saved": saved,
        "revision": _revision(request) if request.method == "POST" else row.revision,
        "differences": differences(row.origin_text, state.draft.text),
        "lines": lines_between(row.origin_text, state.draft.text),
        "data_sets": state.data_sets,
        "models": state.models,
        "may_write": row.plan_id is None and access.may(request.user, WRITE, row.team_id),
    }


def _stored(request: HttpRequest, row: PlanDraft) -> State:
    kept = DraftSides(text=row.text, agreed=row.agreed, changes=row.changes)
    return _state(request, row, kept, request.GET)


def _sent(request: HttpRequest, row: PlanDraft) -> State:
    text, agreed = one_way_lines(request.POST.get("text", "")), _agreed(request)
    if max(len(text), len(agreed)) > LONGEST:
        raise RequestDataTooBig(f"a plan of more than {LONGEST:,} characters")
    posted = posted_values(request.POST, agreed) if "form" in request.POST else {}
    return _state(request, row, merged(text=text, agreed=agreed, posted=posted), request.POST)


def _agreed(request: HttpRequest) -> str:
    return one_way_lines(request.POST.get("agreed", ""))


def _state(request: HttpRequest, row: PlanDraft, both: DraftSides, asked: Any) -> State:
    checked = check_text(both.text)
    wanted = asked.get("depth")
    depth = Depth(wanted) if wanted in list(Depth) else depth_of_text(plain(both.text) or plain(both.agreed))
    models, every = _models_at(request, row, depth), list(_data_sets(request, row))
    own, named = row.data if row.data_id is not None else None, asked.get("model")
    if depth is Depth.RECORD and own is not None and named is None:
        model = next((item for item in models if item.sha256 == own.fingerprint), None)
    else:
        model = _chosen(models, named)
    sets = every
    if depth is Depth.RECORD and model is not None:  # what is audited is its own data, and no other
        sets = [item for item in every if item.fingerprint == model.sha256] or every
    wanted = asked.get("data")
    # What was written from a table is looked at on that table, however many came since.
    data = _chosen(sets, str(row.data_id) if wanted is None and row.data_id is not None else wanted)
    shown = preview(checked.plan, data=data, model=model, depth=depth) if checked.plan and data else None
    return State(
        draft=both,
        checked=checked,
        data=data,
        model=model,
        preview=shown,
        depth=depth,
        data_sets=every,
        models=models,
    )


def _data_sets(request: HttpRequest, row: PlanDraft) -> Any:
    return DataSetVersion.objects.for_user(request.user).filter(team=row.team_id).defer("preview")


def _models(request: HttpRequest, row: PlanDraft) -> Any:
    rows = LanguageModelVersion.objects.for_user(request.user).filter(language_model__team=row.team_id)
    return rows.select_related("language_model").defer("manifest")


def _models_at(request: HttpRequest, row: PlanDraft, depth: Depth) -> list[LanguageModelVersion]:
    """The versions that can be audited at a depth, the newest first."""
    return [item for item in _models(request, row) if depth_of_source(item.source) is depth]


def _chosen(rows: Sequence[Any], key: str | None) -> Any:
    """What an address or a form names; the newest where it names nothing, none where it says so."""
    if key is None:
        return rows[0] if rows else None
    return next((item for item in rows if str(item.pk) == key), None)


def _previewed(state: State) -> str:
    chosen = {
        "depth": state.depth,
        "data": state.data.pk if state.data else "",
        "model": state.model.pk if state.model else "",
    }
    return urlencode(chosen)


def _revision(request: HttpRequest) -> int:
    sent = request.POST.get("revision", "")
    return int(sent) if sent.isdecimal() and len(sent) < 10 else 0


def _name(both: DraftSides, row: PlanDraft) -> str:
    """What lists call it: its title, as far as the text says one."""
    title = (plain(both.text) or {}).get("title")
    return title if isinstance(title, str) and title.strip() else row.name


def _draft(request: HttpRequest, pk: int) -> PlanDraft:
    """A draft somebody may see. One they may not see is not there for them."""
    rows = PlanDraft.objects.for_user(request.user).select_related("team", "plan", "copy_of", "data")
    row = rows.filter(pk=pk).first()
    if row is None:
        raise Http404("no such draft")
    return row


def _plan(request: HttpRequest, pk: int) -> PlanVersion:
    row = PlanVersion.objects.for_user(request.user).select_related("team").numbered().filter(pk=pk).first()
    if row is None:
        raise Http404("no such plan")
    return row
