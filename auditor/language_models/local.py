"""Loading a stored model for an audit: verified, in evaluation mode, kept while it is needed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from auditor.exceptions import ModelError
from auditor.language_models.stored import StoredModel
from auditor.language_models.weights import (
    DTYPES,
    attach_adapter,
    brought_rows,
    merge_adapter,
    read_config,
    read_model,
    read_tokenizer,
)
from auditor.model_manifest import ModelManifest

#: How many models stay in memory; the one used longest ago goes first.
KEPT_MODELS = 2

_kept: OrderedDict[tuple[str, str, str, int], LoadedModel] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model ready to be asked.

    Attributes
    ----------
    model
        A transformers causal language model: evaluation mode, no gradients. Shared by every caller: change a copy.
    tokenizer
        A fast tokenizer; ``return_offsets_mapping`` gives the character span of each token.
    manifest
        The stored model's manifest; ``None`` for a model that is not of the store.
    device
        The torch device the weights are on, for example ``cpu`` or ``cuda:0``.
    """

    model: Any
    tokenizer: Any
    manifest: ModelManifest | None
    device: str

    @property
    def digest(self) -> str | None:
        """What names the model; ``None`` for one that is not of the store."""
        return None if self.manifest is None else self.manifest.identity.digest()


def load(stored: StoredModel, *, threads: int, dtype: str = "float32", device: str = "cpu") -> LoadedModel:
    """Load a stored model, or return it if it is still in memory.

    Parameters
    ----------
    stored
        From `ModelStore.import_model` or `ModelStore.get`.
    threads
        Threads torch computes with on the CPU. They change the last digits of a sum, so they are part of the key.
    dtype
        One of float32, bfloat16, float16, float64.
    device
        Where to put the weights.

    Returns
    -------
    LoadedModel
        With every adapter merged into the weights.

    Raises
    ------
    ModelError
        If a file is not what was imported, or the weights do not fit.
    """
    import torch

    if dtype not in DTYPES:
        raise ModelError("model dtype", f"is {dtype!r}", "one of " + ", ".join(DTYPES))
    if threads < 1:
        raise ModelError("model threads", f"is {threads}", "at least 1")
    with _lock:
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        key = (stored.sha256, dtype, device, threads)
        if key not in _kept:
            stored.verify()
            while len(_kept) >= KEPT_MODELS:
                _kept.popitem(last=False)
            _kept[key] = assemble(stored, dtype=dtype, device=device)
        _kept.move_to_end(key)
        return _kept[key]


def read_stored_tokenizer(stored: StoredModel) -> Any:
    """The tokenizer of a stored model, without its weights."""
    return read_tokenizer(stored.tokenizer_folder)


def embedded_tokens(stored: StoredModel) -> int:
    """How many tokens a stored model embeds, without its weights: its config's, or as many as an adapter brings."""
    if stored.base is None:
        return int(read_config(stored.folder).get_text_config().vocab_size)
    return max(embedded_tokens(stored.base), brought_rows(stored.folder))


def forget_models() -> None:
    """Let go of every model in memory, for example when a worker shuts down."""
    with _lock:
        _kept.clear()


def assemble(stored: StoredModel, *, dtype: str, device: str) -> LoadedModel:
    """Load a model's files as they are and merge its adapters, innermost first. `load` verifies them before."""
    if stored.base is None:
        model, tokenizer = read_model(stored.folder, dtype=dtype, device=device), read_tokenizer(stored.folder)
    else:
        base = assemble(stored.base, dtype=dtype, device=device)
        model = merge_adapter(attach_adapter(base.model, stored.folder))
        tokenizer = read_tokenizer(stored.folder) if stored.tokenizer_folder == stored.folder else base.tokenizer
    return LoadedModel(model, tokenizer, stored.manifest, device)
