"""Pages on which officers register models and data sets. What they change, actions change."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db import DatabaseError, transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods

from auditor.exceptions import DataError, InputError
from auditor.proposals import has_fields
from compliance import actions
from compliance.access import permissions as access
from compliance.actions.registrations import PERMISSIONS
from compliance.dashboard.list_pages import list_page
from compliance.database.patience import passes
from compliance.exceptions import ComplianceError, OvertakenError
from compliance.form_fields import one_way_lines
from compliance.governance.events import site_actor
from compliance.line_differences import line_differences
from compliance.models import Registration, RegistrationState
from compliance.registry.column_facts import ColumnFacts
from compliance.registry.columns import mapping_of, reading_of, shown_as_they_are
from compliance.registry.forms import DataForm, FileForm, MappingForm, ModelForm, UploadForm
from compliance.registry.mapping_page import columns_page, columns_table, lines_shown, posted_boxes
from compliance.registry.mapping_sides import Sides, merged, plain_of
from compliance.registry.reading import Look, look_at
from compliance.registry.register_tables import preview_table, registrations_table
from compliance.registry.uploads import PART_BYTES, begin_again, begin_upload, take_part, take_whole
from compliance.sentences import in_english, in_sentence
from compliance.tables.described import Table
from compliance.tables.lists import Filter, Listing, by, named
from compliance.tables.pages import page_of

log = logging.getLogger(__name__)

SHOWN_ROWS = 5
MOST_LINES = 8
#: What a page offers where the file cannot be read without being told how.
READING = """# How the file is read: take out the # before a key that the line above asks for, and check again.
[reading]
# sheet = "Sheet1"
# header = 1  # false if there are no names
# columns = ["applicant_id", "race"]  # the names of a file that has none
# last = 100
# delimiter = ";"
# encoding = "cp1252"
"""


def page(*methods: str) -> Callable[[Callable[..., HttpResponseBase]], Callable[..., HttpResponseBase]]:
    """A page for people who are logged in, for these methods; nothing of it is kept in a cache."""

    def decorated(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        guarded = cache_control(private=True, no_store=True)(login_required(view))
        return wraps(view)(require_http_methods(list(methods))(guarded))

    return decorated


@page("GET", "HEAD")
def registrations(request: HttpRequest) -> HttpResponseBase:
    """Everything on its way into the register, newest first."""
    _need(request, "view_registration")
    can = {kind: request.user.has_perm(f"compliance.{permission}") for kind, permission in PERMISSIONS.items()}
    return list_page(request, "registry/registrations.html", _listing(request.user), {"can": can})


def _listing(user: Any) -> Listing:
    rows = Registration.objects.for_user(user).select_related("team", "model_version", "data_version")
    return Listing(
        noun="registration",
        rows=rows.defer("mapping", "look"),
        search=named("name", "source", "requested_by", "error"),
        hint=_("Name, source, person"),
        filters=(
            Filter(
                name="kind",
                label=_("Kind"),
                narrow=lambda found, value: found.filter(kind=value),
                offered=((Registration.MODEL, _("Language models")), (Registration.DATA, _("Data sets"))),
            ),
            Filter(
                name="state",
                label=_("State"),
                narrow=lambda found, value: found.filter(state=value),
                offered=[(item.value, str(item.label)) for item in RegistrationState],
            ),
        ),
        sorts=(
            by("newest", _("Newest first"), "-created_at", "-pk", column="created_at", descending=True),
            by("name", _("Name"), "name", "-pk", column="name"),
        ),
        table=registrations_table,
    )


@page("GET", "HEAD", "POST")
def register_model(request: HttpRequest) -> HttpResponse:
    """Ask for a model to be imported."""
    _need(request, ModelForm.permission)
    form = ModelForm(request.POST or None, user=request.user, initial=_named_source(request))
    if form.is_valid():
        asked = dict(form.cleaned_data)
        team, source = asked.pop("team"), asked.pop("source")
        actor = site_actor(request)
        with transaction.atomic():
            language_model = actions.open_language_model(team=team, description=asked, actor=actor)
            row = actions.request_model(language_model=language_model, source=source, actor=actor)
        return _to(row)
    return render(request, "registry/model.html", {"form": form}, status=400 if form.errors else 200)


def _named_source(request: HttpRequest) -> dict[str, str]:
    """What the form begins with where a page named a source."""
    source = request.GET.get("source", "")
    return {"source": source[:500], "name": source.partition(":")[2][:200], "access": "outputs"} if source else {}


@page("GET", "HEAD", "POST")
def register_data(request: HttpRequest) -> HttpResponse:
    """Upload a table in one piece; the script of the page sends it in parts instead."""
    _need(request, DataForm.permission)
    form = DataForm(request.POST or None, request.FILES or None, user=request.user)
    if form.is_valid():
        asked = form.cleaned_data
        try:
            # The file is on disk already: what is written here, with the lock held, is a copy and its hash.
            with transaction.atomic():
                row = begin_upload(
                    team=asked["team"],
                    title=asked["name"],
                    file_name=asked["file"].name,
                    size=asked["file"].size,
                    actor=site_actor(request),
                )
                take_whole(row, asked["file"], actor=site_actor(request))
            _look(row, mapping="")
            return _to(row)
        except InputError as error:
            form.add_error("file", str(error))
    return render(request, "registry/data.html", {"form": form}, status=400 if form.errors else 200)


@page("POST")
def announce_upload(request: HttpRequest) -> HttpResponse:
    """Begin an upload in parts: where to send them, and how long they may be."""
    _need(request, UploadForm.permission)
    form = UploadForm(request.POST, user=request.user)
    if not form.is_valid():
        lines = [f"{name}: {' '.join(map(str, errors))}" for name, errors in form.errors.items()]
        return JsonResponse({"error": " ".join(lines)}, status=400)
    asked = form.cleaned_data
    try:
        row = begin_upload(
            team=asked["team"],
            title=asked["name"],
            file_name=asked["file_name"],
            size=asked["size"],
            actor=site_actor(request),
        )
    except InputError as error:
        return JsonResponse({"error": str(error)}, status=400)
    return JsonResponse({"part": reverse("upload_part", args=[row.public_id]), "bytes": PART_BYTES}, status=201)


@page("GET", "HEAD", "POST")
def upload_part(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Take the bytes that begin at ``offset``; asked without any, say how far the upload is."""
    row = _row(request, public_id)
    access.require(request.user, DataForm.permission, row.team_id)
    status, error = 200, ""
    if request.method == "POST":
        try:
            offset = int(request.GET.get("offset", ""))
            take_part(row, offset=offset, content=request.read(PART_BYTES + 1), actor=site_actor(request))
            if row.state == RegistrationState.MAPPING:
                _look(row, mapping="")
        except ValueError:
            status, error = 400, _("offset: is not a number; expected where the part begins")
        except (DataError, ComplianceError) as refused:
            status, error = 409, str(refused)
    done = row.state != RegistrationState.UPLOADING
    answer = {"received": row.received, "size": row.size, "error": error, "next": _address(row) if done else ""}
    return JsonResponse(answer, status=status)


@page("GET", "HEAD", "POST")
def registration(request: HttpRequest, public_id: UUID) -> HttpResponseBase:
    """How far a registration is; for a table, what its columns mean."""
    row = _row(request, public_id)
    context: dict[str, Any] = {"row": row, **_rights(request, row)}
    describable = row.kind == Registration.DATA and row.state in (RegistrationState.MAPPING, RegistrationState.FAILED)
    if request.method == "POST":
        access.require(request.user, PERMISSIONS[row.kind], row.team_id)
        if not describable:
            return _late(request, row)
    if not describable or not row.file:
        return render(request, "registry/registration.html", context)
    form = MappingForm(request.POST if "mapping" in request.POST else None)
    sides = _sides(request, row, form) if request.method == "POST" else None
    if request.method == "POST" and (not form.is_bound or (sides and not sides.refused)):
        answer = _taken(request, row, form, sides)
        if not isinstance(answer, MappingForm):
            return answer
        form = answer
    described = _described(row, form, asked=request.GET, sides=sides)
    refused = sides is not None and bool(sides.refused)
    # What was refused is still of what was read before it: others may have said something since.
    context |= {"stood": request.POST.get("read", "") if refused else row.revision, **described}
    tables = _tables(row, described)
    return page_of(request, "registry/registration.html", context, tables, status=400 if refused else 200)


def _sides(request: HttpRequest, row: Registration, form: MappingForm) -> Sides | None:
    """What was sent, TOML and table put together; nothing where only buttons were."""
    if not (form.is_bound and form.is_valid()):
        return None
    facts = _facts(row)
    return merged(
        text=one_way_lines(form.cleaned_data["mapping"]),
        agreed=one_way_lines(request.POST.get("agreed", "")),
        # Boxes are of the columns of the file that was shown: of another one they would describe other columns.
        posted=posted_boxes(request.POST, facts) if request.POST.get("of", row.file) == row.file else {},
        facts=facts,
    )


def _taken(
    request: HttpRequest, row: Registration, form: MappingForm, sides: Sides | None
) -> HttpResponseBase | MappingForm:
    """Keep what was said and do what was asked for; the form of the page, where that is shown next."""
    text = sides.text if sides else row.mapping
    register = "register" in request.POST and has_fields(text) and not _problem(text)
    if "go" in request.POST and not form.is_bound:
        return _to(row)
    # Kept right or wrong, so that nothing somebody wrote is lost; a worker says what is wrong for the table.
    if register or (form.is_bound and not ("go" in request.POST and text == _shown_text(row))):
        read, actor = request.POST.get("read"), site_actor(request)
        try:
            actions.keep_mapping(registration=row, mapping=text, ready=register, read=read, actor=actor)
        except OvertakenError as error:
            return _overtaken(request, row, text, str(error))
    if register:
        return _to(row)
    if "go" in request.POST:
        asked = {"columns": request.POST["go"], "find": request.POST.get("find", "")}
        return HttpResponseRedirect(f"{_address(row)}?{urlencode({k: v for k, v in asked.items() if v})}#columns")
    if not (text and _problem(text)):
        _look(row, mapping=text)
    if sides is None:
        return form
    # What stands in the boxes now is what was made of both sides.
    return MappingForm({"mapping": text}) if has_fields(text) or _problem(text) else MappingForm(None)


def _late(request: HttpRequest, row: Registration) -> HttpResponseBase:
    """Somebody had it registered meanwhile: what was sent is shown, for it is kept nowhere."""
    text = one_way_lines(request.POST.get("mapping", ""))
    if not text or text == row.mapping:
        return _to(row)
    state = in_sentence(row.get_state_display())
    error = _(
        "{registration}: is {state}; expected one whose columns are still described. What you said is not saved"
    ).format(registration=row, state=state)
    context = {"row": row, **_rights(request, row), "error": error, "overtaken": _apart(row, text)}
    return render(request, "registry/registration.html", context, status=409)


def _apart(row: Registration, text: str) -> dict[str, Any]:
    """Both texts, and line by line what tells them apart."""
    return {"theirs": row.mapping, "yours": text, "apart": line_differences(row.mapping, text)}


def _overtaken(request: HttpRequest, row: Registration, text: str, error: str) -> HttpResponseBase:
    """Both texts side by side; the form holds the one that was not saved, on top of the other."""
    row.refresh_from_db()
    form = MappingForm({"mapping": text})
    sides = Sides(text=text, agreed=text) if plain_of(text) is not None else None
    described = _described(row, form, asked=request.GET, sides=sides)
    context = {
        "row": row,
        **_rights(request, row),
        **described,
        "form": form,
        "error": error,
        "stood": row.revision,
        "overtaken": _apart(row, text),
    }
    tables = _tables(row, described)
    return page_of(request, "registry/registration.html", context, tables, status=409)


def _facts(row: Registration) -> list[ColumnFacts]:
    look = Look.kept(row)
    return [ColumnFacts.kept(each) for each in look.columns] if look else []


def _shown_text(row: Registration) -> str:
    """The mapping that the page shows: what somebody said, else what is proposed."""
    look = Look.kept(row)
    return row.mapping if has_fields(row.mapping) else (look.mapping if look else "") or row.mapping


def _tables(row: Registration, described: dict[str, Any]) -> list[Table]:
    at, tables = _address(row), list[Table]()
    if described.get("columns"):
        tables.append(columns_table(described["columns"], address=at))
    if described.get("preview"):
        tables.append(preview_table(described["preview"], proposed=described["proposed"], address=at))
    return tables


def _look(row: Registration, *, mapping: str) -> None:
    """Have the table read, in a process of its own, and keep what was seen: no page reads it again."""
    with in_english():
        look = look_at(row, mapping=mapping).to_keep()
    try:
        actions.keep_look(registration=row, look=look)
    except DatabaseError as error:
        if not passes(error):
            raise
        # The upload itself is kept: its page offers to have it read again.
        log.warning("%s: what was seen of it could not be kept (%s)", row, type(error).__name__)


def _described(
    row: Registration, form: MappingForm, *, asked: Mapping[str, Any], sides: Sides | None
) -> dict[str, Any]:
    """What the page says of the columns: all of it was kept when the table was read."""
    look = Look.kept(row)
    if row.mapping and not has_fields(row.mapping) and (error := _problem(row.mapping)):
        form.initial = {"mapping": row.mapping}
        return {"form": form, "error": error}
    text = _shown_text(row)
    if look is not None and look.refused:
        if not form.is_bound:
            form.initial = {"mapping": text or READING}
        # Where a key says how the file is read, people can say it here.
        helps = "[reading]" in look.refused or bool(text)
        return {"error": look.refused, "unread": True} | ({"form": form, "agreed": text} if helps else {})
    if not form.is_bound:
        form.initial = {"mapping": text}
    error = sides.refused if sides else ""
    error = error or (_problem(text) if text else "")
    facts = _facts(row)
    looked = look if look is not None and look.mapping == text else Look()
    lines, told = lines_shown(looked.lines, facts, text), lines_shown(looked.facts, facts, text)
    columns = columns_page(
        text=sides.agreed if sides and sides.refused else text,
        facts=facts,
        asked=asked,
        error=error,
        lines=lines,
        told=told,
        posted=sides.waiting if sides else None,
    )
    common = {"form": form, "agreed": sides.agreed if sides else text, "columns": columns}
    if error:
        return {**common, "error": error}
    if look is None or look.mapping != text:
        return {**common, "form": form if text else None, "unread": True}
    mapping = mapping_of(text, where="mapping")
    preview = look.preview[: SHOWN_ROWS + 1]
    proposal = not has_fields(row.mapping)
    return {
        **common,
        "error": look.error,
        "lines": look.lines,
        "facts": look.facts,
        # What stands at its column stands there alone, but for the first lines of what looks wrong.
        "shown": lines[:MOST_LINES],
        "beyond": len(lines) - MOST_LINES,
        "read": [line for line in told if not line.startswith("field ")] if columns else told,
        "preview": preview,
        "mapping": mapping,
        "proposed": proposal,
        "open": [] if proposal else shown_as_they_are(mapping),
    }


def _problem(text: str) -> str:
    """What is wrong with a mapping as such, or with keys for reading the file, whatever the table; empty if nothing."""
    try:
        (mapping_of if has_fields(text) else reading_of)(text, where="mapping")
    except InputError as refused:
        return str(refused)
    return ""


@page("POST")
def replace_file(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Take another table in the place of one that cannot be read, or is the wrong one; what was said of it stays."""
    row = _row(request, public_id)
    access.require(request.user, PERMISSIONS[row.kind], row.team_id)
    form = FileForm(request.POST, request.FILES)
    if not form.is_valid():
        return _refused(request, row, _("file: no file was sent; expected a table"), status=400)
    sent = form.cleaned_data["file"]
    try:
        # As with a new upload: the old table stays where no new one could be taken.
        with transaction.atomic():
            begin_again(row, file_name=sent.name, size=sent.size, actor=site_actor(request))
            take_whole(row, sent, actor=site_actor(request))
    except (InputError, ComplianceError) as error:
        return _refused(request, row, str(error), status=400 if isinstance(error, InputError) else 409)
    _look(row, mapping=row.mapping)
    return _to(row)


def _refused(request: HttpRequest, row: Registration, error: str, *, status: int) -> HttpResponse:
    """The page of a registration as it stands, with the line that says why nothing was done."""
    row.refresh_from_db()
    return render(
        request, "registry/registration.html", {"row": row, "error": error, **_rights(request, row)}, status=status
    )


def _rights(request: HttpRequest, row: Registration) -> dict[str, Any]:
    """What somebody may do with a registration as it stands, and see of its file once it is registered."""
    may = access.may(request.user, PERMISSIONS[row.kind], row.team_id)
    open_to_change = row.state in (RegistrationState.MAPPING, RegistrationState.FAILED)
    replace = FileForm() if may and open_to_change and not row.at_hand else None
    unfinished = open_to_change or row.state == RegistrationState.UPLOADING
    writes = row.data_version_id is not None and access.may(request.user, "add_planversion", row.team_id)
    return {
        "seen": lines_shown(row.look.get("lines", ()), _facts(row), row.mapping),
        "may": may,
        "replace": replace,
        "removable": may and unfinished and not row.at_hand,
        "may_write_plan": writes,
    }


@page("POST")
def remove(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Take an upload away that is not registered, once somebody said that they mean it."""
    row = _row(request, public_id)
    access.require(request.user, PERMISSIONS[row.kind], row.team_id)
    if "sure" not in request.POST:
        return _refused(request, row, _("sure: is not ticked; expected a tick that the file may go"), status=400)
    try:
        actions.remove_registration(registration=row, actor=site_actor(request))
    except ComplianceError as error:
        return _refused(request, row, str(error), status=409)
    messages.success(request, _("{file} and what was said of its columns are removed.").format(file=row.source))
    return HttpResponseRedirect(reverse("registrations"))


@page("POST")
def again(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Try a failed registration once more."""
    row = _row(request, public_id)
    access.require(request.user, PERMISSIONS[row.kind], row.team_id)
    try:
        actions.try_again(registration=row, actor=site_actor(request))
    except ComplianceError as error:
        return _refused(request, row, str(error), status=409)
    return _to(row)


def _need(request: HttpRequest, permission: str) -> None:
    access.need(request.user, permission)


def _row(request: HttpRequest, public_id: UUID) -> Registration:
    """A registration somebody may see. One they may not see is not there for them."""
    rows = Registration.objects.for_user(request.user).select_related("team", "model_version", "data_version")
    row = rows.filter(public_id=public_id).first()
    if row is None:
        raise Http404("no such registration")
    return row


def _address(row: Registration) -> str:
    return reverse("registration", args=[row.public_id])


def _to(row: Registration) -> HttpResponseRedirect:
    return HttpResponseRedirect(_address(row))
