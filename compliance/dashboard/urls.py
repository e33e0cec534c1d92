"""Addresses of the officers' pages."""

from __future__ import annotations

from django.urls import path, register_converter
from django.urls.converters import StringConverter

import compliance.addresses  # noqa: F401, registers what stands for a row in an address
from compliance.dashboard import (
    approval_views,
    audit_views,
    event_views,
    finding_views,
    first_steps_views,
    list_pages,
    live,
    release_list,
    release_views,
    schedule_views,
    views,
    worker_views,
)


class AuditNumber:
    """``A-0001`` in an address, its serial number in a view."""

    regex = "A-[0-9]{4,9}"

    def to_python(self, value: str) -> int:
        """The serial number."""
        number = int(value.removeprefix("A-"))
        if f"A-{number:04d}" != value:
            raise ValueError("an audit has one address")
        return number

    def to_url(self, value: str) -> str:
        """The number as people write it."""
        return value


class FindingNumber:
    """``F-0001`` in an address, its serial number in a view."""

    regex = "F-[0-9]{4,9}"

    def to_python(self, value: str) -> int:
        """The serial number."""
        number = int(value.removeprefix("F-"))
        if f"F-{number:04d}" != value:
            raise ValueError("a finding has one address")
        return number

    def to_url(self, value: str) -> str:
        """The number as people write it."""
        return value


class Published(StringConverter):
    """The name of a published file."""

    regex = r"report\.pdf|annex\.pdf|result\.json|evidence\.zip"


register_converter(AuditNumber, "audit")
register_converter(FindingNumber, "finding")
register_converter(Published, "published")

urlpatterns = [
    path("", views.home, name="home"),
    path("first-steps/", first_steps_views.steps, name="first_steps"),
    path("first-steps/<key:team>/model/", first_steps_views.register_model, name="first_steps_model"),
    path("first-steps/<key:team>/data/", first_steps_views.register_data, name="first_steps_data"),
    path("first-steps/<key:team>/plan/", first_steps_views.register_plan, name="first_steps_plan"),
    path("findings/", finding_views.findings, name="findings"),
    path("findings/<finding:number>/", finding_views.finding, name="finding"),
    path("findings/<finding:number>/move/", finding_views.move, name="finding_move"),
    path("findings/<finding:number>/reject/", finding_views.reject, name="finding_reject"),
    path("findings/<finding:number>/decline/", finding_views.decline, name="finding_decline"),
    path("findings/<finding:number>/rate/", finding_views.rate, name="finding_rate"),
    path("findings/<finding:number>/end-acceptance/", finding_views.end_acceptance, name="finding_end_acceptance"),
    path("findings/<finding:number>/answer/", finding_views.answer, name="finding_answer"),
    path("findings/<finding:number>/notes/", finding_views.note, name="finding_note"),
    path("findings/<finding:number>/retest/", finding_views.retest, name="finding_retest"),
    path("findings/<finding:number>/files/<key:pk>/", finding_views.file, name="finding_file"),
    path("events/", event_views.events, name="events"),
    path("releases/", release_list.releases, name="releases"),
    path("workers/", worker_views.workers, name="workers"),
    path("views/save/", list_pages.save, name="view_save"),
    path("views/<key:pk>/remove/", list_pages.remove, name="view_remove"),
    path("models/", views.models, name="models"),
    path("models/<key:number>/", views.model, name="model"),
    path("models/<key:number>/approval/", approval_views.approval, name="model_approval"),
    path("models/<key:number>/propose/", approval_views.propose, name="model_propose"),
    path("models/<key:number>/decide/", approval_views.decide, name="model_decide"),
    path("models/<key:number>/withdraw/", approval_views.withdraw, name="model_withdraw"),
    path("schedules/", schedule_views.schedules, name="schedules"),
    path("schedules/new/", schedule_views.new, name="schedule_new"),
    path("schedules/<key:pk>/", schedule_views.schedule, name="schedule"),
    path("schedules/<key:pk>/move/", schedule_views.move, name="schedule_move"),
    path("audits/", views.audits, name="audits"),
    path("audits/request/", audit_views.request_audit, name="audit_request"),
    path("audits/<audit:number>/", audit_views.audit, name="audit"),
    path("audits/<audit:number>/release/", release_views.release, name="release"),
    path("released/", release_views.releases, name="released_to_me"),
    path("released/<key:pk>/", release_views.cover, name="released"),
    path("released/<key:pk>/withdraw/", release_views.withdraw, name="release_withdraw"),
    path("audits/<audit:number>/live/", live.fragment, name="live"),
    path("audits/<audit:number>/stop/", live.stop, name="stop"),
    path("audits/<audit:number>/force-stop/", live.force_stop, name="force-stop"),
    path("audits/<audit:number>/retry/", live.retry, name="retry"),
    path("audits/<audit:number>/numbers/<str:name>/", audit_views.numbers, name="numbers"),
    path("audits/<audit:number>/sections/<str:name>/", audit_views.section, name="section"),
    path("audits/<audit:number>/cases/", audit_views.cases, name="cases"),
    path("audits/<audit:number>/cases/<path:case_id>/", audit_views.case, name="case"),
    path("audits/<audit:number>/<published:name>", audit_views.download, name="download"),
]
