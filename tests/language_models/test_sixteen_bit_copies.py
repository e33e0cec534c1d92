"""Copies in 16 bits: rounding of another kernel is no other model, and a small difference of the function is one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from auditor.exceptions import ModelError
from auditor.language_models.plain_reading import PLAIN_TOLERANCE, check_against_plain
from auditor.language_models.weights import largest_difference, read_model, read_tokenizer, sample_logits
from tests.language_models.tiny import save_tiny
from tests.language_models.zoo import zoo_model


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", ["llama", "gemma2", "glm4", "qwen3_moe", "mixtral", "deepseek_v3", "mamba"])
def test_a_copy_in_16_bits_answers_as_plain_transformers_to_the_bit(
    family: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    folder = save_tiny(tmp_path / "m", model=zoo_model(family).to(dtype))
    found = check_against_plain(folder, model=read_model(folder, dtype="auto"), tokenizer=read_tokenizer(folder))
    assert found == 0.0


@pytest.mark.parametrize(("family", "seed"), [("deepseek_v3", 1), ("mixtral", 3)])
def test_a_mixture_whose_router_another_kernel_tips_is_the_same_model(family: str, seed: int, tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "m", model=zoo_model(family, seed=seed).to(torch.bfloat16))
    model, tokenizer = read_model(folder, dtype="auto"), read_tokenizer(folder)
    plain = sample_logits(model, tokenizer)
    model.set_attn_implementation("eager")
    assert largest_difference(plain, sample_logits(model, tokenizer)) > 0.05, "the other kernel tips no router here"
    found = check_against_plain(folder, model=model, tokenizer=tokenizer)
    assert found <= PLAIN_TOLERANCE * float(plain.abs().max())


def test_a_function_that_differs_by_less_than_the_rounding_of_16_bits_is_refused(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "m", model=zoo_model("llama").to(torch.float16))
    model, tokenizer = read_model(folder, dtype="auto"), read_tokenizer(folder)
    plain = sample_logits(model, tokenizer)
    model.model.rotary_emb.inv_freq.mul_(1.002)
    moved = largest_difference(plain, sample_logits(model, tokenizer)) / max(1.0, float(plain.abs().max()))
    assert 0 < moved < 2e-2
    with pytest.raises(ModelError, match=r"its logits differ from plain transformers' by"):
        check_against_plain(folder, model=model, tokenizer=tokenizer)
