"""What somebody wrote and did not send, kept for them alone: sealed, bounded, for a day.

No event tells of it: it is no work yet, nobody else sees it, and it is gone when it is sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from compliance.exceptions import StateError
from compliance.models import KeptForm
from compliance.registry.key_ring import KeyRing, Sealed, read_ring

if TYPE_CHECKING:
    from django.contrib.auth.models import User

KEPT_FOR = timedelta(days=1)
MOST_BYTES = 1 << 20
MOST_FORMS = 20
"""Of one account; the oldest give way."""
LONGEST_ADDRESS = 500


@dataclass(frozen=True, kw_only=True)
class Written:
    """A form as it was left: the values of each field in order, and the names of files that have to be chosen again.

    ``sent`` says that it was sent when the session had ended; else it was only typed.
    """

    pk: int
    page: str
    target: str
    sent: bool
    kept_at: datetime
    fields: Mapping[str, Sequence[str]]
    files: Sequence[str]


@transaction.atomic
def keep_form(
    *,
    user: User,
    page: str,
    target: str,
    fields: Mapping[str, Sequence[str]],
    files: Sequence[str],
    sent: bool,
) -> KeptForm:
    """Keep a form of a page; what was kept of it before is replaced.

    Parameters
    ----------
    page, target
        Addresses of the site: where the form stands, and where it goes. A ``#`` and a name behind ``target`` tell apart
        forms of one page that go to the same address.
    fields
        Without passwords and other secrets: whoever calls leaves them out.
    files
        Names of files; no content is kept.

    Raises
    ------
    StateError
        If it is larger than may be kept, or an address is.
    """
    content = json.dumps({"fields": fields, "files": files})
    if len(content.encode()) > MOST_BYTES:
        raise StateError(
            _("{page}: more than {most} MiB were written; expected less to be kept").format(
                page=page, most=MOST_BYTES >> 20
            )
        )
    if max(len(page), len(target)) > LONGEST_ADDRESS:
        raise StateError(
            _("{page}…: the address is too long; expected {longest} characters at most").format(
                page=page[:80], longest=LONGEST_ADDRESS
            )
        )
    sealed = read_ring().seal(content, destination=_bound(user.pk, page, target))
    now = timezone.now()
    row, _new = KeptForm.objects.update_or_create(
        user=user,
        page=page,
        target=target,
        defaults={
            "sent": sent,
            "ring_key": sealed.ring_key,
            "sealed": sealed.data,
            "kept_at": now,
            "expires_at": now + KEPT_FOR,
        },
    )
    KeptForm.objects.filter(expires_at__lte=now).delete()
    kept = KeptForm.objects.filter(user=user).order_by("-kept_at", "-pk").values_list("pk", flat=True)
    KeptForm.objects.filter(pk__in=list(kept[MOST_FORMS:])).delete()
    return row


def written_by(user: User, *, page: str = "", pk: int | None = None) -> list[Written]:
    """What an account wrote on a page, or into one form. What the keys of the installation do not open is left out."""
    rows = KeptForm.objects.filter(user=user, expires_at__gt=timezone.now())
    rows = rows.filter(page=page) if pk is None else rows.filter(pk=pk)
    found = []
    for row in list(rows):
        sealed = Sealed(ring_key=row.ring_key, data=bytes(row.sealed))
        try:
            text = read_ring().unseal(sealed, destination=_bound(row.user_id, row.page, row.target), where=row.page)
        except StateError:  # the keys were changed since; it cannot be read by anybody
            continue
        content = json.loads(text)
        found.append(
            Written(
                pk=row.pk,
                page=row.page,
                target=row.target,
                sent=row.sent,
                kept_at=row.kept_at,
                fields=content["fields"],
                files=content["files"],
            )
        )
    return found


@transaction.atomic
def let_go_of_form(*, user: User, pk: int | None = None, target: str = "") -> None:
    """Forget a form, or what goes to an address: it was sent, or thrown away. Another account's is left alone."""
    rows = KeptForm.objects.filter(user=user)
    of_address = Q(target=target) | Q(target__startswith=f"{target}#")
    rows.filter(of_address if pk is None else Q(pk=pk)).delete()


def seal_forms_anew(ring: KeyRing) -> int:
    """Seal every kept form under the newest line of the ring, in the transaction of who rotates; returns how many."""
    rows = list(KeptForm.objects.select_for_update())
    for row in rows:
        bound = _bound(row.user_id, row.page, row.target)
        sealed = Sealed(ring_key=row.ring_key, data=bytes(row.sealed))
        again = ring.seal(ring.unseal(sealed, destination=bound, where=str(row)), destination=bound)
        row.ring_key, row.sealed = again.ring_key, again.data
        row.save(update_fields=["ring_key", "sealed"])
    return len(rows)


def _bound(account: int, page: str, target: str) -> dict[str, str]:
    return {"kept_form_of": str(account), "page": page, "target": target}
