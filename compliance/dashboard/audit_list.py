"""The list of audits: what it can be narrowed to and ordered by, and what each line says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from auditor.records import Severity
from compliance.dashboard import home_page, list_tables
from compliance.execution.job import ACTIVE, RESUMABLE, JobState
from compliance.models import Audit, DataSetVersion, LanguageModel, PlanVersion
from compliance.models.audits import AuditQuerySet
from compliance.tables.lists import BATCH, DAY, Filter, Listing, by, named

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser, User
    from django.http import QueryDict

UNDER_WAY, STOPPED = "under-way", "stopped"
GROUPS = {
    UNDER_WAY: (gettext_noop("Under way"), ACTIVE),
    STOPPED: (gettext_noop("Stopped, paused or failed"), RESUMABLE),
}
#: What other pages lead to the list with: the rows of one object, by its key.
KINDS: dict[str, tuple[str, type[Any], str]] = {
    "model": (gettext_noop("Model"), LanguageModel, "model__language_model"),
    "data": (gettext_noop("Data set"), DataSetVersion, "data"),
    "plan": (gettext_noop("Plan"), PlanVersion, "plan"),
}


def light(rows: AuditQuerySet) -> AuditQuerySet:
    """With what a line shows beside each, and without what is large."""
    beside = rows.select_related("plan", "model__language_model", "data")
    return beside.defer("run_json", "plan__design_json", "data__mapping", "data__preview", "model__manifest")


def listing(user: User | AnonymousUser, given: QueryDict) -> Listing:
    """The audits that somebody may read, newest first."""
    rows = Audit.objects.for_user(user)
    return Listing(
        noun="audit",
        rows=rows,
        search=named(
            "plan__title", "plan__name", "model__language_model__name", "data__name", "requested_by",
            numbered="serial", letter="A",
        ),
        hint=_("Number, plan, model, data, person"),
        filters=(
            Filter(name="state", label=_("State"), narrow=_in_state, offered=_states()),
            Filter(
                name="governed",
                label=_("Kind"),
                narrow=lambda found, value: found.filter(governed=value == "yes"),
                offered=(("yes", _("Governed")), ("no", _("Trial runs"))),
            ),
            Filter(name="from", label=_("Finished from"), narrow=_since, kind=DAY),
            Filter(name="until", label=_("Finished until"), narrow=_until, kind=DAY),
            *(_of_one(name, user, given) for name in KINDS),
        ),
        sorts=(
            by("newest", _("Newest first"), "-serial", column="audit", descending=True),
            by("oldest", _("Oldest first"), "serial", column="audit"),
            by(
                "finished", _("Last finished first"), F("finished_at").desc(nulls_last=True), "-serial",
                column="finished_at", descending=True,
            ),
            by("first-finished", _("First finished first"), F("finished_at").asc(nulls_last=True), "serial",
               column="finished_at"),
            by("model", _("Model, by name"), "model__language_model__name", "-serial", column="model"),
            by("largest", _("Most prompts first"), "-prompts", "-serial", column="prompts", descending=True),
        ),
        lines=lambda found: lines_of(rows, _keys(found)),
        every=lambda found: every_line(rows, _keys(found)),
        table=list_tables.audits_table,
    )  # fmt: skip


def _keys(rows: Any) -> list[int]:
    return list(rows.values_list("pk", flat=True))


def _states() -> list[tuple[str, str]]:
    groups = [(name, _(group[0])) for name, group in GROUPS.items()]
    return [*groups, *((state.value, str(state.label)) for state in JobState)]


def _in_state(rows: AuditQuerySet, value: str) -> AuditQuerySet:
    return rows.filter(state__in=GROUPS[value][1] if value in GROUPS else (value,))


def _since(rows: AuditQuerySet, value: str) -> AuditQuerySet:
    return rows.filter(finished_at__gte=midnight(value))


def _until(rows: AuditQuerySet, value: str) -> AuditQuerySet:
    return rows.filter(finished_at__lt=midnight(value) + timedelta(days=1))


def midnight(day: str) -> datetime:
    """When a day begins, in UTC."""
    return datetime.combine(date.fromisoformat(day), time(), tzinfo=timezone.get_default_timezone())


def _of_one(name: str, user: User | AnonymousUser, given: QueryDict) -> Filter:
    """The audits of one model, data set or plan: chosen on its page, not among all there are."""
    label, kind, path = KINDS[name]
    word = given.get(name, "")
    offered: tuple[tuple[str, str], ...] = ()
    if word.isascii() and word.isdecimal() and len(word) < 19:
        row = kind.objects.for_user(user).filter(pk=int(word)).first()
        offered = ((word, str(row)),) if row is not None else ()
    return Filter(
        name=name, label=_(label), narrow=lambda rows, value: rows.filter(**{path: int(value)}), offered=offered,
    )  # fmt: skip


def lines_of(rows: AuditQuerySet, keys: Sequence[int]) -> list[dict[str, Any]]:
    """What the list says of these audits, in this order."""
    found = light(rows.filter(pk__in=keys)).in_bulk() if keys else {}
    shown = [found[key] for key in keys if key in found]
    leads = home_page.lead_measurements(shown)
    counts: dict[int, list[tuple[str, int]]] = {}
    for pk, level, number in home_page.findings_by_audit(rows.filter(pk__in=keys)):
        counts.setdefault(pk, []).append((level, number))
    return [
        {
            "audit": audit,
            "lead": leads.get(audit.pk),
            "findings": sorted(counts.get(audit.pk, []), key=lambda item: -Severity(item[0]).rank),
        }
        for audit in shown
    ]


def every_line(rows: AuditQuerySet, keys: Sequence[int]) -> Iterator[Mapping[str, Any]]:
    """The same of all of them. Their keys are few bytes each; the rows are read so many at a time."""
    for start in range(0, len(keys), BATCH):
        yield from lines_of(rows, keys[start : start + BATCH])
