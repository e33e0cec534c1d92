"""Pages on which officers register models and data sets. What they change, actions change."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_http_methods

from auditor.exceptions import DataError, InputError
from auditor.mapping_checks import check_mapping
from compliance import access, actions
from compliance.events import site_actor
from compliance.exceptions import ComplianceError
from compliance.models import Registration, RegistrationState
from compliance.registration import mapping_of, masked_preview, proposed_mapping, read_upload
from compliance.registry.forms import DataForm, MappingForm, ModelForm, UploadForm
from compliance.registry.uploads import PART_BYTES, begin_upload, take_part, take_whole

LINES = 25
PERMISSIONS = {Registration.MODEL: "add_languagemodelversion", Registration.DATA: "add_datasetversion"}


def page(*methods: str) -> Callable[[Callable[..., HttpResponseBase]], Callable[..., HttpResponseBase]]:
    """A page for people who are logged in, for these methods; nothing of it is kept in a cache."""

    def decorated(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
        guarded = cache_control(private=True, no_store=True)(login_required(view))
        return wraps(view)(require_http_methods(list(methods))(guarded))

    return decorated


@page("GET", "HEAD")
def registrations(request: HttpRequest) -> HttpResponse:
    """Everything on its way into the register, newest first."""
    _need(request, "view_registration")
    rows = Registration.objects.for_user(request.user).select_related("team", "model_version", "data_version")
    listed = Paginator(rows, LINES).get_page(request.GET.get("page"))
    can = {kind: request.user.has_perm(f"compliance.{permission}") for kind, permission in PERMISSIONS.items()}
    return render(request, "registry/registrations.html", {"listed": listed, "can": can, "asked": ""})


@page("GET", "HEAD", "POST")
def register_model(request: HttpRequest) -> HttpResponse:
    """Ask for a model to be imported."""
    _need(request, ModelForm.permission)
    form = ModelForm(request.POST or None, user=request.user)
    if form.is_valid():
        asked = dict(form.cleaned_data)
        team, source = asked.pop("team"), asked.pop("source")
        actor = site_actor(request)
        language_model = actions.open_language_model(team=team, description=asked, actor=actor)
        row = actions.request_model(language_model=language_model, source=source, actor=actor)
        return _to(row)
    return render(request, "registry/model.html", {"form": form}, status=400 if form.errors else 200)


@page("GET", "HEAD", "POST")
def register_data(request: HttpRequest) -> HttpResponse:
    """Upload a table in one piece; the script of the page sends it in parts instead."""
    _need(request, DataForm.permission)
    form = DataForm(request.POST or None, request.FILES or None, user=request.user)
    if form.is_valid():
        asked = form.cleaned_data
        try:
            row = begin_upload(
                team=asked["team"],
                title=asked["name"],
                file_name=asked["file"].name,
                size=asked["file"].size,
                actor=site_actor(request),
            )
            take_whole(row, asked["file"], actor=site_actor(request))
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
        lines = [f"{name}: {' '.join(errors)}" for name, errors in form.errors.items()]
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
        except ValueError:
            status, error = 400, "offset: is no number; expected where the part begins"
        except (DataError, ComplianceError) as refused:
            status, error = 409, str(refused)
    done = row.state != RegistrationState.UPLOADING
    answer = {"received": row.received, "size": row.size, "error": error, "next": _address(row) if done else ""}
    return JsonResponse(answer, status=status)


@page("GET", "HEAD", "POST")
def registration(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """How far a registration is; for a table, what its columns mean."""
    row = _row(request, public_id)
    context: dict[str, Any] = {"row": row, "may": access.may(request.user, PERMISSIONS[row.kind], row.team_id)}
    describable = row.kind == Registration.DATA and row.state in (RegistrationState.MAPPING, RegistrationState.FAILED)
    if request.method == "POST":
        access.require(request.user, PERMISSIONS[row.kind], row.team_id)
        if not describable:
            return _to(row)
    if not describable or not row.file:
        return render(request, "registry/registration.html", context)
    try:
        frame, _ = read_upload(row)
    except InputError as error:
        return render(request, "registry/registration.html", {**context, "error": str(error)})
    form = MappingForm(request.POST or None, initial={"mapping": proposed_mapping(row, frame)})
    text = form.cleaned_data["mapping"] if form.is_valid() else form["mapping"].value() or ""
    error = ""
    try:
        mapping = mapping_of(text, where="mapping")
        lines = check_mapping(frame, mapping)
        context |= {"lines": lines, "preview": masked_preview(frame, mapping, rows=5), "mapping": mapping}
    except InputError as refused:
        error = str(refused)
    if form.is_bound and form.is_valid():
        # Kept right or wrong, so that nothing somebody wrote is lost.
        ready = not error and "register" in request.POST
        actions.keep_mapping(registration=row, mapping=text, ready=ready, actor=site_actor(request))
        if ready:
            return _to(row)
    return render(request, "registry/registration.html", {**context, "form": form, "error": error})


@page("POST")
def again(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Try a failed registration once more."""
    row = _row(request, public_id)
    access.require(request.user, PERMISSIONS[row.kind], row.team_id)
    try:
        actions.try_again(registration=row, actor=site_actor(request))
    except ComplianceError as error:
        return render(request, "registry/registration.html", {"row": row, "error": str(error)}, status=409)
    return _to(row)


def _need(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(f"compliance.{permission}"):
        raise PermissionDenied


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
