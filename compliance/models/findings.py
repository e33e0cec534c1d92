"""Findings as living records: one row an issue over all audits, what audits saw of it, and what people wrote."""

from __future__ import annotations

from datetime import date
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Min, Q
from django.db.models.functions import Coalesce, Least
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy

from auditor.records import Severity
from compliance.exceptions import EvidenceError
from compliance.governance.finding_states import LABELS, SETTLED, FindingState, overdue
from compliance.governance.finding_trends import LABELS as TREND_LABELS
from compliance.governance.finding_trends import FindingTrend
from compliance.models.audits import Audit
from compliance.models.evidence import Evidence, EvidenceQuerySet
from compliance.models.results import FindingRow, MeasurementRow
from compliance.models.rows import TeamRows
from compliance.models.teams import Team
from compliance.models.versions import LanguageModel, PlanVersion
from compliance.sentences import in_sentence

#: What tells a record from every other one; the database itself refuses to change it.
FIXED = ("id", "serial", "team", "language_model", "plan", "fingerprint", "question", "first_seen")
STATES = [(state.value, LABELS[state]) for state in FindingState]


class FindingRecordRows(TeamRows["FindingRecord"]):
    """Findings stay in the register, whatever became of them."""

    def delete(self) -> tuple[int, dict[str, int]]:
        """Refuse."""
        raise EvidenceError(gettext("findings: what was once seen stays in the register"))

    def live(self) -> FindingRecordRows:
        """Those about which somebody has still to do something."""
        return self.exclude(state__in=SETTLED)

    def dated(self) -> FindingRecordRows:
        """Each with ``due_by``: the earlier of the day that was set and the one that its severity allows."""
        # Of two days of which one is missing, SQLite knows no least one.
        return self.annotate(due_by=Coalesce(Least("due", "allowed_until"), "due", "allowed_until"))

    def overdue(self, today: date) -> FindingRecordRows:
        """Those whose day is past."""
        late = Q(due__lt=today) | Q(allowed_until__lt=today)
        return self.live().dated().filter(late)


class FindingRecord(models.Model):
    """One issue of one language model under one design, over all audits that saw it.

    ``fingerprint`` names the question that is asked (`auditor.finding_questions`) with model and design: a finding of a
    later audit with the same one is this issue, seen again. compliance/governance/finding_states.py draws ``state``.
    ``opened_in`` is the audit that opened it, or opened it again: a retest comes after it, on a later version.
    ``allowed_until`` is the day by which its severity is to be remedied: a milder sighting moves it no further away.
    ``due`` is the day that people set. ``settled_rank`` is the rank of the gravest severity since it was opened, when
    it was closed, accepted or rejected.
    ``rejection_*`` is what somebody proposed and nobody has confirmed yet.
    """

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="finding_records")
    serial = models.PositiveIntegerField(unique=True, editable=False)
    language_model = models.ForeignKey(LanguageModel, on_delete=models.PROTECT, related_name="finding_records")
    plan = models.ForeignKey(PlanVersion, on_delete=models.PROTECT, related_name="finding_records")
    fingerprint = models.CharField(max_length=64)
    question = models.JSONField()
    title = models.TextField()
    severity = models.CharField(max_length=20)
    severity_rank = models.PositiveSmallIntegerField()
    state = models.CharField(max_length=30, choices=STATES, default=FindingState.OPEN.value)
    settled_rank = models.PositiveSmallIntegerField(null=True, blank=True)
    opened_in = models.ForeignKey(Audit, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField()
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="finding_records"
    )
    due = models.DateField(null=True, blank=True)
    allowed_until = models.DateField(null=True, blank=True)
    response = models.TextField(blank=True, help_text="What the owner says to it.")
    remediation = models.TextField("remediation plan", blank=True)
    rationale = models.TextField(blank=True, help_text="Why it was closed, accepted or rejected.")
    accepted_until = models.DateField(null=True, blank=True)
    rejection_reason = models.TextField(blank=True)
    rejection_by = models.CharField(max_length=200, blank=True)
    rejection_by_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    revision = models.PositiveIntegerField(default=1)

    objects = FindingRecordRows.as_manager()

    class Meta:
        ordering = ("-severity_rank", "-serial")
        verbose_name = "finding record"
        permissions = (
            ("answer_findingrecord", "Can answer findings, as whoever answers for the model"),
            ("validate_findingrecord", "Can close findings, send them back and reject them"),
            ("accept_findingrecord", "Can accept the risk of findings"),
        )
        constraints = (
            models.UniqueConstraint(fields=["team", "fingerprint"], name="finding_record_once"),
            models.CheckConstraint(
                condition=Q(state__in=[state.value for state in FindingState]), name="finding_state_known"
            ),
            models.CheckConstraint(
                condition=~Q(state=FindingState.RISK_ACCEPTED.value) | Q(accepted_until__isnull=False),
                name="finding_acceptance_ends",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=sorted(state.value for state in SETTLED)) | Q(settled_rank__isnull=False),
                name="finding_settled_at_a_severity",
            ),
        )
        indexes = (
            models.Index(fields=["team", "state", "-severity_rank"], name="finding_record_state"),
            models.Index(fields=["language_model", "state"], name="finding_record_model"),
        )

    def __str__(self) -> str:
        return self.number

    def save(self, *args: Any, **options: Any) -> None:
        """Add the row, or write what of it may change."""
        if not self._state.adding and options.get("update_fields") is None:
            fields = (field.name for field in self._meta.concrete_fields)
            options["update_fields"] = [name for name in fields if name not in FIXED]
        super().save(*args, **options)

    def get_absolute_url(self) -> str:
        """Its page."""
        return reverse("finding", args=[self.number])

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        """Refuse."""
        raise EvidenceError(gettext("{number}: what was once seen stays in the register").format(number=self.number))

    @property
    def number(self) -> str:
        """What people call it: F-0001."""
        return f"F-{self.serial:04d}"

    @property
    def event_object(self) -> str:
        """What events call it."""
        return self.number

    @property
    def stands(self) -> FindingState:
        """Its state."""
        return FindingState(self.state)

    @property
    def critical(self) -> bool:
        """Whether its risk may not be accepted: it is critical, or was since it was opened."""
        return self.worst[1] == Severity.CRITICAL

    @property
    def worst(self) -> tuple[int, str]:
        """The gravest severity since it was opened, after its rank: a milder sighting takes nothing back."""
        opened = self.sightings.filter(audit=self.opened_in_id).aggregate(first=Min("pk"))["first"]
        since = self.sightings.filter(pk__gte=opened) if opened is not None else self.sightings.none()
        seen = since.values_list("finding__severity_rank", "finding__severity")
        return max([(self.severity_rank, self.severity), *seen])

    @property
    def due_on(self) -> date | None:
        """The earlier of the day that was set and the one that its severity allows: people put nothing off by it."""
        return min((day for day in (self.due, self.allowed_until) if day is not None), default=None)

    def overdue(self, today: date) -> bool:
        """Whether that day is past while somebody has still to do something."""
        return overdue(self.stands, due=self.due_on, today=today)


class OfRecord(Evidence):
    """Evidence that belongs to a finding record, and with it to a team."""

    record: models.ForeignKey[FindingRecord, FindingRecord]

    class Meta:
        abstract = True

    @property
    def team_id(self) -> int:
        """The team of its record."""
        return int(self.record.team_id)

    @property
    def event_object(self) -> str:
        """What events call the record."""
        return self.record.number


class Sighting(OfRecord):
    """An audit saw a finding: the first time, or once more. ``trend`` is against the sighting before."""

    record = models.ForeignKey(FindingRecord, on_delete=models.PROTECT, related_name="sightings")
    audit = models.ForeignKey(Audit, on_delete=models.PROTECT, related_name="sightings")
    finding = models.OneToOneField(FindingRow, on_delete=models.PROTECT, related_name="sighting")
    measurement = models.ForeignKey(
        MeasurementRow, null=True, on_delete=models.PROTECT, related_name="+", help_text="The one that leads it."
    )
    trend = models.CharField(max_length=10, choices=[(item.value, TREND_LABELS[item]) for item in FindingTrend])
    reopened = models.BooleanField(default=False)

    objects = EvidenceQuerySet.as_manager()
    team_path = "record__team"

    class Meta:
        ordering = ("-audit__serial", "-pk")
        indexes = (models.Index(fields=["record", "audit"], name="sighting_of_record"),)

    def __str__(self) -> str:
        return f"{self.record} in {self.audit}"


class NotePurpose(models.TextChoices):
    """What somebody wrote or attached something for."""

    COMMENT = "comment", gettext_lazy("Comment")
    FIX = "fix", gettext_lazy("Evidence of the fix")


class FindingNote(OfRecord):
    """What somebody wrote about a finding, with a file or without. It is added and never changed.

    The file lies in the data folder under its SHA-256.
    """

    record = models.ForeignKey(FindingRecord, on_delete=models.PROTECT, related_name="notes")
    purpose = models.CharField(max_length=10, choices=NotePurpose.choices, default=NotePurpose.COMMENT)
    text = models.TextField(blank=True)
    file_name = models.CharField(max_length=120, blank=True)
    sha256 = models.CharField("SHA-256", max_length=64, blank=True)
    size = models.PositiveIntegerField(default=0)
    written_by = models.CharField(max_length=200)
    written_by_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    written_at = models.DateTimeField(auto_now_add=True)

    objects = EvidenceQuerySet.as_manager()
    team_path = "record__team"

    class Meta:
        ordering = ("-pk",)
        verbose_name = "finding note"
        constraints = (
            models.CheckConstraint(condition=~Q(text="") | ~Q(sha256=""), name="finding_note_says_something"),
            models.CheckConstraint(condition=~Q(purpose="fix") | ~Q(sha256=""), name="finding_fix_has_a_file"),
        )

    def __str__(self) -> str:
        return gettext("{purpose} on {record} by {name}").format(
            purpose=in_sentence(self.get_purpose_display()), record=self.record, name=self.written_by
        )
