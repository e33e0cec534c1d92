"""The tables of notices, of webhooks and of what was sent to one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString

from compliance.models import DeliveryState, MailDelivery, Notice, Webhook, WebhookDelivery
from compliance.notices.kinds import KINDS
from compliance.tables.described import Column, Table
from compliance.templatetags.plumbline import utc

Every = Callable[[], Iterable[Any]]
HIDDEN = "What this was about is not yours to see any more"


def notices_table(rows: Sequence[Notice], every: Every, *, allowed: Callable[[Notice], bool]) -> Table:
    """Notices of one person, newest first. Of what they may not see any more only that it was stays."""

    def words(row: Notice) -> str:
        return row.words if allowed(row) else HIDDEN

    def read(row: Notice) -> SafeString:
        return read_cell(row, words(row))

    def cell(row: Notice) -> SafeString:
        if not allowed(row):
            return format_html("{}", HIDDEN)
        title = format_html("<br><small>{}</small>", row.title) if row.title else ""
        return format_html('<a href="{}">{}</a>{}', row.link, row.words, title)

    return Table(
        name="notices",
        title="Notices",
        rows=rows,
        every=every,
        columns=(
            Column("notice", "Notice", words, cell, "long"),
            Column("title", "", lambda row: row.title if allowed(row) else ""),
            Column("kind", "", lambda row: KINDS[row.kind].label if row.kind in KINDS else row.kind),
            Column("team", "Team", lambda row: row.team.name),
            Column("at", "Told", lambda row: row.made_at, lambda row: utc(row.made_at), "num"),
            Column("read", "Read", lambda row: row.read_at, read),
            Column("mail", "Mail", mail_words),
        ),
    )


def read_cell(row: Notice, words: str) -> SafeString:
    """Since when it is read, or a box that marks it; ``words`` are what its reader may see of it."""
    if row.read_at is not None:
        return format_html("{}", utc(row.read_at))
    return format_html(
        '<label class="check"><input type="checkbox" name="notice" value="{}"> Unread'
        '<span class="sr">: mark “{}”</span></label>',
        row.pk,
        words,
    )


def mail_words(row: Notice) -> str:
    """What became of its mail."""
    mail: MailDelivery | None = getattr(row, "mail", None)
    return delivery_words(mail) if mail is not None else ""


def delivery_words(row: MailDelivery | WebhookDelivery) -> str:
    """Where a delivery stands, in a few words."""
    state = DeliveryState(row.state)
    tried = f"{row.attempts} attempt{'' if row.attempts == 1 else 's'}"
    if state is DeliveryState.SENT:
        return "sent"
    if state is DeliveryState.GIVEN_UP:
        return f"given up after a day and {tried}: {row.error}"
    if state is DeliveryState.DROPPED:
        return f"not sent: {row.error}" if row.error else "not sent: it was ended before"
    if row.error and not row.attempts:
        return f"waits until {utc(row.due_at)} behind one that was not taken: {row.error}"
    return f"tried again from {utc(row.due_at)}, {tried}: {row.error}" if row.error else "waits to be sent"


def webhooks_table(rows: Sequence[Any], every: Every) -> Table:
    """Webhooks, newest first; rows carry ``waiting`` and ``given_up``, how many deliveries stand so."""
    return Table(
        name="webhooks",
        title="Webhooks",
        rows=rows,
        every=every,
        columns=(
            Column("webhook", "Webhook", lambda row: row.name, _hook_cell, "long"),
            Column("team", "Team", lambda row: row.team.name),
            Column("address", "Address", lambda row: row.url, None, "long"),
            Column("kinds", "", lambda row: ", ".join(row.kinds)),
            Column("state", "State", lambda row: "ended" if row.ended_at else "in force"),
            Column("waiting", "Waiting", lambda row: row.waiting, None, "num"),
            Column("given_up", "Given up", lambda row: row.given_up, None, "num"),
            Column("set_by", "Set by", lambda row: row.set_by),
            Column("set_at", "", lambda row: row.set_at),
        ),
    )


def _hook_cell(row: Webhook) -> SafeString:
    return format_html('<a href="{}">{}</a>', row.get_absolute_url(), row.name)


def deliveries_table(rows: Sequence[WebhookDelivery], every: Every, *, about: str) -> Table:
    """What one webhook was told, newest first."""
    return Table(
        name="deliveries",
        title="Deliveries",
        about=about,
        rows=rows,
        every=every,
        columns=(
            Column("words", "Told", lambda row: row.words, None, "long"),
            Column("kind", "", lambda row: row.kind),
            Column("delivery", "Delivery", lambda row: str(row.public_id), _id_cell),
            Column("at", "Since", lambda row: row.made_at, lambda row: utc(row.made_at), "num"),
            Column("attempts", "", lambda row: row.attempts),
            Column("stands", "Stands", delivery_words, None, "long"),
        ),
    )


def _id_cell(row: WebhookDelivery) -> SafeString:
    return format_html("<code>{}</code>", row.public_id)
