"""Conclusions, severities and charts in HTML: the marks that every page draws alike. Classes are those of look.css."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from auditor.records import Conclusion, Severity
from reports import wording
from reports.canvas import Chart

CLASSES = {
    Conclusion.DIFFERENCE_FOUND: "found",
    Conclusion.DIFFERENCE_BELOW_THRESHOLD: "below",
    Conclusion.NO_EVIDENCE: "noev",
    Conclusion.EQUIVALENT_WITHIN_MARGIN: "equiv",
    Conclusion.INCONCLUSIVE: "incon",
    Conclusion.NOT_TESTED: "untested",
}


def conclusion_class(conclusion: Conclusion) -> str:
    """The class that colours a conclusion."""
    return CLASSES[conclusion]


def code_html(conclusion: Conclusion, words: str = "") -> str:
    """A conclusion in words, those of reports or others, with its marker; its code shows under the pointer."""
    words = words or wording.sentence_case(wording.conclusion_words(conclusion))
    return f'<span class="code {CLASSES[conclusion]}" title="{conclusion.value}">{escape(words)}</span>'


def severity_html(severity: Severity, word: str = "") -> str:
    """A severity: bars and a word."""
    return f'<span class="sev sev-{severity.value}">{escape(word or severity.value.capitalize())}</span>'


def chart_html(chart: Chart, number: int | str = "") -> str:
    """A chart inline: one just drawn, or one that was checked element by element when it was read.

    ``number`` tells the names inside it from those of another chart on the page.
    """
    svg = chart.svg
    if number:
        for part in ("t", "d"):
            svg = svg.replace(f'{chart.name}-{part}"', f'{chart.name}{number}-{part}"').replace(
                f"{chart.name}-{part} ", f"{chart.name}{number}-{part} "
            )
    return svg


def files_html(
    title: str,
    files: Iterable[tuple[str, str]],
    *,
    line: str = "This table as {ways}",
    label: str = "{title} as {kind}",
) -> str:
    """The line below a table that leads to its files, each with a label of its own; nothing without any."""
    ways = " ".join(
        f'<a href="{escape(address)}" aria-label="{escape(label.format(title=title, kind=kind))}">{escape(kind)}</a>'
        for kind, address in files
    )
    return f'<p class="small quiet files">{escape(line).format(ways=ways)}</p>' if ways else ""
