"""Policy packs: entering those that are shipped, and recording that somebody reviewed one."""

from __future__ import annotations

from datetime import date

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from auditor.canonical import canonical_json
from auditor.policies.packs import PolicyPack, catalogue
from compliance.actions.permitted import permitted
from compliance.dates import day_said
from compliance.exceptions import StateError
from compliance.governance.events import Actor, append_event, lock_chain
from compliance.models import PolicyPackReview, PolicyPackVersion


def load_shipped_packs() -> None:
    """Enter the packs of the shipped catalogue that are not there yet; an older version stays beside a newer one.

    Without an event: the catalogue is part of the code, and a pack's hash says which it is.
    """
    shipped = [
        PolicyPack(id=pack["id"], version=pack["version"], name=pack["name"], content=pack)
        for pack in catalogue()["packs"]
    ]
    rows = [
        PolicyPackVersion(
            pack_id=pack.id,
            version=pack.version,
            name=pack.name,
            jurisdiction=str(pack.content.get("jurisdiction", "")),
            status=pack.content["status"]["state"],
            as_of=date.fromisoformat(pack.content["status"]["as_of"]),
            content_json=canonical_json(pack.content).decode(),
            sha256=pack.sha256,
        )
        for pack in shipped
    ]
    PolicyPackVersion.objects.bulk_create(rows, ignore_conflicts=True)


@transaction.atomic
def review_pack(*, pack: PolicyPackVersion, due: date, note: str, actor: Actor) -> PolicyPackReview:
    """Record that somebody read a pack against its sources, and when that is due again.

    Raises
    ------
    NotPermitted
        Without the permission to review policy packs in any team.
    StateError
        If the day is past.
    """
    permitted(actor, "review_policypackversion", None)
    lock_chain()
    if due <= timezone.now().date():
        raise StateError(_("{pack}: {day} is past; expected a date in the future").format(pack=pack, day=day_said(due)))
    review = PolicyPackReview.objects.create(
        pack=pack, reviewer=actor.name, reviewer_user=actor.user, note=note, due=due
    )
    payload = {"due": due.isoformat(), "note": note}
    append_event(actor=actor, action="pack.reviewed", object=pack.event_object, payload=payload)
    return review
