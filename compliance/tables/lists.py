"""A list of the site: search, filters, order, columns and pages, as an address asks for them. All lists are made of it.

What an address does not ask for is left as it is; what no choice offers is refused in one line, never passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.core.paginator import Page, Paginator
from django.db.models import OrderBy, Q
from django.http import Http404, HttpRequest, QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from compliance.dashboard.asked import SHOWN_CHARACTERS, choice
from compliance.tables.described import Column, Head, Table
from compliance.tables.html import COLUMN, FOLDS, PAGE

LINES = 25
BATCH = 200
LONGEST = 200
SEARCH, SORT = "q", "sort"
SELECT, DAY, TEXT = "select", "day", "text"
#: Rows are a queryset, or a sequence where what is asked for is not in the database.
Rows = Any


def typed(given: QueryDict, name: str) -> str:
    """What somebody looks for. Without NUL, which no text holds and PostgreSQL refuses to be asked for."""
    return given.get(name, "").replace("\0", "").strip()[:LONGEST]


@dataclass(frozen=True, kw_only=True)
class Filter:
    """One thing by which a list is narrowed.

    Attributes
    ----------
    name, label
        What addresses and people call it.
    narrow
        The rows that are left for a value.
    offered
        The choices of a value, with their words; one without choices is not shown.
    kind
        Whether it is chosen, a day, or a text.
    every
        What choosing nothing is called.
    """

    name: str
    label: str
    narrow: Callable[[Rows, str], Rows]
    offered: Sequence[tuple[str, str]] = ()
    kind: str = SELECT
    every: str = gettext_noop("All")

    def asked(self, given: QueryDict) -> str:
        """What an address asks for by it; 404 for what cannot be."""
        if self.kind == SELECT:
            return choice(given, self.name, [value for value, _ in self.offered])
        word = typed(given, self.name)
        if self.kind == DAY and word:
            try:
                return date.fromisoformat(word).isoformat()
            except ValueError:
                said = word[:SHOWN_CHARACTERS]
                line = _("{name}: {word} is not a day; expected one such as 2026-11-30")
                raise Http404(line.format(name=self.name, word=repr(said))) from None
        return word


@dataclass(frozen=True, kw_only=True)
class Sort:
    """One order of a list; the head of its ``column``, if it has one, leads to it."""

    name: str
    words: str
    order: Callable[[Rows], Rows]
    column: str = ""
    descending: bool = False


def by(name: str, words: str, *fields: str | OrderBy, column: str = "", descending: bool = False) -> Sort:
    """An order by fields of the database; the last of them should tell any two rows apart."""
    return Sort(name=name, words=words, order=lambda rows: rows.order_by(*fields), column=column, descending=descending)


def named(*fields: str, numbered: str = "", letter: str = "") -> Callable[[Rows, str], Rows]:
    """A search for a word in any of these fields; ``A-0012`` and ``12`` are the number twelve."""

    def narrow(rows: Rows, word: str) -> Rows:
        found = Q()
        for name in fields:
            found |= Q(**{f"{name}__icontains": word})
        number = word.upper().removeprefix(f"{letter}-") if letter else word
        if numbered and number.isascii() and number.isdecimal() and len(number) < 10:
            found |= Q(**{numbered: int(number)})
        return rows.filter(found)

    return narrow


def on_page(rows: Iterable[Any]) -> Sequence[Any]:
    """Rows that are their own lines."""
    return list(rows)


def one_by_one(rows: Rows) -> Iterator[Any]:
    """All rows, so many at a time."""
    return iter(rows.iterator(BATCH) if hasattr(rows, "iterator") else rows)


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What a list is made of.

    Attributes
    ----------
    noun
        What one row is called: ``audit``.
    rows
        All that somebody may see.
    sorts
        Its orders, the usual one first.
    search
        The rows that hold a word; without it there is no search.
    hint
        What can be searched for.
    lines
        What a page shows of rows that stand on it.
    every
        The lines of all rows that are let through, read one after the other.
    table
        The table of lines; the second argument gives all of them.
    """

    noun: str
    rows: Rows
    sorts: Sequence[Sort]
    table: Callable[[Sequence[Any], Callable[[], Iterable[Any]]], Table]
    filters: Sequence[Filter] = ()
    search: Callable[[Rows, str], Rows] | None = None
    hint: str = ""
    lines: Callable[[Rows], Sequence[Any]] = on_page
    every: Callable[[Rows], Iterable[Any]] = one_by_one


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A list as an address asks for it.

    Attributes
    ----------
    words, sort
        What is searched for, and the order in force.
    values
        What is asked for by each filter; empty for everything.
    columns
        The columns that were chosen; none for the usual ones.
    page, lines, table
        The page of the list, what it shows, and its table.
    """

    listing: Listing
    words: str
    sort: Sort
    values: Mapping[str, str]
    columns: tuple[str, ...]
    page: Page[Any]
    lines: Sequence[Any]
    table: Table = field(repr=False)

    @property
    def query(self) -> str:
        """The same as an address, without the page."""
        return self._query(self.sort)

    @property
    def searched(self) -> bool:
        """Whether it can be searched. A template would call what it finds under ``search``."""
        return self.listing.search is not None

    @property
    def narrowed(self) -> bool:
        """Whether some rows may be left out."""
        return bool(self.words or any(self.values.values()))

    @property
    def filters(self) -> list[tuple[Filter, str]]:
        """The filters that are offered, each with what is asked for by it."""
        found = ((item, self.values[item.name]) for item in self.listing.filters)
        return [(item, value) for item, value in found if item.offered or item.kind != SELECT]

    @property
    def offered_columns(self) -> list[tuple[Column, bool]]:
        """The columns that may be left out or taken in, and whether each is shown."""
        return offered_columns(self.table)

    def _query(self, sort: Sort) -> str:
        asked = {SEARCH: self.words, **self.values}
        pairs = [(name, value) for name, value in asked.items() if value]
        if sort is not self.listing.sorts[0]:
            pairs.append((SORT, sort.name))
        return urlencode([*pairs, *((COLUMN, name) for name in self.columns)])

    def with_heads(self) -> Listed:
        """The same, with the way to other orders in the heads of its columns."""
        heads: dict[str, Head] = {}
        for column in self.table.columns:
            orders = [item for item in self.listing.sorts if item.column == column.name]
            if not orders:
                continue
            now = orders.index(self.sort) if self.sort in orders else -1
            direction = "" if now < 0 else "descending" if self.sort.descending else "ascending"
            heads[column.name] = Head(f"?{self._query(orders[(now + 1) % len(orders)])}", direction)
        return replace(self, table=replace(self.table, heads=heads))


def listed(given: QueryDict, listing: Listing) -> Listed:
    """The list as an address asks for it.

    Raises
    ------
    Http404
        For a filter, an order or a column that is not offered.
    """
    rows, values = listing.rows, {item.name: item.asked(given) for item in listing.filters}
    for item in listing.filters:
        if values[item.name]:
            rows = item.narrow(rows, values[item.name])
    words = typed(given, SEARCH) if listing.search else ""
    for word in words.split():
        rows = listing.search(rows, word) if listing.search else rows
    orders = {item.name: item for item in listing.sorts}
    sort = orders[choice(given, SORT, orders) or listing.sorts[0].name]
    rows = sort.order(rows)
    page = Paginator(rows, LINES).get_page(given.get(PAGE))
    lines = listing.lines(page.object_list)
    table = listing.table(lines, lambda: listing.every(rows))
    columns = chosen_columns(given, table)
    shown = replace(table, kind=f"{table.kind} {FOLDS}".strip(), chosen=frozenset(columns) if columns else None)
    return Listed(
        listing=listing,
        words=words,
        sort=sort,
        values=values,
        columns=columns,
        page=page,
        lines=lines,
        table=shown,
    ).with_heads()


def offered_columns(table: Table) -> list[tuple[Column, bool]]:
    """The columns beside the first, and whether each is shown."""
    shown = {column.name for column in table.shown}
    return [(column, column.name in shown) for column in table.columns[1:]]


def chosen_columns(given: QueryDict, table: Table) -> tuple[str, ...]:
    """The columns that an address names, in the order of the table; Http404 for one that is not there."""
    names = [column.name for column in table.columns]
    asked = {choice(QueryDict(urlencode({COLUMN: word})), COLUMN, names) for word in given.getlist(COLUMN)}
    return tuple(name for name in names if name in asked)


def context_of(request: HttpRequest, found: Listed, *, views: Iterable[Any]) -> dict[str, Any]:
    """What ``compliance/_list.html`` needs."""
    return {
        "list": found,
        "listed": found.page,
        "lines": found.lines,
        "asked": found.query,
        "views": list(views),
        "at": request.path,
    }
