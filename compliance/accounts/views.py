"""The pages behind links that work once: the first administrator's, an invitation, a new password."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from compliance import actions
from compliance.access.first_run import find_link
from compliance.accounts.people_forms import AccountForm, PasswordForm
from compliance.exceptions import StateError
from compliance.models import AccountLink


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def first_run(request: HttpRequest, secret: str) -> HttpResponse:
    """Set the name and password of the first administrator. A link that is used up or over says so and no more."""
    link = find_link(secret)
    if link is None:
        return render(request, "accounts/first_run_over.html", status=404)
    form = AccountForm(request.POST or None)
    if form.is_valid():
        try:
            user = actions.become_first_administrator(
                link=link, username=form.cleaned_data["username"], password=form.cleaned_data["password"]
            )
        except StateError as error:
            form.add_error(None, str(error))
        else:
            login(request, user)
            return HttpResponseRedirect(reverse("home"))
    return render(request, "accounts/first_run.html", {"form": form}, status=400 if form.errors else 200)


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def account_link(request: HttpRequest, secret: str) -> HttpResponse:
    """Make one's account by an invitation, or set a new password. A link that is over says so and no more."""
    link = actions.find_account_link(secret)
    if link is None:
        return render(request, "accounts/link_over.html", status=404)
    invited = link.kind == AccountLink.Kind.INVITATION
    form = (
        AccountForm(request.POST or None)
        if invited
        else PasswordForm(request.POST or None, username=link.user.get_username() if link.user else "")
    )
    if form.is_valid():
        said = form.cleaned_data
        try:
            if invited:
                user = actions.join_by_link(link=link, username=said["username"], password=said["password"])
            else:
                user = actions.set_password_by_link(link=link, password=said["password"])
        except StateError as error:
            form.add_error(None, str(error))
        else:
            login(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
            return HttpResponseRedirect(reverse("home"))
    context = {"form": form, "link": link, "invited": invited}
    return render(request, "accounts/link.html", context, status=400 if form.errors else 200)
