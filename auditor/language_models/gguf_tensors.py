"""Comparing a converted model with its GGUF file tensor by tensor: none missing, none left over, none other.

The conversion is transformers' work. This reading shares none of it: names come from the ``gguf`` package's table,
values from its dequantisation, and the layouts that llama.cpp's converter writes are undone here once more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.exceptions import ModelError
from auditor.language_models.gguf_fields import ROPE_TENSORS
from auditor.language_models.gguf_files import GgufFile

Values = NDArray[np.float32]
_EXPERTS = re.compile(r"model\.layers\.(\d+)\.mlp\.experts\.(gate_up_proj|down_proj)")
#: Architectures whose norms are written with 1 added to each weight.
_NORMS_PLUS_ONE = frozenset({"gemma2", "gemma3", "nemotron"})
#: GPT-2's products, kept the other way round by transformers.
_TURNED = re.compile(r"blk\.\d+\.(attn_qkv|attn_output|ffn_up|ffn_down)\.weight")


def check_tensors(file: GgufFile, model: Any) -> None:
    """Refuse a converted model that is not the file's tensors, all of them and nothing else.

    Parameters
    ----------
    file
        What the file declares.
    model
        The converted model, as it was read back from the store, in float32.

    Raises
    ------
    ModelError
        Naming the first tensor that the file lacks, that is left over in it, or that has other values in the model.
    """
    used: set[str] = set(ROPE_TENSORS)
    state: Mapping[str, Any] = model.state_dict()
    for name, values in state.items():
        sources = _sources(file, name, layers=int(model.config.get_text_config().num_hidden_layers))
        for source in sources:
            if source not in file.tensors:
                raise ModelError(str(file.path), f"the tensor {source} is missing", "every tensor of the model")
        used.update(sources)
        expected = _expected(file, name, sources)
        found = values.detach().cpu().numpy()
        if expected.shape != found.shape:
            what = f"{sources[0]} has the shape {expected.shape}, {name} of the model {found.shape}"
            raise ModelError(str(file.path), what, "tensors that fit the file's own sizes")
        # NaN is looked for only where something differs: it would take half of the time.
        if not (np.array_equal(expected, found) or np.array_equal(expected, found, equal_nan=True)):
            raise ModelError(
                str(file.path), f"{sources[0]} is not what {name} of the converted model holds", "the same"
            )
    if left := sorted(file.tensors.keys() - used):
        more = f" and {len(left) - 1} more" if len(left) > 1 else ""
        raise ModelError(str(file.path), f"the tensor {left[0]}{more} has no place in the model", "no other tensors")


def _sources(file: GgufFile, name: str, *, layers: int) -> tuple[str, ...]:
    """The file's tensors that a tensor of the model is made from."""
    if found := _EXPERTS.fullmatch(name):
        kinds = ("gate", "up") if found[2] == "gate_up_proj" else ("down",)
        return tuple(f"blk.{found[1]}.ffn_{kind}_exps.weight" for kind in kinds)
    if name == "lm_head.weight":
        return ("output.weight" if "output.weight" in file.tensors else "token_embd.weight",)
    stem, dot, suffix = name.rpartition(".")
    if suffix not in ("weight", "bias"):
        raise ModelError(str(file.path), f"{name} of the model has no name in GGUF", "weights and biases")
    return (f"{_stem(file, stem, layers=layers)}{dot}{suffix}",)


def _stem(file: GgufFile, stem: str, *, layers: int) -> str:
    import gguf

    number = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == file.architecture)
    names = gguf.get_tensor_name_map(number, layers)
    found = names.get_name(stem) or names.get_name(stem.partition(".")[2])
    if found is None:
        raise ModelError(str(file.path), f"{stem} of the model has no name in GGUF", "a tensor of its architecture")
    return str(found)


def _expected(file: GgufFile, name: str, sources: tuple[str, ...]) -> Values:
    """The values a tensor of the model must have."""
    parts = [file.values(source) for source in sources]
    if len(parts) > 1:
        joined: Values = np.concatenate(parts, axis=1)
        return joined
    values: Values = parts[0]
    for applies, undo in _LAYOUTS:
        if applies(file, sources[0]):
            values = undo(file, sources[0], values)
    return values


def _interleaved(file: GgufFile, source: str) -> bool:
    return file.architecture == "llama" and (".attn_q." in source or ".attn_k." in source)


def _apart(file: GgufFile, source: str, values: Values) -> Values:
    """Rotary pairs back from neighbours to halves: (head, pair, of two) to (head, of two, pair)."""
    heads = file.fields[f"{file.architecture}.attention.head_count"]
    if ".attn_k." in source:
        heads = file.fields.get(f"{file.architecture}.attention.head_count_kv", heads)
    count = int(heads[0] if isinstance(heads, list) else heads)
    rows = values.reshape(count, values.shape[0] // count // 2, 2, *values.shape[1:])
    halves: Values = np.ascontiguousarray(np.moveaxis(rows, 2, 1)).reshape(values.shape)
    return halves


_Applies = Callable[[GgufFile, str], bool]
_Undo = Callable[[GgufFile, str, Values], Values]
_LAYOUTS: tuple[tuple[_Applies, _Undo], ...] = (
    (_interleaved, _apart),
    (
        lambda file, source: file.architecture in _NORMS_PLUS_ONE and source.endswith("norm.weight"),
        lambda _file, _source, values: values - np.float32(1),
    ),
    (
        lambda file, source: file.architecture == "gpt2" and _TURNED.fullmatch(source) is not None,
        lambda _file, _source, values: values.T,
    ),
    (
        # The gate of the shared expert is one row, which the file keeps as a vector.
        lambda _file, source: source.endswith("ffn_gate_inp_shexp.weight"),
        lambda _file, _source, values: values.reshape(1, -1),
    ),
)


def not_finite(tensors: Iterator[tuple[str, Any]]) -> str | None:
    """The first tensor that holds NaN or an infinity; ``None`` where all are numbers."""
    for name, values in tensors:
        # A sum of numbers that is finite holds no other; one that is not may have run over, and is looked at closely.
        if values.is_floating_point() and not bool(values.sum().isfinite()) and not bool(values.isfinite().all()):
            return name
    return None
