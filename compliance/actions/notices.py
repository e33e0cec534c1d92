"""Telling people what happened, and what they choose about that.

Notices follow from the event log, in its order and each once: whoever tells holds the cursor's lock, and what was told
is unique by person and occasion. So nothing that is done waits for anybody to be told of it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from compliance.exceptions import StateError
from compliance.governance.events import Actor, append_event
from compliance.models import (
    Event,
    MailAddress,
    MailDelivery,
    Notice,
    NoticeChoice,
    NoticeCursor,
    Webhook,
    WebhookDelivery,
)
from compliance.notices.kinds import KINDS, Occasion, occasions_of, reminders
from compliance.sentences import in_english

if TYPE_CHECKING:
    from django.contrib.auth.models import User

AT_ONCE = 200
"""Events that one transaction tells of."""
LINK_SECONDS = 3 * 24 * 3600
ASK_AGAIN = timedelta(minutes=10)
SALT = "compliance.notices.address"

logger = logging.getLogger(__name__)


@in_english()
def tell_people(*, now: datetime | None = None) -> int:
    """Tell people, on the site and by what leads elsewhere, of every event they were not told of; how many events."""
    told = 0
    while found := _tell_some(now or timezone.now()):
        told += found
    return told


@transaction.atomic
def _tell_some(now: datetime) -> int:
    cursor, _new = NoticeCursor.objects.select_for_update().get_or_create(pk=1)
    events = list(Event.objects.filter(seq__gt=cursor.seq).order_by("seq").select_related("payload")[:AT_ONCE])
    occasions = []
    for event in events:
        try:
            with transaction.atomic():
                occasions += occasions_of(event)
        except DatabaseError:
            raise
        except Exception:  # what cannot be told must not stop what comes after it
            logger.exception("event %s: nobody could be told of it", event.seq)
    if not events or len(events) < AT_ONCE:
        occasions += [item for item in reminders(today=now.date()) if not _told_before(item)]
    _keep(occasions, now)
    if events:
        cursor.seq = events[-1].seq
        cursor.save()
    return len(events)


def _told_before(occasion: Occasion) -> bool:
    people = Notice.objects.filter(key=occasion.key).values_list("user_id", flat=True)
    return bool(people) and occasion.people <= set(people)


def _keep(occasions: list[Occasion], now: datetime) -> None:
    if not occasions:
        return
    people = {pk for item in occasions for pk in item.people}
    chosen = {(row.user_id, row.kind): row for row in NoticeChoice.objects.filter(user__in=people)}
    mailed = set(MailAddress.objects.filter(user__in=people, confirmed_at__isnull=False).values_list("user", flat=True))
    active = set(get_user_model().objects.filter(pk__in=people, is_active=True).values_list("pk", flat=True))
    hooks: dict[int, list[Webhook]] = {}
    for hook in Webhook.objects.filter(team__in={item.team for item in occasions}, ended_at=None):
        hooks.setdefault(hook.team_id, []).append(hook)
    for item in occasions:
        for pk in sorted(item.people & active):
            choice = chosen.get((pk, item.kind))
            on_site = choice.on_site if choice else True
            by_mail = (choice.by_mail if choice else KINDS[item.kind].mailed) and pk in mailed
            if on_site or by_mail:
                _keep_notice(item, pk, now, on_site=on_site, by_mail=by_mail)
        for hook in hooks.get(item.team, ()):
            if item.kind in hook.kinds:
                _keep_delivery(item, hook, now)


def _keep_notice(item: Occasion, user: int, now: datetime, *, on_site: bool, by_mail: bool) -> None:
    told = {
        "kind": item.kind,
        "team_id": item.team,
        "subject": item.subject,
        "subject_id": item.subject_id,
        "permission": item.permission,
        "words": item.words[:200],
        "title": item.title[:300],
        "link": item.link,
        "on_site": on_site,
        "made_at": now,
    }
    notice, made = Notice.objects.get_or_create(user_id=user, key=item.key, defaults=told)
    if made and by_mail:
        MailDelivery.objects.create(notice=notice, made_at=now, due_at=now)


def _keep_delivery(item: Occasion, hook: Webhook, now: datetime) -> None:
    row = WebhookDelivery(webhook=hook, key=item.key, kind=item.kind, words=item.words[:200], made_at=now, due_at=now)
    said = {
        "id": str(row.public_id),
        "kind": item.kind,
        "at": now.isoformat(timespec="seconds"),
        "team": hook.team_id,
        "words": item.words,
        "title": item.title,
        "link": address_of(item.link),
    }
    fields = {name: getattr(row, name) for name in ("public_id", "kind", "words", "made_at", "due_at")}
    body = json.dumps(said, ensure_ascii=False)
    WebhookDelivery.objects.get_or_create(webhook=hook, key=item.key, defaults={**fields, "body": body})


def address_of(link: str) -> str:
    """A page's address as it stands in mail and webhooks: whole where the installation knows its own."""
    return f"{settings.SITE_URL}{link}"


def mark_read(*, user: User, notice: int | None = None, now: datetime | None = None) -> int:
    """Mark one notice of somebody as read, or all of them; how many were not."""
    rows = Notice.objects.filter(user=user, read_at=None)
    if notice is not None:
        rows = rows.filter(pk=notice)
    return rows.update(read_at=now or timezone.now())


@transaction.atomic
def choose_notices(*, choices: Mapping[str, tuple[bool, bool]], actor: Actor) -> None:
    """Keep how somebody wants to be told of each kind: on the site, by mail.

    Raises
    ------
    PermissionDenied
        Without an account.
    StateError
        For a kind that there is not.
    """
    user = _somebody(actor)
    for kind, (on_site, by_mail) in choices.items():
        if kind not in KINDS:
            raise StateError(_("{kind}: is not a kind of notice; expected one of those on the page").format(kind=kind))
        told = {"on_site": on_site, "by_mail": by_mail}
        NoticeChoice.objects.update_or_create(user=user, kind=kind, defaults=told)


@transaction.atomic
def set_mail_address(*, address: str, actor: Actor) -> str:
    """Enter where somebody wants to be written to; the token of the link by which they confirm it.

    Raises
    ------
    PermissionDenied
        Without an account.
    StateError
        If a link was sent a few minutes ago: nobody makes this site write to strangers again and again.
    """
    user, now = _somebody(actor), timezone.now()
    before = MailAddress.objects.select_for_update().filter(user=user).first()
    if before is not None and before.asked_at > now - ASK_AGAIN:
        raise StateError(_("your address: a link was sent a few minutes ago; expected you to follow it, or to wait"))
    told: dict[str, Any] = {"address": address, "asked_at": now, "confirmed_at": None}
    MailAddress.objects.update_or_create(user=user, defaults=told)
    append_event(actor=actor, action="account.mail_address_set", object=f"account {user.pk}", payload={})
    return signing.dumps([user.pk, address], salt=SALT)


@transaction.atomic
def confirm_mail_address(*, token: str, actor: Actor) -> None:
    """Confirm the address that a link was sent to.

    Raises
    ------
    PermissionDenied
        Without an account.
    StateError
        If it is another person's link, another address was entered since, or the link is three days old.
    """
    user = _somebody(actor)
    try:
        pk, address = signing.loads(token, salt=SALT, max_age=LINK_SECONDS)
    except (signing.BadSignature, ValueError):
        pk, address = None, ""
    rows = MailAddress.objects.filter(user=user, address=address) if pk == user.pk else MailAddress.objects.none()
    if not rows.update(confirmed_at=timezone.now()):
        raise StateError(_("this link: does not confirm your address; expected the newest one, within three days"))
    append_event(actor=actor, action="account.mail_address_confirmed", object=f"account {user.pk}", payload={})


@transaction.atomic
def remove_mail_address(*, actor: Actor) -> None:
    """Take one's address away: nothing is mailed any more.

    Raises
    ------
    PermissionDenied
        Without an account.
    StateError
        If there is none.
    """
    user = _somebody(actor)
    rows = MailAddress.objects.filter(user=user).exclude(address="")
    if not rows.update(address="", confirmed_at=None):
        raise StateError(_("your address: there is none; expected one that was entered"))
    append_event(actor=actor, action="account.mail_address_removed", object=f"account {user.pk}", payload={})


def _somebody(actor: Actor) -> User:
    if actor.user is None:
        raise PermissionDenied(_("{name}: notices are for people with an account").format(name=actor.name))
    return actor.user
