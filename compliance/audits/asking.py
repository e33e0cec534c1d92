"""Asking for audits, on the site and in the administration: choose, see what it costs, start.

Nothing that is hashed can be changed here.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from auditor.canonical import sha256_json
from compliance import actions
from compliance.access import permissions as access
from compliance.access.permissions import teams_where
from compliance.admin_base import ModelAdmin
from compliance.audits.estimate_table import estimate_table
from compliance.audits.estimates import Estimate, estimate, misfit
from compliance.dates import day_said
from compliance.form_fields import field_of
from compliance.governance.events import site_actor
from compliance.models import (
    Audit,
    DataSetVersion,
    DesignState,
    LanguageModelVersion,
    PlanVersion,
    Priority,
    Worker,
)
from compliance.models.versions import standing_of
from compliance.tables.pages import page_of

MOST = 20


if TYPE_CHECKING:
    PlansChosen = forms.ModelMultipleChoiceField[PlanVersion]
    ModelsChosen = forms.ModelMultipleChoiceField[LanguageModelVersion]
else:  # Django's own is not generic when it runs
    PlansChosen = ModelsChosen = forms.ModelMultipleChoiceField


class PlanChoice(PlansChosen):
    """Designs, each with where it stands; approved ones first."""

    def label_from_instance(self, obj: PlanVersion) -> str:
        """Its name, and who approved it."""
        return f"{obj} · {standing_words(obj)}"


class ModelChoice(ModelsChosen):
    """Model versions by the name of their language model."""

    def label_from_instance(self, obj: LanguageModelVersion) -> str:
        """Name, and the source with the hash that tells it from other versions."""
        return f"{obj.language_model.name} · {obj}"


class RequestForm(forms.Form):
    """What to bind to what, and when."""

    plans = PlanChoice(PlanVersion.objects.all(), label=gettext_lazy("Plan"))
    models = ModelChoice(LanguageModelVersion.objects.all(), label=gettext_lazy("Model"))
    queue = forms.ChoiceField(label=gettext_lazy("Queue"), help_text=gettext_lazy("Which workers take it."))
    priority = forms.TypedChoiceField(
        label=gettext_lazy("Priority"), choices=Priority.choices, coerce=int, initial=Priority.NORMAL
    )
    token = forms.RegexField(r"^[0-9a-f]{32}$", widget=forms.HiddenInput)

    def __init__(self, *args: Any, user: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        rows = offered(user)
        field_of(self, "plans", PlanChoice).queryset = rows["plans"]
        field_of(self, "models", ModelChoice).queryset = rows["models"]
        # Not declared above, where its name is that of what a form was sent.
        self.fields["data"] = forms.ModelChoiceField(rows["data"], label=_("Data"), empty_label=None)
        self.order_fields(("plans", "models", "data"))
        heard = {queue for worker in Worker.objects.listening() for queue in worker.queues}
        default = settings.CELERY_TASK_DEFAULT_QUEUE
        queue = field_of(self, "queue", forms.ChoiceField)
        queue.choices, queue.initial = [(name, name) for name in sorted(heard | {default})], default
        for name in ("plans", "models"):
            self.fields[name].widget.attrs["size"] = 5

    def clean(self) -> dict[str, Any]:
        """At most so many audits at once."""
        found = super().clean() or {}
        chosen = [*found.get("plans", ()), *found.get("models", ()), *([found["data"]] if found.get("data") else [])]
        if len({row.team_id for row in chosen}) > 1:
            raise forms.ValidationError(_("Plan, model and data belong to different teams; choose those of one."))
        if len(found.get("plans", ())) * len(found.get("models", ())) > MOST:
            raise forms.ValidationError(
                _("These are more than {most} audits; choose fewer plans or models.").format(most=MOST)
            )
        return found


def offered(user: Any) -> dict[str, QuerySet[Any]]:
    """What somebody may bind: plans and models of the teams in which they may run audits, and their data."""
    teams = teams_where(user, "run_audit")
    seen: dict[str, QuerySet[Any]] = {
        "plans": PlanVersion.objects.for_user(user).approved_first(),
        "models": LanguageModelVersion.objects.for_user(user).select_related("language_model"),
        "data": DataSetVersion.objects.for_user(user),
    }
    if teams is None:
        return seen
    paths = {name: getattr(found.model, "team_path", "team") for name, found in seen.items()}
    return {name: found.filter(**{f"{paths[name]}__in": teams}) for name, found in seen.items()}


@dataclass(frozen=True, kw_only=True)
class Offer:
    """One audit that would be started, and what it costs."""

    plan: PlanVersion
    model: LanguageModelVersion
    data: DataSetVersion
    estimate: Estimate

    @property
    def governed(self) -> bool:
        """Whether it would be run under the workflow: its design is approved."""
        return standing_of(self.plan).state == DesignState.APPROVED

    @property
    def standing(self) -> str:
        """Who approved its design."""
        return standing_words(self.plan)


def standing_words(plan: PlanVersion) -> str:
    """Whether a design is approved, and by whom; ``plan`` as ``standing()`` gives it."""
    standing = standing_of(plan)
    name, day = standing.by or "", day_said(standing.at) if standing.at else ""
    if standing.state == DesignState.APPROVED:
        return _("design approved by {name}, {day}").format(name=name, day=day)
    if standing.state == DesignState.RETIRED:
        return _("design retired by {name}, {day}: runs ungoverned").format(name=name, day=day)
    return _("design not approved: runs ungoverned")


@dataclass(frozen=True, kw_only=True)
class Door:
    """A page on which audits are asked for: its template, what that needs, and where several that began are listed."""

    template: str
    context: Mapping[str, Any]
    listed_at: str


def request_page(request: HttpRequest, door: Door) -> HttpResponseBase:
    """GET: the form, and with everything chosen the estimate. POST: start. One token, one set of audits."""
    access.need(request.user, "run_audit")
    if request.method == "POST":
        form = RequestForm(request.POST, user=request.user)
        if form.is_valid():
            for line in _misfits(form.cleaned_data):
                form.add_error(None, line)
        if form.is_valid():
            return _start(request, form.cleaned_data, door)
        return render(request, door.template, _context(door, form, []), status=422)
    form, chosen = _asked(request)
    offers = []
    if chosen and form.is_valid():
        found = form.cleaned_data
        offers = [
            Offer(
                plan=plan,
                model=model,
                data=found["data"],
                estimate=estimate(plan=plan, model=model, data=found["data"]),
            )
            for plan in found["plans"]
            for model in found["models"]
        ]
    tables = [estimate_table(offers)] if offers else []
    return page_of(request, door.template, _context(door, form, offers), tables)


def _misfits(found: dict[str, Any]) -> list[str]:
    """Why what was chosen cannot be run, a line for each plan that does not fit the data."""
    pairs = [(plan, model) for plan in found["plans"] for model in found["models"]]
    lines = [misfit(plan=plan, model=model, data=found["data"]) for plan, model in pairs]
    return sorted({line for line in lines if line})


def _asked(request: HttpRequest) -> tuple[RequestForm, bool]:
    """The form as the address fills it; what there is only one of is chosen already."""
    default = settings.CELERY_TASK_DEFAULT_QUEUE
    given: dict[str, Any] = {"queue": default, "priority": Priority.NORMAL, "token": secrets.token_hex(16)}
    given |= {name: request.GET[name] for name in ("queue", "priority") if name in request.GET}
    for name, rows in offered(request.user).items():
        keys = request.GET.getlist(name) or _only(rows)
        if keys:
            given[name] = keys if name != "data" else keys[0]
    complete = all(name in given for name in ("plans", "models", "data"))
    if complete:
        return RequestForm(given, user=request.user), True
    return RequestForm(initial=given, user=request.user), False


def _only(rows: Any) -> list[str]:
    keys = list(rows.values_list("pk", flat=True)[:2])
    return [str(keys[0])] if len(keys) == 1 else []


def _start(request: HttpRequest, found: dict[str, Any], door: Door) -> HttpResponse:
    actor = site_actor(request)
    started: list[Audit] = []
    with transaction.atomic():  # all or none: the database may be busy halfway
        for plan in found["plans"]:
            for model in found["models"]:
                key = [found["token"], request.user.pk, plan.design_sha256, model.sha256, found["data"].fingerprint]
                started.append(
                    actions.request_audit(
                        plan=plan,
                        model=model,
                        data=found["data"],
                        queue=found["queue"],
                        priority=found["priority"],
                        request_key=sha256_json(key),
                        actor=actor,
                    )
                )
    if len(started) == 1:
        return redirect(started[0])
    messages.info(
        request,
        _("{count} audits were requested: {numbers}.").format(count=len(started), numbers=", ".join(map(str, started))),
    )
    return redirect(door.listed_at)


def _context(door: Door, form: RequestForm, offers: list[Offer]) -> dict[str, Any]:
    return {
        **door.context,
        "form": form,
        "offers": offers,
        "listening": Worker.objects.listening(),
        "asks": any(offer.estimate.asked for offer in offers),
        "fits": all(offer.estimate.fits for offer in offers),
        "ungoverned": [offer for offer in offers if not offer.governed],
    }


class Runnable(ModelAdmin):
    """A register whose rows can be audited: a button on the page of a row, and an action on the list."""

    change_form_template = "admin/compliance/runnable_change_form.html"
    actions: Sequence[Any] | None = ("run_audits",)
    asked_as = ""

    def has_run_permission(self, request: HttpRequest) -> bool:
        """Whoever may run audits."""
        return request.user.has_perm("compliance.run_audit")

    @admin.action(description=gettext_lazy("Run audit…"), permissions=["run"])
    def run_audits(self, request: HttpRequest, queryset: Any) -> HttpResponse:
        """Choose the rest for the selected rows."""
        return HttpResponseRedirect(self._address(queryset.values_list("pk", flat=True)))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With the address of the button, for those who may."""
        address = self._address([object_id]) if self.has_run_permission(request) else ""
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "run_address": address})

    def _address(self, keys: Any) -> str:
        words = "&".join(f"{self.asked_as}={key}" for key in keys)
        return f"{reverse('admin:compliance_audit_request')}?{words}"
