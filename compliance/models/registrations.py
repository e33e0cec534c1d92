"""Models and data sets on their way into the register."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy

from auditor.canonical import sha256_json
from auditor.data_sources import DEMONSTRATION
from compliance.execution.heartbeats import lease, silent
from compliance.models.rows import TeamRows
from compliance.models.teams import Team
from compliance.models.versions import DataSetVersion, LanguageModel, LanguageModelVersion


class RegistrationState(models.TextChoices):
    """How far a registration is; the class of the row draws which follows which."""

    UPLOADING = "uploading", gettext_lazy("Uploading")
    MAPPING = "mapping", gettext_lazy("Columns to be described")
    WAITING = "waiting", gettext_lazy("Waiting")
    REGISTERING = "registering", gettext_lazy("Registering")
    READY = "ready", gettext_lazy("Ready")
    FAILED = "failed", gettext_lazy("Failed")


class Registration(models.Model):
    """A model or data set on its way into the register. Nothing of it is lost when it fails.

        uploading ──▶ mapping ──▶ waiting ──▶ registering ──▶ ready
                         ▲           ▲             │
                         └───────────┴── failed ◀──┘

    A model begins as waiting, and so do the demonstration's data. These are tried again as they are when they failed or
    their worker is gone, an uploaded table after its mapping was mended. Another file in the place of one that is
    described or failed brings it back to uploading.

    ``claim_token`` is the random token of the process that registers it, ``seen_at`` its last heartbeat or when it was
    last enqueued, and of an upload when its last part came; ``enqueues`` counts how often the sweep enqueued it and
    ``attempts`` how often it was begun without an end.
    """

    MODEL, DATA = "model", "data"

    public_id = models.UUIDField(unique=True, editable=False)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="registrations")
    kind = models.CharField(
        max_length=8, choices=((MODEL, gettext_lazy("Language model")), (DATA, gettext_lazy("Data set")))
    )
    state = models.CharField(max_length=12, choices=RegistrationState.choices)
    name = models.CharField(max_length=200)
    source = models.CharField(max_length=500)
    error = models.TextField(blank=True)
    language_model = models.ForeignKey(LanguageModel, null=True, blank=True, on_delete=models.PROTECT)
    size = models.PositiveBigIntegerField(default=0, help_text="Bytes of an upload.")
    replaced_bytes = models.PositiveBigIntegerField(
        default=0, help_text="Bytes of files that others took the place of."
    )
    received = models.PositiveBigIntegerField(default=0, help_text="Bytes that arrived.")
    file = models.CharField(max_length=200, blank=True, help_text="Below the data folder.")
    mapping = models.TextField(blank=True, help_text="What the columns mean, as TOML.")
    look = models.JSONField(default=dict, blank=True, help_text="What was seen of an upload; pages read it.")
    model_version = models.ForeignKey(LanguageModelVersion, null=True, blank=True, on_delete=models.PROTECT)
    data_version = models.ForeignKey(DataSetVersion, null=True, blank=True, on_delete=models.PROTECT)
    requested_by = models.CharField(max_length=200)
    requested_by_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="registrations"
    )
    claim_token = models.CharField(max_length=40, blank=True, editable=False)
    seen_at = models.DateTimeField(null=True, blank=True, editable=False)
    enqueues = models.PositiveIntegerField(default=0, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = TeamRows.as_manager()

    class Meta:
        ordering = ("-created_at", "-pk")
        indexes = (models.Index(fields=["state", "created_at"], name="registration_state"),)
        constraints = (
            models.CheckConstraint(condition=Q(state__in=RegistrationState.values), name="registration_state_known"),
            models.CheckConstraint(condition=Q(received__lte=models.F("size")), name="registration_bounded"),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def event_object(self) -> str:
        """What events call it."""
        return f"registration {self.pk}"

    @property
    def revision(self) -> str:
        """Names what is said of its columns, and of which file: whoever read that changes that, and nothing else."""
        return sha256_json([self.file, self.mapping])

    @property
    def left_behind(self) -> bool:
        """Whether it is under way by its state, and nobody was heard of for a lease."""
        if self.state != RegistrationState.REGISTERING:
            return False
        return Registration.objects.filter(silent("seen_at", lease()), pk=self.pk).exists()

    @property
    def at_hand(self) -> bool:
        """Whether a worker can fetch all it needs by the source alone, so that trying again asks nobody anything."""
        return self.kind == self.MODEL or self.source == DEMONSTRATION
