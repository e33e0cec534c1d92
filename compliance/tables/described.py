"""What a table is: its columns, the rows that a page shows, and all rows that its filters let through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.utils.translation import pgettext

#: What stands in a cell of a file.
Plain = str | int | float | bool | datetime | None


@dataclass(frozen=True)
class Head:
    """Where the head of a column leads: to another order. ``direction`` is how the rows stand by it, if they do."""

    address: str
    direction: str = ""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes
    ----------
    name
        What files call it. No two columns of a table share one.
    head
        What the page calls it; empty for a column that files alone have, because on the page it is part of another.
    value
        What a file holds of a row.
    cell
        What the page shows of a row, as HTML or as text; without it, the value in words.
    kind
        The class of its cells, such as ``num`` or ``long``; a function where it depends on the row.
    marked
        HTML before the head, such as the marker of a conclusion.
    """

    name: str
    head: str
    value: Callable[[Any], Plain]
    cell: Callable[[Any], str] | None = None
    kind: str | Callable[[Any], str] = ""
    marked: str = ""

    @property
    def words(self) -> str:
        """What people call it, also where it is no column of the page."""
        named = self.name.replace("_", " ").replace("sha256", "SHA-256")
        words = f"{named[:1].upper()}{named[1:]}"
        return self.head or pgettext("column", words)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of a page.

    Attributes
    ----------
    name
        What tells it from the other tables of its page.
    title
        What it is called to those who do not see it, and in files.
    rows
        Those that the page shows.
    every
        All rows that the filters in force let through, read one after the other; without it, those of the page.
    about
        Of what it is, for the name of its files: ``A-0001``.
    kind
        Further classes of the table.
    caption
        Stands in the table, above its head.
    current
        Tells the row that the page has open.
    address
        Where files of it are asked for, if that is not the address of the page.
    chosen
        The names of the columns that somebody wants to see beside the first; without it, those that have a head.
    heads
        The ways to other orders, by the name of the column.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: Iterable[Any]
    every: Callable[[], Iterable[Any]] | None = None
    about: str = ""
    kind: str = ""
    caption: str = ""
    current: Callable[[Any], bool] | None = None
    address: str = ""
    chosen: frozenset[str] | None = None
    heads: Mapping[str, Head] = field(default_factory=dict)
    # What was asked for when files of it are written; filled in by whoever hands them out.
    asked: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if len(set(names)) != len(names):
            raise ValueError(f"{self.name}: two columns share a name; expected one name a column, got {names}")

    @property
    def shown(self) -> tuple[Column, ...]:
        """The columns of the page."""
        if self.chosen is None:
            return tuple(column for column in self.columns if column.head)
        first, *others = self.columns
        return (first, *(column for column in others if column.name in self.chosen))

    @property
    def file(self) -> str:
        """The name of its files, without an ending."""
        return "-".join(part for part in (self.about, self.name) if part)

    def lines(self) -> Iterator[list[Plain]]:
        """All rows as files hold them."""
        for row in self.rows if self.every is None else self.every():
            yield [column.value(row) for column in self.columns]
