"""What people fill in about the approval of a version. Whether it may be done, the actions decide."""

from __future__ import annotations

from typing import Any

from django import forms

from compliance.form_fields import field_of

LONGEST = 4000


def _said(label: str, help_text: str = "") -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": 3})
    return forms.CharField(label=label, max_length=LONGEST, widget=widget, help_text=help_text)


class ProposalForm(forms.Form):
    """On which audits the approval would rest, and why the version may be used."""

    prefix = "propose"
    audits = forms.MultipleChoiceField(label="It rests on", widget=forms.CheckboxSelectMultiple)
    reason = _said("Why it may be used", "In a sentence or two; a second person reads it.")

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
        label="Decision",
        choices=((RETURN, "Return it with comments"), (APPROVE, "Approve this version")),
        widget=forms.RadioSelect,
    )
    reason = _said("Comments, or what was looked at", "Returned: what is to be mended. Approved: why it may be used.")
    confirmed = forms.BooleanField(
        label="I have read the audits it rests on, and approve this version for the purpose above",
        required=False,
        help_text="Only for an approval.",
    )

    def offer(self, *, approve: bool) -> VersionDecisionForm:
        """Without the approval for those who had a part in it."""
        if not approve:
            field_of(self, "decision", forms.ChoiceField).choices = [(self.RETURN, "Return it with comments")]
            self.fields["decision"].initial = self.RETURN
            del self.fields["confirmed"]
        return self


class WithdrawalForm(forms.Form):
    """Why an approval is taken back."""

    prefix = "withdraw"
    reason = _said("Why it may not be used any more")
