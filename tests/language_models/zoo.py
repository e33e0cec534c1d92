"""More tiny random models, one a family, for what must hold on any decoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers as hf

from tests.language_models.tiny import GROUPED, LAYERS, SIZES, tiny_model

WINDOW = 32
OPT = {
    "vocab_size": 260,
    "max_position_embeddings": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "hidden_size": 32,
}

BUILDERS: dict[str, Callable[[], Any]] = {
    "gemma3": lambda: hf.Gemma3ForCausalLM(
        hf.Gemma3TextConfig(**GROUPED, head_dim=8, query_pre_attn_scalar=8, sliding_window=512, layer_types=MIXED)
    ),
    "qwen3": lambda: hf.Qwen3ForCausalLM(hf.Qwen3Config(**GROUPED, head_dim=8)),
    "mistral": lambda: hf.MistralForCausalLM(hf.MistralConfig(**GROUPED, sliding_window=WINDOW)),
    "opt": lambda: hf.OPTForCausalLM(hf.OPTConfig(**OPT, ffn_dim=48, word_embed_proj_dim=32, pad_token_id=2)),
    "phi": lambda: hf.PhiForCausalLM(hf.PhiConfig(**LAYERS, **SIZES)),
    "bloom": lambda: hf.BloomForCausalLM(hf.BloomConfig(vocab_size=260, hidden_size=32, n_layer=2, n_head=4)),
    "mamba": lambda: hf.MambaForCausalLM(
        hf.MambaConfig(vocab_size=260, hidden_size=32, num_hidden_layers=2, state_size=4)
    ),
}
MIXED = ["sliding_attention", "full_attention"]

PACKABLE = (
    "llama",
    "gpt2",
    "gpt_neox",
    "gemma",
    "gemma2",
    "gemma3",
    "qwen2",
    "qwen3",
    "mistral",
    "opt",
    "phi",
)


def zoo_model(family: str, *, seed: int = 0) -> Any:
    """A random model of a family, spread widely enough that a wrong mask shows in the logits."""
    if family in BUILDERS:
        torch.manual_seed(seed)
        model = BUILDERS[family]().eval()
    else:
        model = tiny_model(family, seed=seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    return model
