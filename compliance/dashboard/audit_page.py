"""What the page of an audit shows: the sections of its report and annex, each number with the address of its cases.

The sections are composed where the report is (:mod:`reports.sections`); here they are put into the rooms of the page,
and what a page opens is given an address.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from compliance.dashboard.links import links
from compliance.dashboard.model_page import Comparison
from compliance.models import Audit
from compliance.tables.described import Table
from compliance.tables.html import files_at
from compliance.tables.reported import reported
from reports import blocks as reported_blocks
from reports import sections, tables, wording
from reports.blocks import Block, Ladder, Numbers, Verdict
from reports.html import (
    Links,
    blocks_html,
    later_html,
    numbers_of,
    table_html,
    tables_of,
    verdict_html,
    whole_html,
)
from reports.html_marks import files_html
from reports.ladder_tables import steps_table
from reports.sections import OPENED, Room, SectionKind
from reports.story import Story
from reports.tables import changes

CHANGES = "Changes between the versions"
#: What rooms are called and what stands beside their headings, as :mod:`reports.sections` has it.
ROOM_WORDS = (
    gettext_noop("Could this audit have seen it?"),
    gettext_noop("Controls on the same model, same plan"),
    gettext_noop("Controls"),
    gettext_noop("Findings, worst first"),
    gettext_noop("Raised by the plan's rules"),
    gettext_noop("Findings"),
    gettext_noop("Outputs: does the decision change when only the attribute changes?"),
    gettext_noop("Every number leads to its cases"),
    gettext_noop("Outputs"),
    gettext_noop("Internals: is the attribute inside, and does the decision use it?"),
    gettext_noop("These numbers support the findings and never make one alone"),
    gettext_noop("Internals"),
    gettext_noop("Decisions taken: how did groups fare?"),
    gettext_noop("Different applicants are compared, each number with how many stand behind it"),
    gettext_noop("Decisions"),
)
OF_EVIDENCE = ("controls",)
"""Rooms that rest on the evidence folder; the others on the rows of the database too."""


@dataclass(frozen=True, kw_only=True)
class Furnished:
    """A room of the page with what stands in it; ``tab`` is its name among the tabs."""

    room: Room
    tab: str
    blocks: SafeString

    @property
    def heading(self) -> str:
        """The heading, in the reader's language."""
        return _(self.room.heading)

    @property
    def beside(self) -> str:
        """What stands beside it, likewise."""
        return _(self.room.beside)


def rooms(audit: Audit, story: Story, *, evidence: bool) -> list[Furnished]:
    """The rooms of the page in their order; without ``evidence``, those that need none."""
    return [
        Furnished(room=room, tab=_tab(room, story), blocks=_furnish(audit, story, room))
        for room in sections.rooms_of(story)
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
    found = kind.blocks(story)
    at = _links(audit, kind, found, address=section_address(audit, kind))
    blocks = blocks_html(found, at, level=2 if alone else 3, folded=False, label=kind.title)
    return _safe(blocks) if alone else format_html("<div>{}</div>", _safe(blocks))


def opened_tables(audit: Audit, story: Story, kind: SectionKind) -> list[Table]:
    """The tables of a section that is opened, for files."""
    return list(_tables(audit, kind, kind.blocks(story)))


def room_tables(audit: Audit, story: Story, *, evidence: bool) -> list[Table]:
    """The tables of the rooms of the page, other than those of numbers, for files."""
    places = [room.id for room in sections.ROOMS if evidence or room.id not in OF_EVIDENCE]
    kinds = [kind for place in places for kind in sections.sections_in(place)]
    return [table for kind in kinds for table in _tables(audit, kind, kind.blocks(story))]


def section_address(audit: Audit, kind: SectionKind) -> str:
    """Where a section that is opened stands by itself."""
    return reverse("section", args=[audit.number, kind.id])


def find_numbers(story: Story, name: str, *, among: str | None = None) -> Numbers | None:
    """The table of that name in the rooms of the page, or ``among`` the sections of one room or of those opened."""
    places = [room.id for room in sections.ROOMS] if among is None else [among]
    kinds = [kind for place in places for kind in sections.sections_in(place)]
    return next((item for kind in kinds for item in numbers_of(kind.blocks(story)) if item.name == name), None)


def numbers_table(audit: Audit, numbers: Numbers, *, asked: Mapping[str, str] = MappingProxyType({})) -> SafeString:
    """All rows of a table; ``asked`` is what it was narrowed to, which its files keep."""
    return _safe(whole_html(numbers, replace(links(audit), files=lambda _: _number_files(audit, numbers, asked))))


def numbers_file(audit: Audit, numbers: Numbers) -> Table:
    """The same table, for files."""
    return reported(tables.whole(numbers), name=numbers.name, title=numbers.title, about=audit.number)


def comparison_table(comparison: Comparison, files: Sequence[tuple[str, str]]) -> SafeString:
    """What changed from one version to the other, with its files; the cases are those of the later audit."""
    table = table_html(_changes(comparison), links(comparison.later), label=CHANGES)
    return _safe(table + files_html(CHANGES, files))


def comparison_file(comparison: Comparison) -> Table:
    """The same table, for files."""
    about = f"{comparison.earlier.number}-{comparison.later.number}"
    return reported(_changes(comparison), name="changes", title=CHANGES, about=about)


def _changes(comparison: Comparison) -> reported_blocks.Table:
    return changes(comparison.measurements, wording.Design.of(comparison.later.plan.parsed))


def _furnish(audit: Audit, story: Story, room: Room) -> SafeString:
    """The sections of a room; the heading of the room is that of the first."""
    parts = []
    for place, kind in enumerate(sections.sections_in(room.id)):
        found = kind.blocks(story)
        at = _links(audit, kind, found, address=audit.get_absolute_url())
        blocks = blocks_html(found, at, level=4 if place else 3, label=kind.title)
        if place and blocks:  # what stands on paper alone is not announced here
            parts.append(format_html('<h3 class="part" id="{}">{}</h3>', kind.id, kind.title))
        parts.append(_safe(blocks))
    return _safe("".join(parts))


def _tables(audit: Audit, kind: SectionKind, found: Sequence[Block]) -> Iterator[Table]:
    """The tables of a section, each with the name by which its page asks for a file of it."""
    for name, block in _named(kind, found):
        table = steps_table(block.contrasts, title="Ladder") if isinstance(block, Ladder) else block
        yield reported(table, name=name, title=table.title or kind.title, about=audit.number)


def _named(kind: SectionKind, found: Sequence[Block]) -> Iterator[tuple[str, reported_blocks.Table | Ladder]]:
    for number, block in enumerate(tables_of(found), start=1):
        yield f"{kind.id}-{number}", block


def _links(audit: Audit, kind: SectionKind, found: Sequence[Block], *, address: str) -> Links:
    """The addresses of an audit, with those of the files of these tables; two may be alike, so each is itself."""
    names = {id(block): name for name, block in _named(kind, found)}

    def files(block: reported_blocks.Table | Ladder | Numbers) -> Sequence[tuple[str, str]]:
        if isinstance(block, Numbers):
            return _number_files(audit, block)
        return files_at(address, names[id(block)]) if id(block) in names else ()

    return replace(links(audit), files=files)


def _number_files(
    audit: Audit, numbers: Numbers, asked: Mapping[str, str] = MappingProxyType({})
) -> list[tuple[str, str]]:
    return files_at(reverse("numbers", args=[audit.number, numbers.name]), numbers.name, dict(asked))


def _tab(room: Room, story: Story) -> str:
    tab = _(room.tab)
    return f"{tab} ({len(story.bundle.findings)})" if room.id == "findings" else tab


def _safe(html: str) -> SafeString:
    """HTML of :mod:`reports.html`, which escapes every word that it is given."""
    return mark_safe(html)  # noqa: S308, see above
