"""Importing a model that nobody vouches for: in a child process, bounded in time and memory, never in this one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings

from auditor.exceptions import ModelError, StorageError
from auditor.systems.opening import KINDS, ListedSystems
from compliance.model_store import model_store
from compliance.registry.system_keys import keys_for
from compliance.registry.systems import listed_systems
from compliance.sandbox.children import ChildError, answer_of, without_keys


def import_bounded(source: str, *, team_id: int | None, heartbeat: Callable[[], None] = lambda: None) -> Any:
    """The stored model of a source, imported if it was not yet; of a system, as it was probed now.

    A system is one that is listed for this team. ``heartbeat`` is called while the child is waited for, which ends in
    time by its own limits.

    Raises
    ------
    ModelError
        If it cannot be imported, or not within ``PLUMBLINE_IMPORT_SECONDS`` and ``PLUMBLINE_IMPORT_MB``.
    StorageError
        If the store cannot be written.
    """
    answers = source.partition(":")[0] in KINDS
    systems = listed_systems(source, team_id=team_id) if answers else Path(settings.SYSTEMS_FILE)
    # Of the same file: what is listed may change between the table and its key.
    key = keys_for(source, ListedSystems(systems).listed(source)) if answers else None
    job = {
        "source": source,
        "store": str(settings.MODEL_FOLDER),
        "systems": str(systems),
        # Sealed as it is kept: the job passes through a file, and the child opens it itself.
        "key": key.sealed().to_job() if key is not None else None,
        "memory": settings.IMPORT_MEMORY,
        "seconds": settings.IMPORT_SECONDS,
    }
    module = "compliance.registry.import_child"
    try:
        seconds = settings.IMPORT_SECONDS
        answer = answer_of(module, job, where=source, seconds=seconds, environment=without_keys(), heartbeat=heartbeat)
    except ChildError as error:
        if error.late:
            what, expected = f"takes longer than {settings.IMPORT_SECONDS:,} s to be imported", "IMPORT_SECONDS"
        else:
            what = f"cannot be imported within {settings.IMPORT_MEMORY >> 20:,} MiB of memory, or is damaged"
            expected = "IMPORT_MB"
        raise ModelError(source, what, f"a model of known size; PLUMBLINE_{expected} allows more") from error
    if "refused" in answer:
        raise ModelError(*answer["refused"])
    if "failed" in answer:
        raise StorageError(answer["failed"])
    return model_store().get(answer["sha256"])
