"""A table as a page has it, with the way to its files below it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest
from django.utils.html import conditional_escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from compliance.dates import moment_said
from compliance.tables.described import Column, Plain, Table
from reports import numbers
from reports.html_marks import files_html

#: What an address asks with: the kind of file, the table of the page, and what files have all of: pages and columns.
AS, WHICH, PAGE, COLUMN = "as", "table", "page", "column"
KINDS = {"csv": "CSV", "xlsx": "XLSX", "json": "JSON"}
#: A kind of table whose rows are cards on a phone: each cell carries the head of its column.
FOLDS = "folds"


def table_html(table: Table, request: HttpRequest | None = None) -> SafeString:
    """The table in a box that scrolls, and its files; without a request, those of a table that names its address."""
    shown = table.shown
    head = format_html_join(
        "",
        '<th scope="col"{}{}>{}{}</th>',
        (
            (_class(_head_kind(column)), _direction(table, column), column.marked, _head(table, column))
            for column in shown
        ),
    )
    body = format_html_join("", "<tr{}>{}</tr>", ((_current(table, row), _cells(table, row)) for row in table.rows))
    return format_html(
        '<div class="scroll" tabindex="0" role="group" aria-label="{}, table">'
        '<table class="{}">{}<thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>{}',
        table.title,
        f"data {table.kind}".strip(),
        format_html("<caption>{}</caption>", table.caption) if table.caption else "",
        head,
        body,
        mark_safe(files_html(table.title, addresses(table, request))),  # noqa: S308, escaped there
    )


def addresses(table: Table, request: HttpRequest | None) -> list[tuple[str, str]]:
    """The kinds of file with the address of each, the filters in force kept."""
    if table.address or request is None:
        return files_at(table.address, table.name)
    return files_at(request.path, table.name, asked_of(request))


def files_at(address: str, name: str, asked: dict[str, str] | None = None) -> list[tuple[str, str]]:
    """The kinds of file of a table with the address of each."""
    joined = f"{address}{'&' if '?' in address else '?'}"
    return [(label, joined + urlencode({**(asked or {}), WHICH: name, AS: kind})) for kind, label in KINDS.items()]


def asked_of(request: HttpRequest) -> dict[str, str]:
    """What the address of a page asks for, other than which part of a table, or which file of it."""
    return {key: str(value) for key, value in request.GET.items() if key not in (AS, WHICH, PAGE, COLUMN)}


def _cells(table: Table, row: Any) -> SafeString:
    folds = FOLDS in table.kind.split()
    columns = table.shown
    return format_html_join(
        "",
        "{}",
        ((_cell(column, row, first=column is columns[0], label=column.words if folds else ""),) for column in columns),
    )


def _cell(column: Column, row: Any, *, first: bool, label: str) -> SafeString:
    words = conditional_escape(column.cell(row) if column.cell is not None else in_words(column.value(row)))
    kind = column.kind if isinstance(column.kind, str) else column.kind(row)
    if first:
        return format_html('<th scope="row"{}>{}</th>', _class(kind), words)
    labelled = format_html(' data-label="{}"', label) if label else mark_safe("")
    return format_html("<td{}{}>{}</td>", _class(kind), labelled, words)


def in_words(value: Plain) -> str:
    """A value as pages write it."""
    if value is None or value == "":
        return numbers.DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return moment_said(value)
    return numbers.count(value) if isinstance(value, int) else str(value)


def _head(table: Table, column: Column) -> str:
    """Its words, leading to another order where the table has one by it."""
    words = column.head if table.chosen is None else column.words
    way = table.heads.get(column.name)
    return words if way is None else format_html('<a href="{}">{}</a>', way.address, words)


def _direction(table: Table, column: Column) -> SafeString:
    way = table.heads.get(column.name)
    return format_html(' aria-sort="{}"', way.direction) if way and way.direction else mark_safe("")


def _head_kind(column: Column) -> str:
    return "num" if column.kind == "num" else ""


def _class(kind: str) -> SafeString:
    return format_html(' class="{}"', kind) if kind else mark_safe("")


def _current(table: Table, row: Any) -> SafeString:
    return mark_safe(' aria-current="true"') if table.current is not None and table.current(row) else mark_safe("")
