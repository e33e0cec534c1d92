"""What is filled in to release an audit. Whether it may be done, the action decides."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.utils.translation import gettext_lazy as _

from compliance.access.roles import Role
from compliance.form_fields import field_of
from compliance.models import Audit


class WithdrawalForm(forms.Form):
    """That it is meant."""

    confirmed = forms.BooleanField(label=_("Its pages and files are shown no more, from now on"))


class ReleaseForm(forms.Form):
    """To whom, until when, why; and that it is meant."""

    reader: Any = forms.ModelChoiceField(User.objects.none(), label=_("Examiner"), empty_label=None)
    until = forms.DateField(
        label=_("Until"),
        # Browsers read the day of such a box in this form alone; any other stands there as an empty box.
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text=_("The last day on which it is shown, until midnight UTC."),
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("The examiner reads it on the cover page."),
    )
    confirmed = forms.BooleanField(
        label=_("I looked at what is in it"),
        help_text=_("Prompts and answers with fields of applications, and files that the examiner can take away."),
    )

    def for_audit(self, audit: Audit) -> ReleaseForm:
        """With the examiners of its team to choose from."""
        reading = {"memberships__team": audit.team_id, "memberships__role": Role.EXAMINER}
        people = get_user_model().objects.filter(is_active=True, **reading)
        field_of(self, "reader", forms.ModelChoiceField).queryset = people.order_by("username")
        return self

    @property
    def moment(self) -> datetime:
        """When it ends: with the last moment of that day."""
        day: date = self.cleaned_data["until"]
        return datetime.combine(day, time(23, 59, 59), tzinfo=UTC)
