"""What administrators of a team fill in about people, and what those fill in who follow a link."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth import get_user_model, password_validation
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from compliance.access.roles import Role
from compliance.registry.forms import TeamForm


class InvitationForm(TeamForm):
    """Somebody who has no account yet."""

    permission = "add_membership"
    name = forms.CharField(max_length=200, label=_("For whom"), help_text=_("They choose the name of their account."))
    role = forms.ChoiceField(choices=Role.choices, label=_("Role"))


class RoleForm(forms.Form):
    """One more role for a person of the team."""

    role = forms.ChoiceField(choices=Role.choices, label=_("Role"))


class PasswordForm(forms.Form):
    """A password, twice the same and hard to guess."""

    password = forms.CharField(label=_("Password"), widget=forms.PasswordInput, strip=False)
    again = forms.CharField(label=_("Password again"), widget=forms.PasswordInput, strip=False)

    def __init__(self, *args: Any, username: str = "", **options: Any) -> None:
        super().__init__(*args, **options)
        self.of = username

    def clean(self) -> dict[str, Any]:
        """Each field on its own says what is wrong with it."""
        found = super().clean() or {}
        password = found.get("password", "")
        if password and password != found.get("again"):
            self.add_error("again", _("is not the same; type the same password twice"))
        if password:
            account = get_user_model()(username=found.get("username", self.of))
            try:
                password_validation.validate_password(password, account)
            except ValidationError as error:
                self.add_error("password", error)
        return found


class KnownPasswordForm(forms.Form):
    """The password that an account has."""

    password = forms.CharField(
        label=_("Your password"), strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )


class AccountForm(PasswordForm):
    """Name and password of a new account."""

    username = forms.CharField(label=_("User name"), max_length=150)
    field_order = ("username", "password", "again")

    def clean_username(self) -> str:
        """A name that Django accepts."""
        name = str(self.cleaned_data["username"])
        get_user_model()._meta.get_field("username").run_validators(name)
        return name
