"""What people fill in about a schedule. Whether it may be done, the actions decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.translation import gettext_lazy as _

from compliance.access.permissions import teams_where
from compliance.actions.schedules import RUN
from compliance.dashboard.finding_forms import day_field
from compliance.form_fields import field_of
from compliance.models import (
    Approval,
    AuditSchedule,
    DataSetVersion,
    LanguageModel,
    PlanVersion,
    ScheduleState,
)
from compliance.models.schedules import MOST_MONTHS

if TYPE_CHECKING:
    PlanChosen = forms.ModelChoiceField[PlanVersion]
else:  # Django's own is not generic when it runs
    PlanChosen = forms.ModelChoiceField


class DesignChoice(PlanChosen):
    """Designs by their titles."""

    def label_from_instance(self, obj: PlanVersion) -> str:
        """Its title, and what tells it from others of that title."""
        return f"{obj.title} · {obj}"


class ScheduleForm(forms.Form):
    """Which design runs again, on which model and data, and when."""

    plan = DesignChoice(
        PlanVersion.objects.none(), label=_("Design"), help_text=_("Only approved designs are offered.")
    )
    language_model: Any = forms.ModelChoiceField(
        LanguageModel.objects.none(), label=_("Model"), help_text=_("Each run is of the version registered last.")
    )
    every_months = forms.IntegerField(
        label=_("Every so many months"),
        required=False,
        min_value=1,
        max_value=MOST_MONTHS,
        help_text=_("Empty: on the date of the model's tier, which moves with every audit that counts."),
    )
    first_on = day_field(_("First day"), _("Empty: the date of the tier, if there is one; today if it is past."))

    def __init__(self, *args: Any, user: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        teams = teams_where(user, RUN)
        plans = PlanVersion.objects.for_user(user).approved()
        models = LanguageModel.objects.for_user(user).exclude(approval=Approval.RETIRED)
        data = DataSetVersion.objects.for_user(user).defer("preview", "mapping")
        if teams is not None:
            plans, models, data = (
                plans.filter(team__in=teams),
                models.filter(team__in=teams),
                data.filter(team__in=teams),
            )
        field_of(self, "plan", DesignChoice).queryset = plans.defer("design_json")
        field_of(self, "language_model", forms.ModelChoiceField).queryset = models
        # Not declared above, where its name is that of what a form was sent.
        self.fields["data"] = forms.ModelChoiceField(
            data,
            label=_("Data"),
            required=False,
            empty_label=_("None"),
            help_text=_("None for a file of decisions alone."),
        )
        self.order_fields(("plan", "language_model", "data", "every_months", "first_on"))


class ScheduleMoveForm(forms.Form):
    """Pause, go on or end; where it goes on, on which day."""

    to = forms.ChoiceField(choices=ScheduleState.choices, widget=forms.HiddenInput)
    revision = forms.IntegerField(min_value=1, max_value=10**9, widget=forms.HiddenInput)
    next_on = day_field(_("Next day"), _("One that is past starts at once, and once."))

    def for_way(self, to: ScheduleState, schedule: AuditSchedule) -> ScheduleMoveForm:
        """The form of one way, told from the others of the page by its identifiers."""
        self.auto_id = f"{to}_%s"
        self.fields["to"].initial, self.fields["revision"].initial = to, schedule.revision
        self.fields["next_on"].initial = schedule.next_on
        if self.is_bound:  # it was refused: what is sent next is of what is shown now
            self.data = {**{name: self.data.get(name, "") for name in self.data}, "revision": str(schedule.revision)}
        if to is not ScheduleState.ACTIVE:
            del self.fields["next_on"]
        return self
