"""Planted concepts get their own words and score as they should; words that belong elsewhere score one half."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.sparse import csc_matrix

from auditor.mechanisms._shared.corpus import Read
from auditor.mechanisms.interpretation.answers import Answered
from auditor.mechanisms.interpretation.describers import marked
from auditor.mechanisms.interpretation.describing import (
    NO_PATTERN,
    TOO_FEW,
    Search,
    active_entries,
    describe,
    thresholds,
)
from auditor.mechanisms.interpretation.measure import _beyond, _near_chance, _recounted
from auditor.mechanisms.interpretation.method import Settings, interpret
from auditor.mechanisms.interpretation.predicates import Cells, Predicate, words_of
from auditor.mechanisms.interpretation.result import FeatureInWords
from auditor.mechanisms.interpretation.scores import (
    EVERYWHERE,
    TOO_FEW_HELD_OUT,
    HeldOut,
    Question,
    derangements,
    recount,
)
from tests.mechanisms import planted_corpus as planted
from tests.mechanisms.asking import through_a_ledger

CONCEPTS = {
    planted.on_black: "Active on “Black”",
    planted.on_any_race: "Active on the value of Race",
    planted.at_the_end_if_black: "Active at the end of the prompt, where the decision is read when Race is “Black”",
    planted.on_credit_words: "Active on the words before the value of Credit lines",
    planted.on_none: "Active on “none”",
}


@pytest.fixture(scope="module")
def features() -> tuple[FeatureInWords, ...]:
    concepts = [*CONCEPTS, planted.at_the_end_if_ratio_is_high, planted.everywhere, planted.once, planted.by_chance]
    return interpret(planted.read(concepts), settings=Settings(), seed=3)


def held(concept: planted.Concept) -> tuple[HeldOut, np.ndarray[Any, Any]]:
    read = planted.read([concept])
    active = active_entries(read.activations, thresholds(read.activations, strong=0.25)).tocsc()
    whole = HeldOut(read.corpus, active)
    return whole, whole.tokens(0)


@pytest.mark.parametrize("concept", CONCEPTS)
def test_the_true_tokens_score_one_and_their_opposite_nothing(concept: planted.Concept) -> None:
    whole, active = held(concept)
    question = Question(whole, active)

    assert question.answered(active).detection == 1.0
    assert question.answered(active).fuzzing == 1.0
    assert question.answered(~active).fuzzing == 0.0


@pytest.mark.parametrize("says", [True, False])
def test_a_description_of_everything_or_of_nothing_scores_one_half(says: bool) -> None:
    whole, active = held(planted.at_the_end_if_black)
    answers = Question(whole, active).answered(np.full(len(active), says))

    assert answers.detection == 0.5
    assert answers.fuzzing == 0.5


def test_the_right_place_without_the_condition_is_right_half_of_the_near_contexts_only() -> None:
    whole, active = held(planted.at_the_end_if_black)
    said = Cells(whole.corpus).matches(Predicate("last", (0,)))
    answers = Question(whole, active).answered(said)

    assert answers.found.share == 1.0
    assert answers.near.share == 0.0
    assert answers.far.share == 1.0
    assert answers.detection == 0.75
    assert answers.fuzzing == 1.0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_words_that_do_not_depend_on_the_feature_score_one_half_on_average(seed: int, share: float) -> None:
    whole, active = held(planted.on_credit_words)
    question = Question(whole, active)
    generator = np.random.default_rng(seed)
    # A whole context is said to be active or not, by a coin.
    scores = [
        question.answered((generator.random(len(whole.starts)) < share)[whole.number]).detection for _ in range(40)
    ]

    assert np.mean(scores) == pytest.approx(0.5, abs=0.06)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.booleans(), min_size=30, max_size=30))
def test_scores_stay_between_nothing_and_one_and_in_their_intervals(pattern: list[bool]) -> None:
    whole, active = held(planted.on_any_race)
    said = np.resize(np.array(pattern), len(active))
    answers = Question(whole, active).answered(said)

    for value, (low, high) in (
        (answers.detection, answers.detection_interval(level=0.95)),
        (answers.fuzzing, answers.fuzzing_interval(level=0.95)),
    ):
        assert 0 <= low <= value <= high <= 1
    row = FeatureInWords(latent=0, words=None, reason=None, answers=answers)
    assert FeatureInWords.read(through_a_ledger(row)) == row


def test_an_interval_of_a_perfect_score_is_no_point() -> None:
    low, high = Answered(5, 5, 5).interval(0.95)

    assert high == 1.0
    assert low == pytest.approx(0.5655, abs=1e-4)  # Wilson's lower bound of 5 of 5


@pytest.mark.parametrize(("concept", "words"), CONCEPTS.items())
def test_a_planted_concept_gets_its_own_words_and_is_detected(
    features: tuple[FeatureInWords, ...], concept: planted.Concept, words: str
) -> None:
    found = features[list(CONCEPTS).index(concept)]
    answers = found.answers

    assert found.words == words
    assert answers is not None
    assert answers.detection == 1.0
    assert answers.fuzzing == 1.0


def test_a_threshold_on_a_number_is_found_near_the_planted_one(features: tuple[FeatureInWords, ...]) -> None:
    found = features[len(CONCEPTS)]
    words = str(found.words)

    assert words.startswith("Active at the end of the prompt, where the decision is read when Obligations ratio")
    threshold = int(words.rpartition("above ")[2].rstrip("%"))
    assert 32 <= threshold <= 48
    assert found.answers is not None
    assert found.answers.detection > 0.85


def test_failures_are_counted_by_their_reason(features: tuple[FeatureInWords, ...]) -> None:
    everywhere, once, chance = features[-3:]

    assert everywhere.reason == EVERYWHERE
    assert once.reason == TOO_FEW
    assert chance.reason == NO_PATTERN
    assert once.words is chance.words is None


def test_exchanged_descriptions_score_about_one_half_and_the_true_tokens_one(
    features: tuple[FeatureInWords, ...],
) -> None:
    scored = [one for one in features if one.answers is not None]
    exchanged = [one.exchanged for one in scored if one.exchanged is not None]

    assert len(scored) == len(CONCEPTS) + 1
    assert np.mean([(one.detection, one.fuzzing) for one in exchanged]) == pytest.approx(0.5, abs=0.1)
    assert scored[0].recounted is not None
    assert scored[0].recounted < 1e-12


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.6))
def test_a_count_context_by_context_comes_to_the_same_scores(seed: int, share: float) -> None:
    corpus = planted.planted_corpus()
    generator = np.random.default_rng(seed)
    active, said = generator.random(len(corpus)) < share, generator.random(len(corpus)) < share
    whole = HeldOut(corpus, csc_matrix(active[:, None].astype(np.float32)))
    assume(whole.problem(active, least=2) is None)
    answers = Question(whole, active).answered(said)

    assert recount(whole, active, said) == pytest.approx((answers.detection, answers.fuzzing), abs=1e-12)


def test_a_recount_that_comes_to_another_score_takes_the_number_away(features: tuple[FeatureInWords, ...]) -> None:
    for changed, held in ((0.0, True), (0.01, False)):
        (check,) = _recounted([features[0].model_copy(update={"recounted": changed})])
        assert check.held is held
        assert check.value == changed


def test_exchanged_descriptions_that_tell_features_apart_break_the_check() -> None:
    generator = np.random.default_rng(0)

    for mean, held in ((0.5, True), (0.8, False)):
        (check,) = _near_chance(generator.normal(mean, 0.1, 40).tolist())
        assert check.held is held
    # Three features cannot show it, whatever they score, and a check that cannot fail is none.
    assert _near_chance([0.4, 0.9, 0.8]) == ()
    assert _near_chance([1.0]) == ()


def test_own_descriptions_stand_beside_exchanged_ones_feature_by_feature() -> None:
    found = _beyond([0.9, 0.8, 0.85] * 8, [0.5, 0.5, 0.6] * 8, level=0.95)

    assert found["beyond_shuffled"] == pytest.approx(0.95 / 3)
    assert found["beyond_shuffled_low"] < found["beyond_shuffled"] < found["beyond_shuffled_high"]


def test_a_feature_that_is_silent_in_the_other_applications_is_not_scored() -> None:
    concept = lambda corpus, row: float(corpus.prompts[corpus.prompt[row]].application in ("a00", "a02", "a04"))  # noqa: E731
    (found,) = interpret(planted.read([concept]), settings=Settings(floor=0.0), seed=0)

    assert found.reason == TOO_FEW_HELD_OUT


def test_the_order_of_features_changes_no_description() -> None:
    concepts = list(CONCEPTS)
    ahead = describe(planted.read(concepts), search=Search())
    back = describe(planted.read(concepts[::-1]), search=Search())

    assert [one.predicate for one in ahead] == [one.predicate for one in back[::-1]]


@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 100.0))
def test_the_size_of_activations_changes_no_description(scale: float) -> None:
    plain = planted.read([planted.on_any_race])
    scaled = Read(plain.corpus, plain.activations * scale)

    assert describe(plain, search=Search())[0].predicate == describe(scaled, search=Search())[0].predicate


def test_a_condition_is_known_only_from_its_field_on() -> None:
    corpus = planted.planted_corpus()
    cells = Cells(corpus)
    (found,) = describe(planted.read([planted.at_the_end_if_black]), search=Search())
    assert found.predicate is not None
    condition = found.predicate.condition
    assert condition is not None

    assert not cells.holds(condition)[corpus.segment < 3].any()


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 60), st.integers(0, 2**32 - 1))
def test_exchanging_leaves_nothing_in_place_and_loses_nothing(count: int, seed: int) -> None:
    for order in derangements(count, rounds=3, seed=seed):
        assert sorted(order.tolist()) == list(range(count))
        assert (order != np.arange(count)).all()


def test_the_example_marks_the_active_tokens() -> None:
    read = planted.read([planted.on_black])
    corpus = read.corpus
    row = next(row for row in range(len(corpus)) if planted.text(corpus, row) == "Black")
    rows = np.flatnonzero(corpus.context == corpus.context[row])

    assert "«Black»" in marked(corpus, rows, read.activations.toarray()[:, 0] > 0)


def test_words_name_several_places() -> None:
    corpus = planted.planted_corpus()

    assert words_of(Predicate("value", (0, 1, 3)), corpus) == (
        "Active on the values of Loan amount, Obligations ratio and Race"
    )
