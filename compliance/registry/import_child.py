"""The child process in which a model's files are checked, converted and stored (:mod:`compliance.sandbox.children`)."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from compliance.sandbox.bounds import bind

WRITTEN = 1 << 50  # weights are as large as they are; the disk says no


def main() -> int:
    """Read a job, answer it with the model's hash, or with why it is none."""
    # Whatever a library prints goes where the trace goes: the answer stands alone.
    with os.fdopen(os.dup(1), "w") as said:
        os.dup2(2, 1)
        job = json.load(sys.stdin)
        bind(memory=job["memory"], seconds=job["seconds"] * (os.cpu_count() or 1), written=WRITTEN, mapped=True)
        json.dump(_answer(job), said)
    return 0


def _answer(job: dict[str, Any]) -> dict[str, Any]:
    from auditor.exceptions import AuditorError, InputError
    from auditor.language_models.store import ModelStore
    from auditor.systems.opening import ListedSystems
    from compliance.registry.key_ring import RingKey

    key = RingKey.from_job(job["key"]) if job["key"] is not None else None
    try:
        systems = ListedSystems(Path(job["systems"]), keys=lambda _, __: key)
        store = ModelStore(Path(job["store"]), systems=systems)
        return {"sha256": store.import_model(job["source"]).sha256}
    except InputError as error:
        return {"refused": [error.where, error.what, error.expected]}
    except AuditorError as error:
        return {"failed": str(error)}


if __name__ == "__main__":
    sys.exit(main())
