"""The administration: everything can be looked at; what can be changed, actions change."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponseBase
from django.urls import URLPattern, path
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from compliance.accounts import admin as people
from compliance.admin_base import ReadOnlyAdmin, progress_bar
from compliance.audits.asking import Door, request_page
from compliance.models import (
    Audit,
    AuditChunk,
    AuditSchedule,
    Event,
    FindingNote,
    FindingRecord,
    FindingRow,
    MeasurementRow,
    Sighting,
    Worker,
)
from compliance.registry import admin as registry

__all__ = ["people", "registry"]  # importing them registers theirs

admin.site.site_header = admin.site.site_title = "Plumbline"
admin.site.index_title = pgettext_lazy("title of the administration", "Register")


@admin.register(Audit)
class AuditAdmin(ReadOnlyAdmin):
    """Audits."""

    list_display = (
        "number",
        "team",
        "plan",
        "model",
        "state",
        "progress",
        "governed",
        "requested_by",
        "created_at",
        "finished_at",
    )
    list_filter = ("state", "governed", "created_at")
    list_select_related = ("team", "plan", "model")
    search_fields = ("=serial", "run_sha256", "plan__name", "requested_by")

    @admin.display(description=pgettext_lazy("register or column", "Number"))
    def number(self, row: Audit) -> str:
        """What people call it."""
        return row.number

    @admin.display(description=_("Prompts scored"))
    def progress(self, audit: Audit) -> str:
        """How far it is, with the way to its page."""
        return progress_bar(audit)

    def get_urls(self) -> list[URLPattern]:
        """With the page on which audits are asked for."""
        asked = path("request/", self.admin_site.admin_view(self.request_view), name="compliance_audit_request")
        return [asked, *super().get_urls()]

    def request_view(self, request: HttpRequest) -> HttpResponseBase:
        """Ask for audits."""
        context = {**self.admin_site.each_context(request), "title": gettext("Run audit"), "opts": Audit._meta}
        listed_at = "admin:compliance_audit_changelist"
        return request_page(
            request, Door(template="admin/compliance/request_audit.html", context=context, listed_at=listed_at)
        )


@admin.register(AuditChunk)
class AuditChunkAdmin(ReadOnlyAdmin):
    """Chunks, without their contents."""

    list_display = ("audit", "index", "kind", "prompts", "tokens", "state", "attempt", "lost")
    list_filter = ("state", "kind")
    list_select_related = ("audit",)
    search_fields = ("=audit__serial",)
    exclude = ("payload", "result")


@admin.register(MeasurementRow)
class MeasurementAdmin(ReadOnlyAdmin):
    """Measurements."""

    list_display = ("audit", "key", "role", "estimate", "low", "high", "unit", "n", "conclusion")
    list_filter = ("test", "metric", "role", "conclusion")
    list_select_related = ("audit",)
    search_fields = ("=audit__serial", "key", "metric")


@admin.register(FindingRow)
class FindingAdmin(ReadOnlyAdmin):
    """Findings."""

    list_display = ("audit", "key", "title", "severity", "conclusion")
    list_filter = ("severity", "conclusion")
    list_select_related = ("audit",)
    search_fields = ("=audit__serial", "key", "title")


@admin.register(FindingRecord)
class FindingRecordAdmin(ReadOnlyAdmin):
    """Findings over all audits. What moves them stands on their pages, with the guards of the actions."""

    list_display = ("number", "team", "title", "severity", "state", "owner", "due", "first_seen", "last_seen")
    list_filter = ("state", "severity")
    list_select_related = ("team", "owner")
    search_fields = ("=serial", "title", "language_model__name")

    @admin.display(description=pgettext_lazy("register or column", "Number"))
    def number(self, row: FindingRecord) -> str:
        """What people call it."""
        return row.number


@admin.register(AuditSchedule)
class AuditScheduleAdmin(ReadOnlyAdmin):
    """Re-audits that start by themselves. Their pages on the site make, pause and end them."""

    list_display = ("__str__", "team", "plan", "language_model", "rhythm", "next_on", "state", "made_by", "last_audit")
    list_filter = ("state", "next_on")
    list_select_related = ("team", "plan", "language_model", "last_audit")
    search_fields = ("plan__name", "plan__title", "language_model__name", "made_by")

    @admin.display(description=_("How often"))
    def rhythm(self, row: AuditSchedule) -> str:
        """How often, in words."""
        return row.rhythm


@admin.register(Sighting)
class SightingAdmin(ReadOnlyAdmin):
    """Which audit saw which finding."""

    list_display = ("record", "audit", "finding", "trend", "reopened")
    list_filter = ("trend", "reopened")
    list_select_related = ("record", "audit", "finding__audit")
    search_fields = ("=record__serial", "=audit__serial")


@admin.register(FindingNote)
class FindingNoteAdmin(ReadOnlyAdmin):
    """What people wrote and attached."""

    list_display = ("record", "purpose", "written_by", "written_at", "file_name", "sha256")
    list_filter = ("purpose",)
    list_select_related = ("record",)
    search_fields = ("=record__serial", "text", "written_by", "sha256")


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """The event log."""

    list_display = ("seq", "ts", "actor", "role", "action", "object", "hash")
    list_filter = ("action", "role")
    search_fields = ("actor", "object", "hash")


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    """Workers that are or were there."""

    list_display = ("host", "key", "queues", "stopping", "started_at", "seen_at")
    list_filter = ("host", "stopping")
    search_fields = ("host", "key")
