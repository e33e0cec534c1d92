"""Reading untrusted tables: in a child process, bounded in time, memory, rows, cells and text. Never in this one."""

from __future__ import annotations

import fcntl
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from auditor.applications import Counts, Survey
from auditor.exceptions import DataError
from auditor.tables import Limits
from auditor.toml_text import parse_toml
from compliance.models import Registration
from compliance.registry.columns import mapping_of
from compliance.registry.keeping import keep_packed
from compliance.sandbox.children import ChildError, answer_of

BUSY_SECONDS = 10.0
LOOK_SECONDS = 0.05
SMALLER = "a smaller file, or the same rows as Parquet"


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was seen of a table, as it is kept with its upload.

    ``mapping`` is what ``lines`` (what looks wrong) and ``preview`` (the first rows, masked) are about: a proposal, or
    what somebody wrote. ``facts`` are what there is to know and not to mend: reasons of a proposal, counts of outcomes.
    ``error`` says what is wrong with the mapping itself, ``refused`` why the table cannot be read. ``columns`` say what
    is known of every column (compliance/registry/column_facts.py), ``reading`` by which keys the file was read then.
    """

    mapping: str = ""
    lines: tuple[str, ...] = ()
    preview: tuple[tuple[str, ...], ...] = ()
    error: str = ""
    refused: str = ""
    facts: tuple[str, ...] = ()
    columns: tuple[dict[str, Any], ...] = ()
    reading: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def kept(cls, row: Registration) -> Look | None:
        """What was kept with an upload; ``None`` if nobody looked yet."""
        return cls(**row.look) if row.look else None

    def to_keep(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def look_at(row: Registration, *, mapping: str) -> Look:
    """Read an upload for whoever describes its columns; without a mapping one is proposed.

    One at a time on this machine, for pages start it: whoever finds another at work waits a little and is then told so.
    """
    kept = Look.kept(row)
    known = kept.columns if kept and mapping and kept.reading == _reading(mapping) else ()
    try:
        with _alone(row.source):
            answer = _ask(row, mapping=mapping, register=False, columns=not known)
    except DataError as error:
        return Look(mapping=mapping, refused=str(error))
    return Look(
        columns=known or tuple(answer["columns"]),
        reading=_reading(answer["mapping"]),
        mapping=answer["mapping"],
        lines=tuple(answer["lines"]),
        preview=tuple(tuple(line) for line in answer["preview"]),
        error=answer["error"],
        facts=tuple(answer["facts"]),
    )


def _reading(text: str) -> dict[str, Any]:
    """The keys by which a mapping has its file read, as JSON gives them back; none where it cannot be read."""
    try:
        raw = parse_toml(text).get("reading", {})
    except tomllib.TOMLDecodeError:
        return {}
    return dict(raw) if isinstance(raw, dict) else {}


def survey_of(
    row: Registration, *, heartbeat: Callable[[], None] = lambda: None
) -> tuple[Survey, list[list[str]], list[str]]:
    """Read an upload through its mapping, for the register; with the first rows, masked. What pages read is kept.

    The third is what there is to say of it: what became of its rows, and what still looks wrong. Of a table too large
    to be checked once more that is what its page said of the same mapping. ``heartbeat`` is called while it is read.

    Raises
    ------
    DataError
        If it cannot be read within the limits, or does not fit its mapping.
    """
    answer = _ask(row, mapping=row.mapping, register=True, heartbeat=heartbeat)
    mapping = mapping_of(row.mapping, where=f"{row.name}: mapping")
    counts = Counts(**{**answer["counts"], "notes": tuple(answer["counts"]["notes"])})
    found = Survey(
        mapping=mapping, source=row.source, file_sha256=answer["sha256"], count=answer["rows"], counts=counts
    )
    keep_packed(found.fingerprint, answer["records"])
    seen, lines = answer["lines"], counts.lines()
    if seen is None:
        kept = Look.kept(row)
        seen = kept.lines if kept and kept.mapping == row.mapping else ()
    return found, answer["preview"], [*lines, *(line for line in seen if line not in lines)]


def kept_upload(file: str) -> Path:
    """Where an upload is kept."""
    return Path(settings.DATA_FOLDER) / file


def limits() -> Limits:
    """How large a table may be on this installation."""
    return Limits(rows=settings.TABLE_ROWS, cells=settings.TABLE_CELLS, characters=settings.TABLE_CHARACTERS)


def _ask(
    row: Registration,
    *,
    mapping: str,
    register: bool,
    heartbeat: Callable[[], None] = lambda: None,
    columns: bool = False,
) -> dict[str, Any]:
    path = kept_upload(row.file)
    if not path.is_file():
        raise DataError(row.source, "its upload is not on this server", "the file, uploaded again")
    job = {
        "path": str(path),
        "where": row.source,
        "name": row.name,
        "mapping": mapping,
        "register": register,
        "columns": columns,
        "limits": asdict(limits()),
        "memory": settings.TABLE_MEMORY,
        "seconds": settings.TABLE_SECONDS,
    }
    try:
        seconds = settings.TABLE_SECONDS
        answer = answer_of("compliance.registry.child", job, where=row.source, seconds=seconds, heartbeat=heartbeat)
    except ChildError as error:
        what = f"cannot be read within {settings.TABLE_MEMORY >> 20:,} MiB of memory, or is damaged"
        if error.late:
            what = f"takes longer than {settings.TABLE_SECONDS} s to be read"
        raise DataError(row.source, what, SMALLER) from error
    if "refused" in answer:
        raise DataError(*answer["refused"])
    return answer


@contextmanager
def _alone(where: str) -> Iterator[None]:
    with (Path(settings.DATA_FOLDER) / "reading.lock").open("w") as lock:
        end = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > end:
                    what = "was not read yet, for another table is being read"
                    raise DataError(where, what, "another try in a moment") from error
                time.sleep(LOOK_SECONDS)
        yield
