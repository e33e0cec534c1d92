"""Small whole records: what a run, a model and an audit's governance look like where a test needs one of each."""

from __future__ import annotations

from typing import Any

from auditor.model_manifest import ImportRecord, ModelIdentity, ModelManifest
from auditor.run_record import RunRecord

NO_FILES = ModelManifest(identity=ModelIdentity(files=()), imported=ImportRecord(source="demo:small"))
"""A model that nobody loads."""


def manifest_of(name: str) -> ModelManifest:
    """A model told apart by its name."""
    return ModelManifest(identity=ModelIdentity(name=name, files=()))


def run_of(design: dict[str, Any], **changes: Any) -> RunRecord:
    """A frozen run of a design on a model and data that are not there; changes replace whole keys."""
    record = {
        "design": design,
        "design_sha256": "d" * 64,
        "model": {"source": "demo:small", "sha256": "1" * 64, "manifest": {"files": []}},
        "data": {"source": "small.csv", "name": "small", "mapping": {"name": "small", "fields": []}, "selected": []},
        "packs": [],
        "code": {"version": "0.0.0", "sha256": "c" * 64, "libraries": {}},
    }
    return RunRecord.read({**record, **changes}, where="run")
