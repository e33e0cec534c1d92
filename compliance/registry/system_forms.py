"""What administrators fill in to list a system."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from auditor.exceptions import InputError
from compliance.models import SystemListing
from compliance.refusals import refusal_said
from compliance.registry.forms import TeamForm
from compliance.registry.system_tables import LONGEST, team_table, with_prices

EXAMPLES = {
    SystemListing.ENDPOINT: """[endpoint.NAME]
dialect = "chat_completions"   # or completions, responses, anthropic_messages
url = "https://models.example.internal/v1"
model = "the model as the server calls it"
networks = []                  # private ranges that its name may lead to, such as "10.20.0.0/16"
concurrency = 8                # requests at a time
# requests_a_second = 20.0
most_requests = 20000
# most_money = 25.0            # in the currency of the prices
""",
    SystemListing.SERVICE: """[service.NAME]
url = "https://origination.example.internal/api"
networks = []                  # private ranges that its name may lead to, such as "10.20.0.0/16"
most_requests = 20000

[[service.NAME.steps]]
path = "/applications"
body = {income = "{income}", purpose = "{loan_purpose}"}

[service.NAME.read]
choice = "$.decision"
favourable = ["APPROVED"]
adverse = ["DECLINED"]

[service.NAME.example]         # made up; registering hands it in
income = 5000
loan_purpose = "home purchase"
""",
}
PRICES = ("prompt", "answer", "request")


def _price(label: Any) -> forms.FloatField:
    return forms.FloatField(label=label, required=False, min_value=0)


class SystemForm(TeamForm):
    """The table of a system, what it costs, and why it is needed."""

    permission = "add_systemlisting"
    text = forms.CharField(
        label=_("Table"),
        max_length=LONGEST,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 18, "spellcheck": "false"}),
        help_text=_("One table as docs/systems.md describes it. No key and no file of keys: a key is set on its page."),
    )
    currency = forms.RegexField(
        r"^[A-Z]{3}$", label=_("Currency"), required=False, help_text=_("Three letters, such as USD. Empty: no prices.")
    )
    prompt = _price(_("Price per million tokens of prompts"))
    answer = _price(_("Price per million tokens of answers"))
    request = _price(_("Price per request"))
    reason = forms.CharField(
        label=_("What it is needed for"), max_length=4000, widget=forms.Textarea(attrs={"rows": 3})
    )

    def clean(self) -> dict[str, Any]:
        """The table with its prices, as the engine reads it."""
        said: dict[str, Any] = super().clean() or self.cleaned_data
        if "text" not in said:
            return said
        text = said["text"].replace("\r\n", "\n").replace("\r", "\n")
        prices = {name: said[name] for name in PRICES if said.get(name) is not None}
        if prices and not said.get("currency"):
            self.add_error("currency", _("currency: is missing; expected three letters such as USD beside the prices"))
            return said
        try:
            if said.get("currency"):
                text = with_prices(text, {"currency": said["currency"], **prices})
            team = said.get("team")
            team_table(text, team_id=team.pk if team is not None else None)
        except InputError as error:
            self.add_error("text", refusal_said(error))
        said["text"] = text
        return said


class ReasonForm(forms.Form):
    """Why somebody approves or withdraws."""

    reason = forms.CharField(max_length=4000, widget=forms.Textarea(attrs={"rows": 3}))
    auto_id_of = "id_%s"  # two of them stand on one page
    label: Any = ""

    def __init__(self, data: Any = None) -> None:
        super().__init__(data, auto_id=self.auto_id_of)
        self.fields["reason"].label = self.label


class ApprovalForm(ReasonForm):
    """That a second administrator approves."""

    auto_id_of = "id_approve_%s"
    label = _("What was looked at")


class WithdrawalForm(ReasonForm):
    """That an administrator withdraws."""

    auto_id_of = "id_withdraw_%s"
    label = _("Why it is withdrawn")


class KeyForm(forms.Form):
    """The key of a system. The box is empty whatever was sent: a key is shown to nobody."""

    key = forms.CharField(
        label=_("Key"),
        max_length=4096,
        strip=True,
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "off"}),
        help_text=_("Kept sealed for this address, and never shown again. A key that is there is erased."),
    )
