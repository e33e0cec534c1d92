"""Tiny random models with real files: a few thousand parameters, a tokenizer of their own."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GemmaConfig,
    GemmaForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

VOCABULARY = 260
LAYERS = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 32, "intermediate_size": 48}
SIZES = {"vocab_size": VOCABULARY, "max_position_embeddings": 512, "bos_token_id": 0, "eos_token_id": 1}
GROUPED = {**LAYERS, **SIZES, "num_key_value_heads": 2, "pad_token_id": 2}


def tiny_model(family: str = "llama", *, seed: int = 0) -> Any:
    """A random model of a family, in evaluation mode."""
    torch.manual_seed(seed)
    model = {
        "llama": lambda: LlamaForCausalLM(LlamaConfig(**GROUPED)),
        "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**GROUPED, tie_word_embeddings=True)),
        "gemma": lambda: GemmaForCausalLM(GemmaConfig(**GROUPED, head_dim=8)),
        "gemma2": lambda: Gemma2ForCausalLM(Gemma2Config(**GROUPED, head_dim=8, query_pre_attn_scalar=8)),
        "gpt_neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**LAYERS, **SIZES)),
        "gpt2": lambda: GPT2LMHeadModel(
            GPT2Config(
                n_layer=2, n_head=4, n_embd=32, n_positions=512, vocab_size=VOCABULARY, bos_token_id=0, eos_token_id=1
            )
        ),
    }[family]()
    return model.eval()


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer: four special tokens and one token a byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<s>", "</s>", "<pad>", "<unk>", *alphabet]
    backend = Tokenizer(BPE(vocab={token: number for number, token in enumerate(tokens)}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens([AddedToken(token, special=True) for token in tokens[:4]])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )


def save_tiny(folder: Path, family: str = "llama", *, seed: int = 0, model: Any = None, **options: Any) -> Path:
    """Save a tiny model and its tokenizer the way the hub lays them out."""
    (model or tiny_model(family, seed=seed)).save_pretrained(folder, **options)
    tiny_tokenizer().save_pretrained(folder)
    return folder


def edit_json(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file; ``None`` takes a key away."""
    value = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: inner for key, inner in value.items() if inner is not None}))


def raw_safetensors(header: Any, data: bytes = b"") -> bytes:
    """The bytes of a safetensors file with any header, right or wrong."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data
