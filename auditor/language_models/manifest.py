"""What a model is: the hashed identity in its manifest, and the versions it was imported with."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

from auditor.canonical import sha256_json
from auditor.exceptions import ModelError
from auditor.language_models.files import list_files
from auditor.language_models.safety import TOKENIZER_FILE, TOKENIZER_FILES, check_model_folder
from auditor.language_models.weights import SAMPLE_TEXT, read_model, read_tokenizer

FORMAT = "plumbline-model/1"
LIBRARIES = ("torch", "transformers", "safetensors", "tokenizers", "gguf", "peft", "huggingface-hub")


def describe(folder: Path, quantisation: dict[str, Any] | None = None) -> dict[str, Any]:
    """Check a copied or converted model by loading it once, and describe it.

    Parameters
    ----------
    folder
        A flat folder that holds the model's files and nothing else.
    quantisation
        Where its float weights were dequantised from; ``None`` for weights stored as they came.

    Returns
    -------
    dict
        The identity: plain data that depends on the model alone, not on where or with what it was imported.

    Raises
    ------
    ModelError
        If the weights do not fit the config exactly or the tokenizer does not fit the model.
    """
    check_model_folder(folder)
    model = read_model(folder, dtype="auto")
    check_tokenizer(folder, vocabulary=model.get_input_embeddings().num_embeddings)
    files = list_files(folder)
    weights = {entry["path"]: entry["sha256"] for entry in files if ".safetensors" in entry["path"]}
    tokenizer = {entry["path"]: entry["sha256"] for entry in files if entry["path"] in TOKENIZER_FILES}
    return {
        "format": FORMAT,
        "architecture": type(model).__name__,
        "model_type": model.config.model_type,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "context_length": getattr(model.config, "max_position_embeddings", None),
        "weights_dtype": str(model.dtype).removeprefix("torch."),
        "quantisation": quantisation,
        "files": files,
        "weights_sha256": sha256_json(weights),
        "tokenizer_sha256": sha256_json(tokenizer),
        "base_sha256": None,
        "adapter_sha256": None,
    }


def check_tokenizer(folder: Path, *, vocabulary: int) -> None:
    """Refuse a tokenizer that loads differently from its file or names tokens that the model does not have.

    Parameters
    ----------
    folder
        Where tokenizer.json lies.
    vocabulary
        Number of rows of the model's input embedding.
    """
    from tokenizers import Tokenizer

    where = str(folder / TOKENIZER_FILE)
    tokenizer = read_tokenizer(folder)
    found = tokenizer(SAMPLE_TEXT, add_special_tokens=False)["input_ids"]
    if found != Tokenizer.from_file(where).encode(SAMPLE_TEXT, add_special_tokens=False).ids:
        raise ModelError(where, "does not tokenise as written once its settings are applied", "settings that match it")
    if not found:
        raise ModelError(where, "makes no tokens of ordinary text", "the model's own tokenizer")
    special = [number for number in (tokenizer.bos_token_id, tokenizer.eos_token_id) if number is not None]
    if (largest := max(found + special)) >= vocabulary:
        raise ModelError(where, f"names token {largest}, the model has {vocabulary}", "the model's own tokenizer")


def library_versions() -> dict[str, str]:
    """Versions of the libraries that read, convert and write models."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}
