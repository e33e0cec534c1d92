"""What a model is: the hashed identity in its manifest, and the versions it was imported with."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auditor.canonical import sha256_json
from auditor.exceptions import ModelError
from auditor.language_models.files import list_files
from auditor.language_models.gguf_tensors import not_finite
from auditor.language_models.plain_reading import check_against_plain
from auditor.language_models.safety import ADAPTER_WEIGHTS, TOKENIZER_FILE, TOKENIZER_FILES, check_model_folder
from auditor.language_models.weights import (
    SAMPLE_TEXT,
    attach_adapter,
    difference_words,
    largest_difference,
    merge_adapter,
    plain_adapter,
    read_model,
    read_tokenizer,
    sample_logits,
)
from auditor.model_manifest import FORMAT, ModelFile, ModelIdentity, Quantisation

LIBRARIES = ("torch", "transformers", "safetensors", "tokenizers", "gguf", "peft", "huggingface-hub")

#: How far a merged adapter's logits may lie from the unmerged one's, as a share of the largest logit.
MERGE_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Description:
    """A model as its manifest describes it.

    Attributes
    ----------
    identity
        What depends on the model alone, not on where or with what it was imported. Its digest is its name.
    checks
        Figures measured at import, kept outside the identity.
    """

    identity: ModelIdentity
    checks: dict[str, Any] = field(default_factory=dict)


def describe(
    folder: Path, *, quantisation: Quantisation | None = None, plain: bool = False, **checks: Any
) -> Description:
    """Check a copied or converted model by loading it once, and describe it.

    Parameters
    ----------
    folder
        A flat folder that holds the model's files and nothing else.
    quantisation
        Where its float weights were dequantised from; ``None`` for weights stored as they came.
    plain
        Compare it with what plain transformers makes of the same files: its own choice of class, tokenizer, attention.
    **checks
        Figures measured on the way here.

    Raises
    ------
    ModelError
        If the weights do not fit the config exactly or the tokenizer does not fit the model.
    """
    check_model_folder(folder)
    model = read_model(folder, dtype="auto")
    check_tokenizer(folder, vocabulary=model.get_input_embeddings().num_embeddings)
    if odd := not_finite(iter(model.state_dict().items())):
        raise ModelError(str(folder), f"{odd} holds values that are not numbers", "finite weights")
    if plain:
        difference = check_against_plain(folder, model=model, tokenizer=read_tokenizer(folder))
        checks = {**checks, "plain_largest_logit_difference": difference}
    files = _files(folder)
    weights = {file.path: file.sha256 for file in files if ".safetensors" in file.path}
    # Every key is given, defaults too: what is not given is not hashed.
    identity = ModelIdentity(
        format=FORMAT,
        architecture=type(model).__name__,
        model_type=model.config.model_type,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        context_length=getattr(model.config.get_text_config(), "max_position_embeddings", None),
        weights_dtype=str(model.dtype).removeprefix("torch."),
        quantisation=quantisation,
        files=files,
        weights_sha256=sha256_json(weights),
        tokenizer_sha256=_tokenizer_hash(files),
        base_sha256=None,
        adapter_sha256=None,
    )
    return Description(identity, checks)


def describe_adapter(
    folder: Path, *, base: ModelIdentity, base_sha256: str, fresh: Callable[[], Any], own: Path
) -> Description:
    """Check a copied adapter against PEFT's own reading and by merging it once, and describe it and its base.

    Parameters
    ----------
    folder
        A flat folder that holds the adapter's files and nothing else.
    base, base_sha256
        Identity of the base model and its hash.
    fresh
        Gives the base model in float32, for this call's own use: it is changed.
    own
        The folder of the tokenizer that goes with it, its own or its base's.

    Raises
    ------
    ModelError
        If the adapter does not fit, is not what PEFT reads, answers otherwise once merged, or its tokenizer names
        tokens that the model has no rows for.
    """
    from safetensors.torch import load_file  # it loads torch

    where = str(folder / ADAPTER_WEIGHTS)
    if odd := not_finite(iter(load_file(folder / ADAPTER_WEIGHTS).items())):
        raise ModelError(where, f"{odd} holds values that are not numbers", "finite weights")
    tokenizer = read_tokenizer(own)
    adapted = attach_adapter(fresh(), folder)
    rows = adapted.get_input_embeddings().weight.shape[0]
    if own == folder:
        check_tokenizer(folder, vocabulary=rows)
        if len(tokenizer) > rows:
            what = f"has {len(tokenizer)} tokens, the model has rows for {rows}"
            raise ModelError(
                str(folder / TOKENIZER_FILE), what, "rows for every added token among the adapter's weights"
            )
    before = sample_logits(adapted, tokenizer)
    merged = merge_adapter(adapted)
    difference = largest_difference(before, sample_logits(merged, tokenizer))
    bound = MERGE_TOLERANCE * max(1.0, float(before.nan_to_num(0.0).abs().max()))
    if not difference <= bound:
        what = difference_words("its logits change by {} when it is merged", difference)
        raise ModelError(where, what, f"at most {bound:.3g}, as for an adapter on untied weights")
    apart = largest_difference(before, sample_logits(plain_adapter(fresh(), folder), tokenizer))
    if not apart <= bound:
        what = difference_words("its logits differ from PEFT's own reading by {}", apart)
        raise ModelError(where, what, f"at most {bound:.3g}")
    files = _files(folder)
    own_part: dict[str, Any] = {
        "files": files,
        "base_sha256": base_sha256,
        "adapter_sha256": sha256_json({file.path: file.sha256 for file in files}),
    }
    if own == folder:
        own_part["tokenizer_sha256"] = _tokenizer_hash(files)
    if (count := sum(parameter.numel() for parameter in merged.parameters())) != (base.parameters or count):
        own_part["parameters"] = count
    return Description(
        base.model_copy(update=own_part),
        {"merging_largest_logit_difference": difference, "peft_largest_difference": apart},
    )


def _files(folder: Path) -> tuple[ModelFile, ...]:
    return tuple(ModelFile(**entry) for entry in list_files(folder))


def _tokenizer_hash(files: tuple[ModelFile, ...]) -> str:
    return sha256_json({file.path: file.sha256 for file in files if file.path in TOKENIZER_FILES})


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
        raise ModelError(where, "produces no tokens for ordinary text", "the model's own tokenizer")
    special = [number for number in (tokenizer.bos_token_id, tokenizer.eos_token_id) if number is not None]
    if (largest := max(found + special)) >= vocabulary:
        raise ModelError(where, f"names token {largest}, but the model has {vocabulary}", "the model's own tokenizer")


def library_versions() -> dict[str, str]:
    """Versions of the libraries that read, convert and write models."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}
