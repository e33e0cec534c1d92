"""An audit and the chunks of its run."""

from __future__ import annotations

from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext, gettext_lazy

from auditor.run_record import RunRecord
from compliance.access import permissions as access
from compliance.exceptions import EvidenceError
from compliance.execution.job import ACTIVE, INCOMPLETE, RESUMABLE, WAITING, JobState
from compliance.models.rows import AuditParts, TeamRows
from compliance.models.teams import Release, Team
from compliance.models.versions import DataSetVersion, LanguageModelVersion, PlanVersion


class AuditQuerySet(TeamRows["Audit"]):
    """Audits stay in the register, whatever became of them."""

    def delete(self) -> tuple[int, dict[str, int]]:
        """Refuse."""
        raise EvidenceError(gettext("audits: a run that was started stays in the register"))

    def for_user(self, user: Any, permission: str = "view") -> Self:
        """The audits of the teams in which somebody may view audits, and those released to them."""
        found = super().for_user(user, permission)
        examined = access.examined_teams(user) if permission == "view" else ()
        if not examined or user.is_superuser:
            return found
        released = Release.objects.current().filter(reader=user, audit__team__in=examined)
        return self.filter(Q(pk__in=found.values("pk")) | Q(pk__in=released.values("audit")))

    def unfinished(self) -> Self:
        """Runs without measurements: under way, stopped, paused or failed."""
        return self.filter(state__in=INCOMPLETE)


class Priority(models.IntegerChoices):
    """Which waiting audit a worker takes first. A running one is not interrupted."""

    LATER = -1, gettext_lazy("After the others")
    NORMAL = 0, gettext_lazy("In turn")
    FIRST = 1, gettext_lazy("Before the others")


class Audit(models.Model):
    """One run of one design on one model and one data set.

    ``run_json`` is the canonical JSON of the frozen run record, kept byte for byte: its SHA-256 is ``run_sha256``. Both
    are empty until a worker has prepared a run that was asked for on the site, and stay as they are from then on.
    Numbers have no gaps, so a run that is missing from the register shows.

    ``queue`` is where it is enqueued; empty for a run of the command line. ``claim_token`` is the random token of the
    worker that prepares or concludes it, ``seen_at`` the last heartbeat of a worker, or when it was last enqueued.
    ``enqueues`` counts how often the sweep enqueued it: whoever raises it from what they read does so. ``attempts``
    counts how often what is not a chunk (preparing, loading the model, concluding) was begun without an end.
    ``forced``: processes that do not heed the stop are to be ended.
    """

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="audits")
    serial = models.PositiveIntegerField(unique=True, editable=False)
    plan = models.ForeignKey(PlanVersion, on_delete=models.PROTECT, related_name="audits")
    model = models.ForeignKey(LanguageModelVersion, on_delete=models.PROTECT, related_name="audits")
    data = models.ForeignKey(DataSetVersion, on_delete=models.PROTECT, related_name="audits")
    run_json = models.TextField("frozen run", blank=True)
    run_sha256 = models.CharField("SHA-256 of the run", max_length=64, db_index=True, blank=True)
    governed = models.BooleanField(
        default=False, help_text="Approved design, named people. Others can never be signed."
    )
    design_decision = models.ForeignKey(
        "compliance.PlanDecision", null=True, blank=True, on_delete=models.PROTECT, related_name="audits",
        help_text="The approval of its design that stood when it was asked for.",
    )  # fmt: skip
    state = models.CharField(max_length=12, choices=JobState.choices, default=JobState.QUEUED)
    error = models.TextField(blank=True)
    requested_by = models.CharField(max_length=200)
    requested_by_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="audits"
    )
    command = models.TextField(blank=True)
    request_key = models.CharField(max_length=64, unique=True, null=True, blank=True, editable=False)
    queue = models.CharField(max_length=40, blank=True)
    priority = models.SmallIntegerField(choices=Priority.choices, default=Priority.NORMAL)
    claim_token = models.CharField(max_length=40, blank=True, editable=False)
    seen_at = models.DateTimeField(null=True, blank=True)
    enqueues = models.PositiveIntegerField(default=0, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    forced = models.BooleanField(default=False, editable=False)
    stop_requested_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    prompts = models.PositiveIntegerField(default=0)
    tokens = models.PositiveBigIntegerField(default=0)
    prompts_done = models.PositiveIntegerField(default=0)
    files = models.JSONField(default=dict, blank=True, help_text="SHA-256 of each published file.")

    objects = AuditQuerySet.as_manager()

    class Meta:
        ordering = ("-serial",)
        permissions = (
            ("run_audit", "Can run audits"),
            ("cancel_audit", "Can stop audits"),
            ("export_audit", "Can download the files of audits"),
        )
        indexes = (
            models.Index(fields=["state", "created_at"], name="audit_state"),
            # What lists over all audits read, so that they need not read the rows: a frozen run is large.
            models.Index(fields=["state", "-serial", "finished_at", "plan", "model"], name="audit_standing"),
        )
        constraints = (
            models.CheckConstraint(condition=Q(state__in=JobState.values), name="audit_state_known"),
            models.CheckConstraint(condition=Q(prompts_done__lte=models.F("prompts")), name="audit_progress_bounded"),
        )

    def __str__(self) -> str:
        return self.number

    def get_absolute_url(self) -> str:
        """Its page."""
        return reverse("audit", args=[self.number])

    def delete(self, *args: Any, **options: Any) -> tuple[int, dict[str, int]]:
        """Refuse."""
        raise EvidenceError(
            gettext("{number}: a run that was started stays in the register").format(number=self.number)
        )

    @property
    def number(self) -> str:
        """What people call it: A-0001."""
        return f"A-{self.serial:04d}"

    @property
    def event_object(self) -> str:
        """What events call it."""
        return self.number

    @property
    def run(self) -> RunRecord:
        """The frozen run."""
        return RunRecord.read(self.run_json, where=f"{self.number}: run")

    @property
    def frozen(self) -> bool:
        """Whether its run is bound and its chunks are stored."""
        return bool(self.run_sha256)

    @property
    def active(self) -> bool:
        """Whether it waits or is under way."""
        return self.state in ACTIVE

    @property
    def waiting(self) -> bool:
        """Whether no worker has scored anything of it yet."""
        return self.state in WAITING

    @property
    def resumable(self) -> bool:
        """Whether it was stopped, paused or failed."""
        return self.state in RESUMABLE

    @property
    def complete(self) -> bool:
        """Whether every chunk was scored and concluded."""
        return JobState(self.state) not in INCOMPLETE


class ChunkState(models.TextChoices):
    """Where a chunk stands, as auditor/ledger.py draws it. *Failed*: it lost its worker too often."""

    QUEUED = "queued", gettext_lazy("Queued")
    RUNNING = "running", gettext_lazy("Running")
    DONE = "done", gettext_lazy("Done")
    FAILED = "failed", gettext_lazy("Failed")


class AuditChunk(models.Model):
    """A piece of a run: its cases (``payload``), and once scored its decisions (``result``), both compressed.

    ``claimed_at`` is when it was last taken. ``attempt`` counts how often it was taken, ``lost`` how often the lease of
    a taker ran out, ``stalled`` how often a taker reported no progress for so long that it was ended.
    """

    audit = models.ForeignKey(Audit, on_delete=models.PROTECT, related_name="chunks")
    index = models.PositiveIntegerField()
    kind = models.CharField(max_length=40)
    prompts = models.PositiveIntegerField()
    tokens = models.PositiveIntegerField()
    payload = models.BinaryField()
    result = models.BinaryField(null=True)
    state = models.CharField(max_length=8, choices=ChunkState.choices, default=ChunkState.QUEUED)
    attempt = models.PositiveSmallIntegerField(default=0)
    lost = models.PositiveSmallIntegerField(default=0)
    stalled = models.PositiveSmallIntegerField(default=0)
    lease_owner = models.CharField(max_length=40, blank=True)
    lease_expires_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)
    claimed_at = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)

    objects = AuditParts.as_manager()

    class Meta:
        ordering = ("audit", "index")
        constraints = (
            models.UniqueConstraint(fields=["audit", "index"], name="chunk_once"),
            models.CheckConstraint(
                condition=Q(state=ChunkState.DONE, result__isnull=False)
                | ~Q(state=ChunkState.DONE) & Q(result__isnull=True),
                name="chunk_done_has_result",
            ),
        )
        indexes = (models.Index(fields=["state", "lease_expires_at"], name="chunk_lease"),)

    def __str__(self) -> str:
        return f"{self.audit} chunk {self.index}"
