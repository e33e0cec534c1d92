"""Teams, who is in them, and what was released to whom."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy, gettext_noop

from compliance.access import permissions as access
from compliance.access.roles import Role
from compliance.dates import day_said
from compliance.models.rows import AuditParts, TeamRows
from compliance.sentences import in_sentence

DEFAULT_TEAM = "Default"
#: Where links stand; pages translate them.
USED, WITHDRAWN = gettext_noop("used"), gettext_noop("withdrawn")
OPEN, EXPIRED = gettext_noop("open"), gettext_noop("expired")


class Team(models.Model):
    """Owns models, data sets, plans and audits. What one team has is not there for another."""

    name = models.CharField(max_length=120, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TeamRows.as_manager()
    team_path = "pk"

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def event_object(self) -> str:
        """What events call it."""
        return f"team {self.pk}"

    @property
    def team_id(self) -> int:
        """Its own key: a team belongs to itself."""
        return int(self.pk)


def default_team() -> Team:
    """The team of whatever names none, such as runs from the command line."""
    return Team.objects.get_or_create(name=DEFAULT_TEAM)[0]


class Membership(models.Model):
    """A role of somebody in a team. It is added or removed, never changed."""

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = TeamRows.as_manager()

    class Meta:
        ordering = ("team", "user", "role")
        constraints = (
            models.UniqueConstraint(fields=["team", "user", "role"], name="membership_once"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="membership_role_known"),
        )

    def __str__(self) -> str:
        return gettext("{user}, {role} in {team}").format(
            user=self.user, role=in_sentence(Role(self.role).label), team=self.team
        )

    @property
    def event_object(self) -> str:
        """What events call the team whose member this is."""
        return self.team.event_object


class ReleaseQuerySet(AuditParts["Release"]):
    """Releases."""

    def current(self) -> ReleaseQuerySet:
        """Those that are neither over nor withdrawn."""
        return self.filter(withdrawn_at=None, expires_at__gt=timezone.now())

    def read_by(self, user: Any) -> ReleaseQuerySet:
        """Those to somebody, over or not, in the teams that they examine. With the role they are gone."""
        return self.filter(reader=user.pk, audit__team__in=access.examined_teams(user))


class Release(models.Model):
    """One audit, shown to one examiner until a day. Withdrawn, it stays as the record that it was shown."""

    audit = models.ForeignKey("compliance.Audit", on_delete=models.PROTECT, related_name="releases")
    reader = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="releases")
    reason = models.CharField(max_length=500)
    released_by = models.CharField(max_length=200)
    released_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    objects = ReleaseQuerySet.as_manager()

    class Meta:
        ordering = ("-released_at",)
        indexes = (models.Index(fields=["reader", "expires_at"], name="release_reader"),)

    def __str__(self) -> str:
        return gettext("{audit} to {reader} until {day}").format(
            audit=self.audit, reader=self.reader, day=day_said(self.expires_at)
        )

    @property
    def event_object(self) -> str:
        """What events call the audit."""
        return self.audit.number

    @property
    def current(self) -> bool:
        """Whether it is neither over nor withdrawn."""
        return self.withdrawn_at is None and self.expires_at > timezone.now()


class FirstRunLink(models.Model):
    """The way in for the first administrator. Only the hash of its secret is kept; it works once, for a while."""

    secret_sha256 = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"link of {self.created_at:%d %b %Y %H:%M} UTC"


class AccountLink(models.Model):
    """A link by which somebody makes an account, chooses a new password, or lets go of a lost device. It works once.

    Only the hash of its secret is kept: nobody who administers people knows a password.
    """

    class Kind(models.TextChoices):
        """What it is for."""

        INVITATION = "invitation", gettext_lazy("Invitation")
        NEW_PASSWORD = "new_password", gettext_lazy("New password")
        NEW_DEVICE = "new_device", gettext_lazy("New device")

    kind = models.CharField(max_length=20, choices=Kind.choices)
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="account_links")
    role = models.CharField(max_length=20, choices=Role.choices, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="account_links"
    )
    name = models.CharField(max_length=200, help_text="Of whom it was made for, as its maker wrote it.")
    secret_sha256 = models.CharField(max_length=64, unique=True)
    account = models.CharField(
        max_length=64, blank=True, help_text="A digest of the password that the account had: another one ends the link."
    )
    made_by = models.CharField(max_length=200)
    made_by_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="made_account_links"
    )
    made_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    objects = TeamRows.as_manager()

    class Meta:
        ordering = ("-made_at",)
        constraints = (
            models.CheckConstraint(
                condition=Q(kind__in=["invitation", "new_password", "new_device"]), name="account_link_kind_known"
            ),
        )

    def __str__(self) -> str:
        return gettext("{kind} for {name}").format(kind=self.get_kind_display(), name=self.name)

    @property
    def event_object(self) -> str:
        """What events call the team that it belongs to."""
        return self.team.event_object

    @property
    def state(self) -> str:
        """Where it stands, in a word that pages translate."""
        if self.used_at is not None:
            return USED
        if self.withdrawn_at is not None:
            return WITHDRAWN
        return OPEN if self.expires_at > timezone.now() else EXPIRED
