"""The pages behind links that work once: the first administrator's, an invitation, a new password, a lost device."""

from __future__ import annotations

from django import forms
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
from compliance.accounts.people_forms import AccountForm, KnownPasswordForm, PasswordForm
from compliance.accounts.second_factor import field_named, tried
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
    """Make one's account, set a new password or let go of a lost device. A link that is over says so and no more."""
    link = actions.find_account_link(secret)
    if link is None:
        return render(request, "accounts/link_over.html", status=404)
    invited = link.kind == AccountLink.Kind.INVITATION
    form = _form_of(request, link)
    if form.is_valid():
        said = form.cleaned_data
        try:
            if invited:
                user = actions.join_by_link(link=link, username=said["username"], password=said["password"])
            elif link.kind == AccountLink.Kind.NEW_DEVICE:
                return _device_let_go(request, link, form)
            else:
                user = actions.set_password_by_link(link=link, password=said["password"])
        except StateError as error:
            form.add_error(None, str(error))
        else:
            if actions.second_factor_of(user) is not None:  # a link stands for the password, not for the device
                return HttpResponseRedirect(reverse("login"))
            login(request, user, backend=settings.AUTHENTICATION_BACKENDS[0])
            return HttpResponseRedirect(reverse("home"))
    return _link_page(request, link, form)


def _form_of(request: HttpRequest, link: AccountLink) -> forms.Form:
    if link.kind == AccountLink.Kind.INVITATION:
        return AccountForm(request.POST or None)
    if link.kind == AccountLink.Kind.NEW_DEVICE:
        return KnownPasswordForm(request.POST or None)
    return PasswordForm(request.POST or None, username=link.user.get_username() if link.user else "")


def _device_let_go(request: HttpRequest, link: AccountLink, form: forms.Form) -> HttpResponse:
    """The password is asked for, and wrong ones are counted as they are at a login by code."""
    password = form.cleaned_data["password"]
    problem = tried(request, link.user, "", lambda: actions.let_go_of_device_by_link(link=link, password=password))
    if not problem:
        return HttpResponseRedirect(reverse("login"))
    form.add_error(field_named(problem, form), problem)
    return _link_page(request, link, form)


def _link_page(request: HttpRequest, link: AccountLink, form: forms.Form) -> HttpResponse:
    context = {"form": form, "link": link}
    return render(request, "accounts/link.html", context, status=400 if form.errors else 200)
