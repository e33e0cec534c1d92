"""A model in the store: its folder, what it is, and whether its files still are what was imported."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from auditor.canonical import sha256_file
from auditor.exceptions import ModelError
from auditor.language_models.safety import TOKENIZER_FILE
from auditor.model_manifest import ModelIdentity, ModelManifest

MANIFEST = "manifest.json"
#: Raised whenever import reads or refuses something that it passed over before: what was imported by an older reading
#: is not found again, it is read anew. 3: what reads later tokens (encoders under a decoder's name) is refused.
READING = 3


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model in the store.

    Attributes
    ----------
    sha256
        SHA-256 of the canonical JSON of ``identity``; also the folder's name.
    folder
        Where its files lie.
    manifest
        What it is and how it came here, as written at import.
    base
        The model an adapter belongs to; ``None`` for a model with weights of its own.
    notes
        What its importer should know, a line each: files that were left behind. Only of the import just made.
    """

    sha256: str
    folder: Path
    manifest: ModelManifest
    base: StoredModel | None = None
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def identity(self) -> ModelIdentity:
        """What the model is: files, hashes, architecture, parameters, context length, quantisation, base, adapter."""
        return self.manifest.identity

    @property
    def answers(self) -> bool:
        """Whether it is a system that answers: it has no files, and is asked over the network."""
        return self.identity.system is not None

    @property
    def record(self) -> ModelManifest:
        """The manifest for a register, with the notes of the import just made."""
        if not self.notes:
            return self.manifest
        imported = self.manifest.imported.model_copy(update={"left_behind": self.notes})
        return self.manifest.model_copy(update={"imported": imported})

    @property
    def reading(self) -> int:
        """By which reading it was imported, see `READING`; 1 for those from before it was written down."""
        return self.manifest.imported.reading

    @property
    def tokenizer_folder(self) -> Path:
        """Where its tokenizer is: an adapter that brings its own is asked with that one."""
        if self.base is None or (self.folder / TOKENIZER_FILE).is_file():
            return self.folder
        return self.base.tokenizer_folder

    @property
    def root(self) -> StoredModel:
        """The model below all adapters: it has the weights."""
        return self.base.root if self.base else self

    def verify(self) -> None:
        """Hash every file, the base model's too, and refuse the first that is not what was imported.

        Raises
        ------
        ModelError
            If a file is missing, changed or was added.
        """
        if self.base:
            self.base.verify()
        if self.reading < READING:
            what = "was imported by an older version, which read and refused less of its files"
            raise ModelError(str(self.folder), what, f"a fresh import from {self.manifest.imported.source}")
        expected = {entry.path: entry for entry in self.identity.files}
        again = "what was imported; remove this folder and import the model again"
        for path in sorted(self.folder.iterdir()):
            if path.name != MANIFEST and path.name not in expected:
                raise ModelError(str(path), "this file is not in the manifest", again)
        for name, entry in sorted(expected.items()):
            path = self.folder / name
            if not path.is_file() or path.is_symlink():
                raise ModelError(str(path), "this file is missing", again)
            if path.stat().st_size != entry.bytes:
                raise ModelError(str(path), f"has {path.stat().st_size} bytes instead of {entry.bytes}", again)
            if (found := sha256_file(path)) != entry.sha256:
                raise ModelError(str(path), f"has SHA-256 {found[:12]}… instead of {entry.sha256[:12]}…", again)
