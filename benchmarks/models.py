"""The demonstration's models for benchmarks, from the store that the commands use."""

from __future__ import annotations

import os
from pathlib import Path

from auditor.language_models.local import LoadedModel, load
from auditor.language_models.store import ModelStore


def demo_store() -> ModelStore:
    """The store, by the variables that name it for every command."""
    folder = os.environ.get("PLUMBLINE_MODELS") or Path(os.environ.get("PLUMBLINE_DATA", "data")) / "store"
    return ModelStore(Path(folder).expanduser())


def load_demo(source: str = "demo:smollm2") -> LoadedModel:
    """A model of the demonstration, imported if it is not in the store; as many threads as there are cores."""
    return load(demo_store().import_model(source), threads=os.cpu_count() or 1)
