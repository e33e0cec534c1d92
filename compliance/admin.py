"""The admin: everything can be looked at, nothing can be edited. Changes go through actions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html

from compliance.models import (
    Audit,
    AuditChunk,
    DataSetVersion,
    Event,
    FindingRow,
    LanguageModelVersion,
    MeasurementRow,
    PlanVersion,
    Worker,
)
from compliance.triggering import Runnable, request_page

admin.site.site_header = admin.site.site_title = "Plumbline"
admin.site.index_title = "Register"


class ReadOnlyAdmin(admin.ModelAdmin):
    """Pages to look at a register that only actions write."""

    actions = None

    class Media:
        css = {"all": ("compliance/admin.css",)}  # noqa: RUF012, as Django declares it

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False


@admin.register(LanguageModelVersion)
class LanguageModelAdmin(Runnable, ReadOnlyAdmin):
    """Models."""

    asked_as = "models"

    list_display = ("source", "sha256", "imported_at")
    search_fields = ("source", "sha256")
    list_filter = ("imported_at",)


@admin.register(DataSetVersion)
class DataSetAdmin(ReadOnlyAdmin):
    """Data sets."""

    list_display = ("name", "source", "rows", "fingerprint", "registered_at")
    search_fields = ("name", "source", "fingerprint")
    list_filter = ("registered_at",)


@admin.register(PlanVersion)
class PlanAdmin(Runnable, ReadOnlyAdmin):
    """Designs."""

    asked_as = "plans"

    list_display = ("name", "title", "design_sha256", "registered_at")
    search_fields = ("name", "title", "design_sha256")
    list_filter = ("registered_at",)


@admin.register(Audit)
class AuditAdmin(ReadOnlyAdmin):
    """Audits."""

    list_display = (
        "number",
        "plan",
        "model",
        "state",
        "progress",
        "governed",
        "requested_by",
        "created_at",
        "finished_at",
    )
    list_filter = ("state", "queue", "governed", "created_at", "model")
    list_select_related = ("plan", "model")
    search_fields = ("=serial", "run_sha256", "plan__name", "requested_by")

    @admin.display(description="Prompts scored")
    def progress(self, audit: Audit) -> str:
        """How far it is, with the way to its page."""
        return format_html(
            '<a href="{}">{} of {}</a><progress class="slim" value="{}" max="{}" aria-label="{} scored"></progress>',
            audit.get_absolute_url(),
            audit.prompts_done,
            audit.prompts or "–",
            audit.prompts_done,
            audit.prompts or 1,
            audit,
        )

    def get_urls(self) -> list[URLPattern]:
        """With the page on which audits are asked for."""
        asked = path("request/", self.admin_site.admin_view(self.request_view), name="compliance_audit_request")
        return [asked, *super().get_urls()]

    def request_view(self, request: HttpRequest) -> HttpResponse:
        """Ask for audits."""
        return request_page(request, self.admin_site)


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
