"""What a table's columns are said to mean, and its first rows with personal data masked. Needs no Django."""

from __future__ import annotations

import tomllib
from typing import Any

import polars as pl

from auditor.exceptions import DataError
from auditor.mapping_files import mapping_from, reading_from
from auditor.mappings import DataMapping
from auditor.recognition import MASK, form_of
from auditor.tables import Reading, Table, as_table
from auditor.toml_text import parse_toml

MASKED_ROLES = frozenset({"id", "protected", "protected_proxy", "proxy"})
PREVIEW_ROWS = 10
SHOWN_CHARACTERS = 60


def mapping_of(text: str, *, where: str) -> DataMapping:
    """The mapping a text holds; DataError in one line if it holds none."""
    try:
        raw = parse_toml(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(where, f"is not valid TOML: {error}", "a mapping as docs/data.md describes") from error
    return mapping_from(raw, where=where)


def reading_of(text: str, *, where: str) -> Reading:
    """How a file is read, as ``[reading]`` of a text without fields says; DataError in one line if it holds no such."""
    try:
        raw = parse_toml(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(where, f"is not valid TOML: {error}", "a mapping as docs/data.md describes") from error
    return reading_from(raw.get("reading", {}), where=f"{where}: reading")


def masked_preview(
    table: Table | pl.DataFrame, mapping: DataMapping, *, rows: int = PREVIEW_ROWS, said: bool = True
) -> list[list[str]]:
    """The first rows of a table, names first. Ids, protected fields and their proxies, and free text are masked.

    Columns that no field uses are left out: nobody said what they hold.

    Parameters
    ----------
    said
        Whether a person said what the columns mean. Of a proposal nobody did, and a rule that knows *sex* need not know
        *Geschlecht*: then every column but the outcome shows only the form of its values, ``Xxxxxx``, ``99.9``.
    """
    frame = as_table(table).frame
    columns = {
        column: item.role in MASKED_ROLES or item.type == "text" for item in mapping.fields for column in item.columns
    }
    outcomes = {column for item in mapping.fields if item.role == "outcome" for column in item.columns}
    hidden = {column for item in mapping.fields if item.role in MASKED_ROLES for column in item.columns}
    shown = [column for column in frame.columns if column in columns]
    lines = [shown]
    for row in frame.head(rows).iter_rows(named=True):
        lines.append(
            [
                _cell(row[column], masked=columns[column] or column in hidden)
                if said or column in outcomes or column in hidden
                else form_of(row[column])
                for column in shown
            ]
        )
    return lines


def shown_as_they_are(mapping: DataMapping) -> list[str]:
    """The columns whose values a preview shows to whoever said what they mean: those that no role or type masks."""
    return [
        column
        for item in mapping.fields
        if item.role not in MASKED_ROLES and item.role != "outcome" and item.type != "text"
        for column in item.columns
    ]


def _cell(value: Any, *, masked: bool) -> str:
    if value is None:
        return "–"
    return MASK if masked else str(value)[:SHOWN_CHARACTERS]
