"""The page of the workers: who is there, which queues they serve, when they were last heard of, and what runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Count, Exists, OuterRef
from django.http import HttpRequest, HttpResponseBase
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from compliance.access import permissions as access
from compliance.dashboard.audit_list import light
from compliance.dashboard.list_pages import list_page
from compliance.dashboard.list_tables import Every, audit_link, progress
from compliance.dashboard.pages import page
from compliance.execution.heartbeats import silent
from compliance.execution.job import ACTIVE, WAITING
from compliance.models import Audit, Registration, RegistrationState, Worker
from compliance.models.workers import FRESH
from compliance.tables.described import Column, Table
from compliance.tables.lists import Filter, Listing, by, named
from compliance.templatetags.plumbline import utc

STANDS = {
    "there": gettext_noop("At work or waiting"),
    "stopping": gettext_noop("Stopping"),
    "gone": gettext_noop("Gone"),
}
RUNNING_SHOWN = 10


def _standing(rows: Any, value: str) -> Any:
    gone = silent("seen_at", FRESH)
    if value == "gone":
        return rows.filter(gone)
    return rows.filter(~gone, stopping=value == "stopping")


def listing(user: Any) -> Listing:
    """The workers that are or were there, the last heard of first."""
    rows = Worker.objects.for_user(user)
    gone = Worker.objects.filter(silent("seen_at", FRESH), pk=OuterRef("pk"))
    return Listing(
        noun="worker",
        # On the database's clock, by which the sweep goes too.
        rows=rows.annotate(gone=Exists(gone)),
        search=named("host", "key"),
        hint=_("Host, key"),
        filters=(
            Filter(
                name="stands",
                label=_("Stands"),
                narrow=_standing,
                offered=[(key, _(words)) for key, words in STANDS.items()],
            ),
        ),
        sorts=(
            by("seen", _("Last heard of first"), "-seen_at", "-pk", column="seen_at", descending=True),
            by("started", _("Last started first"), "-started_at", "-pk", column="started_at", descending=True),
            by("host", _("Host"), "host", "-pk", column="worker"),
        ),
        lines=lines_of,
        every=lines_of,
        table=workers_table,
    )  # fmt: skip


def lines_of(workers: Iterable[Any]) -> list[Any]:
    """The workers, each with the word that says where it ``stands``."""
    shown = list(workers)
    for worker in shown:
        worker.stands = _(STANDS["gone" if worker.gone else "stopping" if worker.stopping else "there"])
    return shown


def workers_table(rows: Any, every: Every) -> Table:
    """Workers that are or were there."""
    return Table(
        name="workers",
        title=_("Workers"),
        rows=rows,
        every=every,
        columns=(
            Column("worker", _("Worker"), lambda row: row.host, _name, "long"),
            Column("key", "", lambda row: row.key),
            Column("stands", _("Stands"), lambda row: row.stands),
            Column("queues", _("Queues"), lambda row: ", ".join(row.queues)),
            Column("started_at", _("Started"), lambda row: row.started_at, lambda row: utc(row.started_at), "num"),
            Column("seen_at", _("Last heartbeat"), lambda row: row.seen_at, lambda row: utc(row.seen_at), "num"),
        ),
    )


def _name(row: Worker) -> SafeString:
    return format_html("{} <small><code>{}</code></small>", row.host, row.key[:6])


@dataclass(frozen=True, kw_only=True)
class Queue:
    """A queue: how many workers serve it, and what of one's teams is under way or waits in it."""

    name: str
    workers: int
    running: tuple[Audit, ...]
    waiting: int


def queues_of(user: Any) -> list[Queue]:
    """Every queue that a worker serves or an audit waits in; the usual one always."""
    listening = Worker.objects.for_user(user).listening()
    running: dict[str, list[Audit]] = {}
    for audit in light(Audit.objects.for_user(user).filter(state__in=ACTIVE - WAITING)).order_by("serial"):
        running.setdefault(audit.queue, []).append(audit)
    waiting: dict[str, int] = dict(
        Audit.objects.for_user(user)
        .filter(state__in=WAITING)
        .order_by()
        .values_list("queue")
        .annotate(audits=Count("pk"))
    )
    served = {name for worker in listening for name in worker.queues}
    names = {settings.CELERY_TASK_DEFAULT_QUEUE, *served, *running, *waiting}
    return [
        Queue(
            name=name,
            workers=sum(name in worker.queues for worker in listening),
            running=tuple(running.get(name, ())),
            waiting=waiting.get(name, 0),
        )
        for name in sorted(names)
    ]


def queues_table(queues: Sequence[Queue]) -> Table:
    """Queues, with what runs in each."""
    return Table(
        name="queues",
        title=_("Queues"),
        rows=queues,
        columns=(
            Column("queue", _("Queue"), lambda row: row.name, lambda row: row.name or _("command line")),
            Column("workers", _("Workers listening"), lambda row: row.workers, None, "num"),
            Column(
                "running",
                _("Under way"),
                lambda row: ", ".join(audit.number for audit in row.running),
                lambda row: _running(row) if row.running else _("nothing"),
            ),
            Column("waiting", _("Waiting"), lambda row: row.waiting, None, "num"),
        ),
    )


def _running(row: Queue) -> SafeString:
    shown = ((audit_link(audit), progress(audit)) for audit in row.running[:RUNNING_SHOWN])
    more = len(row.running) - RUNNING_SHOWN
    return format_html(
        "{}{}",
        format_html_join("", "<div>{} {}</div>", shown),
        _("and {count} more").format(count=more) if more > 0 else "",
    )


@page
def workers(request: HttpRequest) -> HttpResponseBase:
    """Who is there to work, and on what."""
    access.need(request.user, "view_worker")
    queues = queues_of(request.user)
    registering = Registration.objects.for_user(request.user).filter(state=RegistrationState.REGISTERING).count()
    context = {"queues": queues, "registering": registering, "silent_after": int(FRESH.total_seconds())}
    return list_page(request, "compliance/workers.html", listing(request.user), context, [queues_table(queues)])
