"""The table of what audits would cost, as the page on which they are asked for shows it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from compliance.tables.described import Column, Table
from reports import numbers

NOTHING = mark_safe("")
CAPTION = gettext_noop("Estimated from a sample of the applications; the worker counts exactly before it starts.")


def estimate_table(offers: Sequence[Any]) -> Table:
    """One audit a row: what it asks, how long it takes, what it costs."""
    asks = any(offer.estimate.asked for offer in offers)
    money = (
        Column("money", _("Money, about"), _money, _money_cell, "num"),
        Column("most_money", "", lambda offer: _asked(offer, "most_money")),
    )
    return Table(
        name="estimate",
        title=_("Estimate"),
        caption=_(CAPTION),
        rows=offers,
        columns=(
            Column("plan", _("Audit"), lambda offer: offer.plan.title, _audit_cell),
            Column("model", "", lambda offer: offer.model.language_model.name),
            Column("data", "", lambda offer: offer.data.name),
            Column("standing", "", lambda offer: offer.standing),
            Column("problem", "", lambda offer: offer.estimate.problem),
            Column("prompts", _("Prompts, about"), lambda offer: offer.estimate.prompts, _prompts_cell, "num"),
            Column("requests", "", _requests),
            Column("tokens", _("Tokens, about"), lambda offer: offer.estimate.tokens, _tokens_cell, "num"),
            Column("minutes", _("Minutes, about"), lambda offer: offer.estimate.minutes, _minutes_cell, "num"),
            Column("minutes_low", "", lambda offer: None if offer.estimate.low is None else offer.estimate.low / 60),
            Column("minutes_high", "", lambda offer: None if offer.estimate.high is None else offer.estimate.high / 60),
            Column("rests_on", "", lambda offer: offer.estimate.basis),
            Column("not_counted", "", lambda offer: ", ".join(offer.estimate.uncounted)),
            Column("memory_gib", _("Memory, GiB"), lambda offer: offer.estimate.gibibytes, _memory_cell, "num"),
            *(money if asks else ()),
        ),
    )


def _small(words: Any) -> SafeString:
    return format_html(" <small>{}</small>", words) if words else NOTHING


def _asked(offer: Any, name: str) -> Any:
    asked = offer.estimate.asked
    return getattr(asked, name) or None if asked else None


def _audit_cell(offer: Any) -> SafeString:
    bound = f"{offer.model.language_model.name} · {offer.data.name}"
    standing = offer.standing[:1].upper() + offer.standing[1:]
    return format_html("{}{}{}{}", offer.plan.title, _small(bound), _small(standing), _small(offer.estimate.problem))


def _requests(offer: Any) -> int | None:
    return int(offer.estimate.asked.cost.requests) if offer.estimate.asked else None


def _prompts_cell(offer: Any) -> SafeString:
    asked = _requests(offer)
    return format_html(
        "{}{}",
        numbers.count(offer.estimate.prompts),
        _small("" if asked is None else _("{count} requests").format(count=numbers.count(asked))),
    )


def _tokens_cell(offer: Any) -> SafeString:
    asked = offer.estimate.asked
    answers = (
        _("{count} of answers").format(count=numbers.count(asked.cost.answer_tokens)) if asked and asked.tokens else ""
    )
    return format_html("{}{}", numbers.count(offer.estimate.tokens), _small(answers))


def _minutes_cell(offer: Any) -> SafeString:
    guess = offer.estimate
    by = _("pace of the probe") if guess.asked else guess.basis
    spread = (
        ""
        if guess.low is None or guess.high is None
        else _("{low} to {high}").format(low=_minutes(guess.low), high=_minutes(guess.high))
    )
    missing = _("not counted: {tests}").format(tests=", ".join(guess.uncounted)) if guess.uncounted else ""
    said = "" if guess.minutes is None else "; ".join(words for words in (spread, by) if words)
    return format_html("{}{}{}", guess.minutes_words, _small(said), _small(missing))


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}"


def _memory_cell(offer: Any) -> str:
    return numbers.DASH if offer.estimate.gibibytes is None else f"{offer.estimate.gibibytes:.1f}"


def _money(offer: Any) -> Any:
    return _asked(offer, "money")


def _money_cell(offer: Any) -> SafeString:
    said = _money(offer)
    if said:
        most = _("at most {money}").format(money=_asked(offer, "most_money"))
    else:
        most = _("no prices are listed") if offer.estimate.asked else ""
    return format_html("{}{}", said or numbers.DASH, _small(most))
