"""Appending to the event log, and checking it.

h(i) = SHA-256 of the canonical JSON of {seq, prev, ts, actor, actor_user, team, role, action, object, payload_sha256,
form}, where prev is h(i-1) and the payload is salted and kept apart. A chain shows edits only against a head that is
known elsewhere: reports print it.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.translation import gettext

from auditor.canonical import canonical_json
from compliance.models import ChainHead, Event, EventPayload, Team
from compliance.models.events import FORM, GENESIS, salted_hash

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.http import HttpRequest


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who does something: a name that stays readable, the account if there is one, and the role acted in."""

    name: str
    role: str
    user: User | None = None


def site_actor(request: HttpRequest) -> Actor:
    """Who is signed in, acting through a page of the site (not the admin)."""
    user = signed_in(request)
    return Actor(name=user.get_username(), role="site", user=user)


def signed_in(request: HttpRequest) -> User:
    """The account that asks.

    Raises
    ------
    PermissionDenied
        If there is none: what is done without an account is no action of a person.
    """
    if not request.user.is_authenticated:
        raise PermissionDenied(gettext("nobody is signed in"))
    return request.user


@dataclass(frozen=True, kw_only=True)
class ChainReport:
    """What a check of the whole chain found. ``problem`` is ``None`` if it holds; ``erased`` counts payloads gone."""

    events: int
    head: str
    erased: int
    problem: str | None


def lock_chain() -> ChainHead:
    """The chain's head, locked until the transaction ends. One writer at a time.

    Taken first by an action whose outcome depends on what others have recorded. On SQLite the transaction itself
    (IMMEDIATE) is the lock.
    """
    head = ChainHead.objects.select_for_update().filter(pk=1).first()
    if head is None:
        ChainHead.objects.bulk_create([ChainHead(pk=1)], ignore_conflicts=True)  # two first writers: one row
        head = ChainHead.objects.select_for_update().get(pk=1)
    return head


def append_event(*, actor: Actor, action: str, object: str, payload: dict[str, Any], team: Team | None = None) -> Event:
    """Append an event, in the transaction of what it tells of.

    Parameters
    ----------
    action
        Namespaced verb, such as ``audit.finished``.
    object
        What it was done to, such as ``A-0001``.
    payload
        Plain, finite data.
    team
        Whose members may read it; without one only superusers do.

    Raises
    ------
    RuntimeError
        Outside a transaction: an event without what it tells of, or the reverse, must not be possible.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError(f"{action}: an event is appended in the transaction of what it tells of")
    head = lock_chain()
    salt, data_json = secrets.token_hex(32), canonical_json(payload).decode()
    event = Event(
        seq=head.seq + 1,
        prev=head.hash,
        ts=datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        actor=actor.name,
        actor_user=actor.user,
        team=team,
        role=actor.role,
        action=action,
        object=object,
        payload_sha256=salted_hash(salt=salt, data_json=data_json),
        form=FORM,
    )
    event.hash = event.computed_hash()
    event.save()
    EventPayload.objects.create(event=event, salt=salt, data_json=data_json)
    head.seq, head.hash = event.seq, event.hash
    head.save()
    return event


def chain_head() -> str | None:
    """The hash of the last event; ``None`` while nothing has happened."""
    return ChainHead.objects.filter(pk=1, seq__gt=0).values_list("hash", flat=True).first()


def verify_chain() -> ChainReport:
    """Check numbers, links, hashes and payloads from the first event to the head; stop at the first mismatch."""
    # A later event never hashes less than an earlier one: an old form is no way to move an event to another team.
    count, previous, erased, newest_form = 0, GENESIS, 0, 0
    with transaction.atomic():
        head = lock_chain()
        for event in Event.objects.order_by("seq").select_related("payload").iterator(chunk_size=500):
            count += 1
            payload = getattr(event, "payload", None)
            erased += payload is None
            problem = None
            if event.seq != count:
                problem = f"event {count} is missing"
            elif event.prev != previous:
                problem = f"event {event.seq} does not follow event {event.seq - 1}"
            elif event.form < newest_form or event.hash != event.computed_hash():
                problem = f"event {event.seq} was changed"
            elif payload is not None and payload.computed_hash() != event.payload_sha256:
                problem = f"the payload of event {event.seq} was changed"
            if problem:
                return ChainReport(events=count, head=head.hash, erased=erased, problem=problem)
            previous, newest_form = event.hash, event.form
        if (head.seq, head.hash) != (count, previous):
            problem = f"the chain ends at event {count}, its head says {head.seq}"
            return ChainReport(events=count, head=head.hash, erased=erased, problem=problem)
        return ChainReport(events=count, head=head.hash, erased=erased, problem=None)
