"""Decision files: text of any length block by block, other tables whole."""

from __future__ import annotations

import hashlib
from pathlib import Path

from auditor.mappings import DataMapping
from auditor.observed.bisg import Bisg
from auditor.observed.building import Builder
from auditor.observed.columns import Observed
from auditor.tables import kind_of, read_table
from auditor.tables.streams import text_blocks

TEXT = (".csv", ".tsv", ".txt")


def read_decisions(path: Path, mapping: DataMapping, *, where: str = "", bisg: Bisg | None = None) -> Observed:
    """The columns of a decision file.

    Parameters
    ----------
    path
        A text, Parquet or Excel file, or one of them in a ``.zip`` or ``.gz``.
    mapping
        What its columns mean, with ``[decisions]``.
    where
        What refusals call it; its path if nothing else is said.
    bisg
        How groups are made likely by surname and place, with the user's tables.

    Raises
    ------
    DataError
        One line, as `auditor.tables.read_table` and :class:`auditor.observed.building.Builder` raise it.
    """
    where = where or str(path)
    builder = Builder(mapping, source=where, bisg=bisg)
    kind = kind_of(path, where=where)
    if kind in TEXT and path.is_file():
        digest = hashlib.sha256()
        tabs, reading = kind == ".tsv", mapping.reading
        for block in text_blocks(path, where=where, reading=reading, columns=builder.columns, tabs=tabs, digest=digest):
            builder.add(block)
        return builder.done(file_sha256=digest.hexdigest())
    table = read_table(path, where=where, reading=mapping.reading)
    builder.add(table)
    return builder.done(file_sha256=table.sha256)
