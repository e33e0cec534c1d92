"""Margin and mass are those of whole answers; answers that cannot be told apart are refused first."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from auditor.exceptions import PlanError, ScoringError
from auditor.language_models.answers import ask, decide
from auditor.language_models.packed import PackedScorer, PackingProbe
from auditor.plan import Answers
from auditor.records import Case, Decision, Outcome
from tests.language_models.tiny import tiny_tokenizer
from tests.language_models.zoo import zoo_model

PROMPTS = ["Income: 10\nDecision:", "Income: 20\nDecision:", "Other"]
ANSWERS = Answers(favourable=(" Approve", " approve", " Yes"), adverse=(" Deny", " No"), mass_floor=0.5)


def case(name: str, prompt: str) -> Case:
    return Case(name, name, "actual", None, {}, (), prompt, {})


def answered(
    model: Any, prompts: list[str], answers: Answers, *, share: bool = True, width: int = 40
) -> list[Decision]:
    questions = ask(tiny_tokenizer(), prompts, answers, chat=False, where="plan.toml")
    scorer = PackedScorer(model, pack_tokens=width, probe=PackingProbe(True, None, ""))
    cases = [case(str(number), prompt) for number, prompt in enumerate(prompts)]
    return decide(scorer, cases, questions, mass_floor=answers.mass_floor, natural_margin=0.0, share=share)


def probability(model: Any, prompt: str, answer: str) -> float:
    """Of a whole answer, from full logits, one token after another."""
    tokenizer = tiny_tokenizer()
    start, tokens = tokenizer(prompt)["input_ids"], tokenizer(prompt + answer)["input_ids"]
    with torch.inference_mode():
        scores = model(torch.tensor([tokens])).logits[0].double().log_softmax(-1)
    return math.exp(sum(float(scores[at - 1, tokens[at]]) for at in range(len(start), len(tokens))))


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("width", [3, 500])
def test_margin_and_mass_are_the_closed_form_over_all_spellings(share: bool, width: int) -> None:
    model = zoo_model("gpt2").double()
    for prompt, decision in zip(PROMPTS, answered(model, PROMPTS, ANSWERS, share=share, width=width), strict=True):
        yes = sum(probability(model, prompt, spelling) for spelling in ANSWERS.favourable)
        no = sum(probability(model, prompt, spelling) for spelling in ANSWERS.adverse)
        assert decision.margin == pytest.approx(math.log(yes) - math.log(no), abs=1e-8)
        assert decision.mass == pytest.approx(yes + no, rel=1e-8)
        assert decision.log_favourable == pytest.approx(math.log(yes), abs=1e-8)
        assert decision.observation == "scored"


def test_too_little_mass_makes_a_case_invalid_and_never_drops_it() -> None:
    decisions = answered(zoo_model("gpt2"), PROMPTS, ANSWERS)
    assert len(decisions) == len(PROMPTS)
    assert {decision.outcome for decision in decisions} == {Outcome.INVALID}
    assert all(decision.margin is not None for decision in decisions)


def test_the_outcome_follows_the_sign_of_the_margin_where_the_mass_suffices() -> None:
    free = ANSWERS.model_copy(update={"mass_floor": 0.0})
    for seed in range(3):
        for decision in answered(zoo_model("gpt2", seed=seed), PROMPTS, free):
            assert decision.margin is not None
            assert decision.outcome is (Outcome.FAVOURABLE if decision.margin >= 0 else Outcome.ADVERSE)


def test_a_case_whose_logits_are_no_numbers_stops_the_run() -> None:
    model = zoo_model("gpt2")
    with torch.no_grad():
        model.transformer.wte.weight[40].fill_(float("inf"))
    with pytest.raises(ScoringError, match="not a finite number"):
        answered(model, PROMPTS, ANSWERS)


@given(st.lists(st.sampled_from(["a", "ba", "bba", "bbba", "bbbb"]), min_size=2, unique=True))
def test_every_answer_is_read_at_its_own_positions(spellings: list[str]) -> None:
    question = ask(
        tiny_tokenizer(),
        ["p:"],
        Answers(favourable=tuple(spellings[:1]), adverse=tuple(spellings[1:])),
        chat=False,
        where="plan.toml",
    )[0]
    read = [
        (tuple(sequence[: position + 1]), token)
        for sequence, wanted in zip(question.sequences, question.reads, strict=True)
        for position, token in wanted
    ]
    expected = [
        (question.prompt + answer[:at], answer[at])
        for answer in question.favourable + question.adverse
        for at in range(len(answer))
    ]
    assert sorted(read) == sorted(expected)


def merging_tokenizer() -> PreTrainedTokenizerFast:
    """Letters, and the one merge of a colon with the blank after it."""
    letters = ["a", "b", "c", ":", " ", ": "]
    backend = Tokenizer(BPE(vocab={letter: number for number, letter in enumerate(letters)}, merges=[(":", " ")]))
    backend.pre_tokenizer = pre_tokenizers.Split(pattern="\n", behavior="isolated")
    return PreTrainedTokenizerFast(tokenizer_object=backend)


def lowering_tokenizer() -> PreTrainedTokenizerFast:
    from tokenizers import normalizers

    tokenizer = merging_tokenizer()
    tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    return tokenizer


@pytest.mark.parametrize(
    ("tokenizer", "favourable", "adverse", "message"),
    [
        (
            merging_tokenizer(),
            (" a",),
            ("b",),
            "plan.toml: prompt.answers: ' a' merges with the end of the prompt when tokenised; "
            "expected a prompt that ends, and answers that begin, on a token border (a leading space often helps)",
        ),
        (
            lowering_tokenizer(),
            ("a", "A"),
            ("b",),
            "plan.toml: prompt.answers: 'a' and 'A' tokenise to the same thing; expected answers with different tokens",
        ),
        (
            merging_tokenizer(),
            ("a",),
            ("ab",),
            "plan.toml: prompt.answers: 'ab' begins with all tokens of 'a' and would be counted twice; "
            "expected answers none of which begins with another",
        ),
        (
            merging_tokenizer(),
            ("",),
            ("b",),
            "plan.toml: prompt.answers: '' merges with the end of the prompt when tokenised; "
            "expected a prompt that ends, and answers that begin, on a token border (a leading space often helps)",
        ),
    ],
    ids=["merges", "alike", "contained", "empty"],
)
def test_answers_that_cannot_be_told_apart_are_refused(
    tokenizer: Any, favourable: tuple[str, ...], adverse: tuple[str, ...], message: str
) -> None:
    with pytest.raises(PlanError) as refusal:
        ask(tokenizer, ["abc:"], Answers(favourable=favourable, adverse=adverse), chat=False, where="plan.toml")
    assert str(refusal.value) == message
