"""What people fill in about a finding. Whether it may be done, the actions decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django import forms
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from auditor.records import Severity
from compliance.access.roles import roles_with
from compliance.actions.findings import LONGEST
from compliance.dates import day_said
from compliance.form_fields import field_of
from compliance.governance.attachments import ACCEPTED, MOST_BYTES
from compliance.governance.finding_states import FindingState, Guard, Transition
from compliance.models import FindingRecord, LanguageModelVersion, NotePurpose
from compliance.words import translated

FIX_HELP = format_lazy(_("{kinds}; at most {size} MiB"), kinds=ACCEPTED, size=MOST_BYTES >> 20)

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise


def _text(
    label: _StrOrPromise, *, required: bool = False, help_text: _StrOrPromise = "", rows: int = 3
) -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": rows})
    return forms.CharField(label=label, required=required, max_length=LONGEST, widget=widget, help_text=help_text)


def day_field(label: _StrOrPromise, help_text: _StrOrPromise = "", *, required: bool = False) -> forms.DateField:
    """A day, chosen by the browser's own means."""
    # Browsers read the day of such a box in this form alone; any other stands there as an empty box.
    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    return forms.DateField(label=label, required=required, widget=widget, help_text=help_text)


#: What comes of each way on, said above its button.
LEADS_TO = {
    FindingState.ACKNOWLEDGED: _("It is then on record that somebody has read it and takes it up. It stays open."),
    FindingState.ACTION_PLANNED: _(
        "The owner, due date and remediation plan that are saved are then what is carried out."
    ),
    FindingState.IN_REMEDIATION: _("Work on the fix begins. Evidence of it is attached before it is handed over."),
    FindingState.READY_FOR_VALIDATION: _("A second person decides on the fix, after a retest on a later version."),
    FindingState.CLOSED_VALIDATED: _("It is then settled. An audit that sees it again opens it."),
    FindingState.RISK_ACCEPTED: _(
        "It is then settled until that day, on which it opens again; before, if an audit sees it at a graver severity."
    ),
    FindingState.REJECTED_WITH_RATIONALE: _("It is then settled. An audit that sees it at a graver severity opens it."),
}
SENT_BACK = _("The fix is not enough. Its owner goes on with it, and hands it over again.")


class MoveForm(forms.Form):
    """One way on: what it asks for, and nothing else."""

    leads_to: _StrOrPromise = ""

    to = forms.ChoiceField(choices=[(state.value, state.label) for state in FindingState], widget=forms.HiddenInput)
    revision = forms.IntegerField(min_value=1, max_value=10**9, widget=forms.HiddenInput)
    said = _text(_("Rationale"), help_text=_("Why, in a sentence or two; it stays with the finding."))
    until = day_field(
        _("Accepted until"), help_text=_("A day to come within a year, on which the finding opens again.")
    )

    def for_way(self, way: Transition, *, revision: int) -> MoveForm:
        """The form of one way, told from the others of the page by its identifiers, of what the page shows."""
        self.auto_id = f"{way.target}_%s"
        self.fields["revision"].initial = revision
        if self.is_bound:  # it was refused: what is sent next is of what is shown now
            self.data = {**{name: self.data.get(name, "") for name in self.data}, "revision": str(revision)}
        self.fields["to"].initial = way.target
        back = way.source is FindingState.READY_FOR_VALIDATION and way.target is FindingState.IN_REMEDIATION
        self.leads_to = SENT_BACK if back else LEADS_TO.get(way.target, "")
        asked = Guard.RATIONALE in way.guards and way.target is not FindingState.REJECTED_WITH_RATIONALE
        for name, wanted in (("said", asked), ("until", Guard.EXPIRY in way.guards)):
            if wanted:
                self.fields[name].required = True
            else:
                del self.fields[name]
        return self


class RejectionForm(forms.Form):
    """Why a finding should be rejected; a second person confirms it."""

    reason = _text(_("Why it is to be rejected"), required=True, help_text=_("A second person reads it and confirms."))
    use_required_attribute = True


class ReasonForm(forms.Form):
    """A reason for what a button does, of the finding that the page shows."""

    said = _text(_("Reason"), required=True, help_text=_("Why, in a sentence or two; it stays with the finding."))
    revision = forms.IntegerField(min_value=1, max_value=10**9, widget=forms.HiddenInput)
    use_required_attribute = True

    def of(self, record: FindingRecord) -> Self:
        """Told from the other forms of the page by its identifiers; what is sent next is of what is shown now."""
        self.auto_id = f"{type(self).__name__.lower()}_%s"
        self.fields["revision"].initial = record.revision
        if self.is_bound:
            self.data = {**{name: self.data.get(name, "") for name in self.data}, "revision": str(record.revision)}
        return self


class DeclineForm(ReasonForm):
    """Why a proposed rejection is left."""


class EndForm(ReasonForm):
    """Why an acceptance ends before its day."""


def severities() -> list[tuple[str, str]]:
    """Every severity as value and word, in the reader's language."""
    return [(level.value, translated(level.value.capitalize())) for level in Severity]


class RatingForm(ReasonForm):
    """Another severity, and why."""

    severity = forms.ChoiceField(label=_("Severity"), choices=severities)
    field_order = ("severity", "said", "revision")

    def of(self, record: FindingRecord) -> Self:
        """With what it is rated now chosen."""
        self.fields["severity"].initial = record.severity
        return super().of(record)


class AnswerForm(forms.Form):
    """Who owns it, until when, what they say to it and what they plan."""

    owner: Any = forms.ModelChoiceField(
        User.objects.none(), label=_("Owner"), required=False, empty_label=_("Nobody yet")
    )
    due = day_field(_("Due date"))
    response = _text(_("Response"), help_text=_("What the owner says to it."))
    remediation = _text(_("Remediation plan"), help_text=_("What will be changed, by whom, and how it will show."))
    revision = forms.IntegerField(min_value=1, max_value=10**9, widget=forms.HiddenInput)

    def for_record(self, record: FindingRecord) -> AnswerForm:
        """With the members of its team to choose from, and the day that its severity allows."""
        if record.allowed_until is not None:
            words = _("It is overdue after {day} at the latest, as its severity allows.")
            self.fields["due"].help_text = words.format(day=day_said(record.allowed_until))
        answering = {"memberships__team": record.team_id, "memberships__role__in": roles_with("answer_findingrecord")}
        members = get_user_model().objects.filter(is_active=True, **answering)
        field_of(self, "owner", forms.ModelChoiceField).queryset = members.distinct().order_by("username")
        return self


class NoteForm(forms.Form):
    """A comment, a file, or both."""

    text = _text(_("Comment"))
    file = forms.FileField(label=_("File"), required=False, help_text=FIX_HELP)
    purpose = forms.ChoiceField(label=_("It is"), choices=NotePurpose.choices, initial=NotePurpose.COMMENT)

    def offer(self, *, fix: bool) -> NoteForm:
        """Without a choice where evidence of a fix is not theirs to give."""
        if not fix:
            purpose = self.fields["purpose"]
            purpose.widget, purpose.initial = forms.HiddenInput(), NotePurpose.COMMENT
        return self


class RetestForm(forms.Form):
    """On which version the design is run again."""

    model: Any = forms.ModelChoiceField(LanguageModelVersion.objects.none(), label=_("Version"), empty_label=None)
    token = forms.RegexField(r"^[0-9a-f]{32}$", widget=forms.HiddenInput)

    def offer(self, versions: Any) -> RetestForm:
        """The versions to choose from."""
        field_of(self, "model", forms.ModelChoiceField).queryset = versions
        return self
