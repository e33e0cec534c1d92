"""The administration of people: teams, who is in them, and what is released to whom."""

from __future__ import annotations

from typing import Any

from allauth.account import admin as mail_registers
from allauth.account.models import EmailAddress
from django.contrib import admin, messages
from django.contrib.auth import admin as account_registers
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse

from compliance import actions
from compliance.access import permissions as access
from compliance.access.roles import Role
from compliance.admin_base import ActingAdmin
from compliance.exceptions import ComplianceError
from compliance.models import Audit, Membership, Release, Team

# Once Django and allauth have entered theirs: people have roles in teams instead of groups, and no mail is sent.
for registers, model in ((account_registers, Group), (mail_registers, EmailAddress)):
    registers.admin.site.unregister(model)


class SavingAdmin(ActingAdmin):
    """Adding and taking away through actions, which may refuse after the form was found good."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """By permission."""
        return self.allowed(request, "delete", obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """By permission, anywhere; in which team is checked when it is saved."""
        return self.allowed(request, "add", None)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """None in bulk: each is a decision of its own."""
        return {}

    def perform(self, request: HttpRequest, obj: Any) -> Any:
        """The action that adds ``obj``; returns the row it made."""
        raise NotImplementedError

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Let the action add it."""
        made = self.perform(request, obj)
        obj.__dict__.update(made.__dict__)

    def changeform_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        """As Django does it; what the action refuses is said on the form's own page."""
        try:
            return super().changeform_view(request, *args, **options)
        except ComplianceError as error:
            self.refuse(request, error)
            request.method = "GET"
            return super().changeform_view(request, *args, **options)

    def delete_view(self, request: HttpRequest, *args: Any, **options: Any) -> HttpResponse:
        """The same."""
        try:
            return super().delete_view(request, *args, **options)
        except ComplianceError as error:
            self.message_user(request, str(error), messages.ERROR)
            request.method = "GET"
            return super().delete_view(request, *args, **options)


@admin.register(Team)
class TeamAdmin(SavingAdmin):
    """Teams. Whoever administers the installation makes and names them."""

    list_display = ("name", "created_at")
    search_fields = ("name",)
    fields = ("name",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """By permission."""
        return self.allowed(request, "change", obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: a team owns evidence."""
        return False

    def perform(self, request: HttpRequest, obj: Team) -> Team:
        """Make it, or name it."""
        return actions.name_team(name=obj.name, team=obj if obj.pk else None, actor=self.actor(request))


@admin.register(Membership)
class MembershipAdmin(SavingAdmin):
    """Roles in teams, given and taken."""

    list_display = ("user", "role", "team", "created_at")
    list_filter = ("role",)
    list_select_related = ("user", "team")
    search_fields = ("user__username", "team__name")
    fields = ("team", "user", "role")

    def get_field_queryset(self, db: str | None, db_field: Any, request: HttpRequest) -> Any:
        """The teams in which somebody may give roles."""
        if db_field.name == "team":
            teams = access.teams_where(request.user, "add_membership")
            return Team.objects.all() if teams is None else Team.objects.filter(pk__in=teams)
        return super().get_field_queryset(db, db_field, request)

    def perform(self, request: HttpRequest, obj: Membership) -> Membership:
        """Give the role."""
        access.require(request.user, "add_membership", obj.team_id)
        return actions.add_member(team=obj.team, user=obj.user, role=Role(obj.role), actor=self.actor(request))

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        """Take it."""
        access.require(request.user, "delete_membership", obj.team_id)
        actions.remove_member(membership=obj, actor=self.actor(request))


@admin.register(Release)
class ReleaseAdmin(SavingAdmin):
    """What is shown to examiners. Taken back, a release stays as the record that it was given."""

    list_display = ("audit", "reader", "released_by", "released_at", "expires_at", "withdrawn_at")
    list_filter = ("expires_at", "withdrawn_at")
    list_select_related = ("audit", "reader")
    search_fields = ("=audit__serial", "reader__username")
    fields = ("audit", "reader", "expires_at", "reason")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may release may take back what still stands."""
        if obj is None:
            return self.allowed(request, "delete", None)
        return obj.current and access.may(request.user, "delete_release", obj.audit.team_id)

    def get_field_queryset(self, db: str | None, db_field: Any, request: HttpRequest) -> Any:
        """Audits of teams in which somebody may release."""
        if db_field.name == "audit":
            teams = access.teams_where(request.user, "add_release")
            return Audit.objects.all() if teams is None else Audit.objects.filter(team__in=teams)
        return super().get_field_queryset(db, db_field, request)

    def perform(self, request: HttpRequest, obj: Release) -> Release:
        """Show it."""
        access.require(request.user, "add_release", obj.audit.team_id)
        return actions.release_audit(
            audit=obj.audit, reader=obj.reader, until=obj.expires_at, reason=obj.reason, actor=self.actor(request)
        )

    def delete_model(self, request: HttpRequest, obj: Release) -> None:
        """Take it back."""
        actions.withdraw_release(release=obj, actor=self.actor(request))
