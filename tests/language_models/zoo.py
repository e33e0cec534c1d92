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
    "gemma3_with_pictures": lambda: gemma3_with_pictures(),  # noqa: PLW0108 - defined below
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
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2}
SPARSE = {**EXPERTS, "moe_intermediate_size": 24, "decoder_sparse_step": 1}
ROUTED = {"moe_intermediate_size": 24, "n_group": 1, "topk_group": 1}
SHARED_EXPERT = {
    **GROUPED,
    **ROUTED,
    "head_dim": 8,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
}
LATENT = {
    **GROUPED,
    "num_key_value_heads": 4,
    "n_routed_experts": 4,
    "num_experts_per_tok": 2,
    "n_group": 2,
    "topk_group": 1,
    "moe_intermediate_size": 24,
    "q_lora_rank": 16,
    "kv_lora_rank": 8,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 4,
    "v_head_dim": 8,
    "first_k_dense_replace": 1,
}
#: Families that are a row of the table and nothing else: the model's class and what its config takes.
ROWS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "apertus": ("ApertusForCausalLM", "ApertusConfig", GROUPED),
    "arcee": ("ArceeForCausalLM", "ArceeConfig", GROUPED),
    "cwm": (
        "CwmForCausalLM",
        "CwmConfig",
        {**GROUPED, "head_dim": 8, "sliding_window": 512, "layer_types": MIXED},
    ),
    "deepseek_v3": ("DeepseekV3ForCausalLM", "DeepseekV3Config", LATENT),
    "ernie4_5": ("Ernie4_5ForCausalLM", "Ernie4_5Config", GROUPED),
    "ernie4_5_moe": (
        "Ernie4_5_MoeForCausalLM",
        "Ernie4_5_MoeConfig",
        {
            **GROUPED,
            "moe_num_experts": 4,
            "moe_k": 2,
            "moe_intermediate_size": 24,
            "moe_layer_start_index": 1,
            "moe_num_shared_experts": 1,
        },
    ),
    "exaone4": ("Exaone4ForCausalLM", "Exaone4Config", GROUPED),
    "exaone_moe": (
        "ExaoneMoeForCausalLM",
        "ExaoneMoeConfig",
        {
            **GROUPED,
            "head_dim": 8,
            **EXPERTS,
            **ROUTED,
            "num_shared_experts": 1,
            "sliding_window": 512,
            "layer_types": MIXED,
            "mlp_layer_types": ["dense", "sparse"],
        },
    ),
    "flex_olmo": ("FlexOlmoForCausalLM", "FlexOlmoConfig", {**GROUPED, **EXPERTS}),
    "glm": ("GlmForCausalLM", "GlmConfig", {**GROUPED, "head_dim": 8}),
    "glm4": ("Glm4ForCausalLM", "Glm4Config", {**GROUPED, "head_dim": 8}),
    "glm4_moe": ("Glm4MoeForCausalLM", "Glm4MoeConfig", SHARED_EXPERT),
    "helium": ("HeliumForCausalLM", "HeliumConfig", {**GROUPED, "head_dim": 8}),
    "hunyuan_v1_dense": ("HunYuanDenseV1ForCausalLM", "HunYuanDenseV1Config", {**GROUPED, "head_dim": 8}),
    "hunyuan_v1_moe": (
        "HunYuanMoEV1ForCausalLM",
        "HunYuanMoEV1Config",
        {**GROUPED, "head_dim": 8, "num_experts": 4, "moe_topk": 2},
    ),
    "jais2": ("Jais2ForCausalLM", "Jais2Config", {**GROUPED, "head_dim": 8}),
    "minimax_m2": (
        "MiniMaxM2ForCausalLM",
        "MiniMaxM2Config",
        {**GROUPED, "head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2},
    ),
    "ministral": ("MinistralForCausalLM", "MinistralConfig", {**GROUPED, "head_dim": 8, "sliding_window": WINDOW}),
    "mixtral": ("MixtralForCausalLM", "MixtralConfig", {**GROUPED, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "nemotron": ("NemotronForCausalLM", "NemotronConfig", GROUPED),
    "olmo": ("OlmoForCausalLM", "OlmoConfig", GROUPED),
    "olmo2": ("Olmo2ForCausalLM", "Olmo2Config", GROUPED),
    "olmo3": ("Olmo3ForCausalLM", "Olmo3Config", GROUPED),
    "olmoe": ("OlmoeForCausalLM", "OlmoeConfig", {**GROUPED, **EXPERTS}),
    "phimoe": ("PhimoeForCausalLM", "PhimoeConfig", {**GROUPED, "num_local_experts": 4, "num_experts_per_tok": 2}),
    "phi3": ("Phi3ForCausalLM", "Phi3Config", GROUPED),
    "qwen2_moe": (
        "Qwen2MoeForCausalLM",
        "Qwen2MoeConfig",
        {**GROUPED, **SPARSE, "shared_expert_intermediate_size": 24},
    ),
    "qwen3_moe": ("Qwen3MoeForCausalLM", "Qwen3MoeConfig", {**GROUPED, **SPARSE, "head_dim": 8}),
    "seed_oss": ("SeedOssForCausalLM", "SeedOssConfig", {**GROUPED, "head_dim": 8}),
    "smollm3": ("SmolLM3ForCausalLM", "SmolLM3Config", GROUPED),
    "solar_open": ("SolarOpenForCausalLM", "SolarOpenConfig", SHARED_EXPERT),
    "stablelm": ("StableLmForCausalLM", "StableLmConfig", GROUPED),
    "starcoder2": ("Starcoder2ForCausalLM", "Starcoder2Config", GROUPED),
}

#: Families whose parts no adapter reads: their stream is hooked and nothing more.
HOOKED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "cohere": ("CohereForCausalLM", "CohereConfig", GROUPED),
    "falcon": (
        "FalconForCausalLM",
        "FalconConfig",
        {"vocab_size": 260, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4},
    ),
    "gpt_oss": (
        "GptOssForCausalLM",
        "GptOssConfig",
        {**GROUPED, "head_dim": 8, "num_local_experts": 4, "num_experts_per_tok": 2},
    ),
    "gptj": (
        "GPTJForCausalLM",
        "GPTJConfig",
        {"vocab_size": 260, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512, "rotary_dim": 4},
    ),
    "granite": ("GraniteForCausalLM", "GraniteConfig", GROUPED),
    "lfm2": ("Lfm2ForCausalLM", "Lfm2Config", {**GROUPED, "layer_types": ["conv", "full_attention"]}),
    "recurrent_gemma": (
        "RecurrentGemmaForCausalLM",
        "RecurrentGemmaConfig",
        {
            "vocab_size": 260,
            "hidden_size": 32,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "intermediate_size": 48,
            "lru_width": 32,
        },
    ),
    "rwkv": (
        "RwkvForCausalLM",
        "RwkvConfig",
        {"vocab_size": 260, "hidden_size": 32, "num_hidden_layers": 2, "context_length": 512},
    ),
}

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

#: Every family whose parts the view reads.
STRUCTURED = (*PACKABLE, *ROWS, "gemma3_with_pictures")


def gemma3_with_pictures() -> Any:
    """Gemma 3 as it is published: a language model inside one that also reads pictures."""
    text = hf.Gemma3TextConfig(
        **GROUPED, head_dim=8, query_pre_attn_scalar=8, sliding_window=512, layer_types=MIXED
    ).to_dict()
    vision = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
    }
    config = hf.Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4)
    return hf.Gemma3ForConditionalGeneration(config)


def zoo_model(family: str, *, seed: int = 0) -> Any:
    """A random model of a family, spread widely enough that a wrong mask shows in the logits."""
    torch.manual_seed(seed)
    if family in ROWS or family in HOOKED:
        model_class, config_class, options = {**ROWS, **HOOKED}[family]
        model = getattr(hf, model_class)(getattr(hf, config_class)(**options)).eval()
    elif family in BUILDERS:
        model = BUILDERS[family]().eval()
    else:
        model = tiny_model(family, seed=seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    return model
