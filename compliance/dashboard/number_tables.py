"""Tables of an audit's numbers on its page: every number with the address of its cases, long tables when opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.urls import reverse

from auditor.records import Measurement
from compliance.dashboard.cases import filter_of
from compliance.models import Audit
from reports.blocks import Cell, Table
from reports.story import Story
from reports.tables import short_rows

NUMBER_HEADS = ("Effect", "Estimate")
SHORT = 12  # rows that are read at a glance; of more, a page would be mostly what nobody opened


@dataclass(frozen=True, kw_only=True)
class Row:
    """A table's row, its cells with their alignment (``l``, ``r``); ``link`` leads from column ``at`` to the cases."""

    cells: tuple[tuple[Cell, str], ...]
    link: str
    at: int


@dataclass(frozen=True, kw_only=True)
class LinkedTable:
    """A report's table with the cases behind its numbers."""

    table: Table
    rows: tuple[Row, ...]

    @property
    def head(self) -> tuple[tuple[str, str], ...]:
        """The column heads with their alignment."""
        return tuple(zip(self.table.head, self.table.align, strict=True))


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """Measurements under a heading, as a table that is set when it is asked for; ``name`` stands in its address."""

    name: str
    label: str
    audit: Audit
    items: Sequence[Measurement]
    set_table: Callable[[], LinkedTable]

    @property
    def long(self) -> bool:
        """Whether its page waits with it until somebody opens it."""
        return len(self.items) > SHORT

    @property
    def address(self) -> str:
        """Where it stands by itself."""
        return reverse("numbers", args=[self.audit.number, self.name])

    @property
    def table(self) -> LinkedTable:
        """Its rows."""
        return self.set_table()


def cases_link(audit: Audit, query: str, **more: str) -> str:
    """The address of the cases a query names."""
    asked = filter_of(query)
    words = "&".join(part for part in (asked.query, *(f"{key}={value}" for key, value in more.items())) if part)
    return reverse("cases", args=[audit.number]) + (f"?{words}" if words else "")


def linked(audit: Audit, table: Table, measurements: Sequence[Measurement]) -> LinkedTable:
    """A table of measurements, row by row, with the address behind each."""
    at = next((index for index, head in enumerate(table.head) if head.startswith(NUMBER_HEADS)), 0)
    links = {query: cases_link(audit, query) for query in {item.cases for item in measurements}}
    rows = zip(table.rows, measurements, strict=True)
    return LinkedTable(
        table=table,
        rows=tuple(Row(cells=_aligned(cells, table), link=links[item.cases], at=at) for cells, item in rows),
    )


def plain(table: Table) -> LinkedTable:
    """A table without links."""
    return LinkedTable(
        table=table, rows=tuple(Row(cells=_aligned(cells, table), link="", at=-1) for cells in table.rows)
    )


def in_short(audit: Audit, story: Story, items: Sequence[Measurement], *, name: str, label: str) -> Numbers:
    """Measurements with estimate, interval and n: what a table of any metric can say."""

    def set_table() -> LinkedTable:
        return linked(audit, short_rows(items, story.design, title=""), items)

    return Numbers(name=name, label=label, audit=audit, items=items, set_table=set_table)


def _aligned(cells: tuple[Cell, ...], table: Table) -> tuple[tuple[Cell, str], ...]:
    return tuple(zip(cells, table.align, strict=True))
