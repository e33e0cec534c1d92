"""Policy packs as they were shipped, and who reviewed them until when. All teams share them."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext

from compliance.models.evidence import Evidence, EvidenceQuerySet


class PolicyPackVersion(Evidence):
    """One version of a policy pack, byte for byte; its hash is the one that runs name."""

    pack_id = models.CharField("pack", max_length=80, db_index=True)
    version = models.CharField(max_length=40)
    name = models.CharField(max_length=300)
    jurisdiction = models.CharField(max_length=80, blank=True)
    status = models.CharField(max_length=60, blank=True)
    as_of = models.DateField(help_text="The day its sources were read.")
    content_json = models.TextField("content")
    sha256 = models.CharField("SHA-256", max_length=64, unique=True)
    loaded_at = models.DateTimeField(auto_now_add=True)

    objects = EvidenceQuerySet.as_manager()
    team_path = None

    class Meta:
        ordering = ("pack_id", "-loaded_at", "-pk")
        verbose_name = "policy pack"
        permissions = (("review_policypackversion", "Can review a policy pack"),)

    def __str__(self) -> str:
        return f"{self.name} ({self.version})"

    def get_absolute_url(self) -> str:
        """Its page."""
        return reverse("pack", args=[self.pk])

    @property
    def content(self) -> dict[str, Any]:
        """The pack as plain data."""
        return dict(json.loads(self.content_json))

    @property
    def event_object(self) -> str:
        """What events call it."""
        return f"pack {self.sha256[:12]}"


class PolicyPackReview(Evidence):
    """Somebody read a pack against its sources, and says until when that holds."""

    pack = models.ForeignKey(PolicyPackVersion, on_delete=models.PROTECT, related_name="reviews")
    reviewer = models.CharField(max_length=200)
    reviewer_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    note = models.TextField()
    due = models.DateField(help_text="The day by which it is to be reviewed again.")
    reviewed_at = models.DateTimeField(auto_now_add=True)

    objects = EvidenceQuerySet.as_manager()
    team_path = None

    class Meta:
        ordering = ("-reviewed_at", "-pk")
        verbose_name = "policy pack review"

    def __str__(self) -> str:
        return gettext("{pack}, reviewed by {reviewer}").format(pack=self.pack, reviewer=self.reviewer)

    def overdue(self, today: date) -> bool:
        """Whether its day is past."""
        return self.due < today
