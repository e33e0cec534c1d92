"""What is filled in around a plan: where a draft begins, and what somebody decides about a design."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from compliance.form_fields import field_of
from compliance.models import DesignState, PlanVersion
from compliance.models.versions import number_of
from compliance.plans.shelf import ready_made
from compliance.registry.forms import TeamForm


class _Origins(forms.Select):
    """What a draft can be a copy of: ready-made plans have English titles, whoever reads them."""

    def create_option(self, name: str, value: Any, *args: Any, **options: Any) -> dict[str, Any]:
        """One choice."""
        option: dict[str, Any] = super().create_option(name, value, *args, **options)
        if str(value).startswith("ready:"):
            option["attrs"]["lang"] = "en"
        return option


class BeginForm(TeamForm):
    """What to copy, and for which team."""

    permission = "add_planversion"
    origin = forms.ChoiceField(label=_("Copy of"), widget=_Origins)

    def __init__(self, *args: Any, user: Any, **options: Any) -> None:
        super().__init__(*args, user=user, **options)
        plans = PlanVersion.objects.for_user(user).defer("design_json").numbered()
        field_of(self, "origin", forms.ChoiceField).choices = [
            (_("Ready-made"), [(f"ready:{plan.key}", f"{plan.title} ({plan.file})") for plan in ready_made().values()]),
            (_("Registered"), [(f"plan:{plan.pk}", f"{plan.title}, {plan.name} {number_of(plan)}") for plan in plans]),
        ]


class DecisionForm(forms.Form):
    """That a design is approved, returned with comments or retired, and why."""

    DECISIONS = (
        (DesignState.APPROVED, _("Approve the design")),
        (DesignState.RETURNED, _("Return it with comments")),
        (DesignState.RETIRED, _("Retire the design")),
    )

    state = forms.ChoiceField(label=_("Decision"), choices=DECISIONS)
    reason = forms.CharField(
        label=_("Comments, or what was looked at and why it stands so"),
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    def offer(self, states: Iterable[DesignState]) -> DecisionForm:
        """Only what can follow, and what this person may decide."""
        field = field_of(self, "state", forms.ChoiceField)
        field.choices = [(state, words) for state, words in self.DECISIONS if state in states]
        return self


class AgainForm(forms.Form):
    """The answer to the comments with which a design was returned."""

    reason = forms.CharField(
        label=_("Your answer to the comments"), max_length=4000, widget=forms.Textarea(attrs={"rows": 3})
    )
