"""Pages of notices: what somebody was told, and how they want to be told."""

from __future__ import annotations

import smtplib
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from compliance import actions
from compliance.actions.notices import address_of
from compliance.dashboard.asked import choice
from compliance.exceptions import ComplianceError
from compliance.governance.events import signed_in, site_actor
from compliance.models import MailAddress, Notice, NoticeChoice
from compliance.notices.forms import AddressForm
from compliance.notices.kinds import KINDS
from compliance.notices.mail import confirmation_mail
from compliance.notices.sending import allowed
from compliance.notices.tables import notices_table
from compliance.registry.views import page
from compliance.tables.pages import page_of

LINES = 25
BATCH = 200
UNREAD = "unread"


@page("GET", "HEAD")
def notices(request: HttpRequest) -> HttpResponseBase:
    """What I was told, newest first."""
    user = signed_in(request)
    which = choice(request.GET, "show", [UNREAD])
    rows = Notice.objects.shown_to(user).select_related("team", "mail")
    if which == UNREAD:
        rows = rows.filter(read_at=None)
    listed = Paginator(rows, LINES).get_page(request.GET.get("page"))
    shown = list(listed.object_list)
    mine = allowed(user, shown)

    def every() -> Any:
        for start in range(0, listed.paginator.count, BATCH):
            part = list(rows[start : start + BATCH])
            mine.update(allowed(user, part))
            yield from part

    table = notices_table(shown, every, allowed=lambda row: row.pk in mine)
    context = {
        "listed": listed,
        "asked": "show=unread" if which else "",
        "which": which,
        "unread_here": any(row.read_at is None for row in shown),
        "webhooks": request.user.has_perm("compliance.view_webhook"),
    }
    return page_of(request, "notices/notices.html", context, [table])


@page("POST")
def read(request: HttpRequest) -> HttpResponse:
    """Mark those that were chosen as read, or all of them."""
    user = signed_in(request)
    if "all" in request.POST:
        count = actions.mark_read(user=user)
    else:
        chosen = [int(key) for key in request.POST.getlist("notice") if key.isdecimal() and len(key) < 19]
        count = sum(actions.mark_read(user=user, notice=key) for key in chosen[:LINES])
    said = ngettext("{count} notice marked as read.", "{count} notices marked as read.", count)
    messages.success(request, said.format(count=count))
    return redirect("notices")


@page("GET", "HEAD", "POST")
def choices(request: HttpRequest) -> HttpResponse:
    """How I want to be told of each kind."""
    if request.method == "POST":
        told = {kind: (f"site_{kind}" in request.POST, f"mail_{kind}" in request.POST) for kind in KINDS}
        actions.choose_notices(choices=told, actor=site_actor(request))
        messages.success(request, _("It is kept. What is on its way already still arrives."))
        return redirect("notice_choices")
    return _choices(request)


@page("POST")
def address(request: HttpRequest) -> HttpResponse:
    """Enter a mail address, and send the link that confirms it."""
    form = AddressForm(request.POST)
    if not form.is_valid():
        return _choices(request, form, status=400)
    to = form.cleaned_data["address"]
    try:
        token = actions.set_mail_address(address=to, actor=site_actor(request))
    except ComplianceError as error:
        form.add_error(None, str(error))
        return _choices(request, form, status=409)
    try:
        confirmation_mail(to=to, link=_link(request, token)).send()
    except (OSError, smtplib.SMTPException):
        form.add_error(None, _("the link could not be sent; expected a mail server that answers, in ten minutes again"))
        return _choices(request, form, status=503)
    said = _("A link was sent to {address}. Nothing else is before you followed it.")
    messages.success(request, said.format(address=to))
    return redirect("notice_choices")


@page("POST")
def remove_address(request: HttpRequest) -> HttpResponse:
    """Take my address away."""
    try:
        actions.remove_mail_address(actor=site_actor(request))
        messages.success(request, _("Your address is taken away. Nothing is mailed any more."))
    except ComplianceError as error:
        messages.error(request, str(error))
    return redirect("notice_choices")


@page("GET", "HEAD", "POST")
def confirm_address(request: HttpRequest, token: str) -> HttpResponse:
    """The page behind the link that was mailed. Programs that follow links in mail press no button."""
    if request.method != "POST":
        return render(request, "notices/address.html", {"token": token})
    try:
        actions.confirm_mail_address(token=token, actor=site_actor(request))
        messages.success(request, _("Your address is confirmed. What you chose is mailed from now on."))
    except ComplianceError as error:
        messages.error(request, str(error))
    return redirect("notice_choices")


def _choices(request: HttpRequest, form: AddressForm | None = None, *, status: int = 200) -> HttpResponse:
    user = signed_in(request)
    chosen = {row.kind: row for row in NoticeChoice.objects.filter(user=user)}
    mail = MailAddress.objects.filter(user=user).exclude(address="").first()
    lines = [
        {
            "name": name,
            "label": _(kind.label),
            "on_site": chosen[name].on_site if name in chosen else True,
            "by_mail": chosen[name].by_mail if name in chosen else kind.mailed,
        }
        for name, kind in KINDS.items()
    ]
    context = {"lines": lines, "mail": mail, "form": form or AddressForm()}
    return render(request, "notices/choices.html", context, status=status)


def _link(request: HttpRequest, token: str) -> str:
    path = reverse("mail_address_confirm", args=[token])
    whole = address_of(path)
    return whole if whole != path else request.build_absolute_uri(path)
