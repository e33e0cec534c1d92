"""From the source a plan or a command names to the applications behind it."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from auditor.applications import Applications, apply_mapping, read_mapping
from auditor.canonical import sha256_file
from auditor.demo_data import load_loanapp
from auditor.exceptions import DataError

READERS = {".csv": pl.read_csv, ".parquet": pl.read_parquet}


def load_data(source: str, mapping: str) -> Applications:
    """Read the applications a source names.

    Parameters
    ----------
    source
        ``demo:loanapp``, or the path of a CSV or Parquet file.
    mapping
        The path of the mapping file (TOML) that says what the columns mean; the demonstration brings its own.

    Raises
    ------
    DataError
        If the source is unknown, cannot be read, or does not fit its mapping.
    """
    if source == "demo:loanapp":
        return load_loanapp()
    path = Path(source).expanduser()
    reader = READERS.get(path.suffix.lower())
    if source.startswith("demo:") or reader is None:
        raise DataError(source or "data", "is no known source", "demo:loanapp or the path of a .csv or .parquet file")
    if not path.is_file():
        raise DataError(source, "there is no such file", "a file that can be read")
    if not mapping:
        raise DataError(
            source, "no mapping says what its columns mean", "run.mapping in the plan, or --set run.mapping=FILE"
        )
    meaning = read_mapping(Path(mapping).expanduser())
    try:
        table = reader(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(
            source, f"cannot be read ({str(error).splitlines()[0]})", f"a {path.suffix[1:]} file"
        ) from error
    return apply_mapping(table, meaning, source=source, file_sha256=sha256_file(path))
