"""Approving the versions of a model: proposed with the audits they rest on, decided by a second person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from compliance.access import permissions as access
from compliance.actions.persons import is_person
from compliance.actions.registry import described
from compliance.actions.version_decisions import record_decision
from compliance.exceptions import StateError
from compliance.execution.job import JobState
from compliance.governance.events import Actor, lock_chain
from compliance.governance.standing import could_tell
from compliance.models import Approval, Audit, LanguageModelVersion, VersionDecision, VersionState
from compliance.models.approvals import version_standing

PROPOSE, APPROVE = "change_languagemodel", "approve_languagemodel"
MAY_NOT = {
    PROPOSE: gettext_noop("{name}: may not change language models of {team}"),
    APPROVE: gettext_noop("{name}: may not approve language models of {team}"),
}
MOST_AUDITS = 20


def audits_of(version: LanguageModelVersion) -> Any:
    """The finished, governed audits of a version, newest first, each with ``tells``."""
    rows = Audit.objects.filter(model=version, state=JobState.DONE, governed=True)
    return could_tell(rows).select_related("plan").defer("run_json", "plan__design_json").order_by("-serial")


@transaction.atomic
def propose_version(
    *, version: LanguageModelVersion, audits: Iterable[str], reason: str, actor: Actor
) -> VersionDecision:
    """Propose a version for approval.

    Parameters
    ----------
    audits
        Numbers of the audits it rests on.
    reason
        Why it may be used.

    Raises
    ------
    PermissionDenied
        Without an account, or without the permission to describe models in that team.
    StateError
        If the model is retired, no reason is given, or the audits are not finished, governed ones of this version of
        which at least one was large enough to tell.
    """
    _begin(version, actor, PROPOSE)
    _not_retired(version)
    said = _reason(version, reason, _("{version}: no reason is given; expected a sentence on why it may be used"))
    rests_on = _sound(version, sorted(set(audits)))
    return record_decision(version, VersionState.PROPOSED, said, rests_on=rests_on, actor=actor)


@transaction.atomic
def decide_on_version(
    *, proposal: VersionDecision, approve: bool, reason: str, confirmed: bool = False, actor: Actor
) -> VersionDecision:
    """Approve a version that was proposed, or return it with comments.

    Four eyes: nobody approves a version that they proposed or registered, whose model they described or own, or that
    rests on an audit which they asked for.

    Parameters
    ----------
    proposal
        The one that was read: another one made meanwhile is not decided with it.
    confirmed
        That whoever approves said so; returning needs none.

    Raises
    ------
    PermissionDenied
        Without an account, or without the permission to approve models in that team.
    StateError
        If the proposal is decided or replaced, something else is said of the model since, its audits do not bear it
        any more, no reason is given, it is not confirmed, or the person is one of those above.
    """
    version = proposal.version
    _begin(version, actor, APPROVE)
    pending = version_standing(version).pending
    if pending is None or pending.state != VersionState.PROPOSED:
        raise StateError(
            _("{version}: nobody proposes it for approval; expected a proposal that waits").format(version=version)
        )
    if pending.pk != proposal.pk:
        raise StateError(
            _("{version}: {decided_by} proposed it anew in the meantime; expected a decision on that proposal").format(
                version=version, decided_by=pending.decided_by
            )
        )
    if not approve:
        said = _reason(version, reason, _("{version}: no reason is given; expected a sentence on what is to be mended"))
        return record_decision(version, VersionState.RETURNED, said, rests_on=pending.rests_on, actor=actor)
    _not_retired(version)
    said = _reason(version, reason, _("{version}: no reason is given; expected a sentence on what was looked at"))
    if not confirmed:
        raise StateError(
            _("{version}: is not confirmed; expected the box below the reason to be ticked").format(version=version)
        )
    if pending.described_sha256 != version.as_approved():
        raise StateError(
            _("{version}: something else is said of its model since; expected it to be proposed anew").format(
                version=version
            )
        )
    _sound(version, pending.rests_on)
    part = part_in(version, actor)
    if part:
        raise StateError(
            _("{version}: {name} {part}; expected a second person to approve it").format(
                version=version, name=actor.name, part=part
            )
        )
    return record_decision(version, VersionState.APPROVED, said, rests_on=pending.rests_on, actor=actor)


@transaction.atomic
def withdraw_approval(*, version: LanguageModelVersion, reason: str, actor: Actor) -> VersionDecision:
    """Take an approval back.

    Raises
    ------
    PermissionDenied
        Without an account, or without the permission to approve models in that team.
    StateError
        If it is not approved, or no reason is given.
    """
    _begin(version, actor, APPROVE)
    approval = version_standing(version).approval
    if approval is None:
        raise StateError(_("{version}: is not approved; expected an approved version").format(version=version))
    said = _reason(
        version, reason, _("{version}: no reason is given; expected a sentence on why it may not be used any more")
    )
    return record_decision(version, VersionState.WITHDRAWN, said, rests_on=approval.rests_on, actor=actor)


def part_in(version: LanguageModelVersion, actor: Actor) -> str:
    """What part somebody had in what is to be approved, by account and by name; empty if none."""
    model = version.language_model
    if is_person(actor, model.owner, None):
        return _("owns the model")
    if described(model, actor, of=[version]):
        return _("described the model or registered this version")
    proposals = version.decisions.filter(state=VersionState.PROPOSED)
    if any(is_person(actor, row.decided_by, row.decided_by_user_id) for row in proposals):
        return _("proposed it")
    pending = version_standing(version).pending
    serials = [int(number.removeprefix("A-")) for number in (pending.rests_on if pending is not None else ())]
    asked = Audit.objects.filter(serial__in=serials).order_by("serial")
    for serial, name, account in asked.values_list("serial", "requested_by", "requested_by_user_id"):
        if is_person(actor, name, account):
            return _("asked for {audit}, on which it rests").format(audit=f"A-{serial:04d}")
    return ""


def _sound(version: LanguageModelVersion, numbers: Sequence[str]) -> list[str]:
    """The audits an approval rests on, each a finished and governed one of this version; at least one could tell."""
    if not numbers:
        raise StateError(
            _("{version}: no audit is named; expected at least one finished, governed audit of this version").format(
                version=version
            )
        )
    if len(numbers) > MOST_AUDITS:
        raise StateError(
            _("{version}: {count} audits are named; expected at most {most}").format(
                version=version, count=len(numbers), most=MOST_AUDITS
            )
        )
    serials = {int(rest) for number in numbers if (rest := number.removeprefix("A-")).isdecimal() and len(rest) < 10}
    found = {row.number: row for row in audits_of(version).filter(serial__in=serials)}
    wrong = [number for number in numbers if number not in found]
    if wrong:
        raise StateError(
            _(
                "{version}: {numbers}: is not a finished, governed audit of this version; expected one of: {expected}"
            ).format(
                version=version,
                numbers=", ".join(wrong),
                expected=", ".join(row.number for row in audits_of(version)[:MOST_AUDITS]) or _("none is there yet"),
            )
        )
    if not any(row.tells for row in found.values()):
        raise StateError(
            _(
                "{version}: {numbers} could not tell; expected at least one audit large enough to see "
                "a difference of the size its design names"
            ).format(version=version, numbers=", ".join(numbers))
        )
    return list(numbers)


def _begin(version: LanguageModelVersion, actor: Actor, permission: str) -> None:
    team = version.language_model.team
    if actor.user is None:
        raise PermissionDenied(
            _("{name}: a version is proposed and decided on by people with an account").format(name=actor.name)
        )
    if not access.may(actor.user, permission, team.pk):
        raise PermissionDenied(_(MAY_NOT[permission]).format(name=actor.name, team=team))
    # The lock makes "look where it stands, then decide" one step: two people who decide at once follow each other.
    lock_chain()
    version.language_model.refresh_from_db()


def _not_retired(version: LanguageModelVersion) -> None:
    if version.language_model.approval == Approval.RETIRED:
        raise StateError(
            _("{language_model}: is retired; expected a model that is in use").format(
                language_model=version.language_model
            )
        )


def _reason(version: LanguageModelVersion, reason: str, missing: str) -> str:
    said = reason.strip().replace("\r\n", "\n")
    if not said:
        raise StateError(missing.format(version=version))
    return said
