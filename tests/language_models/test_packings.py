"""Every family in every packing people have it in answers as plain transformers does, or as its dequantised weights."""

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
from tests.language_models.gguf_writing import MODELS, dequantised, gguf_model, write
from tests.language_models.tiny import save_tiny
from tests.language_models.zoo import STRUCTURED, zoo_model

#: Adapters on experts, which PEFT keeps as whole parameters with patterns of its own, are refused; Mamba takes few.
MODULES = {
    "mamba": ["in_proj"],
    **{name: ["o_proj"] for name in ("deepseek_v3", "mixtral", "olmoe", "qwen2_moe", "qwen3_moe")},
}
#: Two families without an adapter of their own stand for all others.
FAMILY_ROWS = (*STRUCTURED, "bloom", "mamba")

TOKENS = torch.arange(4, 100)[None]
#: Largest difference of a margin, in nats.
EXACT = 1e-4
#: Every tensor type on one architecture; the others, whose layouts differ, in an exact and in a coarse one.
KINDS = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K")


def margins(model: Any) -> torch.Tensor:
    """The log-odds of one token against another, at every position."""
    with torch.inference_mode():
        found: torch.Tensor = model(input_ids=TOKENS).logits
    return found[..., 7] - found[..., 11]


def check(found: Any, expected: torch.Tensor) -> None:
    assert (margins(found) - expected).abs().max() <= EXACT
    assert expected.abs().max() > 1e-2, "margins this small would agree by themselves"


@pytest.mark.parametrize("family", FAMILY_ROWS)
def test_safetensors_in_shards_and_an_adapter_answer_as_plain_transformers_and_peft(
    family: str, tmp_path: Path
) -> None:
    source = save_tiny(tmp_path / "m", model=zoo_model(family), max_shard_size="20KB")
    assert (source / "model.safetensors.index.json").is_file()
    plain = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32).eval()
    store = ModelStore(tmp_path / "store")
    check(load(store.import_model(f"dir:{source}"), threads=1).model, margins(plain))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(3)
        modules = MODULES.get(family, "all-linear")
        config = peft.LoraConfig(r=2, target_modules=modules, init_lora_weights=False)
        adapted = peft.get_peft_model(plain, config).eval()
        adapted.save_pretrained(tmp_path / "adapter")
    expected = margins(adapted)
    check(load(store.import_model(f"dir:{source}+adapter:{tmp_path}/adapter"), threads=1).model, expected)


@pytest.mark.parametrize(
    ("architecture", "kind"),
    [*(("llama", kind) for kind in KINDS), *((name, kind) for name in list(MODELS)[1:] for kind in ("F32", "Q4_K"))],
)
def test_a_gguf_file_answers_as_its_dequantised_weights(architecture: str, kind: str, tmp_path: Path) -> None:
    model = gguf_model(architecture)
    path = write(tmp_path / "m.gguf", architecture, model, kind=kind)
    stored = ModelStore(tmp_path / "store").import_model(f"gguf:{path}")
    expected = margins(dequantised(architecture, model, kind))
    found = margins(load(stored, threads=1).model)
    assert (found - expected).abs().max() <= EXACT
    assert expected.std() > 1e-4
