"""Who is in one's teams, with which roles; what the pages about people show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.html import format_html

from compliance.access.roles import Role
from compliance.models import AccountLink, LockOut, Membership, Team
from compliance.tables.described import Column, Table

Every = Callable[[], Iterable[Any]]


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody in a team, with every role they have there."""

    user: Any
    team: Team
    roles: tuple[Membership, ...]

    @property
    def words(self) -> str:
        """The roles, by name."""
        return ", ".join(str(Role(item.role).label) for item in self.roles)

    @property
    def last_in(self) -> datetime | None:
        """When they last logged in."""
        found: datetime | None = self.user.last_login
        return found


def people_of(memberships: QuerySet[Membership]) -> list[Person]:
    """The people of these memberships, by team and name."""
    rows: dict[tuple[str, str], list[Membership]] = {}
    for item in memberships.select_related("team", "user").order_by("team__name", "user__username", "role"):
        rows.setdefault((item.team.name, item.user.get_username()), []).append(item)
    return [Person(user=roles[0].user, team=roles[0].team, roles=tuple(roles)) for roles in rows.values()]


def people_table(rows: Sequence[Person], every: Every) -> Table:
    """People, each once a team."""
    return Table(
        name="people",
        title="People",
        rows=rows,
        every=every,
        columns=(
            Column("account", "Account", lambda row: row.user.get_username(), _person_link),
            Column("team", "Team", lambda row: row.team.name),
            Column("roles", "Roles", lambda row: row.words),
            Column("last_login", "Last logged in", lambda row: row.last_in),
            Column("account_is", "Account is", lambda row: "open" if row.user.is_active else "closed"),
        ),
    )


def _person_link(row: Person) -> str:
    where = reverse("person", args=[row.team.pk, row.user.pk])
    return format_html('<a href="{}">{}</a>', where, row.user.get_username())


def links_table(rows: Iterable[AccountLink], every: Every) -> Table:
    """Invitations, links for a new password, and links for a lost device."""
    return Table(
        name="account_links",
        title="Links that were made",
        kind="folds",
        rows=rows,
        every=every,
        columns=(
            Column("kind", "For", lambda row: row.get_kind_display()),
            Column("name", "Of whom", lambda row: row.name),
            Column("team", "Team", lambda row: row.team.name),
            Column("role", "Role", lambda row: str(Role(row.role).label) if row.role else ""),
            Column("made_by", "Made by", lambda row: row.made_by),
            Column("made_at", "When", lambda row: row.made_at),
            Column("expires_at", "Until", lambda row: row.expires_at),
            Column("stands", "Stands", lambda row: row.state),
        ),
    )


LOCKS_READ = 500
"""Of the newest; older ones stand in the event log."""


@dataclass(frozen=True, kw_only=True)
class LockLine:
    """A lock-out of somebody in a team whose administrator asks."""

    lock: LockOut
    person: Person


def lock_outs_of(teams: frozenset[int] | None) -> list[LockLine]:
    """The lock-outs of people of these teams, ``None`` for all, newest first; each once, in the first of its teams."""
    members = Membership.objects.all() if teams is None else Membership.objects.filter(team__in=teams)
    rows = list(LockOut.objects.filter(user__in=members.values("user")).select_related("user")[:LOCKS_READ])
    found: dict[int, Person] = {}
    for person in people_of(members.filter(user__in={row.user_id for row in rows})) if rows else ():
        found.setdefault(person.user.pk, person)
    return [LockLine(lock=row, person=found[row.user_id]) for row in rows if row.user_id in found]


def lock_outs_table(rows: Sequence[LockLine], every: Every) -> Table:
    """Who could not log in for a while, since when and why."""
    return Table(
        name="lock_outs",
        title="Lock-outs",
        rows=rows,
        every=every,
        columns=(
            Column(
                "account", "Account", lambda line: line.lock.user.get_username(), lambda line: _person_link(line.person)
            ),
            Column("why", "Because of", lambda line: line.lock.get_why_display()),
            Column("address", "Last from", lambda line: line.lock.address),
            Column("began_at", "Since", lambda line: line.lock.began_at),
            Column("until", "Until", lambda line: line.lock.until),
            Column("stands", "Stands", lambda line: line.lock.state),
            Column("lifted_by", "Lifted by", lambda line: line.lock.lifted_by),
        ),
    )
