"""What the likeliest tokens show is a margin where both answers are seen, else a bound that holds: never a guess."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.readouts.log_odds import (
    TOLERANCE,
    Bound,
    Margin,
    NoMargin,
    margin_of_scores,
    margin_of_tokens,
    spellings,
)
from auditor.systems.asking import Scored, TokenStep

UP, DOWN = ("approve", " approve"), ("deny", " deny")
VOCABULARY = ["approve", " approve", "deny", " deny", "app", "rove", "de", "ny", " ", "x", "d", "eny", " de", "no"]


class Speaker:
    """A small language whose every continuation has a known probability: a row of logits for each last token."""

    def __init__(self, seed: int, *, sharp: float) -> None:
        logits = np.random.default_rng(seed).normal(size=(len(VOCABULARY) + 1, len(VOCABULARY))) * sharp
        self.table = logits - np.log(np.exp(logits).sum(1, keepdims=True))

    def begins(self, answers: tuple[str, ...]) -> float:
        """Probability that the text, at some border between tokens, is one of the answers: by enumeration."""
        total, open_ = 0.0, [("", len(VOCABULARY), 0.0)]
        while open_:
            text, last, value = open_.pop()
            for index, token in enumerate(VOCABULARY):
                longer, sum_ = text + token, value + float(self.table[last, index])
                if longer in answers:
                    total += math.exp(sum_)
                elif any(answer.startswith(longer) for answer in answers):
                    open_.append((longer, index, sum_))
        return total

    def answer(self, *, top: int, length: int, greedy: bool, seed: int) -> list[TokenStep]:
        steps, last = [], len(VOCABULARY)
        generator = np.random.default_rng(seed)
        for _ in range(length):
            row = self.table[last]
            last = int(row.argmax()) if greedy else int(generator.choice(len(row), p=np.exp(row)))
            best = np.argsort(-row, kind="stable")[:top]
            pairs = tuple((VOCABULARY[index], float(row[index])) for index in best)
            steps.append(TokenStep(VOCABULARY[last], float(row[last]), pairs))
        return steps


@given(
    seed=st.integers(0, 10**6),
    sharp=st.floats(0.2, 6),
    top=st.integers(1, len(VOCABULARY)),
    length=st.integers(1, 4),
    greedy=st.booleans(),
    replicates=st.integers(1, 4),
)
def test_the_truth_lies_inside_what_is_said(
    seed: int, sharp: float, top: int, length: int, greedy: bool, replicates: int
) -> None:
    speaker = Speaker(seed, sharp=sharp)
    truth = math.log(speaker.begins(UP)) - math.log(speaker.begins(DOWN))
    mass = speaker.begins(UP) + speaker.begins(DOWN)
    answers = [
        speaker.answer(top=top, length=length, greedy=greedy, seed=seed + number) for number in range(replicates)
    ]
    found = margin_of_tokens(answers, favourable=UP, adverse=DOWN)
    if isinstance(found, Margin):
        assert found.low - 1e-9 <= truth <= found.high + 1e-9
        assert abs(found.value - truth) <= TOLERANCE + 1e-9
        assert found.low <= found.value <= found.high
    elif isinstance(found, Bound):
        assert found.at_least is None or found.at_least <= truth + 1e-9
        assert found.at_most is None or truth <= found.at_most + 1e-9
        assert (found.at_least, found.at_most) != (None, None)
        assert found.mass_at_least - 1e-9 <= mass <= found.mass_at_most + 1e-9


def first(pairs: dict[str, float], *, chosen: str) -> list[TokenStep]:
    return [TokenStep(chosen, math.log(pairs[chosen]), tuple((token, math.log(p)) for token, p in pairs.items()))]


def test_two_whole_answers_in_the_list_give_the_margin() -> None:
    found = margin_of_tokens(
        [first({"approve": 0.6, "deny": 0.39, "x": 1e-6}, chosen="approve")], favourable=UP, adverse=DOWN
    )
    assert isinstance(found, Margin)
    assert found.value == pytest.approx(math.log(0.6 / 0.39))
    assert found.mass == pytest.approx(0.99)


def test_an_answer_outside_the_list_bounds_the_margin_from_one_side() -> None:
    steps = first({"approve": 0.9, "x": 0.05, "no": 0.01}, chosen="approve")
    found = margin_of_tokens([steps], favourable=UP, adverse=DOWN)
    assert isinstance(found, Bound)
    # Every token that may begin the adverse answer has at most the last listed probability, together at most the rest.
    assert found.at_least == pytest.approx(math.log(0.9 / 0.04))
    assert found.at_most is None
    assert found.reason == "the adverse answer is not among the likeliest tokens"
    other = margin_of_tokens([first({"deny": 0.9, "x": 0.05, "no": 0.01}, chosen="deny")], favourable=UP, adverse=DOWN)
    assert isinstance(other, Bound)
    assert other.at_most is not None
    assert other.at_least is None


def test_a_token_that_only_begins_an_answer_is_no_number() -> None:
    steps = first({"approve": 0.6, "de": 0.3, "deny": 0.05}, chosen="approve")
    found = margin_of_tokens([steps], favourable=UP, adverse=DOWN)
    assert isinstance(found, Bound)
    assert found.at_least is not None
    assert found.at_most is not None
    assert found.at_least <= math.log(0.6 / 0.35)
    assert found.at_most >= math.log(0.6 / 0.05)


def test_an_answer_of_several_tokens_is_followed_along_the_answer_that_was_given() -> None:
    steps = [
        *first({"app": 0.5, "deny": 0.4999}, chosen="app"),
        *first({"rove": 0.9999, "x": 0.00005}, chosen="rove"),
    ]
    found = margin_of_tokens([steps], favourable=UP, adverse=DOWN)
    assert isinstance(found, Margin)
    assert found.value == pytest.approx(math.log(0.5 * 0.9999 / 0.4999), abs=1e-9)
    cut_off = margin_of_tokens([steps[:1]], favourable=UP, adverse=DOWN)
    assert isinstance(cut_off, Bound)
    assert cut_off.at_most is not None
    assert cut_off.at_least is None


def test_a_replicate_that_took_the_other_way_shows_the_rest_of_an_answer() -> None:
    shown = {"app": 0.5, "de": 0.4999}
    steps = [*first(shown, chosen="app"), *first({"rove": 0.9999, "x": 5e-5}, chosen="rove")]
    other = [*first(shown, chosen="de"), *first({"ny": 0.9999, "x": 5e-5}, chosen="ny")]
    assert isinstance(margin_of_tokens([steps], favourable=UP, adverse=DOWN), Bound)
    found = margin_of_tokens([steps, other], favourable=UP, adverse=DOWN)
    assert isinstance(found, Margin)
    assert found.value == pytest.approx(math.log(0.5 / 0.4999), abs=1e-9)


def test_replicates_that_contradict_one_another_give_no_margin() -> None:
    one, other = (
        first({"approve": 0.6, "deny": 0.39}, chosen="approve"),
        first({"approve": 0.4, "deny": 0.59}, chosen="deny"),
    )
    assert margin_of_tokens([one, other], favourable=UP, adverse=DOWN) == NoMargin(
        "answers to one prompt name different log-probabilities"
    )


def test_without_both_or_without_log_probabilities_nothing_is_said() -> None:
    neither = margin_of_tokens([first({"x": 0.9, "no": 0.05}, chosen="x")], favourable=UP, adverse=DOWN)
    assert neither == NoMargin("neither answer is among the likeliest tokens")
    assert margin_of_tokens([None], favourable=UP, adverse=DOWN, trouble="why") == NoMargin("why")
    bare = margin_of_tokens([[TokenStep("approve", -0.1)]], favourable=UP, adverse=DOWN)
    assert bare == NoMargin("there is no list of likeliest tokens")


@pytest.mark.parametrize(("one", "other"), [(("yes",), ("yes and no",)), (("no", "y"), ("no",))])
def test_answers_of_which_one_begins_the_other_are_refused(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    for up, down in ((one, other), (other, one)):
        with pytest.raises(ValueError, match="begins with one of the other side"):
            margin_of_tokens([[TokenStep("x", -1.0)]], favourable=up, adverse=down)


@given(values=st.lists(st.floats(-30, 0), min_size=4, max_size=4))
def test_scored_answers_give_the_exact_margin(values: list[float]) -> None:
    scores = [Scored(text, value) for text, value in zip((*UP, *DOWN), values, strict=True)]
    found = margin_of_scores(scores, favourable=UP, adverse=DOWN)
    assert isinstance(found, Margin)
    sums = [math.fsum(map(math.exp, part)) for part in (values[:2], values[2:])]
    assert found.value == pytest.approx(math.log(sums[0]) - math.log(sums[1]), abs=1e-9)
    assert found.low == found.value == found.high


def test_an_answer_that_was_not_scored_leaves_no_margin() -> None:
    scores = [Scored(text, -1.0) for text in (*UP, DOWN[0])]
    assert margin_of_scores(scores, favourable=UP, adverse=DOWN) == NoMargin("' deny' was not scored")
    torn = [*scores, Scored(" deny", None, "it merges")]
    assert margin_of_scores(torn, favourable=UP, adverse=DOWN) == NoMargin("' deny': it merges")


def test_loose_spellings_are_a_finite_list() -> None:
    found = spellings(["approve"], loose=True)
    assert set(found) == {space + form for space, form in product(["", " "], ["approve", "Approve", "APPROVE"])}
    assert spellings(["approve", "approve"], loose=False) == ("approve",)
