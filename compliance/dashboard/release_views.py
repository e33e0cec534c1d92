"""The examiner's door: what was released to me, a cover page for each, and releasing on an audit's page."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_POST

from compliance import actions
from compliance.access import permissions as access
from compliance.dashboard import audit_views
from compliance.dashboard.pages import page
from compliance.dashboard.release_forms import ReleaseForm, WithdrawalForm
from compliance.dashboard.releases import IN_IT, NOT_IN_IT, check_lines, files_of, releases_table, stands
from compliance.exceptions import ComplianceError
from compliance.governance.events import site_actor
from compliance.models import Release
from compliance.models.teams import ReleaseQuerySet
from compliance.tables.pages import page_of

LINES = 25
BATCH = 200


@page
def releases(request: HttpRequest) -> HttpResponseBase:
    """What was released to me, with what is over."""
    return releases_page(request)


def releases_page(request: HttpRequest) -> HttpResponseBase:
    """The same as a page; the first one of whoever only examines."""
    rows = _light(Release.objects.read_by(request.user))
    listed = Paginator(rows, LINES).get_page(request.GET.get("page"))
    tables = [releases_table(list(listed.object_list), lambda: rows.iterator(BATCH), own=True)]
    return page_of(request, "compliance/released_to_me.html", {"listed": listed, "asked": ""}, tables)


@page
def cover(request: HttpRequest, pk: int) -> HttpResponse:
    """The cover page of a release; of one that is over, that it is."""
    return _cover(request, _release(request, pk), WithdrawalForm())


def _cover(request: HttpRequest, release: Release, form: WithdrawalForm, *, status: int = 200) -> HttpResponse:
    audit = release.audit
    files = files_of(audit) if release.current else []
    context = {
        "release": release,
        "audit": audit,
        "stands": stands(release),
        "files": files,
        "check": check_lines(audit, files),
        "names": " ".join(f"{audit.number}-{item.name}" for item in files),
        "in_it": [_(item) for item in IN_IT],
        "not_in_it": [_(item) for item in NOT_IN_IT],
        "mine": release.reader_id == request.user.pk,
        "may_withdraw": release.current and access.may(request.user, "delete_release", audit.team_id),
        "form": form,
    }
    return render(request, "compliance/release.html", context, status=status)


@require_POST
@cache_control(private=True, no_store=True)
@login_required
def release(request: HttpRequest, number: int) -> HttpResponseBase:
    """Release an audit to an examiner."""
    audit = audit_views.find_audit(request, number)
    access.require(request.user, "add_release", audit.team_id)
    if not audit.complete:
        raise Http404(_("an audit that has not finished has nothing to release"))
    form = ReleaseForm(request.POST).for_audit(audit)
    if not form.is_valid():
        return audit_views.audit_page_of(request, audit, releasing=form, status=400)
    said = form.cleaned_data
    try:
        made = actions.release_audit(
            audit=audit, reader=said["reader"], until=form.moment, reason=said["reason"], actor=site_actor(request)
        )
    except ComplianceError as error:
        form.add_error(None, str(error))
        return audit_views.audit_page_of(request, audit, releasing=form, status=409)
    line = _("{audit} is released to {reader}. This is the cover page that they read.")
    messages.success(request, line.format(audit=audit.number, reader=said["reader"]))
    return redirect("released", made.pk)


@require_POST
@cache_control(private=True, no_store=True)
@login_required
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """Take a release back, at once."""
    found = _release(request, pk)
    access.require(request.user, "delete_release", found.audit.team_id)
    form = WithdrawalForm(request.POST)
    if not form.is_valid():
        return _cover(request, found, form, status=400)
    try:
        actions.withdraw_release(release=found, actor=site_actor(request))
        messages.success(request, _("The release is withdrawn. Its pages and files are shown no more, from now on."))
    except ComplianceError as error:
        messages.error(request, str(error))
    return redirect("released", found.pk)


def _release(request: HttpRequest, pk: int) -> Release:
    """A release to oneself, over or not, or one of an audit of one's team. Others are not there."""
    mine, seen = Release.objects.read_by(request.user), Release.objects.for_user(request.user)
    known = Q(pk__in=mine.order_by().values("pk")) | Q(pk__in=seen.order_by().values("pk"))
    found = _light(Release.objects.filter(known)).filter(pk=pk).first()
    if found is None:
        raise Http404(_("no such release"))
    return found


def _light(rows: ReleaseQuerySet) -> ReleaseQuerySet:
    beside = rows.select_related("reader", "audit__plan", "audit__team", "audit__model__language_model")
    return beside.defer("audit__run_json", "audit__plan__design_json", "audit__model__manifest")
