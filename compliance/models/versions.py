"""What an audit binds together: a model, a data set and a plan, each named by the hash of its content.

A language model is a thing people speak of and describe; its versions, and those of data sets and plans, are evidence.
Versions of one name in one team are numbered in the order in which they came.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from django.apps import apps
from django.db import models
from django.db.models import Case, Count, OuterRef, Q, Subquery, Value, When
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils.translation import gettext_lazy

from auditor.canonical import sha256_json
from auditor.model_manifest import ModelManifest
from auditor.plan import Plan, plan_from
from compliance.models.evidence import Evidence, EvidenceQuerySet
from compliance.models.rows import Row, TeamRows
from compliance.models.teams import Team


class Approval(models.TextChoices):
    """Whether a language model is in use; its versions are approved one by one."""

    PROPOSED = "proposed", gettext_lazy("In use")
    APPROVED = "approved", gettext_lazy("Approved as a whole, by an earlier release")
    RETIRED = "retired", gettext_lazy("Retired")


class Access(models.TextChoices):
    """How much of a model an audit can look at."""

    INTERNALS = "internals", gettext_lazy("Weights: outputs and internals")
    OUTPUTS = "outputs", gettext_lazy("Outputs only")


class DecisionRole(models.TextChoices):
    """What its answers do, in the words of a plan's ``use.decision_role``."""

    ADVISORY = "advisory", gettext_lazy("Advisory: a person decides")
    DETERMINATIVE = "determinative", gettext_lazy("Determinative: its answer is the decision")


class RiskTier(models.IntegerChoices):
    """How much hangs on it, as the institution's model risk policy says; 1 is the most."""

    ONE = 1, gettext_lazy("Tier 1")
    TWO = 2, gettext_lazy("Tier 2")
    THREE = 3, gettext_lazy("Tier 3")
    FOUR = 4, gettext_lazy("Tier 4")


#: What is said of a language model, and approved with it.
DESCRIPTION = ("name", "owner", "purpose", "decision_role", "risk_tier", "access")


class LanguageModel(models.Model):
    """A language model as its owner speaks of it. What is said of it may change; events keep every change.

    Its versions are approved one by one (`VersionDecision`); ``approval`` says whether it is retired. Earlier releases
    approved a model as a whole, named by ``approved_sha256``; such an approval is kept and approves nothing.
    """

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="language_models")
    name = models.CharField(max_length=200)
    owner = models.CharField(max_length=200, blank=True, help_text="Who answers for it.")
    purpose = models.TextField(blank=True, help_text="What it is used for, in one sentence.")
    decision_role = models.CharField(max_length=20, choices=DecisionRole.choices, default=DecisionRole.ADVISORY)
    risk_tier = models.PositiveSmallIntegerField(choices=RiskTier.choices, default=RiskTier.TWO)
    access = models.CharField("access level", max_length=20, choices=Access.choices, default=Access.INTERNALS)
    approval = models.CharField(max_length=20, choices=Approval.choices, default=Approval.PROPOSED, editable=False)
    approved_sha256 = models.CharField(max_length=64, blank=True, default="", editable=False)
    approval_note = models.CharField(max_length=300, blank=True, default="", editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TeamRows.as_manager()

    class Meta:
        ordering = ("name",)
        verbose_name = "language model"
        permissions = (("approve_languagemodel", "Can approve versions of a language model, or retire it"),)
        constraints = (models.UniqueConstraint(fields=["team", "name"], name="language_model_once"),)

    def __str__(self) -> str:
        return self.name

    @property
    def event_object(self) -> str:
        """What events call it."""
        return f"language model {self.pk}"

    def fingerprint(self) -> str:
        """SHA-256 of what an approval is of: what is said of it now, and the files of its versions."""
        # A list has read them with its rows; otherwise they are read without their manifests, which are large.
        read = "versions" in getattr(self, "_prefetched_objects_cache", {})
        rows = self.versions.all() if read else self.versions.only("sha256")
        versions = sorted(version.sha256 for version in rows)
        return sha256_json({"description": {name: getattr(self, name) for name in DESCRIPTION}, "versions": versions})

    @property
    def approved(self) -> bool:
        """Whether what is there now is what was approved."""
        return self.approval == Approval.APPROVED and self.approved_sha256 == self.fingerprint()


class VersionQuerySet(EvidenceQuerySet[Row]):
    """Versions, which can say how many of their name came before them."""

    same: tuple[str, ...] = ("team", "name")

    def numbered(self) -> Self:
        """Each with its ``number``, counted from 1 in its team and name: `number_of` reads it."""
        earlier = (
            self.model._default_manager.filter(pk__lte=OuterRef("pk"), **{name: OuterRef(name) for name in self.same})
            .order_by()
            .values(*self.same)
            .annotate(count=Count("pk"))
            .values("count")
        )
        return self.annotate(number=Coalesce(Subquery(earlier), 1))


class ModelVersionQuerySet(VersionQuerySet["LanguageModelVersion"]):
    """Versions of language models."""

    same = ("language_model",)


class LanguageModelVersion(Evidence):
    """One language model, exactly: ``sha256`` names its files, ``manifest`` lists them."""

    language_model = models.ForeignKey(LanguageModel, on_delete=models.PROTECT, related_name="versions")
    source = models.CharField(max_length=500, help_text="The source it was imported from, such as demo:underwriter.")
    sha256 = models.CharField("SHA-256", max_length=64, db_index=True)
    manifest = models.JSONField()
    imported_at = models.DateTimeField(auto_now_add=True)

    objects = ModelVersionQuerySet.as_manager()
    team_path = "language_model__team"

    class Meta:
        ordering = ("-imported_at", "-pk")
        verbose_name = "model version"
        constraints = (models.UniqueConstraint(fields=["language_model", "sha256"], name="model_version_once"),)

    def __str__(self) -> str:
        return f"{self.source} ({self.sha256[:12]})"

    @property
    def described(self) -> ModelManifest:
        """What it is and how it was imported, as the store wrote it."""
        return ModelManifest.read(self.manifest, where=f"{self}: manifest")

    def as_approved(self) -> str:
        """SHA-256 of what an approval of it is of: what is said of its model now, and its files."""
        said = {name: getattr(self.language_model, name) for name in DESCRIPTION}
        return sha256_json({"description": said, "version": self.sha256})

    @property
    def team_id(self) -> int:
        """The team of its language model."""
        return int(self.language_model.team_id)

    @property
    def event_object(self) -> str:
        """What events call it."""
        return f"model {self.sha256[:12]}"


class DataSetVersion(Evidence):
    """One set of applications with the mapping that gives it meaning; ``fingerprint`` covers both.

    ``file`` is where an uploaded table is kept, below the data folder; ``preview`` shows its first rows with personal
    data masked before they were stored.
    """

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="data_sets")
    name = models.CharField(max_length=200)
    source = models.CharField(max_length=500)
    fingerprint = models.CharField(max_length=64, db_index=True)
    mapping = models.JSONField()
    rows = models.PositiveIntegerField()
    file = models.CharField(max_length=200, blank=True)
    preview = models.JSONField(default=list, blank=True)
    registered_at = models.DateTimeField(auto_now_add=True)

    objects = VersionQuerySet.as_manager()

    class Meta:
        ordering = ("-registered_at", "-pk")
        verbose_name = "data set"
        constraints = (models.UniqueConstraint(fields=["team", "fingerprint"], name="data_set_once"),)

    def __str__(self) -> str:
        return f"{self.name} ({self.fingerprint[:12]})"

    def get_absolute_url(self) -> str:
        """Its page."""
        return reverse("data_set", args=[self.pk])

    @property
    def event_object(self) -> str:
        """What events call it."""
        return f"data {self.fingerprint[:12]}"


class DesignState(models.TextChoices):
    """Where a design stands with the people who approve designs."""

    PROPOSED = "proposed", gettext_lazy("Proposed")
    RETURNED = "returned", gettext_lazy("Returned with comments")
    APPROVED = "approved", gettext_lazy("Approved")
    RETIRED = "retired", gettext_lazy("Retired")


class PlanVersionQuerySet(VersionQuerySet["PlanVersion"]):
    """Designs, which can say where they stand."""

    def standing(self) -> Self:
        """Each with ``design_state``, ``decided_by`` and ``decided_at`` of its newest decision; see `standing_of`."""
        newest = apps.get_model("compliance", "PlanDecision").objects.filter(plan=OuterRef("pk"))
        # By entry and not by the clock: one that was set back must not bring an approval back.
        newest = newest.order_by("-pk")
        return self.annotate(
            design_state=Coalesce(Subquery(newest.values("state")[:1]), Value(DesignState.PROPOSED)),
            decided_by=Subquery(newest.values("decided_by")[:1]),
            decided_at=Subquery(newest.values("decided_at")[:1]),
        )

    def approved(self) -> Self:
        """Those that stand approved, as ``standing()`` gives them."""
        return self.standing().filter(Q(design_state=DesignState.APPROVED))

    def approved_first(self) -> Self:
        """As ``standing()`` gives them, the approved ones before the others, else as ever."""
        first = Case(When(design_state=DesignState.APPROVED, then=Value(0)), default=Value(1))
        return self.standing().order_by(first, *(self.model._meta.ordering or ()))


class PlanVersion(Evidence):
    """One design. ``design_json`` is the canonical JSON whose SHA-256 people approve, kept byte for byte."""

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="plans")
    name = models.CharField(max_length=80)
    title = models.CharField(max_length=300)
    design_json = models.TextField("design")
    design_sha256 = models.CharField("SHA-256", max_length=64, db_index=True)
    registered_at = models.DateTimeField(auto_now_add=True)

    objects = PlanVersionQuerySet.as_manager()

    class Meta:
        ordering = ("-registered_at", "-pk")
        verbose_name = "plan"
        permissions = (("approve_planversion", "Can approve or retire a design"),)
        constraints = (models.UniqueConstraint(fields=["team", "design_sha256"], name="plan_once"),)

    def __str__(self) -> str:
        return f"{self.name} ({self.design_sha256[:12]})"

    def get_absolute_url(self) -> str:
        """Its page."""
        return reverse("plan", args=[self.pk])

    @property
    def design(self) -> dict[str, Any]:
        """The design as plain data: what is hashed."""
        return dict(json.loads(self.design_json))

    @property
    def parsed(self) -> Plan:
        """The design as a plan, bound to nothing."""
        return plan_from({**self.design, "run": {}}, where=str(self))

    @property
    def event_object(self) -> str:
        """What events call it."""
        return f"plan {self.design_sha256[:12]}"


def number_of(version: LanguageModelVersion | DataSetVersion | PlanVersion) -> int:
    """The number that ``numbered()`` gave a row; LookupError for a row that it did not give."""
    return int(_added(version, "number"))


@dataclass(frozen=True, kw_only=True)
class DesignStanding:
    """Where a design stands by its newest decision. Without one it is proposed, by nobody."""

    state: DesignState
    by: str | None
    at: datetime | None


def standing_of(plan: PlanVersion) -> DesignStanding:
    """Where a design that ``standing()`` gave stands; LookupError for a row that it did not give."""
    state, by, at = (_added(plan, name) for name in ("design_state", "decided_by", "decided_at"))
    return DesignStanding(state=DesignState(state), by=by, at=at)


def _added(row: models.Model, name: str) -> Any:
    """What a query added to a row. Types do not tell such rows from others, so that it is there is looked at here."""
    if name not in vars(row):
        raise LookupError(f"{row}: was read without its {name}")
    return vars(row)[name]
