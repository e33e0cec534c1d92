"""GGUF to safetensors, once: dequantise, restore the tokenizer, save, and compare logits with the original."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from auditor.canonical import pretty_json
from auditor.exceptions import ModelError, StorageError
from auditor.language_models.safety import CONFIG_FILE, read_json
from auditor.language_models.weights import (
    largest_difference,
    one_line,
    quiet,
    read_model,
    read_tokenizer,
    sample_logits,
)

#: The largest difference between a logit of the converted model and of its reloaded copy.
LOGIT_TOLERANCE = 1e-5

#: How byte-level vocabularies split text before merging, by GGUF's ``tokenizer.ggml.pre``. transformers knows the
#: families with a split pattern of their own; these two it leaves, or wrongly falls back to, at the GPT-2 rule.
GPT2_SPLIT = frozenset({"gpt-2", "mpt", "olmo", "phi-2"})
DIGITS_THEN_GPT2_SPLIT = frozenset({"smollm", "starcoder", "refact", "command-r", "codeshell"})


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a conversion did.

    Attributes
    ----------
    tensor_types
        GGUF tensor type to number of tensors, for example ``{"F32": 61, "Q4_1": 210}``.
    logit_difference
        Largest absolute difference, in nats, between the converted model's logits and its stored copy's.
    """

    tensor_types: dict[str, int]
    logit_difference: float


def convert_gguf(path: Path, folder: Path) -> Conversion:
    """Write the model in a GGUF file to ``folder`` as float32 safetensors with config and tokenizer.

    Parameters
    ----------
    path
        The file, alone in its folder: transformers reads any config or adapter that lies beside it.
    folder
        An empty folder.

    Raises
    ------
    ModelError
        If the file is no GGUF file, its architecture or tokenizer cannot be rebuilt exactly, or the stored copy
        answers differently.
    StorageError
        If the folder cannot be written.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    header = read_gguf(path)
    options: dict[str, Any] = {"gguf_file": path.name, "local_files_only": True, "trust_remote_code": False}
    with quiet(), _no_conversion_bar():
        try:
            model: Any = AutoModelForCausalLM.from_pretrained(path.parent, dtype=torch.float32, **options)
            model.eval()
            tokenizer: Any = AutoTokenizer.from_pretrained(path.parent, **options)
        except Exception as error:  # whatever a library makes of a bad file, users get one line
            raise ModelError(str(path), f"cannot be converted: {one_line(error)}", "a supported GGUF model") from error
    _restore_split(path, tokenizer, header.vocabulary, header.split)
    save_converted(model, tokenizer, folder)
    stored, read_back = read_model(folder, dtype="float32"), read_tokenizer(folder)
    difference = largest_difference(sample_logits(model, tokenizer), sample_logits(stored, read_back))
    if not difference <= LOGIT_TOLERANCE:
        raise ModelError(
            str(path), f"the stored copy's logits differ by {difference:.3g}", f"at most {LOGIT_TOLERANCE}"
        )
    return Conversion(header.tensor_types, difference)


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """The parts of a GGUF header that conversion needs."""

    vocabulary: str
    split: str
    tensor_types: dict[str, int]


def read_gguf(path: Path) -> GgufHeader:
    """Read a GGUF file's header, or say in one line why it is none."""
    expected = "an undamaged GGUF file"
    try:
        with path.open("rb") as stream:
            magic = stream.read(4)
    except OSError as error:
        raise ModelError(str(path), f"cannot be read ({error.strerror})", "a GGUF file") from error
    if magic != b"GGUF":
        raise ModelError(str(path), "this is no GGUF file", expected)
    import gguf

    try:
        reader = gguf.GGUFReader(path)
        types = Counter(tensor.tensor_type.name for tensor in reader.tensors)
        texts = {key: reader.fields[key].contents() for key in _TEXT_KEYS if key in reader.fields}
        layers = [field.contents() for name, field in reader.fields.items() if name.endswith(".block_count")]
    except Exception as error:
        raise ModelError(str(path), f"the header cannot be read: {one_line(error)}", expected) from error
    if any(isinstance(count, int) and count > sum(types.values()) for count in layers):
        what = f"names {max(layers):,} layers for {sum(types.values()):,} tensors"
        raise ModelError(str(path), what, "the layers it has")  # a library would build them all to find out
    return GgufHeader(str(texts.get(_TEXT_KEYS[0])), str(texts.get(_TEXT_KEYS[1])), dict(sorted(types.items())))


_TEXT_KEYS = ("tokenizer.ggml.model", "tokenizer.ggml.pre")


def _restore_split(path: Path, tokenizer: Any, vocabulary: str, split: str) -> None:
    """Give a byte-level tokenizer the splitting rule that its GGUF file names.

    Without it "x  12" or a blank line before a number is cut into other tokens than those the model was trained on.
    """
    from tokenizers import pre_tokenizers

    if vocabulary != "gpt2" or split in GPT2_SPLIT:
        return
    backend = tokenizer.backend_tokenizer
    if split in DIGITS_THEN_GPT2_SPLIT:
        digits = pre_tokenizers.Digits(individual_digits=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    elif isinstance(backend.pre_tokenizer, pre_tokenizers.ByteLevel):
        what = f"its tokenizer splits text by the rule {split!r}, which cannot be rebuilt exactly"
        raise ModelError(str(path), what, "the same model as safetensors, by dir: or hf:")


def save_converted(model: Any, tokenizer: Any, folder: Path) -> None:
    """Save as safetensors; leave out of config.json what is not the model's: paths and versions."""
    from safetensors import SafetensorError

    # transformers refuses to save a model that it still believes to be quantised.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    try:
        with quiet():
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
        config = read_json(folder / CONFIG_FILE)
        config.pop("transformers_version", None)
        config.pop("_name_or_path", None)
        (folder / CONFIG_FILE).write_text(pretty_json(config), encoding="utf-8")
        (folder / "generation_config.json").unlink(missing_ok=True)
    except (OSError, SafetensorError) as error:
        raise StorageError(f"the model store cannot be written: {one_line(error)}") from error


@contextmanager
def _no_conversion_bar() -> Iterator[None]:
    """Silence the one progress bar that transformers draws past its own switch."""
    module: Any = importlib.import_module("transformers.modeling_gguf_pytorch_utils")
    drawn = module.tqdm
    module.tqdm = partial(drawn, disable=True)
    try:
        yield
    finally:
        module.tqdm = drawn
