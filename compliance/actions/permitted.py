"""The guard of an action that commands and workers use too: an account needs the permission, by whichever door."""

from __future__ import annotations

from compliance.access import permissions as access
from compliance.governance.events import Actor


def permitted(actor: Actor, permission: str, team_id: int | None) -> None:
    """Refuse an account that lacks a permission (without label) in a team, or anywhere where no team is named.

    Whoever has the command line and the data folder needs no account, and the software itself has none.

    Raises
    ------
    NotPermitted
        Shown as 403, with who can give it.
    """
    if actor.user is None:
        return
    if team_id is None:
        access.need(actor.user, permission)
    else:
        access.require(actor.user, permission, team_id)
