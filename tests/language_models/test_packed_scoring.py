"""Packed scores are the scores of one prompt at a time; a model that cannot be packed says so and is scored right."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.exceptions import Interrupted, ScoringError
from auditor.language_models import packed
from auditor.language_models.packed import (
    TOLERANCE,
    PackedScorer,
    PackingProbe,
    offers_positions,
    plain_log_probabilities,
    probe_packing,
)
from auditor.language_models.trie import Pack
from tests.language_models.zoo import BUILDERS, PACKABLE, ROWS, WINDOW, zoo_model

YES = PackingProbe(True, None, "")
LAYER_NORM = ("gpt2", "gpt_neox", "opt", "phi")


@cache
def model_of(family: str) -> Any:
    torch.set_num_threads(1)
    return zoo_model(family)


def tree(seed: int, *, longest: int = 120) -> list[list[int]]:
    """Prompts that share beginnings of several lengths, one of them twice."""
    generator = np.random.default_rng(seed)

    def draw(count: int) -> list[int]:
        return [int(token) for token in generator.integers(3, 260, count)]

    root = draw(longest // 2)
    prompts = [root + draw(int(size)) for size in generator.integers(1, longest // 3, 3)]
    return [*prompts, prompts[0] + draw(longest // 6), draw(5), prompts[1]]


def reads_of(prompts: list[list[int]]) -> list[list[tuple[int, int]]]:
    return [[(len(prompt) - 1, 7), (len(prompt) // 2, prompt[-1]), (0, 9)] for prompt in prompts]


def difference(model: Any, prompts: list[list[int]], *, width: int) -> float:
    reads = reads_of(prompts)
    got = PackedScorer(model, pack_tokens=width, probe=YES).log_probabilities(prompts, reads)
    wanted = [plain_log_probabilities(model, *pair) for pair in zip(prompts, reads, strict=True)]
    return float(np.abs(np.array(got) - np.array(wanted)).max())


@pytest.mark.parametrize("family", PACKABLE)
def test_packed_equals_one_by_one_at_any_pack_width(family: str) -> None:
    longest = WINDOW if family == "mistral" else 120
    model = model_of(family)
    assert probe_packing(model, vocabulary=260, longest=longest).reason == ""
    for width in (1, 7, 40, 100_000):
        assert difference(model, tree(1, longest=min(longest, 60)), width=width) <= TOLERANCE
    assert difference(model, tree(2, longest=longest), width=33) <= TOLERANCE


@pytest.mark.parametrize("family", sorted({*BUILDERS, *ROWS}))
def test_asking_for_the_positions_that_are_read_gives_what_all_positions_give(family: str) -> None:
    model = zoo_model(family)
    for prompt, read in zip(tree(6), reads_of(tree(6)), strict=True):
        every = plain_log_probabilities(model, prompt, read)
        chosen = plain_log_probabilities(model, prompt, read, every_position=not offers_positions(model))
        # Fewer rows in one product of matrices: the last digits of single precision may differ.
        assert np.abs(np.array(chosen) - np.array(every)).max() <= 1e-5


@pytest.mark.parametrize("family", LAYER_NORM)
def test_in_double_precision_they_agree_to_nine_digits(family: str) -> None:
    assert difference(zoo_model(family).double(), tree(3, longest=60), width=25) <= 1e-9


@settings(max_examples=25)
@given(
    st.lists(st.lists(st.integers(3, 5), min_size=1, max_size=30), min_size=1, max_size=8),
    st.integers(1, 50),
    st.sampled_from(["llama", "gpt2", "gemma3"]),
)
def test_any_set_of_prompts_scores_the_same_packed(prompts: list[list[int]], width: int, family: str) -> None:
    assert difference(model_of(family), prompts, width=width) <= TOLERANCE


def test_a_batch_of_one_equals_a_batch_of_many() -> None:
    prompts = tree(4)
    reads = reads_of(prompts)
    scorer = PackedScorer(model_of("llama"), pack_tokens=64, probe=YES)
    together = scorer.log_probabilities(prompts, reads)
    alone = [scorer.log_probabilities([one], [read])[0] for one, read in zip(prompts, reads, strict=True)]
    assert np.abs(np.array(together) - np.array(alone)).max() <= TOLERANCE


def test_log_probabilities_are_those_of_the_full_logits() -> None:
    prompt = tree(5)[0]
    with torch.inference_mode():
        expected = model_of("llama")(torch.tensor([prompt])).logits[0, -1].double().log_softmax(-1)
    got = PackedScorer(model_of("llama"), pack_tokens=32, probe=YES).log_probabilities(
        [prompt], [[(len(prompt) - 1, token) for token in range(260)]]
    )[0]
    assert np.abs(np.array(got) - expected.numpy()).max() <= TOLERANCE
    assert np.exp(got).sum() == pytest.approx(1, abs=1e-6)


def test_a_sliding_window_shorter_than_the_prompts_rules_packing_out() -> None:
    model = model_of("mistral")
    probe = probe_packing(model, vocabulary=260, longest=WINDOW + 1)
    assert not probe.packable
    assert probe.reason == "prompts of up to 33 tokens are longer than the sliding window (32)"
    prompts = tree(6)
    got = PackedScorer(model, pack_tokens=32, probe=probe).log_probabilities(prompts, reads_of(prompts))
    wanted = [plain_log_probabilities(model, *pair) for pair in zip(prompts, reads_of(prompts), strict=True)]
    assert np.abs(np.array(got) - np.array(wanted)).max() <= 1e-5


@pytest.mark.parametrize("family", ["bloom", "mamba"])
def test_a_model_without_explicit_positions_falls_back_loudly(family: str) -> None:
    model = model_of(family)
    probe = probe_packing(model, vocabulary=260, longest=60)
    assert not probe.packable
    assert type(model).__name__ in probe.reason or "differ by" in probe.reason
    prompt = [5, 9, 11, 40]
    got = PackedScorer(model, pack_tokens=32, probe=probe).log_probabilities([prompt], [[(3, 8)]])
    with torch.inference_mode():
        expected = model(torch.tensor([prompt])).logits[0, -1].double().log_softmax(-1)[8]
    assert got[0][0] == pytest.approx(float(expected), abs=1e-5)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2"])
def test_a_broken_mask_is_caught_by_the_probe(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = packed.tree_mask

    def leaky(pack: Pack, *, dtype: torch.dtype) -> torch.Tensor:
        mask = right(pack, dtype=dtype)
        mask[0, 0, -1, pack.context :] = 0  # the last token sees its siblings
        return mask

    monkeypatch.setattr(packed, "tree_mask", leaky)
    probe = probe_packing(model_of(family), vocabulary=260, longest=60)
    assert not probe.packable
    assert probe.largest_difference is not None
    assert probe.largest_difference > TOLERANCE
    assert probe.reason.startswith("packed and one-by-one scores differ by ")


@pytest.mark.parametrize("packable", [True, False])
def test_weights_that_are_no_numbers_stop_the_scoring(packable: bool) -> None:
    model = zoo_model("llama")
    with torch.no_grad():
        model.lm_head.weight[7].fill_(float("nan"))
    assert not probe_packing(model, vocabulary=260, longest=60).packable
    scorer = PackedScorer(model, pack_tokens=16, probe=PackingProbe(packable, None, ""))
    with pytest.raises(ScoringError, match="not a finite number"):
        scorer.log_probabilities([[3, 4, 5]], [[(2, 9)]])


@pytest.mark.parametrize("packable", [True, False])
def test_a_stop_request_ends_the_scoring_between_passes(packable: bool) -> None:
    asked = iter([False, False, True])
    scorer = PackedScorer(
        model_of("llama"),
        pack_tokens=4,
        probe=PackingProbe(packable, None, ""),
        should_stop=lambda: next(asked),
    )
    prompts = tree(7)
    with pytest.raises(Interrupted, match="what was scored before is kept"):
        scorer.log_probabilities(prompts, reads_of(prompts))
    assert list(asked) == []
