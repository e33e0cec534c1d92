"""Systems that administrators have listed: the leave to send applications to an address."""

from __future__ import annotations

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Case, Exists, F, OuterRef, Q, Subquery, When
from django.urls import reverse
from django.utils.translation import gettext_lazy

from compliance.models.rows import TeamRows
from compliance.models.teams import Team


class SystemState(models.TextChoices):
    """Where a listing stands."""

    PROPOSED = "proposed", gettext_lazy("Proposed")
    LISTED = "listed", gettext_lazy("Listed")
    WITHDRAWN = "withdrawn", gettext_lazy("Withdrawn")


class SystemRows(TeamRows["SystemListing"]):
    """Versions of systems."""

    def current(self) -> Self:
        """One row a system: the version that is listed, else the one that is proposed, else the last withdrawn one.

        ``waits`` says that another version of it is proposed.
        """
        rank = Case(When(state=SystemState.LISTED, then=0), When(state=SystemState.PROPOSED, then=1), default=2)
        same = SystemListing.objects.filter(kind=OuterRef("kind"), name=OuterRef("name"), team=OuterRef("team"))
        stands = same.order_by(rank, "-version").values("pk")[:1]
        waits = Exists(same.filter(state=SystemState.PROPOSED).exclude(pk=OuterRef("pk")))
        return self.filter(pk=Subquery(stands)).annotate(waits=waits)


class SystemListing(models.Model):
    """One version of what is said of a system that answers: its table, as one administrator proposed it.

        proposed ──▶ listed ──▶ withdrawn
            └───────────────────────▲

    What stands in ``text`` is never changed: another address or price is another version, and a second administrator
    approves it. At most one version of a name is listed, in the whole installation, since a source such as
    ``endpoint:underwriter`` names one system. The key is no part of it.
    """

    ENDPOINT, SERVICE = "endpoint", "service"

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="system_listings")
    kind = models.CharField(
        max_length=8, choices=((ENDPOINT, gettext_lazy("Endpoint")), (SERVICE, gettext_lazy("Decision service")))
    )
    name = models.CharField(max_length=60)
    version = models.PositiveIntegerField()
    text = models.TextField("table", help_text="As docs/systems.md describes it, without key material.")
    text_sha256 = models.CharField("SHA-256", max_length=64)
    reason = models.TextField(help_text="What it is needed for.")
    state = models.CharField(max_length=10, choices=SystemState.choices, default=SystemState.PROPOSED)
    proposed_by = models.CharField(max_length=200)
    proposed_by_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    proposed_at = models.DateTimeField(auto_now_add=True)
    approved_by = models.CharField(max_length=200, blank=True)
    approved_by_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    approved_at = models.DateTimeField(null=True)
    approval_reason = models.TextField(blank=True, help_text="What was looked at.")
    withdrawn_by = models.CharField(max_length=200, blank=True)
    withdrawn_by_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    withdrawn_at = models.DateTimeField(null=True)
    withdrawal_reason = models.TextField(blank=True)

    objects = SystemRows.as_manager()

    class Meta:
        ordering = ("kind", "name", "-version")
        verbose_name = "system"
        permissions = (
            ("approve_systemlisting", "Can approve a system that another administrator proposed"),
            ("withdraw_systemlisting", "Can withdraw a system"),
        )
        constraints = (
            models.UniqueConstraint(fields=["kind", "name", "version"], name="system_version_once"),
            models.UniqueConstraint(fields=["kind", "name"], condition=Q(state="listed"), name="system_listed_once"),
            models.UniqueConstraint(
                fields=["kind", "name"], condition=Q(state="proposed"), name="system_proposed_once"
            ),
            models.CheckConstraint(condition=Q(state__in=SystemState.values), name="system_state_known"),
            models.CheckConstraint(
                condition=~Q(state="listed") | Q(approved_by_user__isnull=False), name="system_listed_by_somebody"
            ),
            models.CheckConstraint(
                condition=Q(approved_by_user=None) | ~Q(approved_by_user=F("proposed_by_user")),
                name="system_listed_by_a_second",
            ),
        )

    def __str__(self) -> str:
        return f"{self.source}, version {self.version}"

    def get_absolute_url(self) -> str:
        """Its page."""
        return reverse("system", args=[self.pk])

    @property
    def source(self) -> str:
        """The source that names it, in forms and plans."""
        return f"{self.kind}:{self.name}"

    @property
    def event_object(self) -> str:
        """What events call this version."""
        return f"system {self}"


class SystemKey(models.Model):
    """The key of a system, sealed. It is written once and shown nowhere: no page, list, event or export reads it.

    ``ring_key`` names the line of the file of keys that sealed it (compliance/registry/key_ring.py).
    """

    listing = models.OneToOneField(SystemListing, on_delete=models.PROTECT, related_name="key")
    ring_key = models.CharField(max_length=12)
    sealed = models.BinaryField()
    set_by = models.CharField(max_length=200)
    set_by_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    set_at = models.DateTimeField(auto_now_add=True)

    objects = TeamRows.as_manager()
    team_path = "listing__team"

    class Meta:
        verbose_name = "key of a system"
        verbose_name_plural = "keys of systems"
        default_permissions = ("add",)

    def __str__(self) -> str:
        return f"key of {self.listing}"
