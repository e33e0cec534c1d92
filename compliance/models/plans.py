"""Plans on their way into the register, and what people decided about those that are in it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext

from compliance.models.evidence import Evidence, EvidenceQuerySet
from compliance.models.rows import TeamRows
from compliance.models.teams import Team
from compliance.models.versions import DataSetVersion, DesignState, PlanVersion
from compliance.sentences import in_sentence


class PlanDraft(models.Model):
    """A plan that is being written. It may be wrong in any way: nothing that somebody saved is refused or lost.

    ``text`` is the TOML as typed. ``agreed`` is the text the form was last filled from, and ``changes`` holds boxes of
    the form that wait for ``text`` to be readable. ``revision`` counts what was saved, so that two people who save at
    once notice. ``plan`` is what became of it; from then on it stays as it is. ``data`` is the table it was written
    from, on which it is looked at unless somebody chooses another.
    """

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="plan_drafts")
    name = models.CharField(max_length=200, help_text="The title its text gives, as far as it can be read.")
    origin = models.CharField(max_length=300, help_text="What it was copied from.")
    origin_text = models.TextField(blank=True)
    text = models.TextField(blank=True)
    agreed = models.TextField(blank=True)
    changes = models.JSONField(default=dict, blank=True)
    revision = models.PositiveIntegerField(default=1)
    plan = models.ForeignKey(
        PlanVersion,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="drafts",
        verbose_name="registered as",
    )
    copy_of = models.ForeignKey(
        PlanVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="copies",
        help_text="The registered design that it was copied from, if it was one.",
    )  # fmt: skip
    data = models.ForeignKey(
        DataSetVersion, null=True, blank=True, on_delete=models.PROTECT, related_name="+", verbose_name="written from"
    )
    begun_by = models.CharField(max_length=200)
    changed_by = models.CharField(max_length=200)
    begun_at = models.DateTimeField(auto_now_add=True)
    changed_at = models.DateTimeField()

    objects = TeamRows.as_manager()

    class Meta:
        ordering = ("-changed_at", "-pk")
        verbose_name = "plan draft"

    def __str__(self) -> str:
        return f"draft {self.pk}, {self.name}"

    def get_absolute_url(self) -> str:
        """Its editor."""
        return reverse("plan_draft", args=[self.pk])

    @property
    def event_object(self) -> str:
        """What events call it."""
        return f"plan draft {self.pk}"


class PlanDecision(Evidence):
    """Somebody decided about a design: the newest decision is where it stands. Without one it is proposed."""

    plan = models.ForeignKey(PlanVersion, on_delete=models.PROTECT, related_name="decisions")
    state = models.CharField(max_length=12, choices=DesignState.choices)
    reason = models.TextField(help_text="What was looked at, and why it stands as it does.")
    decided_by = models.CharField(max_length=200)
    decided_by_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    decided_at = models.DateTimeField(auto_now_add=True)

    objects = EvidenceQuerySet.as_manager()
    team_path = "plan__team"

    class Meta:
        ordering = ("-decided_at", "-pk")
        verbose_name = "design decision"

    def __str__(self) -> str:
        return gettext("{state} by {name}").format(state=in_sentence(self.get_state_display()), name=self.decided_by)

    @property
    def team_id(self) -> int:
        """The team of its plan."""
        return int(self.plan.team_id)

    @property
    def event_object(self) -> str:
        """What events call the plan."""
        return self.plan.event_object
