"""What people choose about notices, and what administrators say of a webhook."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from compliance.notices.kinds import KINDS
from compliance.registry.forms import TeamForm

LABELS = [(name, _(kind.event)) for name, kind in KINDS.items()]


class AddressForm(forms.Form):
    """Where somebody is written to."""

    address = forms.EmailField(
        max_length=254,
        label=_("Mail address"),
        help_text=_("A link is sent there; nothing else before you followed it."),
    )


class WebhookForm(TeamForm):
    """Which address is told of what."""

    permission = "add_webhook"
    name = forms.CharField(max_length=60, label=_("Name"), help_text=_("What it is for, as your team calls it."))
    url = forms.CharField(
        max_length=500,
        label=_("Address"),
        help_text=_("https:// and a host. Redirects are not followed."),
    )
    networks = forms.CharField(
        max_length=300,
        required=False,
        label=_("Private ranges"),
        help_text=_(
            "Only if its host is not on the public net: 10.20.0.0/16, with commas between several. "
            "Whoever runs the installation opens them."
        ),
    )
    kinds = forms.MultipleChoiceField(
        choices=LABELS, label=_("It is told when"), widget=forms.CheckboxSelectMultiple, help_text=""
    )

    def clean_networks(self) -> list[str]:
        """The ranges, one by one; the action reads them."""
        text: Any = self.cleaned_data["networks"]
        return [part.strip() for part in text.split(",") if part.strip()]
