"""From the source a plan or a command names to the applications behind it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from auditor.applications import Applications, apply_mapping
from auditor.demo_data import load_loanapp
from auditor.exceptions import DataError
from auditor.mapping_files import read_mapping
from auditor.tables import KINDS, KNOWN_KINDS, is_packed, read_table

DEMONSTRATION = "demo:loanapp"
PACKAGE = "package:"
"""Before a file that an installed Python package ships: ``package:NAME/PATH``."""


def load_data(source: str, mapping: str) -> Applications:
    """Read the applications a source names.

    Parameters
    ----------
    source
        ``demo:loanapp``, the path of a text (CSV, TSV), Parquet or Excel file, or ``package:NAME/PATH``, such a file
        that an installed Python package ships.
    mapping
        The path of the mapping file (TOML) that says what the columns mean; the demonstration brings its own.

    Raises
    ------
    DataError
        If the source is unknown, cannot be read, or does not fit its mapping.
    """
    if source == DEMONSTRATION:
        return load_loanapp()
    path = data_path(source)
    if not mapping:
        read_table(path)
        raise DataError(
            source,
            "no mapping says what its columns mean",
            f"run.mapping in the plan, or --set run.mapping=FILE; "
            f"`python manage.py describe_data {source} --out MAPPING.toml` proposes one",
        )
    meaning = read_mapping(_expanded(mapping))
    table = read_table(path, where=source, reading=meaning.reading)
    return apply_mapping(table, meaning, source=source, file_sha256=table.sha256)


def data_path(source: str) -> Path:
    """The file a source names; DataError if it names none, or none that is there."""
    path = _in_package(source) if source.startswith(PACKAGE) else _expanded(source)
    if source.startswith("demo:") or (path.suffix.lower() not in KINDS and not is_packed(path)):
        known = f"{DEMONSTRATION}, {PACKAGE}NAME/PATH or the path of {KNOWN_KINDS}"
        raise DataError(source or "data", "is not a known source", known)
    return path


def _in_package(source: str) -> Path:
    """A file of an installed package, which is looked for and not imported."""
    name, _, inner = source.removeprefix(PACKAGE).partition("/")
    found = find_spec(name) if name.isidentifier() and inner else None
    folders = list(found.submodule_search_locations or ()) if found else []
    if not folders:
        what = f"no package {name[:60]!r} is installed here"
        raise DataError(source, what, f"pip install {name[:60]}" if name.isidentifier() else f"{PACKAGE}NAME/PATH")
    home = Path(folders[0]).resolve()
    path = (home / inner).resolve()
    if not path.is_relative_to(home):
        raise DataError(source, "leaves the folder of its package", "a file inside it")
    return path


def existing_path(text: str) -> Path:
    """The file a text names; DataError if there is none, or it is a folder, a device or a pipe."""
    path = _expanded(text)
    if path.exists() and not path.is_file():
        raise DataError(text, "is not an ordinary file", "a file that can be read")
    if not path.is_file():
        raise DataError(text or "decision file", "there is no such file", "a file that can be read")
    return path


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # ~nobody-of-that-name
        raise DataError(
            text, "names the home folder of an account that does not exist", "a file that can be read"
        ) from error
