"""Evidence that leaves the register, or is looked at: who may, and the event that says who did."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.translation import gettext as _

from compliance.access import permissions as access
from compliance.governance.events import Actor, append_event
from compliance.models import Audit, Release


def may_export(user: Any, audit: Audit) -> bool:
    """Whether somebody may take an audit's files with them: by permission, or because it was released to them."""
    released = Release.objects.current().read_by(user).filter(audit=audit)
    return access.may(user, "export_audit", audit.team_id) or released.exists()


def require_export(*, audit: Audit, actor: Actor) -> None:
    """Refuse whoever may not take an audit's files.

    Raises
    ------
    PermissionDenied
        Without the permission to export audits, unless the audit was released to this person.
    """
    if actor.user is not None and not may_export(actor.user, audit):
        raise PermissionDenied(_("{name}: may not export audits of {team}").format(name=actor.name, team=audit.team))


@transaction.atomic
def export_file(*, audit: Audit, name: str, actor: Actor) -> None:
    """A published file is handed out.

    Raises
    ------
    PermissionDenied
        As `require_export`.
    """
    require_export(audit=audit, actor=actor)
    payload = {"file": name, "sha256": audit.files.get(name, "")}
    append_event(actor=actor, action="evidence.downloaded", object=audit.number, payload=payload, team=audit.team)


@transaction.atomic
def view_evidence(*, audit: Audit, what: str, actor: Actor) -> None:
    """Cases are shown: prompts that hold applicants' fields. ``what`` says which, as the address does.

    Raises
    ------
    PermissionDenied
        If the audit is neither of a team in which the person may look at audits nor released to them.
    """
    if actor.user is not None and not _may_look(actor.user, audit):
        raise PermissionDenied(_("{name}: may not look at audits of {team}").format(name=actor.name, team=audit.team))
    payload = {"what": what[:1000]}
    append_event(actor=actor, action="evidence.viewed", object=audit.number, payload=payload, team=audit.team)


def _may_look(user: Any, audit: Audit) -> bool:
    released = Release.objects.current().read_by(user).filter(audit=audit)
    return access.may(user, "view_audit", audit.team_id) or released.exists()
