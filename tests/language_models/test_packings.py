"""Every packing people have a family in answers as plain transformers does, or as its dequantised weights.

Every family in shards, with an adapter and in a GGUF file of many tensor types: test_families_table.py.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from transformers import AutoModelForCausalLM

from auditor.language_models.local import load
from auditor.language_models.store import ModelStore
from tests.language_models.gguf_writing import MIXED, MODELS, dequantised, gguf_model, write
from tests.language_models.tiny import save_tiny
from tests.language_models.zoo import zoo_model

#: Adapters on experts, which PEFT keeps as whole parameters with patterns of its own, are refused; Mamba takes few.
MIXTURES = (
    "deepseek_v3", "ernie4_5_moe", "exaone_moe", "flex_olmo", "glm4_moe", "hunyuan_v1_moe", "minimax_m2", "mixtral",
    "olmoe", "phimoe", "qwen2_moe", "qwen3_moe", "solar_open",
)  # fmt: skip
MODULES = {
    "mamba": ["in_proj"],
    **{name: ["o_proj"] for name in MIXTURES},
}
TOKENS = torch.arange(4, 100)[None]
#: Largest difference of a margin, in nats.
EXACT = 1e-4
#: Every tensor type alone on one architecture; the others, whose layouts differ, in those people have most and, in the
#: table of families, in all at once.
KINDS = ("F32", "F16", "BF16", *MIXED)
USUAL = ("F32", "F16", "Q8_0")


def margins(model: Any) -> torch.Tensor:
    """The log-odds of one token against another, at every position."""
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=TOKENS).logits
    return found[..., 7] - found[..., 11]


def apart(found: Any, expected: torch.Tensor) -> float:
    """The largest difference of a margin, in nats; margins too small to tell anything agree with nothing."""
    return float((margins(found) - expected).abs().max()) if expected.std() > 1e-4 else float("inf")


def shards_apart(family: str, folder: Path) -> float:
    """How far a family's model, saved in shards and imported, is from plain transformers on the same files."""
    source = save_tiny(folder / "m", model=zoo_model(family), max_shard_size="20KB")
    assert (source / "model.safetensors.index.json").is_file()
    plain = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).eval()
    return apart(load(ModelStore(folder / "store").import_model(f"dir:{source}"), threads=1).model, margins(plain))


def adapter_apart(family: str, folder: Path) -> float:
    """The same for the model in one file with an adapter, from PEFT on the same files.

    In parts of what the adapter moves, where that is more than one logit: rounding grows with it, on some processors
    more than on others.
    """
    source = save_tiny(folder / "base", model=zoo_model(family))
    plain = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(3)
        before = margins(plain)
        modules = MODULES.get(family, "all-linear")
        # Small, since PEFT adds where the copy is merged: what rounding sets apart grows with what is added.
        config = peft.LoraConfig(r=2, lora_alpha=1, target_modules=modules, init_lora_weights=False)
        adapted = peft.get_peft_model(plain, config).eval()
        adapted.save_pretrained(folder / "adapter")
    moved = apart(adapted, before)
    assert moved > 100 * EXACT
    stored = ModelStore(folder / "store").import_model(f"dir:{source}+adapter:{folder}/adapter")
    return apart(load(stored, threads=1).model, margins(adapted)) / max(1.0, moved)


def gguf_apart(architecture: str, kind: str, folder: Path) -> float:
    """How far a GGUF file, imported, is from its dequantised weights in plain transformers."""
    model = gguf_model(architecture)
    path = write(folder / "m.gguf", architecture, model, kind=kind)
    stored = ModelStore(folder / "store").import_model(f"gguf:{path}")
    return apart(load(stored, threads=1).model, margins(dequantised(architecture, model, kind)))


@pytest.mark.parametrize(
    ("architecture", "kind"),
    [*(("llama", kind) for kind in KINDS), *((name, kind) for name in list(MODELS)[1:] for kind in USUAL)],
)
def test_a_gguf_file_answers_as_its_dequantised_weights(architecture: str, kind: str, tmp_path: Path) -> None:
    assert gguf_apart(architecture, kind, tmp_path) <= EXACT


def test_margins_that_say_nothing_agree_with_nothing() -> None:
    model = gguf_model("llama")
    assert apart(model, torch.zeros(1, 96)) == float("inf")
