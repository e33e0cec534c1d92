"""The pages of data sets: the list, and one page each. What is said of columns stands as it was registered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Count
from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from auditor.exceptions import InputError
from auditor.run_record import RunMapping
from compliance.access import permissions as access
from compliance.dashboard import audit_list, list_tables
from compliance.dashboard.event_lines import history_of
from compliance.dashboard.list_pages import list_page
from compliance.dashboard.list_tables import Every
from compliance.dashboard.pages import page
from compliance.models import Audit, DataSetVersion, PlanVersion, Registration
from compliance.models.versions import number_of
from compliance.plans.plan_tables import designs_table
from compliance.registry.reading import Look
from compliance.registry.register_tables import mapped_table, preview_table, role_words
from compliance.tables.described import Column, Table
from compliance.tables.lists import BATCH, Filter, Listing, by, named
from compliance.tables.pages import page_of
from compliance.templatetags.plumbline import day, whole

SHOWN = 25


def listing(user: Any) -> Listing:
    """The data sets that somebody may see, the newest first."""
    rows = DataSetVersion.objects.for_user(user)
    return Listing(
        noun="data set",
        rows=rows.annotate(uses=Count("audits")),
        search=named("name", "source", "fingerprint"),
        hint=_("Name, file, fingerprint"),
        filters=(
            Filter(
                name="used",
                label=_("Audits"),
                narrow=lambda found, value: found.filter(uses__gt=0) if value == "yes" else found.filter(uses=0),
                offered=(("yes", _("Used by some")), ("no", _("Used by none"))),
            ),
        ),
        sorts=(
            by("newest", _("Newest first"), "-registered_at", "-pk", column="registered_at", descending=True),
            by("name", _("Name"), "name", "-pk", column="data"),
            by("largest", _("Most rows first"), "-rows", "-pk", column="rows", descending=True),
            by("used", _("Most audits first"), "-uses", "-pk", column="audits", descending=True),
        ),
        # Numbers are counted for the rows of a page, not for all.
        lines=lambda found: _read(list(found.values_list("pk", flat=True))),
        every=_every,
        table=data_sets_table,
    )


def _read(keys: list[int]) -> list[Any]:
    rows = DataSetVersion.objects.select_related("team").defer("mapping", "preview").annotate(uses=Count("audits"))
    found = rows.numbered().in_bulk(keys)
    return [found[key] for key in keys]


def _every(rows: Any) -> Iterator[Any]:
    keys = list(rows.values_list("pk", flat=True))
    for start in range(0, len(keys), BATCH):
        yield from _read(keys[start : start + BATCH])


def data_sets_table(rows: Any, every: Every) -> Table:
    """Data sets, each with how many audits use it."""
    return Table(
        name="data_sets",
        title=_("Data sets"),
        rows=rows,
        every=every,
        columns=(
            Column("data", _("Data set"), lambda row: row.name, _link, "long"),
            Column("version", _("Version"), number_of, None, "num"),
            Column("team", _("Team"), lambda row: row.team.name),
            Column("source", pgettext("source", "From"), lambda row: row.source, None, "long"),
            Column("rows", _("Rows"), lambda row: row.rows, None, "num"),
            Column("audits", _("Audits"), lambda row: row.uses, _uses, "num"),
            Column(
                "registered_at",
                _("Registered"),
                lambda row: row.registered_at,
                lambda row: day(row.registered_at),
                "num",
            ),
            Column("fingerprint", "", lambda row: row.fingerprint),
        ),
    )


def _link(row: DataSetVersion) -> SafeString:
    return format_html('<a href="{}">{}</a>', row.get_absolute_url(), row.name)


def _uses(row: Any) -> str:
    if not row.uses:
        return pgettext("quantity", "none")
    return format_html('<a href="{}">{}</a>', reverse("audits", query={"data": row.pk}), whole(row.uses))


@page
def data_sets(request: HttpRequest) -> HttpResponseBase:
    """The data sets of one's teams."""
    access.need(request.user, "view_datasetversion")
    return list_page(request, "registry/data_sets.html", listing(request.user))


@page
def data_set(request: HttpRequest, pk: int) -> HttpResponseBase:
    """One data set: what its columns mean, how much it holds, what uses it, its history."""
    rows = DataSetVersion.objects.for_user(request.user).select_related("team").numbered()
    row = rows.filter(pk=pk).first()
    if row is None:
        raise Http404("no such data set")
    mapping, problem = None, ""
    try:
        mapping = RunMapping.read(row.mapping, where=f"{row}: mapping")
    except InputError as error:  # of another version of the software
        problem = str(error)
    audits = Audit.objects.for_user(request.user)
    used = audits.filter(data=row).order_by("-serial")
    keys = list(used.values_list("pk", flat=True)[:SHOWN])
    lines = audit_list.lines_of(audits, keys)
    plans = list(plans_of(request.user, used)[: SHOWN + 1])
    history = history_of(request.user, row.event_object, about=row.name)
    way = Registration.objects.for_user(request.user).filter(data_version=row).order_by("-pk").first()
    tables = [
        list_tables.audits_table(lines, lambda: audit_list.every_line(audits, list(used.values_list("pk", flat=True)))),
        designs_table(plans[:SHOWN], lambda: plans_of(request.user, used).iterator(BATCH)),
        history.table,
        *([mapped_table(mapping.fields)] if mapping else []),
        *([preview_table(row.preview, proposed=False, address=row.get_absolute_url())] if row.preview else []),
    ]
    look = Look.kept(way) if way else None
    context = {
        "row": row,
        "number": number_of(row),
        "mapping": mapping,
        "problem": problem,
        "roles": _counted(item.role for item in mapping.fields) if mapping else "",
        "facts": look.facts if look else (),
        "way": way,
        "audits": used.count(),
        "lines": lines,
        "plans": plans[:SHOWN],
        "more_plans": len(plans) > SHOWN,
        "history": history,
        "may_run": access.may(request.user, "run_audit", row.team_id),
        "may_write": access.may(request.user, "add_planversion", row.team_id) and mapping is not None,
    }
    return page_of(request, "registry/data_set.html", context, tables)


def _counted(roles: Iterable[str]) -> str:
    """How many fields have which role, in words."""
    return ", ".join(f"{count} {role_words(role, counted=True)}" for role, count in Counter(roles).most_common())


def plans_of(user: Any, audits: Any) -> Any:
    """The designs that these audits ran, of those that somebody may see, each with where it stands."""
    seen = PlanVersion.objects.for_user(user).filter(pk__in=audits.order_by().values("plan"))
    return seen.defer("design_json").select_related("team").numbered().standing()
