"""Listing a system that answers: one administrator proposes it, a second approves it, any of them withdraws it."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from auditor.exceptions import ModelError
from compliance.access import permissions as access
from compliance.exceptions import StateError
from compliance.governance.events import Actor, append_event, lock_chain
from compliance.models import SystemKey, SystemListing, SystemState, Team
from compliance.registry.system_tables import SystemTable, read_table, refuse_unseen, team_table, text_sha256
from compliance.sentences import in_sentence, one_of


@transaction.atomic
def propose_system(*, team: Team, text: str, reason: str, actor: Actor) -> SystemListing:
    """Propose a system, or another version of one that the team has listed. Nothing is asked of it before approval.

    Raises
    ------
    PermissionDenied
        Without the permission in that team.
    ModelError
        If the table is not as it should be: the key, what is wrong, what was expected.
    StateError
        If no reason is given, or one with marks that are not seen;
        if another team's system is called so, a proposal of this name is open, or it is listed so.
    """
    _allow(actor, "add_systemlisting", team)
    lock_chain()
    found = team_table(text, team_id=team.pk)
    reason = _said(
        found.source, reason, _("{system}: no reason is given; expected a sentence on what it is needed for")
    )
    same = SystemListing.objects.filter(kind=found.kind, name=found.name)
    if same.exclude(team=team).exists():
        raise StateError(
            _("{source}: another team's system is called so; expected another name").format(source=found.source)
        )
    waiting = same.filter(state=SystemState.PROPOSED).first()
    if waiting is not None:
        raise StateError(
            _("{waiting}: is proposed already; expected it to be approved or withdrawn first").format(waiting=waiting)
        )
    sha256 = text_sha256(text)
    if same.filter(state=SystemState.LISTED, text_sha256=sha256).exists():
        raise StateError(
            _("{source}: is listed with this table already; expected a change").format(source=found.source)
        )
    listing = SystemListing.objects.create(
        team=team,
        kind=found.kind,
        name=found.name,
        version=(same.aggregate(Max("version"))["version__max"] or 0) + 1,
        text=text,
        text_sha256=sha256,
        reason=reason,
        proposed_by=actor.name,
        proposed_by_user=actor.user,
    )
    _tell(actor, "system.proposed", listing, {**_destination(found), "text_sha256": sha256, "reason": reason})
    return listing


@transaction.atomic
def approve_system(*, listing: SystemListing, reason: str, actor: Actor) -> None:
    """List a proposed system: from now on it may be asked. The version before it, if there is one, is withdrawn.

    Raises
    ------
    PermissionDenied
        Without the permission in its team.
    ModelError
        If this version of the software reads its table no more.
    StateError
        If it is not proposed, no reason is given, or the same person proposed it.
    """
    _allow(actor, "approve_systemlisting", listing.team)
    lock_chain()
    listing.refresh_from_db()
    reason = _said(str(listing), reason, _("{system}: no reason is given; expected a sentence on what was looked at"))
    if proposed(listing, actor):
        raise StateError(
            _("{listing}: {name} proposed it; expected a second administrator to approve it").format(
                listing=listing, name=actor.name
            )
        )
    found = team_table(listing.text, team_id=listing.team_id)
    if listing.state == SystemState.PROPOSED:
        before = SystemListing.objects.filter(kind=listing.kind, name=listing.name, state=SystemState.LISTED).first()
        if before is not None:
            _hand_key_on(before, listing, found)
            _withdraw(before, f"version {listing.version} took its place", actor)
    rows = SystemListing.objects.filter(pk=listing.pk, state=SystemState.PROPOSED)
    decided = {
        "state": SystemState.LISTED,
        "approved_by": actor.name,
        "approved_by_user": actor.user,
        "approved_at": timezone.now(),
        "approval_reason": reason,
    }
    # Two people may decide at once; the second finds it decided.
    if not rows.update(**decided):
        raise _stands(listing, SystemState.PROPOSED)
    listing.refresh_from_db()
    payload = {**_destination(found), "text_sha256": listing.text_sha256, "reason": reason}
    _tell(actor, "system.listed", listing, payload)


@transaction.atomic
def withdraw_system(*, listing: SystemListing, reason: str, actor: Actor) -> None:
    """Take back a proposal, or the leave to ask a listed system. One administrator is enough: this opens nothing.

    Raises
    ------
    PermissionDenied
        Without the permission in its team.
    StateError
        If it is withdrawn, or no reason is given.
    """
    _allow(actor, "withdraw_systemlisting", listing.team)
    lock_chain()
    missing = _("{system}: no reason is given; expected a sentence on why it is withdrawn")
    _withdraw(listing, _said(str(listing), reason, missing), actor)


def proposed(listing: SystemListing, actor: Actor) -> bool:
    """Whether this person proposed it: by account, and by name too."""
    user = getattr(actor.user, "pk", None)
    same_account = user is not None and listing.proposed_by_user_id == user
    return same_account or listing.proposed_by.casefold() == actor.name.casefold()


def _withdraw(listing: SystemListing, reason: str, actor: Actor) -> None:
    """With the chain locked."""
    rows = SystemListing.objects.filter(pk=listing.pk).exclude(state=SystemState.WITHDRAWN)
    ended = {
        "state": SystemState.WITHDRAWN,
        "withdrawn_by": actor.name,
        "withdrawn_by_user": actor.user,
        "withdrawn_at": timezone.now(),
        "withdrawal_reason": reason,
    }
    if not rows.update(**ended):
        raise _stands(listing, SystemState.PROPOSED, SystemState.LISTED)
    before = listing.state
    listing.refresh_from_db()
    erased = SystemKey.objects.filter(listing=listing).delete()[0] > 0
    _tell(actor, "system.withdrawn", listing, {"from": str(before), "reason": reason, "key_erased": erased})


def _hand_key_on(before: SystemListing, listing: SystemListing, found: SystemTable) -> None:
    """A version that asks the same address keeps the key, unless it has its own; for another one it is set anew."""
    if SystemKey.objects.filter(listing=listing).exists():
        return
    if read_table(before.text).destination == found.destination:
        SystemKey.objects.filter(listing=before).update(listing=listing)


def _stands(listing: SystemListing, *expected: SystemState) -> StateError:
    listing.refresh_from_db(fields=["state"])
    return StateError(
        _("{listing}: is {state}; expected {expected}").format(
            listing=listing,
            state=in_sentence(SystemState(listing.state).label),
            expected=one_of(state.label for state in expected),
        )
    )


def _said(what: str, reason: str, missing: str) -> str:
    if not reason.strip():
        raise StateError(missing.format(system=what))
    reason = reason.strip().replace("\r\n", "\n")
    try:
        refuse_unseen(reason, where=f"{what}: reason")
    except ModelError as error:
        raise StateError(str(error)) from None
    return reason


def _destination(found: SystemTable) -> dict[str, Any]:
    """What an event names beside the hash: where applications would go."""
    return {"url": found.listed.url, "networks": list(found.listed.networks)}


MAY_NOT = {
    "add_systemlisting": gettext_noop("{name}: may not add systems of {team}"),
    "approve_systemlisting": gettext_noop("{name}: may not approve systems of {team}"),
    "withdraw_systemlisting": gettext_noop("{name}: may not withdraw systems of {team}"),
}


def _allow(actor: Actor, permission: str, team: Team) -> None:
    if actor.user is None:
        raise PermissionDenied(_("{name}: systems are listed by people with an account").format(name=actor.name))
    if not access.may(actor.user, permission, team.pk):
        raise PermissionDenied(_(MAY_NOT[permission]).format(name=actor.name, team=team))


def _tell(actor: Actor, action: str, listing: SystemListing, payload: dict[str, Any]) -> None:
    append_event(actor=actor, action=action, object=listing.event_object, payload=payload, team=listing.team)
