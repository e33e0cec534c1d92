"""What the metadata of a GGUF file says about the model's function, key by key.

Each key of an architecture is one of three things: *read* into the config that the model is built with, known to change
nothing, or refused by its name. A key that is in no table here is refused: it may change what the model computes.
Meanings follow llama.cpp's converter and its loader (defaults of keys that are left out, too).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from auditor.exceptions import ModelError
from auditor.language_models.gguf_files import GgufFile

#: Prefixes of keys about the file, its origin or how it was quantised.
ABOUT = ("general.", "split.", "quantize.", "tokenizer.")
#: Keys of an architecture that change nothing here, at any value.
IDLE = frozenset({"rope.scaling.finetuned", "vocab_size", "block_count_nextn", "decoder_start_token_id"})
#: Keys that change nothing at these values, and are refused at any other.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "attention.causal": (True,),
    "attention.clamp_kqv": (0.0,),
    "attention.max_alibi_bias": (0.0,),
    "attention.scale": (0.0,),
    "attention.sliding_window": (0,),
    "attention.group_norm_groups": (0,),
    "embedding_scale": (0.0, 1.0),
    "expert_count": (0,),
    "expert_used_count": (0,),
    "expert_shared_count": (0,),
    "expert_weights_norm": (False,),
    "expert_weights_scale": (0.0, 1.0),
    "leading_dense_block_count": (0,),
    "logit_scale": (0.0, 1.0),
    "pooling_type": (0,),
    "residual_scale": (0.0, 1.0),
    "rope.scaling.yarn_ext_factor": (1.0,),
    "tensor_data_layout": ("Meta AI original pth", "reference"),
    "attn_logit_softcapping": (0.0,),
    "final_logit_softcapping": (0.0,),
    "router_logit_softcapping": (0.0,),
}
#: Tensors that are part of the position encoding: factors by which frequencies are divided.
ROPE_TENSORS = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")
#: Layers of the largest Gemma 2 and 3, whose attention is scaled by the width of a head's share of the stream.
GEMMA_LARGEST = {"gemma2": 46, "gemma3": 62}


class Fields:
    """The keys of one architecture, each taken once; what is never taken must be known to change nothing."""

    def __init__(self, file: GgufFile) -> None:
        self.file = file
        prefix = f"{file.architecture}."
        self.left = {key[len(prefix) :]: value for key, value in file.fields.items() if key.startswith(prefix)}
        for key in file.fields:
            if not key.startswith((prefix, *ABOUT)):
                raise ModelError(str(file.path), f"{key} is a field that is not read", f"fields of {prefix}*")

    def refuse(self, key: str, value: Any, expected: str) -> ModelError:
        """The error that names a key and its value."""
        return ModelError(str(self.file.path), f"{self.file.architecture}.{key} is {value!r}", expected)

    def take(self, key: str, default: Any = None) -> Any:
        """A key's value; one value for an array that repeats it for every layer."""
        value = self.left.pop(key, default)
        if isinstance(value, list):
            if not value or any(item != value[0] for item in value):
                raise self.refuse(key, value[:4], "one value for all layers")
            value = value[0]
        return value

    def whole(self, key: str, default: int | None = None) -> int:
        """A key's value as a count."""
        value = self.take(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.refuse(key, value, "a whole number above 0")
        return value

    def real(self, key: str, default: float | None = None) -> float:
        """A key's value as a finite number."""
        value = self.take(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise self.refuse(key, value, "a number")
        return float(value)

    def done(self) -> None:
        """Refuse the first key that was not taken and may change something."""
        for key, value in sorted(self.left.items()):
            if key in IDLE or value in NEUTRAL.get(key, ()):
                continue
            expected = "a field that is read here, or the same model as safetensors, by dir: or hf:"
            if key in NEUTRAL:
                expected = " or ".join(map(repr, NEUTRAL[key])) + ", or the same model as safetensors, by dir: or hf:"
            shown = value if not isinstance(value, list) else value[:4]
            raise self.refuse(key, shown, expected)


def expected_config(file: GgufFile) -> dict[str, Any]:
    """The config that the file's fields ask for, by transformers' names.

    Raises
    ------
    ModelError
        Naming the field, if it is missing, malformed or not read here; or the architecture.
    """
    build = ARCHITECTURES.get(file.architecture)
    if build is None:
        what = f"the architecture {file.architecture!r} is not read from GGUF"
        raise ModelError(
            str(file.path), what, f"one of {', '.join(sorted(ARCHITECTURES))}, or safetensors by dir: or hf:"
        )
    fields = Fields(file)
    config = build(fields)
    fields.done()
    tokens = file.fields.get("tokenizer.ggml.tokens")
    rows = int(file.tensors["token_embd.weight"].shape[-1]) if "token_embd.weight" in file.tensors else None
    if rows is None:
        raise ModelError(str(file.path), "the tensor token_embd.weight is missing", "every tensor of the model")
    said = file.fields.get(f"{file.architecture}.vocab_size", rows)
    if said != rows or (isinstance(tokens, list) and len(tokens) > rows):
        what = f"token_embd.weight has {rows} rows for a vocabulary of {max(said, len(tokens or []))}"
        raise ModelError(str(file.path), what, "as many rows as tokens")
    config["vocab_size"] = rows
    config["tie_word_embeddings"] = "output.weight" not in file.tensors
    for name, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding")):
        number = file.fields.get(f"tokenizer.ggml.{key}_token_id")
        config[f"{name}_token_id"] = None if number is None else int(number)
    return config


def _sizes(fields: Fields, *, head: bool, eps: str = "rms_norm_eps", rms: bool = True) -> dict[str, Any]:
    """Sizes and norm of a decoder of the common kind; ``head`` where the config keeps the width of a head."""
    hidden, heads = fields.whole("embedding_length"), fields.whole("attention.head_count")
    width = fields.whole("attention.key_length", hidden // heads)
    if (value := fields.whole("attention.value_length", width)) != width:
        raise fields.refuse("attention.value_length", value, f"{width}, as wide as keys")
    if not head and width * heads != hidden:
        raise fields.refuse("attention.key_length", width, f"{hidden // heads}: {hidden} over {heads} heads")
    epsilon = _epsilon(fields, rms=rms)
    config = {
        "max_position_embeddings": fields.whole("context_length"),
        "hidden_size": hidden,
        "intermediate_size": fields.whole("feed_forward_length"),
        "num_hidden_layers": fields.whole("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": fields.whole("attention.head_count_kv", heads),
        eps: epsilon,
    }
    return config | ({"head_dim": width} if head else {})


def _epsilon(fields: Fields, *, rms: bool) -> float:
    names = ("attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon")
    return fields.real(names[0] if rms else names[1])


def _rope(fields: Fields, config: Mapping[str, Any], *, partial: bool = False) -> dict[str, Any]:
    """The position encoding: base, share of a head that is turned, and scaling."""
    width = config.get("head_dim", config["hidden_size"] // config["num_attention_heads"])
    turned = fields.whole("rope.dimension_count", width)
    rope: dict[str, Any] = {"rope_theta": fields.real("rope.freq_base", 10000.0), "rope_type": "default"}
    if partial:
        rope["partial_rotary_factor"] = turned / width
    elif turned != width:
        raise fields.refuse("rope.dimension_count", turned, f"{width}, the width of a head")
    return rope | _scaling(fields, config, turned)


def _scaling(fields: Fields, config: Mapping[str, Any], turned: int) -> dict[str, Any]:
    """Scaling of positions; llama.cpp takes a factor without a type as linear."""
    context = config["max_position_embeddings"]
    factor = fields.real("rope.scaling.factor", fields.real("rope.scale_linear", 0.0)) or 1.0
    kind = fields.take("rope.scaling.type", "linear")
    original = fields.take("rope.scaling.original_context_length", None)
    strength = fields.real("rope.scaling.attn_factor", 1.0)
    betas = {
        "beta_fast": fields.real("rope.scaling.yarn_beta_fast", 32.0),
        "beta_slow": fields.real("rope.scaling.yarn_beta_slow", 1.0),
    }
    if factor < 0:
        raise fields.refuse("rope.scaling.factor", factor, "a number above 0")
    lists = _factors(fields, turned)
    if lists:
        if kind in ("yarn",) or factor != 1.0:
            raise fields.refuse("rope.scaling.type", kind, "no other scaling beside a tensor of rope factors")
        first = lists.get("rope_freqs.weight")
        return {
            "rope_type": "longrope",
            "short_factor": first or lists["rope_factors_short.weight"],
            "long_factor": first or lists["rope_factors_long.weight"],
            "attention_factor": 1.0 if first else strength,
            "original_max_position_embeddings": int(original or context),
        }
    if strength != 1.0:
        raise fields.refuse("rope.scaling.attn_factor", strength, "1, or tensors of rope factors beside it")
    if kind == "yarn" and factor != 1.0:
        if not isinstance(original, int) or original < 1:
            raise fields.refuse("rope.scaling.original_context_length", original, "a length, for yarn")
        return {"rope_type": "yarn", "factor": factor, "original_max_position_embeddings": original, **betas}
    if kind in ("none", "linear", "yarn", "longrope") and factor == 1.0:
        return {}
    if kind == "linear":
        return {"rope_type": "linear", "factor": factor}
    raise fields.refuse("rope.scaling.type", kind, "none, linear, yarn, or tensors of rope factors")


def _factors(fields: Fields, turned: int) -> dict[str, list[float]]:
    """The factors in the file's tensors; each must have one for every frequency."""
    found = {}
    for name in ROPE_TENSORS:
        if name in fields.file.tensors:
            values = fields.file.values(name).reshape(-1)
            if len(values) != turned // 2 or not (values > 0).all():
                what = f"{name} holds {len(values)} factors"
                raise ModelError(str(fields.file.path), what, f"{turned // 2} factors above 0")
            found[name] = [float(value) for value in values]
    if len(found) == 1 and "rope_freqs.weight" not in found:
        raise ModelError(str(fields.file.path), f"{next(iter(found))} stands alone", "factors for short and for long")
    if len(found) > 2:
        raise ModelError(str(fields.file.path), "it holds rope_freqs beside other factors", "one position encoding")
    return found


def _has(fields: Fields, *names: str) -> bool:
    return all(f"blk.0.{name}" in fields.file.tensors for name in names)


def _llama(fields: Fields) -> dict[str, Any]:
    config = _sizes(fields, head=True)
    biased = _has(fields, "attn_q.bias", "attn_k.bias", "attn_v.bias", "attn_output.bias")
    more = {"attention_bias": biased, "mlp_bias": _has(fields, "ffn_gate.bias", "ffn_up.bias", "ffn_down.bias")}
    return config | {"rope_parameters": _rope(fields, config), **more}


def _qwen(*, head: bool) -> Callable[[Fields], dict[str, Any]]:
    def build(fields: Fields) -> dict[str, Any]:
        config = _sizes(fields, head=head)
        return config | {"rope_parameters": _rope(fields, config)}

    return build


def _qwen_experts(*, head: bool, shared: bool) -> Callable[[Fields], dict[str, Any]]:
    def build(fields: Fields) -> dict[str, Any]:
        fields.left.setdefault("feed_forward_length", fields.left.get("expert_feed_forward_length"))
        config = _sizes(fields, head=head)
        config["rope_parameters"] = _rope(fields, config)
        config["num_experts"] = fields.whole("expert_count")
        config["num_experts_per_tok"] = fields.whole("expert_used_count")
        config["moe_intermediate_size"] = fields.whole("expert_feed_forward_length")
        if shared:
            config["shared_expert_intermediate_size"] = fields.whole("expert_shared_feed_forward_length")
        # llama.cpp has no field for it: the weights of Qwen 3's chosen experts are made to sum to 1, Qwen 2's are not.
        return config | {"norm_topk_prob": not shared, "decoder_sparse_step": 1, "mlp_only_layers": []}

    return build


def _phi3(fields: Fields) -> dict[str, Any]:
    config = _sizes(fields, head=False)
    window = fields.take("attention.sliding_window", 0)
    original = fields.left.get("rope.scaling.original_context_length", config["max_position_embeddings"])
    more = {"sliding_window": window or None, "original_max_position_embeddings": original}
    return config | {"rope_parameters": _rope(fields, config, partial=True), **more}


def _gemma(fields: Fields) -> dict[str, Any]:
    """Gemma 2 and 3: layers that look through a window, soft caps, an attention scale of its own."""
    config = _sizes(fields, head=True)
    largest = config["num_hidden_layers"] == GEMMA_LARGEST[fields.file.architecture]
    scale = fields.real("attention.scale", 0.0)
    width = config["hidden_size"] // config["num_attention_heads"] if largest else config["head_dim"]
    config["query_pre_attn_scalar"] = round(1 / scale**2) if scale else width
    config["sliding_window"] = fields.whole("attention.sliding_window")
    third = fields.file.architecture == "gemma3"
    period = fields.whole("attention.sliding_window_pattern", 6 if third else 2)
    config["layer_types"] = [
        "full_attention" if period > 1 and (layer + 1) % period == 0 else "sliding_attention"
        for layer in range(config["num_hidden_layers"])
    ]
    caps = (0.0, 0.0) if third else (50.0, 30.0)
    config["attn_logit_softcapping"] = fields.real("attn_logit_softcapping", caps[0]) or None
    config["final_logit_softcapping"] = fields.real("final_logit_softcapping", caps[1]) or None
    if not third:
        return config | {"rope_parameters": _rope(fields, config)}
    theta = fields.real("rope.freq_base_swa", 10000.0)
    fields.left.setdefault("rope.freq_base", 1000000.0)
    near = {"rope_theta": theta, "rope_type": "default"}
    return config | {"rope_parameters": {"sliding_attention": near, "full_attention": _rope(fields, config)}}


def _gpt2(fields: Fields) -> dict[str, Any]:
    sizes = _sizes(fields, head=False, rms=False, eps="layer_norm_epsilon")
    names = {
        "n_positions": "max_position_embeddings",
        "n_embd": "hidden_size",
        "n_layer": "num_hidden_layers",
        "n_head": "num_attention_heads",
        "n_inner": "intermediate_size",
    }
    return {
        **{ours: sizes[theirs] for ours, theirs in names.items()},
        "layer_norm_epsilon": sizes["layer_norm_epsilon"],
    }


def _starcoder2(fields: Fields) -> dict[str, Any]:
    config = _sizes(fields, head=False, rms=False, eps="norm_epsilon")
    biased = _has(fields, "attn_q.bias", "ffn_up.bias")
    return config | {"rope_parameters": _rope(fields, config), "use_bias": biased, "sliding_window": None}


def _stablelm(fields: Fields) -> dict[str, Any]:
    config = _sizes(fields, head=False, rms=False, eps="layer_norm_eps")
    parallel = fields.take("use_parallel_residual", not _has(fields, "ffn_norm.weight"))
    more = {"use_parallel_residual": bool(parallel), "use_qkv_bias": _has(fields, "attn_q.bias")}
    return config | {"rope_parameters": _rope(fields, config, partial=True), "qk_layernorm": False, **more}


def _nemotron(fields: Fields) -> dict[str, Any]:
    rms = "attention.layer_norm_rms_epsilon" in fields.left
    config = _sizes(fields, head=True, rms=rms, eps="norm_eps")
    return config | {"rope_parameters": _rope(fields, config, partial=True)}


#: How each architecture's fields become a config.
ARCHITECTURES: dict[str, Callable[[Fields], dict[str, Any]]] = {
    "llama": _llama,
    "qwen2": _qwen(head=False),
    "qwen3": _qwen(head=True),
    "qwen2moe": _qwen_experts(head=False, shared=True),
    "qwen3moe": _qwen_experts(head=True, shared=False),
    "phi3": _phi3,
    "gemma2": _gemma,
    "gemma3": _gemma,
    "gpt2": _gpt2,
    "starcoder2": _starcoder2,
    "stablelm": _stablelm,
    "nemotron": _nemotron,
}
