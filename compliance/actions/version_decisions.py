"""Entering a decision about a version of a model, with its event; and what ends one without anybody deciding so."""

from __future__ import annotations

from compliance.governance.events import Actor, append_event
from compliance.models import LanguageModel, LanguageModelVersion, VersionDecision, VersionState
from compliance.models.approvals import APPROVALS

EVENTS = {
    VersionState.PROPOSED: "model.proposed",
    VersionState.RETURNED: "model.returned",
    VersionState.APPROVED: "model.approved",
    VersionState.WITHDRAWN: "model.approval_withdrawn",
    VersionState.ENDED: "model.approval_ended",
}


def record_decision(
    version: LanguageModelVersion, state: VersionState, reason: str, *, rests_on: list[str], actor: Actor
) -> VersionDecision:
    """Enter a decision that its action allows, with the chain locked."""
    row = VersionDecision.objects.create(
        version=version,
        state=state,
        reason=reason,
        rests_on=rests_on,
        described_sha256=version.as_approved(),
        decided_by=actor.name,
        decided_by_user=actor.user,
    )
    payload = {
        "language_model": version.language_model.name,
        "to": str(state),
        "reason": reason,
        "rests_on": rests_on,
        "described_sha256": row.described_sha256,
        "model_sha256": version.sha256,
    }
    append_event(
        actor=actor,
        action=EVENTS[state],
        object=version.event_object,
        payload=payload,
        team=version.language_model.team,
    )
    return row


def end_approvals(language_model: LanguageModel, why: str, actor: Actor) -> None:
    """End the approvals of a model's versions: something else is said of it. With the chain locked, after the change.

    An approval was of what was said before; whoever said something else is named by the event, and needs no permission
    to approve for it.
    """
    rows = VersionDecision.objects.filter(version__language_model=language_model)
    last: dict[int, VersionDecision] = {}
    for row in rows.filter(state__in=APPROVALS).select_related("version__language_model").order_by("-pk"):
        last.setdefault(row.version_id, row)
    for _key, row in sorted(last.items()):
        if row.state == VersionState.APPROVED:
            reason = f"its approval ended when {why}; it has to be approved again"
            record_decision(row.version, VersionState.ENDED, reason, rests_on=row.rests_on, actor=actor)
