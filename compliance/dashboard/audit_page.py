"""What the page of an audit shows: the sections of its report and annex, each number with the address of its cases.

The sections are composed where the report is (:mod:`reports.sections`); here they are put into the rooms of the page,
and what a page opens is given an address.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from compliance.dashboard.links import links
from compliance.dashboard.model_page import Comparison
from compliance.models import Audit
from reports import sections, wording
from reports.blocks import Numbers, Verdict
from reports.html import blocks_html, later_html, numbers_of, table_html, verdict_html, whole_html
from reports.sections import OPENED, Room, SectionKind
from reports.story import Story
from reports.tables import changes

OF_EVIDENCE = ("controls",)
"""Rooms that rest on the evidence folder; the others on the rows of the database too."""


@dataclass(frozen=True, kw_only=True)
class Furnished:
    """A room of the page with what stands in it; ``tab`` is its name among the tabs."""

    room: Room
    tab: str
    blocks: SafeString


def rooms(audit: Audit, story: Story, *, evidence: bool) -> list[Furnished]:
    """The rooms of the page in their order; without ``evidence``, those that need none."""
    return [
        Furnished(room=room, tab=_tab(room, story), blocks=_furnish(audit, story, room))
        for room in sections.ROOMS
        if evidence or room.id not in OF_EVIDENCE
    ]


def card(audit: Audit, verdict: Verdict) -> SafeString:
    """The verdict in its box."""
    return _safe(verdict_html(verdict, links(audit)))


def opened_lines(audit: Audit) -> SafeString:
    """A line for each section that is opened, in the order of report and annex."""
    lines = [
        later_html(kind.title, address=section_address(audit, kind), link=f"{kind.title}, on a page of its own")
        for kind in sections.sections_in(OPENED)
    ]
    return _safe("".join(lines))


def opened_section(audit: Audit, story: Story, kind: SectionKind, *, alone: bool) -> SafeString:
    """What stands in a section that is opened; ``alone`` on a page of its own, else under its line."""
    blocks = blocks_html(kind.blocks(story), links(audit), level=2 if alone else 3, folded=False, label=kind.title)
    return _safe(blocks) if alone else format_html("<div>{}</div>", _safe(blocks))


def section_address(audit: Audit, kind: SectionKind) -> str:
    """Where a section that is opened stands by itself."""
    return reverse("section", args=[audit.number, kind.id])


def find_numbers(story: Story, name: str, *, among: str | None = None) -> Numbers | None:
    """The table of that name in the rooms of the page, or ``among`` the sections of one room or of those opened."""
    places = [room.id for room in sections.ROOMS] if among is None else [among]
    kinds = [kind for place in places for kind in sections.sections_in(place)]
    return next((item for kind in kinds for item in numbers_of(kind.blocks(story)) if item.name == name), None)


def numbers_table(audit: Audit, numbers: Numbers) -> SafeString:
    """All rows of a table."""
    return _safe(whole_html(numbers, links(audit)))


def comparison_table(comparison: Comparison) -> SafeString:
    """What changed from one version to the other; the cases are those of the later audit."""
    table = changes(comparison.measurements, wording.Design.of(comparison.later.plan.parsed))
    return _safe(table_html(table, links(comparison.later), label="Changes between the versions"))


def _furnish(audit: Audit, story: Story, room: Room) -> SafeString:
    """The sections of a room; the heading of the room is that of the first."""
    parts = []
    for place, kind in enumerate(sections.sections_in(room.id)):
        blocks = blocks_html(kind.blocks(story), links(audit), level=4 if place else 3, label=kind.title)
        if place and blocks:  # what stands on paper alone is not announced here
            parts.append(format_html('<h3 class="part" id="{}">{}</h3>', kind.id, kind.title))
        parts.append(_safe(blocks))
    return _safe("".join(parts))


def _tab(room: Room, story: Story) -> str:
    return f"{room.tab} ({len(story.bundle.findings)})" if room.id == "findings" else room.tab


def _safe(html: str) -> SafeString:
    """HTML of :mod:`reports.html`, which escapes every word that it is given."""
    return mark_safe(html)  # noqa: S308, see above
