"""Re-audits that start by themselves, and what was said before a day came."""

from __future__ import annotations

from datetime import date
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy, ngettext

from compliance.models.audits import Audit
from compliance.models.rows import TeamRows
from compliance.models.teams import Team
from compliance.models.versions import DataSetVersion, LanguageModel, PlanVersion

MOST_MONTHS = 120


class ScheduleState(models.TextChoices):
    """Where a schedule stands.

    *Held*: it was due and could not start. Nothing tries again before somebody goes on with it.
    """

    ACTIVE = "active", gettext_lazy("Active")
    PAUSED = "paused", gettext_lazy("Paused")
    HELD = "held", gettext_lazy("Could not start")
    ENDED = "ended", gettext_lazy("Ended")


class ScheduleRows(TeamRows["AuditSchedule"]):
    """Schedules."""

    def due(self, today: date) -> Self:
        """Those that are to start."""
        return self.filter(state=ScheduleState.ACTIVE, next_on__lte=today)


class AuditSchedule(models.Model):
    """An approved design that runs again on the newest version of a model, every so many months or on its tier's date.

    ``every_months`` is empty where the day follows the tier. ``data`` is empty for a file of decisions, which is
    audited by its own. ``started_for`` is the last day for which it started, ``started_on`` the day on which it did.
    """

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="schedules")
    plan = models.ForeignKey(PlanVersion, on_delete=models.PROTECT, related_name="schedules")
    language_model = models.ForeignKey(LanguageModel, on_delete=models.PROTECT, related_name="schedules")
    data = models.ForeignKey(DataSetVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="schedules")
    every_months = models.PositiveSmallIntegerField(null=True, blank=True)
    first_on = models.DateField(help_text="The day from which rounds are counted.")
    next_on = models.DateField()
    state = models.CharField(max_length=8, choices=ScheduleState.choices, default=ScheduleState.ACTIVE)
    problem = models.TextField(blank=True, help_text="Why it could not start.")
    started_for = models.DateField(null=True, blank=True)
    started_on = models.DateField(null=True, blank=True)
    last_audit = models.ForeignKey(Audit, null=True, blank=True, on_delete=models.PROTECT, related_name="schedules")
    revision = models.PositiveIntegerField(default=1)
    made_by = models.CharField(max_length=200)
    made_by_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    made_at = models.DateTimeField(auto_now_add=True)
    changed_by = models.CharField(max_length=200)
    changed_at = models.DateTimeField()

    objects = ScheduleRows.as_manager()

    class Meta:
        ordering = ("next_on", "pk")
        verbose_name = "schedule"
        indexes = (models.Index(fields=["state", "next_on"], name="schedule_due"),)
        constraints = (
            models.CheckConstraint(condition=Q(state__in=ScheduleState.values), name="schedule_state_known"),
            models.CheckConstraint(
                condition=Q(every_months__isnull=True) | Q(every_months__gte=1, every_months__lte=MOST_MONTHS),
                name="schedule_rounds_bounded",
            ),
            models.UniqueConstraint(
                fields=["plan", "language_model"], condition=~Q(state="ended"), name="schedule_once"
            ),
        )

    def __str__(self) -> str:
        return f"schedule {self.pk}"

    def get_absolute_url(self) -> str:
        """Its page."""
        return reverse("schedule", args=[self.pk])

    @property
    def event_object(self) -> str:
        """What events call it."""
        return f"schedule {self.pk}"

    @property
    def rhythm(self) -> str:
        """How often, for people."""
        if self.every_months is None:
            return gettext("on the date of its tier, {tier}").format(tier=self.language_model.risk_tier)
        return ngettext("every month", "every {count} months", self.every_months).format(count=self.every_months)


class Reminder(models.Model):
    """That an event told of a day on which a model is due; one row a day and kind, so that it is told once."""

    class Kind(models.TextChoices):
        """Of what it reminds."""

        SOON = "due_soon", gettext_lazy("Due soon")
        DUE = "due", gettext_lazy("Due")

    language_model = models.ForeignKey(LanguageModel, on_delete=models.PROTECT, related_name="reminders")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    due = models.DateField()
    told_at = models.DateTimeField(auto_now_add=True)

    objects = TeamRows.as_manager()
    team_path = "language_model__team"

    class Meta:
        ordering = ("-due",)
        constraints = (models.UniqueConstraint(fields=["language_model", "kind", "due"], name="reminded_once"),)

    def __str__(self) -> str:
        return f"{self.language_model}, {self.kind} {self.due}"
