"""What the store holds, as types: the identity that is hashed and names a model or a system, and how it came in."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from auditor.hashed import Hashed

FORMAT = "plumbline-model/1"
DECISION_FILE = "plumbline-decision-file/1"
"""The form of the record of a decision file, which stands where a model's would."""


class ModelFile(Hashed):
    """One file of a model; ``bytes`` is its size."""

    path: str
    bytes: int
    sha256: str


class Quantisation(Hashed):
    """Where float weights were dequantised from: the container, and how many tensors it had of each type."""

    container: str
    sha256: str
    tensor_types: dict[str, int] = Field(default_factory=dict)
    stored_as: str = ""


class SystemIdentity(Hashed):
    """A system that answers, as it was probed: what is asked and how, and what it showed that it can do.

    Attributes
    ----------
    kind
        ``endpoint`` or ``service``.
    asked
        Address, dialect, model as the server calls it, and whatever else goes into every request; no key.
    readouts
        The ways its decisions can be read.
    log_probabilities, top
        What log-probabilities it gives, and how many of the likeliest tokens.
    json_schema, tool
        Whether it honours the form; ``None``: not tried.
    thinks
        Whether it answered with a thinking part.
    model, fingerprint
        The dated id and the fingerprint that its answers named; empty where they named none, or several.
    """

    kind: str
    asked: dict[str, Any] = Field(default_factory=dict)
    readouts: tuple[str, ...] = ()
    log_probabilities: str = "none"
    top: int = 0
    json_schema: bool | None = None
    tool: bool | None = None
    thinks: bool = False
    model: str = ""
    fingerprint: str = ""


class ModelIdentity(Hashed):
    """What a model is, whatever it was imported from and with. Its digest is its name.

    Attributes
    ----------
    format
        The form of this record.
    architecture, model_type
        As transformers calls them.
    parameters
        How many numbers its weights are; 0 where nobody counted them.
    context_length
        The longest prompt it reads, in tokens; ``None`` where its config names none.
    weights_dtype
        The type of the weights as they are stored.
    quantisation
        Where float weights were dequantised from; ``None`` for weights stored as they came.
    files
        The files of its folder; of an adapter only its own.
    weights_sha256, tokenizer_sha256
        Hashes over the hashes of the files of weights and of those of the tokenizer.
    base_sha256, adapter_sha256
        Of an adapter: the digest of its base, and the hash over the hashes of its own files; else ``None``.
    name
        A name beside the digest, where somebody gave one.
    system
        Of a system that answers, which has no files; ``None`` for a model with weights.
    """

    format: str = FORMAT
    architecture: str = ""
    model_type: str = ""
    parameters: int = 0
    context_length: int | None = None
    weights_dtype: str = ""
    quantisation: Quantisation | None = None
    files: tuple[ModelFile, ...]
    weights_sha256: str = ""
    tokenizer_sha256: str = ""
    base_sha256: str | None = None
    adapter_sha256: str | None = None
    name: str = ""
    system: SystemIdentity | None = None

    @property
    def is_decision_file(self) -> bool:
        """Whether it is no model but decisions already taken."""
        return self.format == DECISION_FILE


class ImportRecord(Hashed):
    """How a model came into the store.

    ``reading`` is the version of the reader that took it in; 1 for models from before it was written down. ``checks``
    are figures measured on the way; ``left_behind`` says a line each which files of its source were not taken along.
    """

    source: str = ""
    reading: int = 1
    imported_at: str = ""
    libraries: dict[str, str] = Field(default_factory=dict)
    checks: dict[str, Any] = Field(default_factory=dict)
    left_behind: tuple[str, ...] = ()


class ModelManifest(Hashed):
    """``manifest.json`` of a stored model. Only ``identity`` names it: two imports of one model are one."""

    identity: ModelIdentity
    imported: ImportRecord = Field(default=ImportRecord(), validation_alias="import", serialization_alias="import")
