"""Pages with tables: the page itself, or the file of one of its tables that its address asks for.

A file is asked for under the address of the page, so whoever may read the page may have the file, with the same rows
and the same filters; and a page whose reading is an event has one for each file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.http import Http404, HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.utils.http import content_disposition_header

from compliance.dashboard.asked import choice, unknown
from compliance.tables.described import Table
from compliance.tables.files import csv_lines, json_lines, xlsx_parts
from compliance.tables.html import AS, KINDS, WHICH, asked_of

WRITERS = {
    "csv": (csv_lines, "text/csv; charset=utf-8"),
    "xlsx": (xlsx_parts, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    "json": (json_lines, "application/json"),
}


def page_of(
    request: HttpRequest, template: str, context: Mapping[str, Any], tables: Sequence[Table], *, status: int = 200
) -> HttpResponseBase:
    """The page with its tables, or the file that is asked for.

    In the template, ``{% table NAME %}`` stands for a table.
    """
    found = file_asked_for(request, tables) if request.method in ("GET", "HEAD") else None
    if found is not None:
        return found
    return render(request, template, {**context, "tables": {table.name: table for table in tables}}, status=status)


def file_asked_for(request: HttpRequest, tables: Sequence[Table]) -> HttpResponseBase | None:
    """The file that an address asks for; ``None`` where it asks for the page.

    Raises
    ------
    Http404
        For a kind of file or a table that is not there.
    """
    kind = choice(request.GET, AS, KINDS)
    if not kind:
        return None
    by_name = {table.name: table for table in tables}
    name = choice(request.GET, WHICH, by_name)
    if not name and len(tables) != 1:
        raise unknown(WHICH, name, by_name) if by_name else Http404("no table stands on this page")
    table = by_name[name] if name else tables[0]
    return file_of(replace(table, asked=asked_of(request)), kind)


def file_of(table: Table, kind: str) -> HttpResponseBase:
    """A table as a file to be kept."""
    written, content_type = WRITERS[kind]
    disposition = content_disposition_header(as_attachment=True, filename=f"{table.file}.{kind}")
    headers = {"Content-Disposition": disposition or "attachment"}
    return StreamingHttpResponse(written(table), content_type=content_type, headers=headers)
