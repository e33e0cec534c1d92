"""What an audit asks, by the one line of text that names it: a model from the store, applications from a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from auditor.applications import Applications
from auditor.data_sources import load_data
from auditor.language_models.store import ModelStore
from auditor.language_models.stored import StoredModel
from auditor.model_manifest import ModelIdentity

STORE = Path("data/store")
"""Where models are kept unless a caller says otherwise: where the commands keep theirs, seen from the same folder."""


@dataclass(frozen=True)
class System:
    """A model that an audit can ask.

    Attributes
    ----------
    source
        The line it was opened by, such as ``demo:underwriter``; a run names it.
    model
        The imported model: its hash, its folder, its manifest.
    store
        The store that holds it.
    """

    source: str
    model: StoredModel
    store: ModelStore

    @property
    def sha256(self) -> str:
        """The hash that names the model: of its files and of what it is."""
        return self.model.sha256

    @property
    def identity(self) -> ModelIdentity:
        """What the model is: architecture, parameters, context length in tokens, files with their hashes."""
        return self.model.identity

    @property
    def notes(self) -> tuple[str, ...]:
        """What its importer should know, a line each: files that were left behind. Only of an import just made."""
        return self.model.notes


def open_system(source: str, *, store: Path | str = STORE) -> System:
    """Open a model by its source, importing it into the store if it is not there yet.

    Parameters
    ----------
    source
        ``demo:smollm2``, ``demo:underwriter``, ``dir:PATH`` (safetensors), ``gguf:PATH`` or ``hf:ORG/NAME@REVISION``,
        each with any number of ``+adapter:PATH`` (docs/models.md), or ``endpoint:NAME``, which ``systems.toml`` beside
        the store has to list (docs/systems.md). Only ``hf:`` and an endpoint, which is probed, reach for the network.
    store
        The folder of imported models; made if it is not there.

    Returns
    -------
    System
        Its files are hashed at import and again when they are loaded. Nothing is loaded here. A system that answers
        has no files: it is what it showed of itself.

    Raises
    ------
    ModelError
        For text that is no source, naming the forms there are; for a model that is missing, damaged or unsafe, and a
        system that nobody listed.
    RunError
        If a system does not answer.
    StorageError
        If the store cannot be written.
    """
    kept = ModelStore(Path(store).expanduser())
    return System(source=source, model=kept.import_model(source), store=kept)


def open_data(source: Path | str, *, mapping: Path | str = "") -> Applications:
    """Read applications: the records an audit asks about.

    Parameters
    ----------
    source
        ``demo:loanapp``, or the path of a text (CSV, TSV), Parquet or Excel file.
    mapping
        The path of the mapping file (TOML) that says what the columns mean (docs/data.md); the demonstration brings
        its own.

    Returns
    -------
    Applications
        Its ``records`` in file order, each with typed values and, where the data has one, the recorded outcome.

    Raises
    ------
    DataError
        If the source is unknown, cannot be read, or does not fit its mapping.
    """
    return load_data(str(source), str(mapping))
