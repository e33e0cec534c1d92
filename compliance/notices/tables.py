"""The tables of notices, of webhooks and of what was sent to one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop, ngettext, pgettext

from compliance.models import DeliveryState, MailDelivery, Notice, Webhook, WebhookDelivery
from compliance.notices.kinds import KINDS
from compliance.notices.words import said_now
from compliance.tables.described import Column, Table
from compliance.templatetags.plumbline import utc

Every = Callable[[], Iterable[Any]]
HIDDEN = gettext_noop("What this was about is not yours to see any more")


def notices_table(rows: Sequence[Notice], every: Every, *, allowed: Callable[[Notice], bool]) -> Table:
    """Notices of one person, newest first. Of what they may not see any more only that it was stays."""

    def words(row: Notice) -> str:
        return said_now(row.words) if allowed(row) else _(HIDDEN)

    def read(row: Notice) -> SafeString:
        return read_cell(row, words(row))

    def cell(row: Notice) -> SafeString:
        if not allowed(row):
            return format_html("{}", _(HIDDEN))
        title = format_html("<br><small>{}</small>", row.title) if row.title else ""
        return format_html('<a href="{}">{}</a>{}', row.link, said_now(row.words), title)

    return Table(
        name="notices",
        title=_("Notices"),
        rows=rows,
        every=every,
        columns=(
            Column("notice", _("Notice"), words, cell, "long"),
            Column("title", "", lambda row: row.title if allowed(row) else ""),
            Column("kind", "", lambda row: _(KINDS[row.kind].label) if row.kind in KINDS else row.kind),
            Column("team", _("Team"), lambda row: row.team.name),
            Column("at", _("Told"), lambda row: row.made_at, lambda row: utc(row.made_at), "num"),
            Column("read", pgettext("notice", "Read"), lambda row: row.read_at, read),
            Column("mail", _("Mail"), mail_words),
        ),
    )


def read_cell(row: Notice, words: str) -> SafeString:
    """Since when it is read, or a box that marks it; ``words`` are what its reader may see of it."""
    if row.read_at is not None:
        return format_html("{}", utc(row.read_at))
    return format_html(
        '<label class="check"><input type="checkbox" name="notice" value="{}"> {}<span class="sr">{}</span></label>',
        row.pk,
        _("Unread"),
        _(": mark “{words}”").format(words=words),
    )


def mail_words(row: Notice) -> str:
    """What became of its mail."""
    mail: MailDelivery | None = getattr(row, "mail", None)
    return delivery_words(mail) if mail is not None else ""


def delivery_words(row: MailDelivery | WebhookDelivery) -> str:
    """Where a delivery stands, in a few words."""
    state = DeliveryState(row.state)
    if state is DeliveryState.SENT:
        return _("sent")
    return _delivery_sentence(row, state).format(tried=row.attempts, at=utc(row.due_at), error=_(row.error))


def _delivery_sentence(row: MailDelivery | WebhookDelivery, state: DeliveryState) -> str:
    if state is DeliveryState.GIVEN_UP:
        return ngettext(
            "given up after a day and {tried} attempt: {error}",
            "given up after a day and {tried} attempts: {error}",
            row.attempts,
        )
    if state is DeliveryState.DROPPED:
        return _("not sent: {error}") if row.error else _("not sent: it was ended before")
    if not row.error:
        return _("waits to be sent")
    if not row.attempts:
        return _("waits until {at} behind one that was not taken: {error}")
    return ngettext(
        "tried again from {at}, {tried} attempt: {error}",
        "tried again from {at}, {tried} attempts: {error}",
        row.attempts,
    )


def webhooks_table(rows: Sequence[Any], every: Every) -> Table:
    """Webhooks, newest first; rows carry ``waiting`` and ``given_up``, how many deliveries stand so."""
    return Table(
        name="webhooks",
        title=_("Webhooks"),
        rows=rows,
        every=every,
        columns=(
            Column("webhook", _("Webhook"), lambda row: row.name, _hook_cell, "long"),
            Column("team", _("Team"), lambda row: row.team.name),
            Column("address", _("Address"), lambda row: row.url, None, "long"),
            Column("kinds", "", lambda row: ", ".join(row.kinds)),
            Column("state", _("State"), lambda row: _("ended") if row.ended_at else _("in force")),
            Column("waiting", _("Waiting"), lambda row: row.waiting, None, "num"),
            Column("given_up", _("Given up"), lambda row: row.given_up, None, "num"),
            Column("set_by", _("Set by"), lambda row: row.set_by),
            Column("set_at", "", lambda row: row.set_at),
        ),
    )


def _hook_cell(row: Webhook) -> SafeString:
    return format_html('<a href="{}">{}</a>', row.get_absolute_url(), row.name)


def deliveries_table(rows: Sequence[WebhookDelivery], every: Every, *, about: str) -> Table:
    """What one webhook was told, newest first."""
    return Table(
        name="deliveries",
        title=_("Deliveries"),
        about=about,
        rows=rows,
        every=every,
        columns=(
            Column("words", _("Told"), lambda row: said_now(row.words), None, "long"),
            Column("kind", "", lambda row: row.kind),
            Column("delivery", _("Delivery"), lambda row: str(row.public_id), _id_cell),
            Column("at", _("Since"), lambda row: row.made_at, lambda row: utc(row.made_at), "num"),
            Column("attempts", "", lambda row: row.attempts),
            Column("stands", _("Stands"), delivery_words, None, "long"),
        ),
    )


def _id_cell(row: WebhookDelivery) -> SafeString:
    return format_html("<code>{}</code>", row.public_id)
