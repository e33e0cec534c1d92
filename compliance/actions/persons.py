"""Whether somebody is the person whom a row or an event names: by account, and by every name they go by."""

from __future__ import annotations

from compliance.accounts.names import folded
from compliance.governance.events import Actor


def is_person(actor: Actor, name: str, account: int | None) -> bool:
    """Whether an actor is who a row names. A row that names nobody is nobody's."""
    same_account = actor.user is not None and account == actor.user.pk
    if same_account or not name.strip():
        return same_account
    # Names are typed into the register by hand: what people read as one name is one.
    mine = {actor.name, *([actor.user.get_username()] if actor.user is not None else [])}
    return folded(name.strip()) in {folded(own.strip()) for own in mine}
