"""Webhooks of a team: an administrator sets one, renews its secret and ends it."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from auditor.exceptions import ModelError
from compliance.access import permissions as access
from compliance.exceptions import StateError
from compliance.governance.events import Actor, append_event, lock_chain
from compliance.models import DeliveryState, Team, Webhook, WebhookDelivery
from compliance.notices.kinds import KINDS
from compliance.notices.reach import webhook_address
from compliance.registry.key_ring import read_ring

MOST = 20
"""Webhooks of one team at a time."""


@transaction.atomic
def set_webhook(
    *, team: Team, name: str, url: str, networks: Sequence[str], kinds: Sequence[str], actor: Actor
) -> tuple[Webhook, str]:
    """Set a webhook; with it comes its secret, which is shown once and kept sealed.

    Raises
    ------
    PermissionDenied
        Without the permission in that team.
    StateError
        If its address may not be asked, no kind is chosen, one is unknown, or the team has too many.
    """
    _allow(actor, "add_webhook", team)
    lock_chain()
    try:
        address = webhook_address(url, networks=networks, where="address")
    except ModelError as error:
        raise StateError(str(error)) from None
    if not kinds or set(kinds) - set(KINDS):
        raise StateError(
            _("{name}: no kind of notice is chosen, or an unknown one; expected those it is to be told of").format(
                name=name
            )
        )
    if Webhook.objects.filter(team=team, ended_at=None).count() >= MOST:
        raise StateError(
            _("{team}: has {most} webhooks; expected one of them to be ended first").format(team=team, most=MOST)
        )
    secret = secrets.token_urlsafe(32)
    hook = Webhook(
        team=team,
        name=name,
        url=address.url,
        networks=[str(network) for network in address.networks],
        kinds=sorted(kinds),
        set_by=actor.name,
        set_at=timezone.now(),
    )
    _seal(hook, secret)
    hook.save()
    # Many receivers put a secret into the path of their address, and an event is kept for good and taken along.
    payload = {"name": name, "host": address.authority, "networks": hook.networks, "kinds": hook.kinds}
    append_event(actor=actor, action="webhook.set", object=hook.event_object, payload=payload, team=team)
    return hook, secret


@transaction.atomic
def renew_webhook_secret(*, webhook: Webhook, actor: Actor) -> str:
    """Give it another secret, which is shown once; the one before signs nothing any more.

    Raises
    ------
    PermissionDenied
        Without the permission in its team.
    StateError
        If it is ended.
    """
    _allow(actor, "add_webhook", webhook.team)
    lock_chain()
    webhook.refresh_from_db()
    _in_force(webhook)
    secret = secrets.token_urlsafe(32)
    _seal(webhook, secret)
    webhook.save(update_fields=["ring_key", "sealed"])
    _tell(actor, "webhook.secret_renewed", webhook)
    return secret


@transaction.atomic
def end_webhook(*, webhook: Webhook, actor: Actor) -> None:
    """Tell it nothing more; what was on its way to it is dropped.

    Raises
    ------
    PermissionDenied
        Without the permission in its team.
    StateError
        If it is ended.
    """
    _allow(actor, "delete_webhook", webhook.team)
    lock_chain()
    webhook.refresh_from_db()
    _in_force(webhook)
    webhook.ended_by, webhook.ended_at = actor.name, timezone.now()
    webhook.save(update_fields=["ended_by", "ended_at"])
    waiting = WebhookDelivery.objects.filter(webhook=webhook, state=DeliveryState.WAITING)
    waiting.update(state=DeliveryState.DROPPED, settled_at=timezone.now())
    _tell(actor, "webhook.ended", webhook)


def _seal(webhook: Webhook, secret: str) -> None:
    sealed = read_ring().seal(secret, destination=webhook.destination)
    webhook.ring_key, webhook.sealed = sealed.ring_key, sealed.data


def _in_force(webhook: Webhook) -> None:
    if webhook.ended_at is not None:
        raise StateError(_("{webhook}: is ended; expected one that is in force").format(webhook=webhook))


def _allow(actor: Actor, permission: str, team: Team) -> None:
    if actor.user is None or not access.may(actor.user, permission, team.pk):
        raise PermissionDenied(_("{name}: may not set or end webhooks of {team}").format(name=actor.name, team=team))


def _tell(actor: Actor, action: str, webhook: Webhook) -> None:
    append_event(actor=actor, action=action, object=webhook.event_object, payload={}, team=webhook.team)
