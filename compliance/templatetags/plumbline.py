"""How codes, severities, hashes, times and table cells are written in HTML."""

from __future__ import annotations

from datetime import date, datetime
from urllib.parse import parse_qsl

from django import template
from django.template import Context
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language, gettext_noop, ngettext
from django.utils.translation import gettext as _

from auditor.records import Conclusion, Measurement, Severity
from compliance.dashboard.links import cases_behind
from compliance.dates import day_said, moment_said
from compliance.models import Audit
from compliance.tables.described import Table
from compliance.tables.html import addresses, files_line, table_html
from compliance.words import translated
from reports import numbers, sentences, wording
from reports.canvas import Chart
from reports.html_marks import chart_html, code_html, severity_html
from reports.html_marks import conclusion_class as class_of
from reports.labels import ARM_LABELS, CASE_ROLE_LABELS, CONTROL_ARM_LABELS, OUTCOME_LABELS

register = template.Library()

SHORT = {
    Conclusion.DIFFERENCE_FOUND: gettext_noop("Found"),
    Conclusion.DIFFERENCE_BELOW_THRESHOLD: gettext_noop("Small"),
    Conclusion.NO_EVIDENCE: gettext_noop("No evidence"),
    Conclusion.EQUIVALENT_WITHIN_MARGIN: gettext_noop("Equiv."),
    Conclusion.INCONCLUSIVE: gettext_noop("Cannot say"),
    Conclusion.NOT_TESTED: gettext_noop("Not tested"),
}


@register.filter
def conclusion_class(conclusion: str | None) -> str:
    """The class that colours a conclusion."""
    return class_of(Conclusion(conclusion or Conclusion.NOT_TESTED))


@register.filter
def code(conclusion: str | None) -> SafeString:
    """A conclusion in words with its marker; its code, as files have it, shows under the pointer."""
    found = Conclusion(conclusion or Conclusion.NOT_TESTED)
    return mark_safe(code_html(found, conclusion_said(found)))  # noqa: S308, escaped there


@register.filter
def conclusion_said(conclusion: str | None) -> str:
    """A conclusion in words, as the line of a list: ``Difference found``."""
    return translated(wording.sentence_case(wording.conclusion_words(conclusion)))


@register.filter
def sev(severity: str) -> SafeString:
    """A severity: bars and a word."""
    return mark_safe(severity_html(Severity(severity), translated(severity.capitalize())))  # noqa: S308, escaped there


@register.filter
def digest(value: str | None) -> SafeString | str:
    """A hash: first eight and last six are seen, the middle stays in the text."""
    if not value:
        return numbers.DASH
    if len(value) <= 16:
        return format_html('<span class="hash">{}</span>', value)
    return format_html('<span class="hash">{}<i>{}</i>{}</span>', value[:8], value[8:-6], value[-6:])


@register.filter
def utc(moment: datetime | None) -> str:
    """A time as reports print it."""
    return moment_said(moment) if moment else numbers.DASH


@register.filter
def whole(value: float | None) -> str:
    """A count."""
    return numbers.count(value)


@register.filter
def counted(noun: str, count: int) -> str:
    """So many rows of a list: ``12 audits``; ``noun`` is the English one of the list."""
    said = {
        "audit": ngettext("{count} audit", "{count} audits", count),
        "data set": ngettext("{count} data set", "{count} data sets", count),
        "event": ngettext("{count} event", "{count} events", count),
        "finding": ngettext("{count} finding", "{count} findings", count),
        "model": ngettext("{count} model", "{count} models", count),
        "policy pack": ngettext("{count} policy pack", "{count} policy packs", count),
        "registered design": ngettext("{count} registered design", "{count} registered designs", count),
        "registration": ngettext("{count} registration", "{count} registrations", count),
        "release": ngettext("{count} release", "{count} releases", count),
        "system": ngettext("{count} system", "{count} systems", count),
        "worker": ngettext("{count} worker", "{count} workers", count),
    }
    return said.get(noun, f"{{count}} {noun}").format(count=whole(count))


@register.filter
def in_sentence(label: str) -> str:
    """A label within a sentence: without its capital in English, as it is in German, where nouns have one."""
    return str(label) if (get_language() or "").startswith("de") else str(label).lower()


@register.filter
def minutes(seconds: float) -> str:
    """Seconds as minutes to one digit."""
    return f"{seconds / 60:.1f}"


@register.filter
def logits(value: float | None) -> str:
    """Log-odds."""
    return numbers.logit(value)


@register.filter
def share(value: float | None) -> str:
    """A share in percent."""
    return numbers.rate(value)


@register.filter
def spoken(text: str) -> SafeString:
    """A sentence in which what is typed at a terminal stands between backquotes."""
    parts = text.split("`")
    return format_html_join(
        "", "{}", (((format_html("<code>{}</code>", part) if index % 2 else part),) for index, part in enumerate(parts))
    )


@register.filter
def asked_pairs(query: str) -> list[tuple[str, str]]:
    """What an address asks for, name by name, for the hidden fields of a form."""
    return parse_qsl(query)


@register.filter
def words(value: str | None) -> str:
    """``marital_status`` as ``marital status``."""
    return (value or numbers.DASH).replace("_", " ")


@register.filter
def case_role(value: str | None) -> str:
    """What a case is asked for: ``as filed``, ``one field changed``."""
    return translated(CASE_ROLE_LABELS.get(value or "", words(value)))


@register.filter
def test_name(value: str) -> str:
    """A test in words."""
    return wording.lower_first(wording.test_label(value).partition(":")[0])


@register.filter
def arms(value: list[str]) -> str:
    """The arms a case stands in: ``race: Black, sex: female``."""
    return ", ".join(arm(one) for one in value)


@register.filter
def arm(value: str) -> str:
    """One arm: ``race: Black``."""
    name, _, group = value.partition("=")
    label = translated(CONTROL_ARM_LABELS.get(name, words(name)))
    return f"{label}: {translated(ARM_LABELS.get(value, words(group)))}" if group else label


@register.filter
def p_printed(text: str) -> str:
    """A recorded sentence with its p-values in print: ``p < .001`` for ``p = 0.0001``."""
    return wording.with_p_values(text)


@register.filter
def outcome(value: str | None) -> str:
    """What became of a case: ``favourable``, ``adverse``, ``neither answer``."""
    return translated(OUTCOME_LABELS.get(value or "", words(value)))


@register.filter
def picture(chart: Chart, number: int | str = "") -> SafeString:
    """A chart inline: one just drawn, or one that :func:`compliance.dashboard.evidence.chart_from` let through.

    ``number`` tells the names inside it from those of another chart on the page.
    """
    return mark_safe(chart_html(chart, number))  # noqa: S308, drawn here, or checked element by element when it was read


@register.filter
def day(moment: datetime | None) -> str:
    """A day as reports print it; nothing for none."""
    return day_said(moment) if moment else ""


@register.filter
def plain_day(value: date | None) -> str:
    """A day that is kept without a time, as reports print days."""
    return day_said(value) if value else numbers.DASH


@register.filter
def conclusion_short(conclusion: str | None) -> str:
    """A conclusion in a column head."""
    return _(SHORT[Conclusion(conclusion or Conclusion.NOT_TESTED)])


@register.filter
def interval_words(item: Measurement) -> str:
    """Estimate and interval with the unit."""
    return sentences.shown(item)


@register.filter
def detectable(item: Measurement) -> str:
    """What the audit could have seen."""
    return numbers.detectable(item.counts.get("mde"), item.unit)


@register.simple_tag(takes_context=True)
def table(context: Context, name: str, number: int | None = None) -> SafeString:
    """A table of the page by its name, and its number where there are several; with the way to its files."""
    described: Table = context["tables"][name if number is None else f"{name}-{number}"]
    return table_html(described, context["request"])


@register.simple_tag(takes_context=True)
def files_of(context: Context, name: str) -> SafeString:
    """The way to the files of a table that a page draws itself, for there are boxes in its cells."""
    described: Table = context["tables"][name]
    return files_line(described.title, addresses(described, context["request"]))


@register.simple_tag
def cases_of(audit: Audit, item: Measurement) -> str:
    """The address of the cases behind a number."""
    return cases_behind(audit, item)
