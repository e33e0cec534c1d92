"""Teams, who is in them, what is released to whom, and the first administrator."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from compliance.access.roles import Role
from compliance.accounts.names import taken_by
from compliance.actions.permitted import permitted
from compliance.dates import day_said
from compliance.exceptions import StateError
from compliance.governance.events import Actor, append_event, lock_chain
from compliance.models import AccountLink, Audit, FirstRunLink, Membership, Release, Team, default_team
from compliance.sentences import in_sentence

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic
def name_team(*, name: str, actor: Actor, team: Team | None = None) -> Team:
    """Make a team, or give one another name.

    Raises
    ------
    NotPermitted
        Without the permission, which no role in a team gives.
    StateError
        If another team is called so.
    """
    permitted(actor, "change_team" if team else "add_team", None)
    lock_chain()
    others = Team.objects.exclude(pk=team.pk) if team else Team.objects.all()
    if others.filter(name=name).exists():
        raise StateError(_("team {name}: already exists; expected a new name").format(name=repr(name)))
    before = team.name if team else None
    team = team or Team()
    team.name = name
    team.save()
    payload = {"name": name, "before": before}
    append_event(actor=actor, action="team.named", object=team.event_object, payload=payload, team=team)
    return team


@transaction.atomic
def add_member(*, team: Team, user: User, role: Role, actor: Actor) -> Membership:
    """Give somebody a role in a team. Whoever works in a team may open the administration; an examiner does not.

    Raises
    ------
    NotPermitted
        Without the permission to give roles in that team.
    StateError
        If they have it, would be an examiner in a team they work in, or would give it to themselves: four eyes end
        where one person takes both roles. Whoever administers the installation may.
    """
    permitted(actor, "add_membership", team.pk)
    lock_chain()
    if actor.user is not None and actor.user.pk == user.pk and not user.is_superuser:
        raise StateError(
            _("{user}: is your own account; expected another administrator to give you a role").format(user=user)
        )
    if actor.user is not None and not actor.user.is_superuser and user.pk in _hosts(actor.user):
        raise StateError(_("{user}: invited you; expected an administrator whom they did not invite").format(user=user))
    held = set(Membership.objects.filter(team=team, user=user).values_list("role", flat=True))
    if role in held:
        raise StateError(
            _("{user}: is {role} in {team} already; expected a role they do not have").format(
                user=user, role=in_sentence(role.label), team=team
            )
        )
    if held and (role == Role.EXAMINER or Role.EXAMINER in held):
        raise StateError(
            _("{user}: works in {team}, or examines it; expected one of the two").format(user=user, team=team)
        )
    member = Membership.objects.create(team=team, user=user, role=role)
    if role != Role.EXAMINER and not user.is_staff:
        user.is_staff = True
        user.save(update_fields=["is_staff"])
    _tell_membership("team.member_added", member, actor)
    return member


@transaction.atomic
def remove_member(*, membership: Membership, actor: Actor) -> None:
    """Take a role from somebody; NotPermitted without the permission. What they did stays under their name."""
    permitted(actor, "delete_membership", membership.team_id)
    lock_chain()
    _tell_membership("team.member_removed", membership, actor)
    membership.delete()


@transaction.atomic
def release_audit(*, audit: Audit, reader: User, until: datetime, reason: str, actor: Actor) -> Release:
    """Show an audit to an examiner of its team until a moment.

    Raises
    ------
    PermissionDenied
        If the person may not release audits of its team.
    StateError
        If the audit has no results, the reader is not an examiner of the team or has it already, the moment is past, or
        no reason is given.
    """
    permitted(actor, "add_release", audit.team_id)
    lock_chain()
    audit.refresh_from_db(fields=["state"])
    if not audit.complete:
        raise StateError(_("{audit}: has no results yet; expected a finished audit").format(audit=audit))
    if not Membership.objects.filter(team=audit.team, user=reader, role=Role.EXAMINER).exists():
        raise StateError(
            _("{reader}: is not an examiner of {team}; expected one").format(reader=reader, team=audit.team)
        )
    if until <= timezone.now():
        raise StateError(
            _("{audit}: {day} is past; expected a date in the future").format(audit=audit, day=day_said(until))
        )
    if Release.objects.current().filter(audit=audit, reader=reader).exists():
        raise StateError(
            _("{audit}: is released to {reader} already; expected that release to be withdrawn first").format(
                audit=audit, reader=reader
            )
        )
    if not reason.strip():
        raise StateError(
            _("{audit}: no reason is given; expected a sentence that the examiner reads").format(audit=audit)
        )
    release = Release.objects.create(
        audit=audit, reader=reader, expires_at=until, reason=reason, released_by=actor.name
    )
    payload = {"reader": reader.get_username(), "account": reader.pk, "until": until.isoformat(), "reason": reason}
    append_event(actor=actor, action="audit.released", object=audit.number, payload=payload, team=audit.team)
    return release


@transaction.atomic
def withdraw_release(*, release: Release, actor: Actor) -> None:
    """Stop showing it.

    Raises
    ------
    PermissionDenied
        If the person may not withdraw releases of its team.
    StateError
        If it was withdrawn before.
    """
    permitted(actor, "delete_release", release.audit.team_id)
    lock_chain()
    now = timezone.now()
    if not Release.objects.filter(pk=release.pk, withdrawn_at=None).update(withdrawn_at=now):
        raise StateError(_("{release}: is withdrawn already; expected a release in force").format(release=release))
    release.withdrawn_at = now
    reader, until = release.reader, release.expires_at.isoformat()
    payload = {"reader": reader.get_username(), "account": reader.pk, "until": until}
    audit = release.audit
    append_event(actor=actor, action="audit.release_withdrawn", object=audit.number, payload=payload, team=audit.team)


@transaction.atomic
def become_first_administrator(*, link: FirstRunLink, username: str, password: str) -> User:
    """Use a first-run link: make the administrator it is for, and end the link.

    Raises
    ------
    StateError
        If the link was used or is over, or somebody administers this installation already.
    """
    lock_chain()  # two people with two links: the second finds an administrator
    users = get_user_model()
    if users.objects.filter(is_superuser=True, is_active=True).exists():
        raise StateError(_("this link: there is an administrator already; expected an installation without one"))
    now = timezone.now()
    usable = FirstRunLink.objects.filter(pk=link.pk, used_at=None, expires_at__gt=now)
    if not usable.update(used_at=now):
        raise StateError(
            _("this link: was used or has expired; expected a new one from `python manage.py first_admin`")
        )
    other = taken_by(username)
    if other is not None:
        raise StateError(
            _("user name {username}: is taken, as {other}; expected another one").format(
                username=repr(username), other=repr(other)
            )
        )
    user = users.objects.create_superuser(username=username, password=password)
    default_team()
    actor = Actor(name=user.get_username(), role="administrator", user=user)
    append_event(actor=actor, action="account.first_administrator", object=f"account {user.pk}", payload={})
    return user


def _hosts(user: User) -> set[int]:
    """The accounts that invited somebody, and those that invited these: a guest gives no roles to a host."""
    found: set[int] = set()
    asked = {user.pk}
    while asked:
        links = AccountLink.objects.filter(kind=AccountLink.Kind.INVITATION, user__in=asked)
        asked = {pk for pk in links.values_list("made_by_user", flat=True) if pk is not None} - found
        found |= asked
    return found


def _tell_membership(action: str, membership: Membership, actor: Actor) -> None:
    team = membership.team
    payload = {"account": membership.user.get_username(), "role": membership.role}
    append_event(actor=actor, action=action, object=team.event_object, payload=payload, team=team)
