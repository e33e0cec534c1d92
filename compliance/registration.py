"""Doing what a registration asks for: importing a model, or reading an uploaded table through its mapping.

``perform_registration`` is what a worker calls, with the row's key. It may be called again at any time: what is in the
register is found there, and a registration that is ready stays as it is.
"""

from __future__ import annotations

import logging
import tomllib
from pathlib import Path
from typing import Any

import polars as pl
from django.conf import settings
from django.db.models.functions import Now

from auditor.applications import Applications, DataMapping, apply_mapping, mapping_from, write_mapping
from auditor.canonical import sha256_bytes
from auditor.data_sources import DEMONSTRATION, load_data
from auditor.demo_data import loanapp_table
from auditor.exceptions import AuditorError, DataError, ModelError
from auditor.language_models.sources import parse_source
from auditor.mapping_inference import infer_mapping
from auditor.tables import parse_csv, parse_parquet
from auditor.workbooks import parse_workbook
from compliance import actions
from compliance.events import Actor
from compliance.exceptions import ComplianceError, EvidenceError, StateError
from compliance.models import DataSetVersion, LanguageModelVersion, Registration
from compliance.patience import passes, patiently
from compliance.signs import Signs

log = logging.getLogger(__name__)

READERS = {".csv": parse_csv, ".parquet": parse_parquet, ".xlsx": parse_workbook}
MASKED_ROLES = frozenset({"id", "protected", "protected_proxy"})
MASK = "•••"
PREVIEW_ROWS = 10
SHOWN_CHARACTERS = 60


def perform_registration(registration_id: int) -> None:
    """Do what a waiting registration asks for, and record how it ended: ready, or failed with one line.

    Parameters
    ----------
    registration_id
        Key of the row. One that is not waiting (or left behind by a lost worker) is left alone.
    """
    row = Registration.objects.select_related("team", "language_model", "requested_by_user").get(pk=registration_id)
    if not patiently(lambda: actions.begin_registration(registration=row)):
        return
    actor = Actor(name=row.requested_by, role="registration", user=row.requested_by_user)
    # Only while it is this process's: what somebody else has taken over gives its signs there.
    mine = Registration.objects.filter(pk=row.pk, keeper=row.keeper)
    try:
        with Signs(lambda: mine.update(seen_at=Now()), name=f"registration {row.pk}"):
            _register(row, actor)
    except StateError:
        log.info("registration %s was settled by another worker", row.pk)


def _register(row: Registration, actor: Actor) -> None:
    enter = _import_model if row.kind == Registration.MODEL else _enter_data

    def fail(line: str) -> None:
        patiently(lambda: actions.fail_registration(registration=row, error=line, actor=actor))

    try:
        version = patiently(lambda: enter(row, actor))
        patiently(lambda: actions.finish_registration(registration=row, version=version, actor=actor))
    except StateError:
        raise
    except (AuditorError, ComplianceError) as error:
        fail(str(error))
    except Exception as error:
        if passes(error):
            raise  # the database is busy or away: it stays under way, and the sweep comes back to it
        # Whatever it was, the row must say so; the trace is for the log, the line for the page.
        log.exception("registration %s crashed", row.pk)
        line = f"{row.source}: crashed ({type(error).__name__}); the log says where"
        fail(line)


def check_model_source(source: str) -> str:
    """A model source as the site accepts it: well-formed, and by path only from the import folder.

    Raises
    ------
    ModelError
        For anything else. A page must not be a way to read the rest of the machine.
    """
    parsed = parse_source(source)
    folder = Path(settings.IMPORT_FOLDER).resolve()
    paths = [*([parsed.path] if parsed.kind in ("dir", "gguf") else []), *parsed.adapter_paths]
    for path in paths:
        if not path.is_absolute() or not path.resolve().is_relative_to(folder):
            raise ModelError(
                f"model source {source!r}", "is outside the import folder", "a path below PLUMBLINE_IMPORTS"
            )
    if parsed.kind == "endpoint":
        raise ModelError(f"model source {source!r}", "is an endpoint", "a model whose files can be imported")
    return source.strip()


def read_upload(row: Registration | DataSetVersion) -> tuple[pl.DataFrame, str]:
    """The uploaded table and the SHA-256 of its bytes.

    Raises
    ------
    DataError
        Naming the file as it was called when it was uploaded.
    """
    path = kept_upload(row.file)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(row.source, "its upload is not on this server", "the file to be uploaded again") from error
    return READERS[path.suffix](raw, where=row.source), sha256_bytes(raw)


def kept_upload(file: str) -> Path:
    """Where an upload is kept."""
    return Path(settings.DATA_FOLDER) / file


def proposed_mapping(row: Registration, frame: pl.DataFrame) -> str:
    """What somebody wrote about the columns, else a first guess, as TOML."""
    return row.mapping or write_mapping(infer_mapping(frame, row.name))


def mapping_of(text: str, *, where: str) -> DataMapping:
    """The mapping a text holds; DataError in one line if it holds none."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(where, f"is no TOML: {error}", "a mapping as docs/data.md describes") from error
    return mapping_from(raw, where=where)


def masked_preview(frame: pl.DataFrame, mapping: DataMapping, *, rows: int = PREVIEW_ROWS) -> list[list[str]]:
    """The first rows of a table, names first. Ids, protected fields and their proxies, and free text are masked.

    Columns that no field uses are left out: nobody said what they hold.
    """
    columns = {
        column: item.role in MASKED_ROLES or item.type == "text" for item in mapping.fields for column in item.columns
    }
    hidden = {column for item in mapping.fields if item.role in MASKED_ROLES for column in item.columns}
    shown = [column for column in frame.columns if column in columns]
    lines = [shown]
    for row in frame.head(rows).iter_rows(named=True):
        lines.append([_cell(row[column], masked=columns[column] or column in hidden) for column in shown])
    return lines


def demonstration_data() -> tuple[Applications, list[list[str]]]:
    """The demonstration's applications, and their first rows as a preview shows them."""
    data = load_data(DEMONSTRATION, "")
    return data, masked_preview(loanapp_table()[0], data.mapping)


def applications_of(version: DataSetVersion) -> Applications:
    """The applications of a registered data set, checked to be those that were registered.

    Raises
    ------
    DataError
        If they cannot be read.
    EvidenceError
        If they are others.
    """
    if version.source == DEMONSTRATION:
        found = load_data(version.source, "")
    else:
        mapping = mapping_from(_without_defaults(version.mapping), where=version.source)
        if version.file:
            frame, sha256 = read_upload(version)
        else:
            from auditor.data_sources import data_path
            from auditor.tables import read_table

            table = read_table(data_path(version.source))
            frame, sha256 = table.frame, table.sha256
        found = apply_mapping(frame, mapping, source=version.source, file_sha256=sha256)
    if found.fingerprint != version.fingerprint:
        raise EvidenceError(f"{version}: the data behind it changed; expected what was registered")
    return found


def _import_model(row: Registration, actor: Actor) -> LanguageModelVersion:
    from auditor.language_models.store import ModelStore

    stored = ModelStore(Path(settings.MODEL_FOLDER)).import_model(row.source)
    return actions.register_model(
        source=row.source,
        sha256=stored.sha256,
        manifest=stored.manifest,
        language_model=row.language_model,
        actor=actor,
    )


def _enter_data(row: Registration, actor: Actor) -> DataSetVersion:
    if row.source == DEMONSTRATION:
        data, preview = demonstration_data()
        return actions.register_data(data=data, team=row.team, preview=preview, actor=actor)
    mapping = mapping_of(row.mapping, where=f"{row.name}: mapping")
    frame, sha256 = read_upload(row)
    return actions.register_data(
        data=apply_mapping(frame, mapping, source=row.source, file_sha256=sha256),
        team=row.team,
        file=row.file,
        preview=masked_preview(frame, mapping),
        actor=actor,
    )


def _without_defaults(design: dict[str, Any]) -> dict[str, Any]:
    """A mapping's design without what it leaves open: as TOML has no null, the reader knows none."""
    empty: tuple[Any, ...] = (None, {}, [], ())
    fields = [{key: value for key, value in item.items() if value not in empty} for item in design["fields"]]
    return {**design, "fields": fields}


def _cell(value: Any, *, masked: bool) -> str:
    if value is None:
        return "–"
    return MASK if masked else str(value)[:SHOWN_CHARACTERS]
