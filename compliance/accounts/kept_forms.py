"""Nothing that somebody wrote is lost when their session ends: it is kept, and stands in its form again.

A form that arrives without a session is kept for the account whose browser sent it, and its page is shown filled in
after the login; nothing of it is carried out before somebody presses its button again. Long forms save themselves in
the same way while they are written (compliance/static/compliance/unsent.js).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.middleware.csrf import get_token
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_POST

from compliance import actions
from compliance.accounts.filling import KEPT, TOKEN, filled
from compliance.accounts.form_owner import begin_secret, is_of
from compliance.accounts.sessions import account_before
from compliance.actions.kept_forms import Written
from compliance.exceptions import StateError
from compliance.governance.events import signed_in
from compliance.registry.uploads import UPLOADS

log = logging.getLogger(__name__)

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
#: Pages whose long forms save themselves, and where these are sent to.
SAVING = frozenset({"plan_draft", "plan", "finding", "registration"})
TARGETS = frozenset(
    {
        "plan_draft", "plan_decide", "finding_answer", "finding_note", "finding_reject", "finding_move", "registration",
    }
)  # fmt: skip
#: Forms about passwords, codes and sessions are asked for again, never kept.
NEVER = re.compile(r"^(login|logout|password|account_\w+|first_run|second_factor\w*|session\w*|new_device|kept_\w+)$")
SECRET = re.compile(r"pass(word|phrase)?|secret|^again$|^key$|^code$", re.IGNORECASE)
#: What a page's script sends while somebody types, and the form that it is of.
CHECKED = {"plan_check": "plan_draft"}
PAGE, TARGET = "kept-page", "kept-target"
NOT_KEPT = "0"
REFUSED = "kept_and_not_carried_out"
EXPECTED_PARENT = 405


class KeptForms:
    """Middleware: keeps what arrives without a session, fills it in when its page is shown, lets go when it is sent."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Fill in and let go, once the page has been made."""
        if request.user.is_authenticated and "CSRF_COOKIE" not in request.META:
            # The browser has lost the secret of its login: the one drawn for it now says whose pages these are, too.
            begin_secret(request, request.user.pk)
        response = self._get_response(request)
        if not request.user.is_authenticated:
            return response
        if request.method == "POST":
            _let_go(request, response)
            return response
        return _shown_again(request, response) if request.method == "GET" else response

    def process_view(
        self, request: HttpRequest, view: Any, arguments: Sequence[Any], options: dict[str, Any]
    ) -> HttpResponse | None:
        """Keep a form that arrives without a session. Its token was found good before this is asked."""
        if request.method != "POST" or request.user.is_authenticated:
            return None
        match = request.resolver_match
        checked = CHECKED.get((match.url_name or "") if match else "")
        if checked is None and not _is_kept(request):
            return None
        account = account_before(request)
        if account is None:
            return None
        if checked is not None:
            # A script sent what is being typed. Its page is led to the login, and what it held stands there again.
            _keep_typed(request, account, target=reverse(checked, kwargs=options))
            return None
        return redirect_to_login(_kept_at(request, account))


def kept_or_none(request: HttpRequest) -> HttpResponse | None:
    """For a form whose token is another session's: the page again, filled in; ``None`` if it did not come from here.

    A page that was opened before somebody logged in anew, in another window, sends such a token. What one person wrote
    is never kept for another who logged in since: the token says whose page it was.
    """
    if not request.user.is_authenticated or request.method != "POST" or not _is_kept(request):
        return None
    if request.headers.get("Origin", "") != f"{request.scheme}://{request.get_host()}":
        return None
    if not is_of(request.POST.get(TOKEN, ""), request.user.pk):
        return None
    return HttpResponseRedirect(_kept_at(request, request.user))


@require_POST
@cache_control(private=True, no_store=True)
def keep(request: HttpRequest) -> HttpResponse:
    """Keep a form while it is written; the script of a page sends it. 401 once the session has ended."""
    if not request.user.is_authenticated:
        return JsonResponse({"error": "the session has ended"}, status=401)
    page, target = request.POST.get(PAGE, ""), request.POST.get(TARGET, "")
    if not all(address.startswith("/") and _from_here(request, address) for address in (page, target)):
        return JsonResponse({"error": "kept-page, kept-target: expected addresses of this site"}, status=400)
    try:
        row = actions.keep_form(
            user=request.user, page=page, target=target, fields=_fields(request), files=_files(request), sent=False
        )
    except StateError as error:
        return JsonResponse({"error": str(error)}, status=409)
    return JsonResponse({"kept": row.pk, "at": f"{row.kept_at:%H:%M}"})


@require_POST
@cache_control(private=True, no_store=True)
@login_required
def discard(request: HttpRequest, pk: int) -> HttpResponse:
    """Throw away what was kept of one's own, and show the page without it."""
    actions.let_go_of_form(user=signed_in(request), pk=pk)
    page = request.POST.get("page", "")
    return HttpResponseRedirect(page if page.startswith("/") and _from_here(request, page) else "/")


def _is_kept(request: HttpRequest) -> bool:
    match = request.resolver_match
    name = (match.url_name or "") if match else ""
    if not name or name in UPLOADS or NEVER.match(name) or request.content_type not in FORMS:
        return False
    return "HX-Request" not in request.headers


def _kept_at(request: HttpRequest, user: Any) -> str:
    """The address of the page on which what was sent now stands again."""
    setattr(request, REFUSED, True)
    page = _page_of(request)
    try:
        row = actions.keep_form(
            user=user,
            page=page,
            target=request.path,
            fields=_fields(request),
            files=_files(request),
            sent=True,
        )
    except StateError:
        return _with_key(page, NOT_KEPT)
    return _with_key(page, str(row.pk))


def _keep_typed(request: HttpRequest, user: Any, *, target: str) -> None:
    try:
        actions.keep_form(
            user=user, page=target, target=target, fields=_fields(request), files=_files(request), sent=False
        )
    except StateError as error:
        log.warning("what was typed could not be kept (%s)", error)


def _page_of(request: HttpRequest) -> str:
    """The path of the page that the form stood on: the one that the browser names, if it is one of this site."""
    named = request.headers.get("Referer", "")
    if named and _from_here(request, named):
        # Two slashes in front would name another site.
        return f"/{urlsplit(named).path.lstrip('/')}"
    return request.path


def _with_key(page: str, key: str) -> str:
    return f"{page}?{urlencode({KEPT: key})}"


def _from_here(request: HttpRequest, address: str) -> bool:
    return url_has_allowed_host_and_scheme(address, {request.get_host()}, require_https=request.is_secure())


def _fields(request: HttpRequest) -> dict[str, list[str]]:
    left_out = (TOKEN, KEPT, PAGE, TARGET)
    return {
        name: [str(value) for value in request.POST.getlist(name)]
        for name in request.POST
        if name not in left_out and not SECRET.search(name)
    }


def _files(request: HttpRequest) -> list[str]:
    sent = [str(file.name) for _, files in request.FILES.lists() for file in files]
    return sent + [name for name in request.POST.getlist("kept-file") if name]


def _let_go(request: HttpRequest, response: HttpResponse) -> None:
    match = request.resolver_match
    name = (match.url_name or "") if match else ""
    if getattr(request, REFUSED, False):
        return  # it was kept a moment ago, and nothing of it was done
    if response.status_code >= 400 or "HX-Request" in request.headers or request.content_type not in FORMS:
        return
    if name in UPLOADS or NEVER.match(name):
        return
    key, user = request.POST.get(KEPT, ""), signed_in(request)
    if key.isascii() and key.isdecimal() and len(key) < 19:
        actions.let_go_of_form(user=user, pk=int(key))
    elif name in TARGETS:
        actions.let_go_of_form(user=user, target=request.path)


def _shown_again(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """The page with what was kept of it filled in."""
    match = request.resolver_match
    name = (match.url_name or "") if match else ""
    asked = request.GET.get(KEPT)
    if asked is None and name not in SAVING:
        return response
    if asked is not None and response.status_code == EXPECTED_PARENT:
        # The page that was sent from was itself an answer to a form; the page above it holds the form.
        above = request.path.rstrip("/").rpartition("/")[0] + "/"
        return HttpResponseRedirect(_with_key(above, asked)) if above != "/" else response
    if response.status_code != 200 or response.streaming or "text/html" not in response.get("Content-Type", ""):
        return response
    if asked is not None and asked.isascii() and asked.isdecimal() and len(asked) < 19:
        found = actions.written_by(signed_in(request), pk=int(asked))
    else:
        found = actions.written_by(signed_in(request), page=request.path)
    if not found and asked is None:
        return response
    html = response.content.decode(response.charset)
    if not found:
        html = _with_note(html, render_to_string("accounts/_not_kept.html", {"larger": asked == NOT_KEPT}))
    for written in reversed(found):  # each note is put before the others: the oldest stands first
        html = _filled(request, html, written)
    response.content = html.encode(response.charset)
    return response


def _filled(request: HttpRequest, html: str, written: Written) -> str:
    context = {"written": written, "token": get_token(request), "page": request.path}
    again, stands = filled(
        html,
        page=request.path,
        target=written.target,
        fields=written.fields,
        key=written.pk,
        note=render_to_string("accounts/_written.html", context),
    )
    if stands:
        return again
    # The form is not offered any more, as after somebody else moved the thing on: the text is shown all the same.
    texts = {name: values for name, values in written.fields.items() if any(value.strip() for value in values)}
    return _with_note(html, render_to_string("accounts/_written.html", {**context, "texts": texts}))


def _with_note(html: str, note: str) -> str:
    return filled(html, page="/", target="", fields={}, key=0, note=note)[0]
