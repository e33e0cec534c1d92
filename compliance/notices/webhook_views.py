"""Pages on which administrators of a team set webhooks and see what became of each delivery."""

from __future__ import annotations

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from compliance import actions
from compliance.access import permissions as access
from compliance.exceptions import ComplianceError
from compliance.governance.events import site_actor
from compliance.models import DeliveryState, Webhook
from compliance.notices import signing
from compliance.notices.forms import WebhookForm
from compliance.notices.kinds import KINDS
from compliance.notices.tables import deliveries_table, webhooks_table
from compliance.registry.views import page
from compliance.tables.pages import page_of

LINES = 25
BATCH = 200


@page("GET", "HEAD", "POST")
def webhooks(request: HttpRequest) -> HttpResponseBase:
    """The webhooks of one's teams; setting one shows its secret this once."""
    access.need(request.user, "view_webhook")
    if request.method != "POST":
        return _list(request)
    access.need(request.user, WebhookForm.permission)
    form = WebhookForm(request.POST, user=request.user)
    if not form.is_valid():
        return _list(request, form=form, status=400)
    try:
        hook, secret = actions.set_webhook(actor=site_actor(request), **form.cleaned_data)
    except ComplianceError as error:
        form.add_error(None, str(error))
        return _list(request, form=form, status=409)
    return _page(request, hook, secret=secret)


@page("GET", "HEAD")
def webhook(request: HttpRequest, pk: int) -> HttpResponseBase:
    """One webhook: what it is told, and what became of each delivery."""
    return _page(request, _found(request, pk))


@page("POST")
def renew(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Another secret, shown this once."""
    hook = _found(request, pk)
    access.require(request.user, "add_webhook", hook.team_id)
    try:
        secret = actions.renew_webhook_secret(webhook=hook, actor=site_actor(request))
    except ComplianceError as error:
        return _page(request, hook, refused=str(error), status=409)
    return _page(request, hook, secret=secret)


@page("POST")
def end(request: HttpRequest, pk: int) -> HttpResponseBase:
    """Tell it nothing more."""
    hook = _found(request, pk)
    access.require(request.user, "delete_webhook", hook.team_id)
    try:
        actions.end_webhook(webhook=hook, actor=site_actor(request))
    except ComplianceError as error:
        return _page(request, hook, refused=str(error), status=409)
    messages.success(request, _("The webhook is ended. What was on its way to it is not sent."))
    return redirect(hook)


def _list(request: HttpRequest, *, form: WebhookForm | None = None, status: int = 200) -> HttpResponseBase:
    rows = Webhook.objects.for_user(request.user).select_related("team").defer("sealed")
    counted = rows.annotate(
        waiting=_standing(DeliveryState.WAITING), given_up=_standing(DeliveryState.GIVEN_UP)
    ).order_by("-pk")
    listed = Paginator(counted, LINES).get_page(request.GET.get("page"))
    context = {"listed": listed, "asked": "", "form": form or WebhookForm(user=request.user)}
    tables = [webhooks_table(list(listed.object_list), lambda: counted.iterator(BATCH))]
    return page_of(request, "notices/webhooks.html", context, tables, status=status)


def _page(
    request: HttpRequest, hook: Webhook, *, secret: str = "", refused: str = "", status: int = 200
) -> HttpResponseBase:
    rows = hook.deliveries.defer("body")
    listed = Paginator(rows, LINES).get_page(request.GET.get("page"))
    context = {
        "webhook": hook,
        "kinds": [_(KINDS[name].event) for name in hook.kinds if name in KINDS],
        "listed": listed,
        "asked": "",
        "secret": secret,
        "refused": refused,
        "may_set": access.may(request.user, "add_webhook", hook.team_id) and hook.ended_at is None,
        "names": signing,
    }
    tables = [deliveries_table(list(listed.object_list), lambda: rows.iterator(BATCH), about=hook.event_object)]
    return page_of(request, "notices/webhook.html", context, tables, status=status)


def _standing(state: DeliveryState) -> Count:
    return Count("deliveries", filter=Q(deliveries__state=state))


def _found(request: HttpRequest, pk: int) -> Webhook:
    """A webhook of a team that one administers. Others are not there."""
    hook = Webhook.objects.for_user(request.user).select_related("team").filter(pk=pk).first()
    if hook is None:
        raise Http404("no such webhook")
    return hook
