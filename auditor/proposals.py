"""From a file to a proposed mapping, with the keys by which the file itself is read."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from auditor.mapping_inference import Proposal, propose
from auditor.tables import LIMITS, Limits, Reading, Table, propose_reading, read_table
from auditor.toml_text import parse_toml


@dataclass(frozen=True)
class Proposed:
    """A table as it was read, and the mapping proposed for it."""

    table: Table
    proposal: Proposal


def proposed(
    path: Path, name: str, *, where: str = "", said: Reading | None = None, limits: Limits = LIMITS
) -> Proposed:
    """Propose how a file is read and what its columns mean; keys that are ``said`` stay."""
    reading, reasons = propose_reading(path, where=where, said=said)
    table = read_table(path, where=where, limits=limits, reading=reading)
    return Proposed(table, propose(table, name, reading=reading, reasons=reasons))


def has_fields(text: str) -> bool:
    """Whether a text is a mapping, and not only the keys by which a file is to be read."""
    try:
        raw = parse_toml(text)
    except tomllib.TOMLDecodeError:
        return bool(text.strip())
    return bool(set(raw) - {"reading"})
