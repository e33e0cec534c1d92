"""GGUF to safetensors, once: dequantise, honour every field, save, and compare with what the file declares."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from auditor.canonical import pretty_json
from auditor.exceptions import ModelError, StorageError
from auditor.language_models.gguf_fields import expected_config
from auditor.language_models.gguf_files import GgufFile, join_parts, read_gguf
from auditor.language_models.gguf_tensors import check_tensors, not_finite
from auditor.language_models.gguf_tokenizer import check_tokenizer, mend_tokenizer
from auditor.language_models.gguf_tokens import GgufTokens
from auditor.language_models.safety import CONFIG_FILE, read_json
from auditor.language_models.weights import (
    difference_words,
    largest_difference,
    one_line,
    quiet,
    read_model,
    read_tokenizer,
    refuse_incomplete,
    sample_logits,
)

#: The largest difference between a logit of the converted model and of its reloaded copy.
LOGIT_TOLERANCE = 1e-5


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

    transformers reads the tensors and the vocabulary. What it leaves out of the config is set from the file's fields;
    then the stored copy is compared with a reading of the file that shares none of this: every field, every tensor,
    the tokens of many texts.

    Parameters
    ----------
    path
        The file, or the first part of one in several.
    folder
        An empty folder.

    Raises
    ------
    ModelError
        If the file is no GGUF file, declares something that is not read, its tokenizer cannot be rebuilt exactly, or
        the stored copy is another model.
    StorageError
        If the folder cannot be written.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    file = read_gguf(path)
    expected = expected_config(file)
    tokens = GgufTokens(file)
    with (
        tempfile.TemporaryDirectory(prefix=".alone-", dir=folder.parent) as alone,
        quiet(),
        _no_conversion_bar(),
        _read_once(),
    ):
        name = _alone(file, Path(alone))
        options: dict[str, Any] = {"gguf_file": name, "local_files_only": True, "trust_remote_code": False}
        try:
            config = _with_fields(file, alone, expected, options)
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                alone,
                config=config,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # so that the mismatch is reported below, in one line
                **options,
            )
            tokenizer: Any = AutoTokenizer.from_pretrained(alone, **options) if tokens.byte_level else None
        except ModelError:
            raise
        except Exception as error:  # whatever a library makes of a bad file, users get one line
            said = one_line(error).replace(f"{alone}/{name}", path.name).replace(alone, path.name)
            raise ModelError(str(path), f"cannot be converted: {said}", "a supported GGUF model") from error
    model, report = loaded
    model.eval()
    refuse_incomplete(path, report, "every tensor of the model, and no other")
    if odd := not_finite(iter(model.state_dict().items())):
        raise ModelError(str(path), f"{odd} holds values that are not numbers", "finite weights")
    tokenizer = mend_tokenizer(tokens, tokenizer)
    save_converted(model, tokenizer, folder)
    stored, read_back = read_model(folder, dtype="float32"), read_tokenizer(folder)
    difference = largest_difference(sample_logits(model, tokenizer), sample_logits(stored, read_back))
    if not difference <= LOGIT_TOLERANCE:
        what = difference_words("the stored copy's logits differ by {}", difference)
        raise ModelError(str(path), what, f"at most {LOGIT_TOLERANCE}")
    _check_config(file, stored.config, expected)
    check_tensors(file, stored)
    check_tokenizer(tokens, read_back)
    return Conversion(file.tensor_types, difference)


def _alone(file: GgufFile, folder: Path) -> str:
    """Put the file into a folder of its own, joined if it has parts: nothing that lies beside it is read with it."""
    if len(file.parts) == 1:
        (folder / file.path.name).symlink_to(file.path.resolve())
    else:
        join_parts(file, folder / file.path.name)
    return file.path.name


def _with_fields(file: GgufFile, folder: str, expected: dict[str, Any], options: dict[str, Any]) -> Any:
    """transformers' config of the file, with every field it leaves out or takes from a default of its own."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(folder, **options)
    for key, value in expected.items():
        if not hasattr(config, key) and value is not None and value is not False:
            what = f"asks for {key} = {value!r}, which {type(config).__name__} does not have"
            raise ModelError(str(file.path), what, "the same model as safetensors, by dir: or hf:")
        if hasattr(config, key):
            setattr(config, key, value)
    # A window or a choice of layers that no field speaks of is a default of the class, not the file's.
    for key in ("sliding_window", "use_sliding_window"):
        if key not in expected and getattr(config, key, None):
            setattr(config, key, None if key == "sliding_window" else False)
    if "layer_types" not in expected and getattr(config, "layer_types", None):
        config.layer_types = ["full_attention"] * config.num_hidden_layers
    return config


def _check_config(file: GgufFile, config: Any, expected: dict[str, Any]) -> None:
    """Refuse a stored config that does not say what the file's fields say."""
    for key, value in expected.items():
        found = getattr(config, key, None)
        if isinstance(value, dict) and isinstance(found, dict):
            found = {name: found.get(name) for name in value}
        if found != value and not (value is False and found is None):
            what = f"{key} of the stored config is {found!r}"
            raise ModelError(str(file.path), what, f"{value!r}, as the file's fields say")


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
def _read_once() -> Iterator[None]:
    """Let transformers read the fields of a file once; it does for the config, the weights and the tokenizer each.

    What the copy is compared with is read apart from this.
    """
    gguf: Any = importlib.import_module("gguf")
    reader = gguf.GGUFReader
    gguf.GGUFReader = cache(reader)
    try:
        yield
    finally:
        gguf.GGUFReader = reader


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
