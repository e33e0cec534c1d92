"""A model describes and another tries: greedy, counted where it says neither, worth one half where it guesses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from auditor.exceptions import Interrupted, PlanError
from auditor.language_models.local import LoadedModel
from auditor.mechanisms.interpretation.describers import (
    LocalTextModel,
    describe_by_model,
    try_descriptions,
    yes_or_no,
)
from auditor.mechanisms.interpretation.describing import active_entries, thresholds
from auditor.mechanisms.interpretation.method import Settings
from auditor.mechanisms.interpretation.scores import HeldOut
from auditor.plan import check_section
from tests.language_models.tiny import tiny_model, tiny_tokenizer
from tests.mechanisms import planted_corpus as planted

CONCEPTS = (planted.on_black, planted.on_none)


class Reader:
    """Answers as a function of what it is asked: stands for a scorer whose quality is known."""

    def __init__(self, answer: Any) -> None:
        self.reply, self.asked = answer, 0

    def answers(self, prompts: Sequence[str], *, tokens: int) -> list[str]:
        self.asked += len(prompts)
        return [str(self.reply(prompt)) for prompt in prompts]


@pytest.fixture(scope="module")
def held() -> HeldOut:
    read = planted.read(CONCEPTS)
    return HeldOut(read.corpus, active_entries(read.activations, thresholds(read.activations, strong=0.25)).tocsc())


def perfect(prompt: str) -> str:
    """Yes where the word that the description names stands in the piece, and is marked where marks are asked about."""
    words, _, piece = prompt.partition("\n")
    word = "Black" if "Black" in words else "none"
    piece = piece.partition("\n")[0]
    return "Yes." if (f"«{word}»" in piece if "«" in piece.partition(": ")[2] else word in piece) else " no"


def tried(held: HeldOut, answer: Any, **options: Any) -> Any:
    features = [(0, "The marked words are Black"), (1, "The marked words are none")]
    scorer = Reader(answer)
    return try_descriptions(scorer, held, features, order=np.array([1, 0]), contexts=6, seed=2, **options), scorer


def test_a_scorer_that_reads_scores_true_words_one_and_exchanged_ones_one_half(held: HeldOut) -> None:
    results, _ = tried(held, perfect)

    for one in results:
        assert one.answers.detection == 1.0
        assert one.answers.fuzzing == 1.0
        assert one.shuffled.detection == pytest.approx(0.5, abs=0.1)
        assert one.shuffled.fuzzing == 0.5
        assert one.unparseable == 0


@pytest.mark.parametrize("answer", ["yes", "no", "maybe"])
def test_an_answer_that_is_always_the_same_is_worth_one_half(held: HeldOut, answer: str) -> None:
    results, _ = tried(held, lambda _: answer)

    assert [one.answers.detection for one in results] == [0.5, 0.5]
    assert [one.answers.fuzzing for one in results] == [0.5, 0.5]


def test_answers_that_are_neither_yes_nor_no_are_counted(held: HeldOut) -> None:
    results, scorer = tried(held, lambda _: "perhaps")

    assert sum(one.unparseable for one in results) == sum(one.asked for one in results) == scorer.asked


@pytest.mark.parametrize(
    ("answer", "said"),
    [(" Yes", True), ("no.", False), ("**NO**", False), ("yesterday", None), ("", None), ("I think yes", None)],
)
def test_only_a_plain_yes_or_no_is_read(answer: str, said: bool | None) -> None:
    assert yes_or_no(answer) is said


def test_a_stop_is_heeded_between_two_features(held: HeldOut) -> None:
    with pytest.raises(Interrupted):
        tried(held, perfect, should_stop=lambda: True)


def test_a_real_model_answers_greedily_and_the_same_again() -> None:
    read = planted.read(CONCEPTS)
    strength = read.activations.toarray()[:, 0]
    model = LocalTextModel(LoadedModel(tiny_model(), tiny_tokenizer(), None, "cpu"))

    first = describe_by_model(model, read.corpus, strength, strength > 0)

    assert first is None or first.startswith("The marked words are ")
    assert describe_by_model(model, read.corpus, strength, strength > 0) == first
    assert len(model.answers(["Loan"], tokens=4)[0]) >= 1


def test_the_describer_is_shown_the_marked_words_and_its_first_line_is_kept() -> None:
    read = planted.read(CONCEPTS)
    strength = read.activations.toarray()[:, 0]
    seen: list[str] = []

    def answer(prompt: str) -> str:
        seen.append(prompt)
        return "\n the race Black.\nThat is all."

    words = describe_by_model(Reader(answer), read.corpus, strength, strength > 0)

    assert words == "The marked words are the race Black"
    assert "«Black»" in seen[0]


def test_a_describer_that_says_nothing_gives_no_description() -> None:
    read = planted.read(CONCEPTS)
    strength = read.activations.toarray()[:, 0]

    assert describe_by_model(Reader(lambda _: " \n?"), read.corpus, strength, strength > 0) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"describer": "local:demo:smollm2"}, "both rules or both models"),
        ({"describer": "local:a", "scorer": "local:a"}, "another model than the describer"),
        ({"describer": "magic"}, "describer"),
    ],
)
def test_settings_that_cannot_work_are_refused_in_one_line(settings: dict[str, str], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        check_section(Settings, settings, where="plan.toml: settings.interpretation")
