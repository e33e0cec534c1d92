"""What people fill in about the approval of a version. Whether it may be done, the actions decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy as _

from compliance.form_fields import field_of

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

LONGEST = 4000


def _said(label: _StrOrPromise, help_text: _StrOrPromise = "") -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": 3})
    return forms.CharField(label=label, max_length=LONGEST, widget=widget, help_text=help_text)


class ProposalForm(forms.Form):
    """On which audits the approval would rest, and why the version may be used."""

    prefix = "propose"
    audits = forms.MultipleChoiceField(label=_("It rests on"), widget=forms.CheckboxSelectMultiple)
    reason = _said(_("Why it may be used"), _("In a sentence or two; a second person reads it."))

    def offer(self, audits: Any) -> ProposalForm:
        """The audits that it can rest on, each with its conclusion; those that could tell are chosen."""
        field = field_of(self, "audits", forms.MultipleChoiceField)
        field.choices = [(item.audit.number, item.words) for item in audits]
        field.initial = [item.audit.number for item in audits if item.tells]
        return self


class VersionDecisionForm(forms.Form):
    """Approved, or returned with comments."""

    prefix = "decide"
    APPROVE, RETURN = "approve", "return"

    proposal = forms.IntegerField(min_value=1, widget=forms.HiddenInput)
    decision = forms.ChoiceField(
        label=_("Decision"),
        choices=((RETURN, _("Return it with comments")), (APPROVE, _("Approve this version"))),
        widget=forms.RadioSelect,
    )
    reason = _said(
        _("Comments, or what was looked at"), _("Returned: what is to be mended. Approved: why it may be used.")
    )
    confirmed = forms.BooleanField(
        label=_("I have read the audits it rests on, and approve this version for the purpose above"),
        required=False,
        help_text=_("Only for an approval."),
    )

    def offer(self, *, approve: bool) -> VersionDecisionForm:
        """Without the approval for those who had a part in it."""
        if not approve:
            field_of(self, "decision", forms.ChoiceField).choices = [(self.RETURN, _("Return it with comments"))]
            self.fields["decision"].initial = self.RETURN
            del self.fields["confirmed"]
        return self


class WithdrawalForm(forms.Form):
    """Why an approval is taken back."""

    prefix = "withdraw"
    reason = _said(_("Why it may not be used any more"))
