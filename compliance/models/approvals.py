"""What people decided about the versions of a model: proposed with audits, returned with comments, approved, ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Max
from django.utils.translation import gettext, gettext_lazy

from compliance.dates import day_said
from compliance.models.evidence import Evidence, EvidenceQuerySet
from compliance.models.versions import Approval, LanguageModel, LanguageModelVersion, number_of
from compliance.sentences import in_sentence


class VersionState(models.TextChoices):
    """What a decision about a version says."""

    PROPOSED = "proposed", gettext_lazy("Proposed for approval")
    RETURNED = "returned", gettext_lazy("Returned with comments")
    APPROVED = "approved", gettext_lazy("Approved for its purpose")
    WITHDRAWN = "withdrawn", gettext_lazy("Approval withdrawn")
    ENDED = "ended", gettext_lazy("Approval ended")


#: Those that say whether a version is approved; the others speak of a proposal.
APPROVALS = (VersionState.APPROVED, VersionState.WITHDRAWN, VersionState.ENDED)


class VersionDecisionRows(EvidenceQuerySet["VersionDecision"]):
    """Decisions about versions."""

    def newest(self) -> Self:
        """The last one of each version, by entry and not by the clock."""
        by_version = self.model._default_manager.order_by().values("version")
        return self.filter(pk__in=by_version.annotate(last=Max("pk")).values("last"))


class VersionDecision(Evidence):
    """Somebody proposed a version of a model for approval, or decided about it.

        proposed ──▶ returned ──▶ proposed …
            └──────▶ approved ──▶ withdrawn, or ended by another word about the model

    A version that is approved may be proposed again, resting on later audits; its approval stands until then.
    ``rests_on`` are the numbers of the audits. ``described_sha256`` names what was said of the model and the files.
    """

    version = models.ForeignKey(LanguageModelVersion, on_delete=models.PROTECT, related_name="decisions")
    state = models.CharField(max_length=12, choices=VersionState.choices)
    reason = models.TextField(help_text="Why it may be used, what was looked at, or what is to be mended.")
    rests_on = models.JSONField(default=list)
    described_sha256 = models.CharField("SHA-256 of what it is of", max_length=64)
    decided_by = models.CharField(max_length=200)
    decided_by_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    decided_at = models.DateTimeField(auto_now_add=True)

    objects = VersionDecisionRows.as_manager()
    team_path = "version__language_model__team"

    class Meta:
        ordering = ("-pk",)
        verbose_name = "version decision"
        indexes = (models.Index(fields=["version", "-id"], name="version_decision"),)

    def __str__(self) -> str:
        return gettext("{state} by {name}").format(state=in_sentence(self.get_state_display()), name=self.decided_by)

    @property
    def team_id(self) -> int:
        """The team of its model."""
        return int(self.version.team_id)

    @property
    def event_object(self) -> str:
        """What events call the version."""
        return self.version.event_object


@dataclass(frozen=True, kw_only=True)
class VersionApproval:
    """Where a version stands: the approval that holds, and the proposal that waits or came back; both may be there.

    ``last`` is the last word about an approval that does not hold.
    """

    approval: VersionDecision | None = None
    pending: VersionDecision | None = None
    last: VersionDecision | None = None

    @property
    def known(self) -> bool:
        """Whether anybody proposed it or decided about it."""
        return not (self.approval is self.pending is self.last is None)

    @property
    def words(self) -> str:
        """For people, in a line."""
        said = [*self._of_the_approval(), *([_said(self.pending)] if self.pending is not None else [])]
        return "; ".join(said) or gettext("not approved")

    def _of_the_approval(self) -> list[str]:
        if self.approval is not None:
            return [_said(self.approval)]
        if self.last is None:
            return []
        if self.last.state == VersionState.APPROVED:
            return [gettext("not approved: it is not what was approved, and no event tells of the change")]
        return [_said(self.last)]


def _said(row: VersionDecision) -> str:
    return gettext("{state} by {name}, {day}").format(
        state=in_sentence(row.get_state_display()), name=row.decided_by, day=day_said(row.decided_at)
    )


def version_standing(version: LanguageModelVersion) -> VersionApproval:
    """Where a version stands by its decisions."""
    return standing_from(list(version.decisions.order_by("-pk")), now=version.as_approved())


def standing_from(decisions: Sequence[VersionDecision], *, now: str) -> VersionApproval:
    """The same from all decisions about a version, newest first; ``now`` names what an approval would be of today."""
    first = decisions[0] if decisions else None
    pending = first if first is not None and first.state not in APPROVALS else None
    last = next((row for row in decisions if row.state in APPROVALS), None)
    holds = last is not None and last.state == VersionState.APPROVED and last.described_sha256 == now
    return VersionApproval(approval=last if holds else None, pending=pending, last=None if holds else last)


def approval_words(model: LanguageModel) -> str:
    """Which versions of a model are approved, for people; or that it is retired."""
    return approvals_in_words([model])[model.pk]


def approvals_in_words(models: Sequence[LanguageModel]) -> dict[int, str]:
    """The same of several models, by their keys. Two queries, however many there are."""
    by_model: dict[int, list[str]] = {}
    for number, version, standing in _versions_of(models):
        if standing.known:
            words = gettext("version {number} {words}").format(number=number, words=standing.words)
            by_model.setdefault(version.language_model_id, []).append(words)
    return {model.pk: _in_words(model, by_model.get(model.pk, ())) for model in models}


def _in_words(model: LanguageModel, said: Sequence[str]) -> str:
    if model.approval == Approval.RETIRED:
        return gettext("Retired")
    if said:
        words = "; ".join(said)
        return f"{words[:1].upper()}{words[1:]}"
    if model.approval == Approval.APPROVED:
        return gettext("Not approved: it was approved as a whole, before approvals were of versions")
    return gettext("No version is approved")


def versions_of(model: LanguageModel) -> list[tuple[int, LanguageModelVersion, VersionApproval]]:
    """The versions of a model, newest first, each with its number and where it stands. Two queries."""
    return _versions_of([model])


def _versions_of(models: Sequence[LanguageModel]) -> list[tuple[int, LanguageModelVersion, VersionApproval]]:
    by_key = {model.pk: model for model in models}
    decisions: dict[int, list[VersionDecision]] = {}
    for row in VersionDecision.objects.filter(version__language_model__in=by_key).order_by("-pk"):
        decisions.setdefault(row.version_id, []).append(row)
    found = []
    versions = LanguageModelVersion.objects.filter(language_model__in=by_key)
    for version in versions.numbered().defer("manifest").order_by("-pk"):
        version.language_model = by_key[version.language_model_id]  # which the fingerprint reads
        standing = standing_from(decisions.get(version.pk, ()), now=version.as_approved())
        found.append((number_of(version), version, standing))
    return found
