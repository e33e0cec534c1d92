"""The key of a system: set and never shown again, erased, and sealed anew under another key of the installation."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from auditor.systems.keys import SHORTEST, is_key
from compliance.access import permissions as access
from compliance.actions.kept_forms import seal_forms_anew
from compliance.actions.second_factors import seal_factors_anew
from compliance.exceptions import StateError
from compliance.governance.events import Actor, append_event, lock_chain
from compliance.models import SystemKey, SystemListing, SystemState, Webhook
from compliance.registry.key_ring import KeyRing, Sealed, add_line, keep_newest, read_ring
from compliance.registry.system_tables import read_table


@sensitive_variables("secret")
@transaction.atomic
def set_system_key(*, listing: SystemListing, secret: str, actor: Actor) -> None:
    """Keep the key of a system, sealed for its address; one that was there is erased. The event tells that, not what.

    Raises
    ------
    PermissionDenied
        Without the permission in its team.
    StateError
        If the system is withdrawn, or the text cannot be a key.
    """
    _allow(actor, listing)
    # The ring is read with the lock held: who rotates it meanwhile either sees this row, or was seen by it.
    lock_chain()
    listing.refresh_from_db()
    if listing.state == SystemState.WITHDRAWN:
        raise StateError(_("{listing}: is withdrawn; expected one that is proposed or listed").format(listing=listing))
    if not is_key(secret):
        raise StateError(
            _("{listing}: this is not a key; expected one line of at least {shortest} characters").format(
                listing=listing, shortest=SHORTEST
            )
        )
    replaced = SystemKey.objects.filter(listing=listing).delete()[0] > 0
    destination = read_table(listing.text).destination
    sealed = read_ring().seal(secret, destination=destination)
    SystemKey.objects.create(
        listing=listing, ring_key=sealed.ring_key, sealed=sealed.data, set_by=actor.name, set_by_user=actor.user
    )
    payload = {"url": destination["url"], "token_url": destination["token_url"], "replaced": replaced}
    append_event(actor=actor, action="system.key_set", object=listing.event_object, payload=payload, team=listing.team)


@transaction.atomic
def erase_system_key(*, listing: SystemListing, actor: Actor) -> None:
    """Erase the key of a system. What is asked next goes without one.

    Raises
    ------
    PermissionDenied
        Without the permission in its team.
    StateError
        If it has none.
    """
    _allow(actor, listing)
    lock_chain()
    if not SystemKey.objects.filter(listing=listing).delete()[0]:
        raise StateError(_("{listing}: has no key; expected one that was set").format(listing=listing))
    append_event(actor=actor, action="system.key_erased", object=listing.event_object, payload={}, team=listing.team)


def rotate_keys(*, actor: Actor) -> int:
    """Seal all that is sealed anew under a new line of the ring, and take the older lines away; returns how many.

    Stopped halfway, nothing is lost: the older lines go last, and the next time finishes it.

    Raises
    ------
    StateError
        If a key does not open; then all of them stay as they are.
    """
    ring = add_line()
    with transaction.atomic():
        lock_chain()
        rows = list(SystemKey.objects.select_related("listing"))
        for row in rows:
            destination = read_table(row.listing.text).destination
            sealed = Sealed(ring_key=row.ring_key, data=bytes(row.sealed))
            secret = ring.unseal(sealed, destination=destination, where=row.listing.source)
            again = ring.seal(secret, destination=destination)
            row.ring_key, row.sealed = again.ring_key, again.data
            row.save(update_fields=["ring_key", "sealed"])
        beside = {
            "webhooks": _seal_webhooks_anew(ring),
            "second_factors": seal_factors_anew(ring),
            "kept_forms": seal_forms_anew(ring),
        }
        payload = {"keys": len(rows), "ring_key": ring.newest} | {
            name: count for name, count in beside.items() if count
        }
        append_event(actor=actor, action="system.keys_rotated", object="installation", payload=payload)
    keep_newest()
    return len(rows) + sum(beside.values())


def _seal_webhooks_anew(ring: KeyRing) -> int:
    hooks = list(Webhook.objects.filter(ended_at=None))
    for hook in hooks:
        sealed = Sealed(ring_key=hook.ring_key, data=bytes(hook.sealed))
        secret = ring.unseal(sealed, destination=hook.destination, where=str(hook))
        again = ring.seal(secret, destination=hook.destination)
        hook.ring_key, hook.sealed = again.ring_key, again.data
        hook.save(update_fields=["ring_key", "sealed"])
    return len(hooks)


def _allow(actor: Actor, listing: SystemListing) -> None:
    if actor.user is None or not access.may(actor.user, "add_systemkey", listing.team_id):
        raise PermissionDenied(_("{name}: may not set keys of {team}").format(name=actor.name, team=listing.team))
