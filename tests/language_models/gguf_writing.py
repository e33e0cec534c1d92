"""GGUF files of tiny models, as llama.cpp's converter writes them: the other way round from what import does."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
import transformers as hf
from tokenizers import pre_tokenizers

from tests.language_models.tiny import GROUPED
from tests.language_models.zoo import EXPERTS, SPARSE

Array = np.ndarray[Any, Any]
ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
MERGES = [("Ġ", "Ġ"), ("Ċ", "Ċ"), ("1", "2"), ("Ġ", "1"), ("a", "b")]
TOKENS = ["<s>", "</s>", "<pad>", *ALPHABET, *("".join(pair) for pair in MERGES)]
#: Rows are multiples of 256, as K-quants need them.
WIDE = {**GROUPED, "hidden_size": 256, "intermediate_size": 256, "vocab_size": len(TOKENS)}
HEAD = {**WIDE, "head_dim": 64}
GEMMA = {**HEAD, "query_pre_attn_scalar": 64, "sliding_window": 32}
NO_MOE = {key: value for key, value in SPARSE.items() if key != "moe_intermediate_size"}

#: By architecture of GGUF: the class, its config and what it takes.
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "llama": ("LlamaForCausalLM", "LlamaConfig", WIDE),
    "qwen2": ("Qwen2ForCausalLM", "Qwen2Config", {**WIDE, "tie_word_embeddings": True}),
    "qwen3": ("Qwen3ForCausalLM", "Qwen3Config", HEAD),
    "qwen2moe": (
        "Qwen2MoeForCausalLM",
        "Qwen2MoeConfig",
        {**WIDE, **NO_MOE, "moe_intermediate_size": 256, "shared_expert_intermediate_size": 256},
    ),
    "qwen3moe": (
        "Qwen3MoeForCausalLM",
        "Qwen3MoeConfig",
        {**HEAD, **EXPERTS, "moe_intermediate_size": 256, "decoder_sparse_step": 1, "norm_topk_prob": True},
    ),
    "phi3": ("Phi3ForCausalLM", "Phi3Config", {**WIDE, "sliding_window": 40}),
    "gemma2": ("Gemma2ForCausalLM", "Gemma2Config", {**GEMMA, "attn_logit_softcapping": 20.0}),
    "gemma3": (
        "Gemma3ForCausalLM",
        "Gemma3TextConfig",
        {
            **GEMMA,
            "num_hidden_layers": 6,
            "rope_parameters": {
                "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
                "full_attention": {"rope_type": "linear", "rope_theta": 1e6, "factor": 8.0},
            },
        },
    ),
    "gpt2": (
        "GPT2LMHeadModel",
        "GPT2Config",
        {"n_layer": 2, "n_head": 4, "n_embd": 256, "n_positions": 512, "vocab_size": len(TOKENS), "n_inner": 512},
    ),
    "starcoder2": ("Starcoder2ForCausalLM", "Starcoder2Config", {**WIDE, "rope_theta": 5000.0}),
    "stablelm": ("StableLmForCausalLM", "StableLmConfig", WIDE),
    "nemotron": ("NemotronForCausalLM", "NemotronConfig", WIDE),
}


def gguf_model(architecture: str, *, seed: int = 0, **options: Any) -> Any:
    """A random model of an architecture, its norms away from 1 and its weights spread so that a wrong field shows."""
    torch.manual_seed(seed)
    model_class, config_class, taken = MODELS[architecture]
    ids = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    config = getattr(hf, config_class)(**{**taken, **ids, **options})
    model = getattr(hf, model_class)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
            else:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def fields_of(architecture: str, model: Any) -> dict[str, Any]:
    """The fields of an architecture, by key without the architecture's name."""
    config = model.config
    heads, hidden = config.num_attention_heads, config.hidden_size
    fields: dict[str, Any] = {
        "context_length": config.max_position_embeddings,
        "embedding_length": hidden,
        "block_count": config.num_hidden_layers,
        "feed_forward_length": getattr(config, "intermediate_size", None) or getattr(config, "n_inner", None),
        "attention.head_count": heads,
    }
    if architecture != "gpt2":
        fields["attention.head_count_kv"] = config.num_key_value_heads
        rope = config.rope_parameters.get("full_attention", config.rope_parameters)
        fields["rope.freq_base"] = float(rope["rope_theta"])
        width = getattr(config, "head_dim", None) or hidden // heads
        if architecture not in ("gemma2", "gemma3"):
            fields["rope.dimension_count"] = int(width * rope.get("partial_rotary_factor", 1.0))
        if rope["rope_type"] == "linear":
            fields |= {"rope.scaling.type": "linear", "rope.scaling.factor": float(rope["factor"])}
        if architecture in ("qwen3", "qwen3moe", "gemma2", "gemma3"):
            fields |= {"attention.key_length": width, "attention.value_length": width}
    for name in ("rms_norm_eps", "layer_norm_epsilon", "norm_epsilon", "layer_norm_eps", "norm_eps"):
        if hasattr(config, name):
            kind = "layer_norm_rms_epsilon" if name == "rms_norm_eps" else "layer_norm_epsilon"
            fields[f"attention.{kind}"] = float(getattr(config, name))
    if architecture in ("phi3", "gemma2", "gemma3"):
        fields["attention.sliding_window"] = config.sliding_window
    if architecture == "gemma2":
        fields["attn_logit_softcapping"] = config.attn_logit_softcapping
        fields["final_logit_softcapping"] = config.final_logit_softcapping
    if architecture in ("qwen2moe", "qwen3moe"):
        fields |= {
            "expert_count": config.num_experts if hasattr(config, "num_experts") else config.num_local_experts,
            "expert_used_count": config.num_experts_per_tok,
            "expert_feed_forward_length": config.moe_intermediate_size,
        }
    if architecture == "qwen2moe":
        fields["expert_shared_feed_forward_length"] = config.shared_expert_intermediate_size
    if architecture == "stablelm":
        fields["use_parallel_residual"] = config.use_parallel_residual
    return fields


def tensors_of(architecture: str, model: Any) -> dict[str, Array]:
    """The tensors of a model by their names in GGUF, laid out as llama.cpp lays them out."""
    found: dict[str, Array] = {}
    for name, tensor in model.state_dict().items():
        if not (name == "lm_head.weight" and model.config.tie_word_embeddings):
            values = tensor.detach().numpy().astype(np.float32)
            found |= laid_out(architecture, model.config, name, values)
    return found


def laid_out(architecture: str, config: Any, name: str, values: Array) -> dict[str, Array]:
    """One tensor of a model as the tensors of GGUF it becomes: the same elements in another order."""
    number = next(key for key, own in gguf.MODEL_ARCH_NAMES.items() if own == architecture)
    names = gguf.get_tensor_name_map(number, config.num_hidden_layers)
    if ".mlp.experts." in name:
        block, half = name.split(".")[2], values.shape[1] // 2
        if name.endswith("down_proj"):
            return {f"blk.{block}.ffn_down_exps.weight": values}
        up = {f"blk.{block}.ffn_up_exps.weight": values[:, half:]}
        return {f"blk.{block}.ffn_gate_exps.weight": values[:, :half], **up}
    stem, _, suffix = name.rpartition(".")
    theirs = names.get_name(stem)
    assert theirs is not None, name
    if architecture == "llama" and theirs.endswith(("attn_q", "attn_k")):
        heads = config.num_attention_heads if theirs.endswith("attn_q") else config.num_key_value_heads
        values = values.reshape(heads, 2, -1, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)
    if architecture in ("gemma2", "gemma3", "nemotron") and name.endswith("norm.weight"):
        values = values + 1
    if architecture == "gpt2" and (".c_" in name) and values.ndim == 2:
        values = values.T
    if theirs.endswith("ffn_gate_inp_shexp"):
        values = values.reshape(-1)
    return {f"{theirs}.{suffix}": values}


def dequantised(architecture: str, model: Any, kind: str) -> Any:
    """The model with the weights that its file in a tensor type holds, as the package itself reads them back."""
    changed = copy.deepcopy(model)
    state = changed.state_dict()
    for name, tensor in state.items():
        if name == "lm_head.weight" and model.config.tie_word_embeddings:
            continue
        order = np.arange(tensor.numel()).reshape(tensor.shape)
        places = laid_out(architecture, model.config, name, order)
        values = tensor.numpy().astype(np.float32).reshape(-1).copy()
        own = laid_out(architecture, model.config, name, values.reshape(tensor.shape))
        for theirs, array in own.items():
            if (wanted := kind_of(theirs, array, kind)).name != "F32":
                values[places[theirs].reshape(-1)] = gguf.dequantize(packed(array, wanted), wanted).reshape(-1)
        tensor.copy_(torch.from_numpy(values.reshape(tensor.shape)))
    return changed


def kind_of(name: str, values: Array, kind: str) -> gguf.GGMLQuantizationType:
    """The tensor type of one tensor: norms, biases and routers stay F32, as in real files; ``mixed`` takes turns."""
    if values.ndim < 2 or "gate_inp" in name:
        return gguf.GGMLQuantizationType.F32
    return gguf.GGMLQuantizationType[MIXED[zlib.crc32(name.encode()) % len(MIXED)] if kind == "mixed" else kind]


def tokenizer_fields(*, split: str = "gpt-2") -> dict[str, Any]:
    """The fields of a small byte-level tokenizer."""
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": split,
        "tokenizer.ggml.tokens": TOKENS,
        "tokenizer.ggml.token_type": [3, 3, 3] + [1] * (len(TOKENS) - 3),
        "tokenizer.ggml.merges": [" ".join(pair) for pair in MERGES],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 1,
        "tokenizer.ggml.padding_token_id": 2,
        "tokenizer.ggml.add_bos_token": False,
    }


def write(
    path: Path,
    architecture: str,
    model: Any,
    *,
    kind: str = "F32",
    fields: Mapping[str, Any] | None = None,
    tokenizer: Mapping[str, Any] | None = None,
    tensors: Callable[[dict[str, Array]], None] | None = None,
    parts: int = 0,
) -> Path:
    """Write a model.

    Parameters
    ----------
    kind
        Tensor type of everything with two axes or more; norms and biases stay F32, as in real files.
    fields
        Fields to change, without the architecture's name; ``None`` as a value takes one away.
    tokenizer
        All fields of the tokenizer, with their full keys.
    tensors
        Changes the tensors in place.
    parts
        Tensors a part; 0 for one file.
    """
    writer = gguf.GGUFWriter(path, architecture, split_max_tensors=parts)
    own = {**fields_of(architecture, model), **(fields or {})}
    every = {f"{architecture}.{key}": value for key, value in own.items()}
    for key, value in {**every, **(tokenizer if tokenizer is not None else tokenizer_fields())}.items():
        _add(writer, key, value)
    arrays = tensors_of(architecture, model)
    if tensors is not None:
        tensors(arrays)
    for name, values in arrays.items():
        wanted = kind_of(name, values, kind)
        writer.add_tensor(name, packed(values, wanted), raw_dtype=wanted)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def packed(values: Array, kind: gguf.GGMLQuantizationType) -> Array:
    """Values in a tensor type. Blocks of K-quants, which the package only reads, are made up: any bytes are weights."""
    values = np.ascontiguousarray(values)
    if kind.name == "F32":
        return values
    try:
        return gguf.quantize(values, kind)
    except NotImplementedError:
        size, width = gguf.GGML_QUANT_SIZES[kind]
        blocks = values.size // size
        draw = np.random.default_rng(values.size).integers(0, 256, (blocks, width), dtype=np.uint8)
        scale = np.frombuffer(np.float16(2e-5).tobytes(), dtype=np.uint8)
        for offset in K_SCALES[kind.name]:
            draw[:, offset : offset + 2] = scale
        return draw.reshape(*values.shape[:-1], -1)


#: The quantised types that a file of a mixed recipe (Q4_K_M, Q3_K_L) is made of here, by turns of its tensors.
MIXED = ("Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")
#: Where the 16-bit factors of a K-quant's block stand.
K_SCALES = {"Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)
