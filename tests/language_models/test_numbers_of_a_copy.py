"""A copy that holds or answers what is no number equals nothing, and is refused where it is compared."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
import torch

from auditor.exceptions import ModelError
from auditor.language_models.plain_reading import check_against_plain
from auditor.language_models.weights import difference_words, largest_difference, read_model, read_tokenizer
from tests.language_models.tiny import save_tiny, tiny_model


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("sides", ["one", "other", "both"])
def test_logits_that_are_no_numbers_are_within_no_bound(odd: float, sides: str) -> None:
    one, other = torch.zeros(1, 3, 4), torch.zeros(1, 3, 4)
    if sides != "other":
        one[0, 1, 2] = odd
    if sides != "one":
        other[0, 1, 2] = odd
    assert not largest_difference(one, other) <= math.inf
    assert difference_words("they differ by {}", largest_difference(one, other)) == "its logits are not numbers"


def test_finite_logits_differ_by_the_largest_gap() -> None:
    one = torch.tensor([[0.0, 2.0, -1.0]])
    assert largest_difference(one, one + torch.tensor([[0.0, -0.5, 0.25]])) == 0.5
    assert difference_words("they differ by {}", 0.5) == "they differ by 0.5"


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_a_weight_that_is_no_number_is_refused_though_no_sample_text_reaches_it(tmp_path: Path, odd: float) -> None:
    model = tiny_model()
    with torch.no_grad():
        model.model.embed_tokens.weight[2, 5] = odd  # <pad>: in no text
    folder = save_tiny(tmp_path / "odd", model=model)
    with pytest.raises(ModelError, match=r"model.embed_tokens.weight holds values that are not numbers"):
        check_against_plain(folder, model=read_model(folder, dtype="auto"), tokenizer=read_tokenizer(folder))


def test_logits_that_are_no_numbers_are_refused_though_every_weight_is_one(tmp_path: Path) -> None:
    model = tiny_model()
    with torch.no_grad():
        model.lm_head.weight.fill_(3e38)
        model.model.norm.weight.fill_(3e38)
    folder = save_tiny(tmp_path / "large", model=model)
    with pytest.raises(ModelError, match=r"its logits are not numbers; expected at most"):
        check_against_plain(folder, model=read_model(folder, dtype="auto"), tokenizer=read_tokenizer(folder))


def test_a_weight_that_differs_and_no_sample_text_reaches_is_named(tmp_path: Path) -> None:
    folder = save_tiny(tmp_path / "model")
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    model = read_model(other, dtype="auto")
    model.model.embed_tokens.weight[2, 5] += 1
    with pytest.raises(ModelError, match=r"model.embed_tokens.weight is read differently by plain transformers"):
        check_against_plain(folder, model=model, tokenizer=read_tokenizer(folder))
    assert check_against_plain(folder, model=read_model(folder, dtype="auto"), tokenizer=read_tokenizer(folder)) == 0
