"""Generated text is what transformers generates, token by token, whatever it is generated together with."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import GenerationConfig

from auditor.exceptions import Interrupted, ScoringError
from auditor.language_models import generation
from auditor.language_models.generation import GeneratedText, TextPrompt, generate
from auditor.language_models.next_token import TIE, Decoding, choose
from auditor.language_models.packed import TOLERANCE, PackedScorer, PackingProbe, probe_packing
from tests.language_models.zoo import HOOKED, PACKABLE, WINDOW, zoo_model

END = frozenset({1})
HOW_LONG = 10


@cache
def model_of(family: str) -> Any:
    torch.set_num_threads(1)
    return zoo_model(family)


@cache
def scorer_of(family: str) -> PackedScorer:
    model = model_of(family)
    longest = WINDOW if family == "mistral" else 64
    return PackedScorer(model, pack_tokens=48, probe=probe_packing(model, vocabulary=260, longest=longest))


def prompts_of(seed: int, *, longest: int = 20) -> list[TextPrompt]:
    """Prompts that share beginnings of several lengths."""
    generator = np.random.default_rng(seed)

    def draw(count: int) -> tuple[int, ...]:
        return tuple(int(token) for token in generator.integers(3, 260, count))

    root = draw(longest // 2)
    tokens = [root + draw(3), root + draw(7), draw(2), root, root + draw(longest // 2), draw(longest)]
    return [TextPrompt(f"case {number}", each) for number, each in enumerate(tokens)]


def of_transformers(model: Any, prompt: TextPrompt) -> list[int]:
    """What transformers generates greedily after one prompt."""
    settings = GenerationConfig(max_new_tokens=HOW_LONG, do_sample=False, eos_token_id=1, pad_token_id=2)
    ids = torch.tensor([prompt.tokens])
    found = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings)
    return [int(token) for token in found[0, len(prompt.tokens) :]]


def lead(model: Any, tokens: tuple[int, ...]) -> float:
    """By how much the likeliest next token leads, in nats."""
    with torch.inference_mode():
        top = torch.topk(model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0, -1], 2).values
    return float(top[0] - top[1])


def texts(family: str, prompts: list[TextPrompt], **options: Any) -> list[GeneratedText]:
    return generate(scorer_of(family), prompts, Decoding(max_tokens=HOW_LONG, **options), ends=END)


@pytest.mark.parametrize("family", [*PACKABLE, "bloom", "mamba", "phi3", "olmo2", "mixtral", *sorted(HOOKED)])
def test_greedy_text_is_that_of_transformers_token_by_token(family: str) -> None:
    model = model_of(family)
    prompts = prompts_of(1)
    for prompt, text in zip(prompts, texts(family, prompts), strict=True):
        wanted = of_transformers(model, prompt)
        same = sum(1 for one, other in zip(text.tokens, wanted, strict=False) if one == other)
        if list(text.tokens) != wanted:
            # Only what arithmetic cannot tell apart may be decided otherwise.
            assert lead(model, (*prompt.tokens, *wanted[:same])) < TIE
        assert text.trouble == ""
        assert text.ended == (text.tokens[-1] == 1)


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "bloom"])
@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_a_text_does_not_depend_on_what_it_is_generated_with(family: str, temperature: float) -> None:
    prompts = prompts_of(2)
    together = texts(family, prompts, temperature=temperature, seed=3)
    backwards = texts(family, prompts[::-1], temperature=temperature, seed=3)[::-1]
    alone = [texts(family, [prompt], temperature=temperature, seed=3)[0] for prompt in prompts]
    for one, other, third in zip(together, backwards, alone, strict=True):
        assert one.tokens == other.tokens == third.tokens
        assert np.abs(np.subtract(one.log_probabilities, third.log_probabilities)).max() <= TOLERANCE


@settings(max_examples=8)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=9), st.integers(0, 50))
def test_any_set_of_replicates_gives_each_the_same_text(chosen: list[int], seed: int) -> None:
    prompts = prompts_of(4)
    asked = [TextPrompt(prompts[index].case, prompts[index].tokens, place % 3) for place, index in enumerate(chosen)]
    found = texts("llama", asked, temperature=1.0, seed=seed)
    for prompt, text in zip(asked, found, strict=True):
        assert text.tokens == texts("llama", [prompt], temperature=1.0, seed=seed)[0].tokens


def test_draws_have_the_shares_of_the_models_own_distribution() -> None:
    model = model_of("llama")
    prompt = prompts_of(5)[2]
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([prompt.tokens])).logits[0, -1].double()
    shares = torch.softmax(logits / 2.0, -1).numpy()
    asked = [TextPrompt("one", prompt.tokens, replicate) for replicate in range(800)]
    found = generate(scorer_of("llama"), asked, Decoding(max_tokens=1, temperature=2.0), ends=frozenset())
    counts = np.bincount([text.tokens[0] for text in found], minlength=260)
    likely = shares * len(asked) >= 5
    expected = np.append(shares[likely], shares[~likely].sum()) * len(asked)
    seen = np.append(counts[likely], counts[~likely].sum())
    statistic = float(((seen - expected) ** 2 / np.maximum(expected, 1e-12)).sum())
    # Chi-square with as many degrees of freedom less one: far within its 1 - 1e-6 quantile.
    degrees = len(expected) - 1
    assert statistic < degrees + 6 * np.sqrt(2 * degrees)
    assert len(set(found[0].tokens)) == 1


def test_log_probabilities_are_those_at_temperature_one() -> None:
    [text] = texts("llama", prompts_of(6)[:1], temperature=3.0)
    prompt = prompts_of(6)[0]
    with torch.inference_mode():
        logits = model_of("llama")(input_ids=torch.tensor([prompt.tokens + text.tokens])).logits[0].double()
    start = len(prompt.tokens) - 1
    wanted = [float(logits[start + place].log_softmax(-1)[token]) for place, token in enumerate(text.tokens)]
    assert np.abs(np.subtract(text.log_probabilities, wanted)).max() <= TOLERANCE


def test_a_text_ends_at_an_end_mark_at_a_stop_or_is_cut_off() -> None:
    prompts = prompts_of(7)[:2]
    free = generate(scorer_of("llama"), prompts, Decoding(max_tokens=HOW_LONG), ends=frozenset())
    assert all(len(text.tokens) == HOW_LONG and not text.ended for text in free)
    third = free[0].tokens[2]
    ended = generate(scorer_of("llama"), prompts, Decoding(max_tokens=HOW_LONG), ends=frozenset({third}))[0]
    assert ended.ended
    assert ended.tokens == free[0].tokens[: free[0].tokens.index(third) + 1]
    stopped = generate(
        scorer_of("llama"),
        prompts,
        Decoding(max_tokens=HOW_LONG),
        ends=frozenset(),
        stopped=lambda _, sofar: len(sofar) == 4,
    )
    assert [text.tokens for text in stopped] == [text.tokens[:4] for text in free]
    assert all(text.ended for text in stopped)


def test_greedy_replicates_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    checked = generation._checked

    def counting(scorer: Any, growing: Any) -> Any:
        seen.append(len(growing))
        return checked(scorer, growing)

    monkeypatch.setattr(generation, "_checked", counting)
    prompt = prompts_of(8)[0]
    found = texts("llama", [TextPrompt("one", prompt.tokens, number) for number in range(5)])
    assert seen == [1]
    assert len({text.tokens for text in found}) == 1


def test_a_tie_is_decided_by_the_plain_forward_pass() -> None:
    model = zoo_model("llama")
    with torch.no_grad():
        # Two tokens with the same row of the output matrix have one logit: only their ids tell them apart.
        rows = model.get_output_embeddings().weight
        likely = int(model(input_ids=torch.tensor([[5, 6, 7]])).logits[0, -1].argmax())
        rows[likely - 1] = rows[likely]
    scorer = PackedScorer(model, pack_tokens=48, probe=PackingProbe(True, None, "", plain_head=True))
    [text] = generate(scorer, [TextPrompt("one", (5, 6, 7))], Decoding(max_tokens=1), ends=END)
    assert text.tokens == (likely - 1,)
    assert text.ties == 1


def test_a_cache_that_is_wrong_leaves_no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    grow = generation.TextTree.grow

    def blind(tree: Any, rows: Any, tokens: Any) -> Any:
        tree._sees[:, 0] = False  # no text sees the first token of its prompt any more
        return grow(tree, rows, tokens)

    monkeypatch.setattr(generation.TextTree, "grow", blind)
    prompts = [TextPrompt("one", tuple(range(5, 25))), TextPrompt("two", tuple(range(5, 15)))]
    found = texts("llama", prompts)
    assert all("differ by" in text.trouble for text in found)


def test_one_text_that_sees_anothers_tokens_has_no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    grow = generation.TextTree.grow

    def leaking(tree: Any, rows: Any, tokens: Any) -> Any:
        tree._sees[1] |= tree._sees[0]
        return grow(tree, rows, tokens)

    monkeypatch.setattr(generation.TextTree, "grow", leaking)
    # In tree order: the first of the group is in order, the second reads the first one's prompt and text as well.
    prompts = [TextPrompt("one", (5, 6, 7, 8)), TextPrompt("two", (9, 10, 11))]
    first, second = texts("llama", prompts)
    assert first.trouble == ""
    assert second.trouble.startswith("its tokens' log-probabilities differ by ")


def test_a_logit_that_is_no_number_is_named_by_its_prompt() -> None:
    model = zoo_model("llama")
    with torch.no_grad():
        model.get_input_embeddings().weight[200] = float("nan")
    scorer = PackedScorer(model, pack_tokens=48, probe=PackingProbe(True, None, "", plain_head=True))
    prompts = [TextPrompt("good", (5, 6, 7)), TextPrompt("bad", (5, 200))]
    with pytest.raises(ScoringError, match="finite") as caught:
        generate(scorer, prompts, Decoding(max_tokens=2), ends=END)
    assert caught.value.prompt == 1


def test_a_prompt_that_fills_the_models_positions_is_refused() -> None:
    prompt = TextPrompt("long", tuple([5] * 512))
    with pytest.raises(ScoringError, match="leaves no room in the model's 512 positions"):
        generate(scorer_of("gpt2"), [prompt], Decoding(max_tokens=2), ends=END)
    [text] = generate(
        scorer_of("gpt2"), [TextPrompt("nearly", tuple([5] * 509))], Decoding(max_tokens=9), ends=frozenset()
    )
    assert len(text.tokens) == 3
    assert not text.ended


def test_a_stop_is_heeded_between_two_tokens() -> None:
    scorer = PackedScorer(
        model_of("llama"), pack_tokens=48, probe=PackingProbe(True, None, "", True), should_stop=lambda: True
    )
    with pytest.raises(Interrupted):
        generate(scorer, prompts_of(9), Decoding(), ends=END)


def test_settings_that_mean_nothing_are_refused() -> None:
    for options in ({"max_tokens": 0}, {"temperature": -0.1}, {"temperature": float("inf")}, {"stop": ("",)}):
        with pytest.raises(ValueError, match="must"):
            Decoding(**options)  # type: ignore[arg-type]


def test_of_equal_scores_the_first_token_is_chosen() -> None:
    chosen = choose(torch.tensor([0.0, 2.0, 1.0, 2.0]), None)
    assert chosen is not None
    assert (chosen.token, chosen.tie) == (1, True)
