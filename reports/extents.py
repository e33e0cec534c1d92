"""How long the records of a bundle may be: whoever writes one by hand can make a report that takes hours to set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reports.differences import Mismatch

MOST_TEXT = 20_000
"""Characters of one wording: a template, a reason, a name."""
MOST_TITLE = 400
"""Characters of a title or a name, which stands on a cover or in a head."""
MOST_DEPTH = 12
MOST_ENTRIES = 1_000_000
"""Entries of one list or object."""
MOST_VALUES = 5_000_000
"""Values of one record, at any depth."""
MOST_GOVERNANCE = 1 << 18
MOST_COUNT = 2**53
"""Whole numbers: beyond it a float no longer tells them apart."""
ROWS = {"measurements.json": 50_000, "findings.json": 1_000, "packs.json": 100}
PLANNED = {"attributes": 50, "groups": 100}
TITLES = frozenset({"title", "name", "id", "audit_id", "requested_by", "model", "field", "group", "metric", "test"})


def too_long(name: str, file: str, value: Any) -> Mismatch | None:
    """The first thing in a record that is longer or larger than any run writes.

    Parameters
    ----------
    name
        The bundle's or report's name, for the line.
    file
        The record's name.
    value
        The record, parsed.
    """
    most = ROWS.get(file)
    if most is not None and isinstance(value, list) and len(value) > most:
        return Mismatch(name, file, f"{len(value):,} entries", f"at most {most:,}")
    for count, (path, found, expected) in enumerate(_long(value, "", 0), start=1):
        if expected:
            return Mismatch(name, f"{file}: {path}" if path else file, found, expected)
        if count > MOST_VALUES:
            return Mismatch(name, file, f"more than {MOST_VALUES:,} values", f"at most {MOST_VALUES:,}")
    return None


def _long(value: Any, path: str, depth: int) -> Iterator[tuple[str, str, str]]:
    """A line a value: its path, and what is wrong with it, or nothing."""
    if isinstance(value, str):
        most = MOST_TITLE if path.rpartition(".")[2] in TITLES else MOST_TEXT
        long = len(value) > most
        yield path, f"{len(value):,} characters" if long else "", f"at most {most:,}" if long else ""
    elif isinstance(value, bool) or value is None:
        yield path, "", ""
    elif isinstance(value, int | float):
        large = abs(value) > MOST_COUNT and isinstance(value, int)
        yield path, "a number beyond all counts" if large else "", f"at most {MOST_COUNT:,}" if large else ""
    elif depth > MOST_DEPTH:
        yield path[:80], "values within values", f"at most {MOST_DEPTH} deep"
    else:
        yield from _of_many(value, path, depth)


def _of_many(value: Any, path: str, depth: int) -> Iterator[tuple[str, str, str]]:
    most = PLANNED.get(path.rpartition(".")[2], MOST_ENTRIES)
    if len(value) > most:
        yield path, f"{len(value):,} entries", f"at most {most:,}"
        return
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if len(key) > MOST_TITLE:
                yield path, f"a key of {len(key):,} characters", f"at most {MOST_TITLE:,}"
                return
            yield from _long(inner, f"{path}.{key}" if path else key, depth + 1)
    else:
        for index, inner in enumerate(value):
            yield from _long(inner, f"{path}[{index}]", depth + 1)
