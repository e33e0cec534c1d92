"""The tables of report and annex as files: the words of the page, and behind them the numbers themselves."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from compliance.tables.described import Column, Plain, Table
from reports import blocks

#: What of a measurement stands behind the words of its row; the names are those of result.json.
NUMBERS = (
    "id", "test", "metric", "role", "subject", "reference", "estimate", "low", "high", "level", "unit",
    "higher_is_better", "n", "sd_units", "p_value", "p_adjusted", "family", "conclusion", "conclusion_reason",
    "missing_reason", "method", "cases", "counts", "checks",
)  # fmt: skip


def reported(table: blocks.Table, *, name: str, title: str, about: str) -> Table:
    """A table of a report, for files."""
    measured = bool(table.of)
    heads = _unique(table.head, taken=NUMBERS if measured else ())
    words = tuple(Column(head, head, _words_at(place)) for place, head in enumerate(heads))
    numbers = tuple(Column(key, "", _number_at(key)) for key in NUMBERS) if measured else ()
    of: Iterable[dict[str, Any] | None] = (item.row() for item in table.of) if measured else (None for _ in table.rows)
    rows = list(zip(table.rows, of, strict=True))
    return Table(name=name, title=title, columns=(*words, *numbers), rows=rows, about=about)


def _words_at(place: int) -> Callable[[Any], Plain]:
    return lambda row: words_of(row[0][place])


def _number_at(key: str) -> Callable[[Any], Plain]:
    def read(row: Any) -> Plain:
        value = row[1][key]
        if isinstance(value, (dict, list)):
            return json.dumps(value, ensure_ascii=False, sort_keys=True)
        plain: Plain = value
        return plain

    return read


def words_of(cell: blocks.Cell) -> str:
    """A cell of a report as text."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, blocks.Code):
        return cell.conclusion.value
    if isinstance(cell, blocks.Level):
        return cell.severity.value
    return cell.anchor if isinstance(cell, blocks.Target) else cell.words


def _unique(heads: Iterable[str], *, taken: Iterable[str]) -> list[str]:
    """Heads as names: what has none is the row, and one that is there already gets a number."""
    names = list(taken)
    count = len(names)
    for head in heads:
        name, number = head or "row", 2
        while name in names:
            name, number = f"{head or 'row'} {number}", number + 1
        names.append(name)
    return names[count:]
