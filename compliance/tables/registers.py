"""The lists of the administration as files: the columns that a list shows, and the rows its search and filters find."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import label_for_field, lookup_field
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ObjectDoesNotExist, PermissionDenied
from django.db.models import Field
from django.http import HttpRequest, HttpResponseBase
from django.utils.html import strip_tags
from django.utils.safestring import SafeString

from compliance.dashboard.asked import choice
from compliance.tables.described import Column, Plain, Table
from compliance.tables.html import AS, KINDS, WHICH, asked_of, files_at, files_line
from compliance.tables.pages import file_asked_for

ROWS = "rows"
BATCH = 200


def list_files(request: HttpRequest, title: str) -> SafeString:
    """The way from a list to its files, its search and filters kept."""
    asked = {key: value for key, value in asked_of(request).items() if key != "p"}
    return files_line(title, files_at(request.path, ROWS, asked))


def list_file(request: HttpRequest, register: admin.ModelAdmin[Any]) -> HttpResponseBase | None:
    """The file that the address of a list asks for; ``None`` where it asks for the list."""
    if not choice(request.GET, AS, KINDS):
        return None
    if not register.has_view_or_change_permission(request):
        raise PermissionDenied
    asked = request.GET
    narrowed = asked.copy()
    for name in (AS, WHICH):  # a list takes what it does not know for a filter
        narrowed.pop(name, None)
    request.GET = narrowed  # type: ignore[assignment]  # a copy that nobody changes any more
    found = register.get_changelist_instance(request)
    request.GET = asked
    return file_asked_for(request, [table_of(found, register)])


def table_of(found: ChangeList, register: admin.ModelAdmin[Any]) -> Table:
    """A list of the administration."""
    names = [name for name in found.list_display if name != "action_checkbox"]
    return Table(
        name=ROWS,
        title=str(register.opts.verbose_name_plural),
        about=str(register.opts.verbose_name_plural).replace(" ", "-"),
        rows=(),
        every=lambda: found.queryset.iterator(BATCH),
        columns=tuple(
            Column(str(name), str(label_for_field(name, register.model, register)), _reader(str(name), register))
            for name in names
        ),
    )


def _reader(name: str, register: admin.ModelAdmin[Any]) -> Any:
    def read(row: Any) -> Plain:
        try:
            field, _, value = lookup_field(name, row, register)
        except ObjectDoesNotExist:
            return None
        return _plain(field, value)

    return read


def _plain(field: Field[Any, Any] | None, value: Any) -> Plain:
    if field is not None and field.flatchoices:
        value = dict(field.flatchoices).get(value, value)
    if value is None or isinstance(value, (bool, int, float, datetime)):
        return value
    return " ".join(strip_tags(value).split()) if isinstance(value, SafeString) else str(value)
