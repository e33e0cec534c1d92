"""What the registers of the administration have in common: rows through ``for_user``, changes through actions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from compliance.dates import moment_said
from compliance.exceptions import ComplianceError
from compliance.governance.events import Actor, signed_in
from compliance.models import Audit, Event
from compliance.tables.described import Column, Table
from compliance.tables.pages import file_asked_for
from compliance.tables.registers import list_file, list_files

EVENTS_SHOWN = 200


def progress_bar(audit: Audit, *, words: str = "") -> SafeString:
    """How far an audit is, with the way to its page."""
    return format_html(
        '<a href="{}">{}{}</a><progress class="slim" value="{}" max="{}" aria-label="{}"></progress>',
        audit.get_absolute_url(),
        words,
        _("{done} of {all}").format(done=audit.prompts_done, all=audit.prompts or "–"),
        audit.prompts_done,
        audit.prompts or 1,
        _("{audit} scored").format(audit=audit),
    )


def events_table(events: Sequence[Event], every: Callable[[], Iterable[Event]], *, about: str) -> Table:
    """What the event log says of a row."""
    return Table(
        name="events",
        title=_("What the event log says"),
        about=about,
        rows=events,
        every=every,
        columns=(
            Column("seq", _("No."), lambda event: event.seq, lambda event: str(event.seq)),
            Column(
                "ts",
                _("When (UTC)"),
                lambda event: event.ts,
                lambda event: moment_said(datetime.fromisoformat(event.ts)),
            ),
            Column("actor", _("Who"), lambda event: event.actor),
            Column("role", _("As"), lambda event: event.role, lambda event: _(event.role)),
            Column(
                "action",
                _("What"),
                lambda event: event.action,
                lambda event: format_html("<code>{}</code>", event.action),
            ),
            Column(
                "hash",
                _("Hash"),
                lambda event: event.hash,
                lambda event: format_html("<code>{}…</code>", event.hash[:12]),
            ),
        ),
    )


if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:  # Django's own is not generic when it runs
    ModelAdmin = admin.ModelAdmin


class ByKeyAdmin(ModelAdmin):
    """Rows are found by their key: a ``_to_field`` that a request leaves empty is none, not a field without a name."""

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The row, or nothing."""
        return super().get_object(request, object_id, from_field or None)


class ListedAdmin(ByKeyAdmin):
    """A list can be taken away as a file: the columns that it shows, all rows that its search and filters find."""

    change_list_template = "admin/compliance/change_list.html"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """The list, or the file that its address asks for."""
        found = list_file(request, self)
        if found is not None:
            return found
        files = list_files(request, capfirst(str(self.opts.verbose_name_plural)))
        return super().changelist_view(request, {**(extra_context or {}), "list_files": files})


class ReadOnlyAdmin(ListedAdmin):
    """Pages to look at a register that only actions write. A row of another team is not there."""

    actions: Sequence[Any] | None = None

    class Media:
        css = {"all": ("compliance/admin.css",)}  # noqa: RUF012, as Django declares it

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The rows somebody may see; lists, filters, searches and single pages all begin here."""
        rows: QuerySet[Any] = self.model._default_manager.for_user(request.user)
        ordering = self.get_ordering(request)
        return rows.order_by(*ordering) if ordering else rows

    def get_field_queryset(self, db: str | None, db_field: Any, request: HttpRequest) -> QuerySet[Any] | None:
        """What a form may offer for a related row: only what somebody may see."""
        related = db_field.remote_field.model._default_manager
        return related.for_user(request.user) if hasattr(related.all(), "for_user") else None

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        """Django's own history, and beside it what the event log says of the row."""
        row = self.get_object(request, object_id)
        label = getattr(row, "event_object", None)
        found = Event.objects.for_user(request.user).filter(object=label or "")
        events = list(found[:EVENTS_SHOWN]) if label else []
        table = events_table(events, found.iterator, about=str(label or ""))
        shown = {"events": events, "tables": {table.name: table}}
        answer = super().history_view(request, object_id, {**(extra_context or {}), **shown})
        # Django's own says who may read it.
        file = file_asked_for(request, [table]) if answer.status_code == HTTPStatus.OK else None
        return answer if file is None else file

    def _get_obj_does_not_exist_redirect(self, request: HttpRequest, opts: Any, object_id: str) -> HttpResponse:
        """Not found, where Django would send people to the index with a message."""
        raise Http404(_("no such row"))


class ActingAdmin(ReadOnlyAdmin):
    """A register that may be added to, changed or taken from, each through an action; what it refuses is one line."""

    def allowed(self, request: HttpRequest, permission: str, obj: Any) -> bool:
        """Whether somebody holds a permission, for a row if there is one."""
        name = f"compliance.{permission}_{self.model._meta.model_name}"
        return bool(request.user.has_perm(name, obj) if obj is not None else request.user.has_perm(name))

    def actor(self, request: HttpRequest) -> Actor:
        """Whoever is logged in."""
        user = signed_in(request)
        return Actor(name=user.get_username(), role="administration", user=user)

    def refuse(self, request: HttpRequest, error: ComplianceError) -> None:
        """Say why nothing was done."""
        self.message_user(request, str(error), messages.ERROR)
