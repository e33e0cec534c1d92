"""The registers of models, data sets, plans and policy packs in the administration."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, cast

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

import compliance.addresses  # noqa: F401, registers what stands for a row in an address
from auditor.exceptions import InputError
from auditor.run_record import RunMapping
from compliance import actions
from compliance.access import permissions as access
from compliance.admin_base import ActingAdmin, ReadOnlyAdmin, progress_bar
from compliance.audits.asking import Runnable, standing_words
from compliance.exceptions import ComplianceError
from compliance.execution.job import ACTIVE
from compliance.models import (
    Approval,
    Audit,
    DataSetVersion,
    LanguageModel,
    LanguageModelVersion,
    PlanDecision,
    PlanDraft,
    PlanVersion,
    PolicyPackReview,
    PolicyPackVersion,
    Registration,
    SystemListing,
    VersionDecision,
)
from compliance.models.approvals import approval_words, approvals_in_words
from compliance.models.versions import DESCRIPTION, PlanVersionQuerySet, VersionQuerySet, number_of
from compliance.registry.pack_page import ReviewForm, difference_lines, pretty, review_due
from compliance.registry.register_tables import fields_table, preview_table
from compliance.tables.described import Table
from compliance.tables.html import AS, table_html
from compliance.tables.pages import file_asked_for

IN_WORDS = "approvals_in_words"


class _ModelList(ChangeList):
    """Language models with their approvals in words, read for the whole page."""

    def get_results(self, request: HttpRequest) -> None:
        """The rows of a page."""
        super().get_results(request)
        rows = list(self.result_list)
        words = approvals_in_words(rows)
        for row in rows:
            setattr(row, IN_WORDS, words[row.pk])
        self.result_list = rows


@admin.register(LanguageModel)
class LanguageModelAdmin(ActingAdmin):
    """Language models: what is said of them may be changed, and each change is an event."""

    actions: Sequence[Any] | None = ("retire", "propose")
    list_display = ("name", "team", "owner", "decision_role", "risk_tier", "access", "stands", "under_way")
    list_filter = ("risk_tier", "approval", "decision_role", "access")
    list_select_related = ("team",)
    search_fields = ("name", "owner", "purpose")
    fields = (*DESCRIPTION, "stands", "versions")
    readonly_fields = ("stands", "versions")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """By permission."""
        return self.allowed(request, "change", obj)

    def has_approve_permission(self, request: HttpRequest) -> bool:
        """Whether the actions that decide are offered; for each row it is asked again."""
        return self.allowed(request, "approve", None)

    def save_model(
        self, request: HttpRequest, obj: LanguageModel, form: forms.ModelForm[LanguageModel], change: bool
    ) -> None:
        """Let the action say it."""
        description = {name: form.cleaned_data[name] for name in form.changed_data}
        stored = LanguageModel.objects.get(pk=obj.pk)
        actions.describe_language_model(language_model=stored, description=description, actor=self.actor(request))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the audits of its versions that are under way."""
        versions = LanguageModelVersion.objects.for_user(request.user).defer("manifest")
        prefetched = Prefetch("versions", versions.prefetch_related(_under_way(request)), to_attr="its_versions")
        return super().get_queryset(request).prefetch_related(prefetched)

    @admin.display(description=_("approval"), ordering="approval")
    def stands(self, obj: LanguageModel) -> str:
        """Which versions are approved; their pages on the site are where it is done."""
        words: str = vars(obj).get(IN_WORDS) or approval_words(obj)
        return words

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """One that reads the approvals of a page at once."""
        return _ModelList

    @admin.display(description=_("audits under way"))
    def under_way(self, obj: Any) -> SafeString | str:
        """How far each is."""
        return _bars([audit for version in obj.its_versions for audit in version.audits_under_way])

    @admin.display(description=_("Versions, newest first"))
    def versions(self, obj: LanguageModel) -> SafeString:
        """Its versions, each with its page."""
        page = "admin:compliance_languagemodelversion_change"
        numbered, named = obj.versions.numbered(), gettext("Version {number}")
        rows = [
            (
                reverse(page, args=[row.pk]),
                named.format(number=number_of(row)),
                row.source,
                row.sha256,
            )
            for row in numbered
        ]
        listed = format_html_join("", '<li><a href="{}">{}</a>, {}, <code>{}</code></li>', rows)
        return format_html("<ul>{}</ul>", listed) if rows else SafeString("–")

    @admin.action(description=_("Retire"), permissions=["approve"])
    def retire(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Retire."""
        self._decide(request, queryset, Approval.RETIRED)

    @admin.action(description=_("Take into use again"), permissions=["approve"])
    def propose(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Take into use again."""
        self._decide(request, queryset, Approval.PROPOSED)

    def _decide(self, request: HttpRequest, queryset: QuerySet[Any], approval: Approval) -> None:
        with transaction.atomic():  # all that can be decided, or none: the database may be busy halfway
            for row in queryset:
                access.require(request.user, "approve_languagemodel", row.team_id)
                try:
                    actions.decide_on_language_model(language_model=row, approval=approval, actor=self.actor(request))
                except ComplianceError as error:
                    self.refuse(request, error)


class VersionAdmin(ReadOnlyAdmin):
    """Versions, numbered in the order in which they came, with the audits of them that are under way."""

    def get_queryset(self, request: HttpRequest) -> VersionQuerySet[Any]:
        """With their numbers and audits."""
        rows = cast("VersionQuerySet[Any]", super().get_queryset(request))  # registered for versions alone
        return rows.numbered().prefetch_related(_under_way(request))

    @admin.display(description=_("audits under way"))
    def under_way(self, obj: Any) -> SafeString | str:
        """How far each is."""
        return _bars(obj.audits_under_way)

    @admin.display(description=_("version"))
    def number(self, obj: Any) -> int:
        """Its number."""
        return number_of(obj)


@admin.register(LanguageModelVersion)
class LanguageModelVersionAdmin(Runnable, VersionAdmin):
    """Versions of language models."""

    asked_as = "models"

    list_display = ("language_model", "number", "source", "sha256", "imported_at", "under_way")
    list_select_related = ("language_model",)
    search_fields = ("language_model__name", "source", "sha256")
    list_filter = ("imported_at", "language_model__risk_tier")
    fields = ("language_model", "number", "source", "sha256", "imported_at", "left_behind", "files")
    readonly_fields = ("number", "left_behind", "files")

    @admin.display(description=_("left behind"))
    def left_behind(self, obj: LanguageModelVersion) -> str:
        """The lines that the command line prints at import, too."""
        try:
            return "; ".join(obj.described.imported.left_behind) or gettext("nothing")
        except InputError as error:
            return str(error)

    @admin.display(description=_("manifest"))
    def files(self, obj: LanguageModelVersion) -> SafeString:
        """What the store keeps of it."""
        return _code(obj.manifest)


@admin.register(DataSetVersion)
class DataSetAdmin(VersionAdmin):
    """Data sets, with their fields and their first rows, masked."""

    list_display = ("name", "number", "team", "source", "rows", "fingerprint", "registered_at", "under_way")
    list_select_related = ("team",)
    search_fields = ("name", "source", "fingerprint")
    list_filter = ("registered_at",)
    fields = ("name", "number", "team", "source", "rows", "fingerprint", "registered_at", "schema", "first_rows")
    readonly_fields = ("number", "schema", "first_rows")

    @admin.display(description=_("fields"))
    def schema(self, obj: DataSetVersion) -> SafeString:
        """Name, role, type and unit of every field."""
        try:
            mapping = RunMapping.read(obj.mapping, where=f"{obj}: mapping")
        except InputError as error:
            return format_html("{}", error)
        return table_html(fields_table(mapping.fields, address=_page_of(obj)))

    @admin.display(description=_("first rows"))
    def first_rows(self, obj: DataSetVersion) -> str:
        """As they were masked before they were stored."""
        return table_html(_rows_table(obj)) if obj.preview else "–"

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **options: Any) -> Any:
        """The page, or the file of one of its tables."""
        answer = super().change_view(request, object_id, *args, **options)
        if AS not in request.GET or answer.status_code != HTTPStatus.OK:
            return answer
        obj = self.get_object(request, object_id)
        tables = [fields_table(RunMapping.read(obj.mapping, where=f"{obj}: mapping").fields, address=_page_of(obj))]
        return file_asked_for(request, [*tables, *([_rows_table(obj)] if obj.preview else [])])


def _page_of(obj: DataSetVersion) -> str:
    return reverse("admin:compliance_datasetversion_change", args=[obj.pk])


def _rows_table(obj: DataSetVersion) -> Table:
    return preview_table(obj.preview, proposed=False, address=_page_of(obj))


@admin.register(PlanVersion)
class PlanAdmin(Runnable, VersionAdmin):
    """Designs, and the prompt each asks."""

    asked_as = "plans"
    change_form_template = "admin/compliance/planversion/change_form.html"

    list_display = ("name", "number", "team", "title", "stands", "design_sha256", "registered_at", "under_way")
    list_select_related = ("team",)
    search_fields = ("name", "title", "design_sha256", "design_json")
    list_filter = ("registered_at",)
    fields = ("name", "number", "team", "title", "stands", "design_sha256", "registered_at", "prompt", "whole_design")
    readonly_fields = ("number", "stands", "prompt", "whole_design")

    def get_queryset(self, request: HttpRequest) -> PlanVersionQuerySet:
        """With where each stands."""
        return cast("PlanVersionQuerySet", super().get_queryset(request)).standing()

    @admin.display(description=_("design"))
    def stands(self, obj: PlanVersion) -> str:
        """Whether it is approved, and by whom."""
        return standing_words(obj)

    @admin.display(description=_("prompt"))
    def prompt(self, obj: PlanVersion) -> SafeString:
        """The template that cases are rendered from."""
        try:
            return format_html("<pre>{}</pre>", obj.parsed.prompt.template)
        except InputError as error:  # a plan of another version; the design below is shown as it is
            return format_html("{}", error)

    @admin.display(description=_("design"))
    def whole_design(self, obj: PlanVersion) -> SafeString:
        """What people approve."""
        return _code(obj.design)


@admin.register(PlanDraft)
class PlanDraftAdmin(ReadOnlyAdmin):
    """Plans that are being written; the editor is on the officers' pages."""

    list_display = ("name", "team", "origin", "revision", "changed_by", "changed_at", "plan")
    list_filter = ("changed_at",)
    list_select_related = ("team", "plan")
    search_fields = ("name", "origin", "text")
    fields = ("name", "team", "origin", "revision", "begun_by", "begun_at", "changed_by", "changed_at", "plan", "text")


@admin.register(PlanDecision)
class PlanDecisionAdmin(ReadOnlyAdmin):
    """Who approved or retired which design, and why."""

    list_display = ("plan", "state", "decided_by", "decided_at")
    list_filter = ("state", "decided_at")
    list_select_related = ("plan",)
    search_fields = ("plan__name", "plan__design_sha256", "decided_by", "reason")


@admin.register(VersionDecision)
class VersionDecisionAdmin(ReadOnlyAdmin):
    """Who proposed which version of a model, who approved or returned it, and on which audits that rests."""

    list_display = ("version", "state", "decided_by", "decided_at", "rests_on")
    list_filter = ("state", "decided_at")
    list_select_related = ("version",)
    search_fields = ("version__language_model__name", "version__sha256", "decided_by", "reason")


@admin.register(Registration)
class RegistrationAdmin(ReadOnlyAdmin):
    """What is on its way into the register."""

    list_display = ("name", "kind", "team", "state", "source", "requested_by", "created_at", "finished_at")
    list_filter = ("kind", "state", "created_at")
    list_select_related = ("team",)
    exclude = ("look",)
    search_fields = ("name", "source", "requested_by")


@admin.register(SystemListing)
class SystemListingAdmin(ReadOnlyAdmin):
    """Systems that may be asked, or were; administrators list them on the site's own pages."""

    list_display = ("source", "version", "team", "state", "proposed_by", "approved_by", "approved_at", "withdrawn_at")
    list_filter = ("state", "kind", "proposed_at")
    list_select_related = ("team",)
    search_fields = ("name", "text", "proposed_by", "approved_by")

    @admin.display(description=_("Source"))
    def source(self, row: SystemListing) -> str:
        """The source that names it."""
        return row.source


@admin.register(PolicyPackReview)
class PolicyPackReviewAdmin(ReadOnlyAdmin):
    """Who reviewed which pack, until when."""

    list_display = ("pack", "reviewer", "reviewed_at", "due")
    list_filter = ("due",)
    list_select_related = ("pack",)
    search_fields = ("pack__name", "reviewer", "note")


@admin.register(PolicyPackVersion)
class PolicyPackAdmin(ActingAdmin):
    """Policy packs, as they were shipped; reviewed here."""

    change_form_template = "admin/compliance/policypackversion/change_form.html"
    list_display = ("name", "version", "jurisdiction", "status", "as_of", "review_due", "used")
    list_filter = ("jurisdiction", "status")
    search_fields = ("pack_id", "name", "content_json")
    fields = ("name", "pack_id", "version", "jurisdiction", "status", "as_of", "sha256", "review_due", "clauses")
    readonly_fields = ("review_due", "clauses")

    def get_urls(self) -> list[Any]:
        """Review and difference beside the usual pages."""
        view = self.admin_site.admin_view
        return [
            path("<key:pk>/review/", view(self.review), name="compliance_policypackversion_review"),
            path("<key:pk>/diff/<key:other>/", view(self.difference), name="compliance_policypackversion_diff"),
            *super().get_urls(),
        ]

    @admin.display(description=_("review due"))
    def review_due(self, obj: PolicyPackVersion) -> Any:
        """The day of the last review's end, else a year after its sources were read."""
        return review_due(obj, obj.reviews.order_by("-pk").first())

    @admin.display(description=_("used in runs"), boolean=True)
    def used(self, obj: PolicyPackVersion) -> bool:
        """Whether a run names its hash."""
        return Audit.objects.filter(run_json__contains=obj.sha256).exists()

    @admin.display(description=_("clauses"))
    def clauses(self, obj: PolicyPackVersion) -> SafeString:
        """What it asks for, and where that stands."""
        rows = [(item["ref"], item["requirement"]) for item in obj.content["clauses"]]
        return format_html("<dl>{}</dl>", format_html_join("", "<dt>{}</dt><dd>{}</dd>", rows))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """With a banner where the review is overdue, and the other versions to compare with."""
        pack = self.get_object(request, object_id)
        context: dict[str, Any] = {}
        if pack is not None:
            due = self.review_due(pack)
            context = {
                "due": due,
                "stale": due < timezone.now().date(),
                "others": PolicyPackVersion.objects.for_user(request.user)
                .filter(pack_id=pack.pack_id)
                .exclude(pk=pack.pk),
                "may_review": self.allowed(request, "review", None),
            }
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **context})

    def review(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Record a review."""
        pack = self._pack(request, pk)
        if not self.allowed(request, "review", None):
            raise PermissionDenied
        form = ReviewForm(request.POST or None)
        if form.is_valid():
            try:
                actions.review_pack(pack=pack, actor=self.actor(request), **form.cleaned_data)
                return HttpResponseRedirect(reverse("admin:compliance_policypackversion_change", args=[pack.pk]))
            except ComplianceError as error:
                form.add_error("due", str(error))
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Review {pack}").format(pack=pack),
            "form": form,
            "pack": pack,
        }
        return render(request, "admin/compliance/policypackversion/review.html", context)

    def difference(self, request: HttpRequest, pk: int, other: int) -> HttpResponse:
        """What changed from one version to another."""
        first, second = self._pack(request, other), self._pack(request, pk)
        lines = difference_lines(first, second)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Difference"),
            "lines": lines,
            "pack": second,
        }
        return render(request, "admin/compliance/policypackversion/diff.html", context)

    def _pack(self, request: HttpRequest, pk: int) -> PolicyPackVersion:
        if not self.has_view_permission(request):
            raise PermissionDenied
        pack: PolicyPackVersion | None = self.get_queryset(request).filter(pk=pk).first()
        if pack is None:
            raise Http404(gettext("no such policy pack"))
        return pack


def _under_way(request: HttpRequest) -> Prefetch[Any]:
    """Audits that wait or run, of those somebody may see; asked for once a list, not once a row."""
    audits = Audit.objects.for_user(request.user).filter(state__in=ACTIVE).order_by("serial").defer("run_json")
    return Prefetch("audits", audits, to_attr="audits_under_way")


def _bars(audits: list[Audit]) -> SafeString | str:
    bars = ((progress_bar(audit, words=f"{audit}: "),) for audit in audits)
    return format_html_join("", "{}", bars) if audits else "–"


def _code(content: Any) -> SafeString:
    return format_html("<pre>{}</pre>", pretty(content))
