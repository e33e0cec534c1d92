"""The page behind a first-run link."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import get_user_model, login, password_validation
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from compliance import actions
from compliance.access.first_run import find_link
from compliance.exceptions import StateError


class FirstAdministrator(forms.Form):
    """Name and password of the first administrator."""

    username = forms.CharField(label="User name", max_length=150)
    password = forms.CharField(label="Password", widget=forms.PasswordInput, strip=False)
    again = forms.CharField(label="Password again", widget=forms.PasswordInput, strip=False)

    def clean_username(self) -> str:
        """A name that Django accepts."""
        name = str(self.cleaned_data["username"])
        get_user_model()._meta.get_field("username").run_validators(name)
        return name

    def clean(self) -> dict[str, Any]:
        """Twice the same, and hard to guess."""
        found = super().clean() or {}
        password = found.get("password", "")
        if password and password != found.get("again"):
            self.add_error("again", "is not the same; type the same password twice")
        if password:
            try:
                password_validation.validate_password(password, get_user_model()(username=found.get("username", "")))
            except ValidationError as error:
                self.add_error("password", error)
        return found


@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def first_run(request: HttpRequest, secret: str) -> HttpResponse:
    """Set the name and password of the first administrator. A link that is used up or over says so and no more."""
    link = find_link(secret)
    if link is None:
        return render(request, "accounts/first_run_over.html", status=404)
    form = FirstAdministrator(request.POST or None)
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
