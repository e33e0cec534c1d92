"""An attribute is selective when its words are read better than words without a meaning, and null ones seldom are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.mechanisms.probing.control_words import WORDS, choose, length_class, pairs_of, words_needed
from auditor.mechanisms.probing.selectivity import (
    Selectivity,
    ceiling,
    compare,
    difference_interval,
    pairs_between,
    read_pair,
)
from benchmarks.inside_nulls_probes import false_selective, family_false_selective, planted

ALPHA = 0.05


def tokens(text: str) -> int:
    return len(text)


@given(st.integers(1, 400), st.booleans())
def test_no_fewer_words_would_give_enough_pairs(draws: int, alike: bool) -> None:
    words = words_needed(draws, alike=alike)

    assert pairs_of(words, alike=alike) - 1 >= draws
    assert words == 1 or pairs_of(words - 1, alike=alike) - 1 < draws


@pytest.mark.parametrize(("alike", "count"), [(True, 5), (False, 5)])
def test_pairs_are_counted_as_they_are_made(alike: bool, count: int) -> None:
    left = [f"l{number}" for number in range(count)]
    right = left if alike else [f"r{number}" for number in range(count)]
    pairs = pairs_between(("own", "other"), (left, right))

    assert pairs[0] == ("own", "other")
    assert len(set(pairs)) == len(pairs) == pairs_of(count, alike=alike)


def test_control_words_are_as_long_and_as_capital_as_the_groups_and_share_no_part_with_them() -> None:
    groups = ["white", "Pacific Islander Rain"]
    wanted = {length_class(group, tokens): 12 for group in groups}
    chosen = choose(groups, wanted=wanted, pool=WORDS, tokens=tokens, seed="1")

    for group in groups:
        found = chosen[length_class(group, tokens)]
        assert len(set(found)) == 12
        assert {len(word) for word in found} == {len(group)}
        assert {word[0].islower() for word in found} == {group[0].islower()}
        assert not any("rain" in word.casefold().split() for word in found)


def test_a_pool_that_is_too_small_gives_fewer_and_not_others() -> None:
    chosen = choose(["Black"], wanted={"6 upper": 5}, pool=["Amber", "Birch", "Rock"], tokens=tokens, seed="1")

    assert sorted(chosen["6 upper"]) == ["Amber", "Birch"]


def compared(own: float, others: list[float], *, n: int = 24) -> Selectivity:
    generator = np.random.default_rng(0)
    rights = [np.sort((generator.permutation(n) < round(share * n)).astype(float)) for share in (own, *others)]
    return compare(rights, apart=[True] * len(others), alpha=ALPHA, family_size=1)


def test_where_words_without_a_meaning_are_read_perfectly_it_is_too_few_to_say() -> None:
    found = compared(1.0, [1.0] * 40)

    assert ceiling(found, alpha=ALPHA, family_size=1)
    assert found.p_value == 1.0
    assert found.low < 0 < found.high, "an interval of 24 applications does not shrink to nothing"


def test_a_pair_above_all_others_has_the_smallest_p_value_there_is() -> None:
    found = compared(1.0, [0.5] * 40)

    assert found.p_value == 1 / 41
    assert not ceiling(found, alpha=ALPHA, family_size=1)
    assert found.low > 0


def test_perfect_reading_that_one_control_in_twenty_reaches_cannot_be_told() -> None:
    assert ceiling(compared(0.9, [1.0, 1.0, *[0.5] * 38]), alpha=ALPHA, family_size=1)
    assert not ceiling(compared(0.9, [1.0, *[0.5] * 39]), alpha=ALPHA, family_size=1)


@given(st.integers(8, 200), st.floats(0, 1), st.floats(0, 1), st.integers(0, 99))
def test_the_interval_holds_the_difference_and_turns_with_it(n: int, one: float, two: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    first, second = (generator.random(n) < one).astype(float), (generator.random(n) < two).astype(float)
    low, high = difference_interval(first, second, level=0.95)
    turned = difference_interval(second, first, level=0.95)

    assert low - 1e-12 <= first.mean() - second.mean() <= high + 1e-12
    assert low < high
    assert turned == pytest.approx((-high, -low))


def test_the_interval_is_newcombes_where_nothing_is_shared() -> None:
    # Newcombe 1998, method 10: 56/70 − 48/80, square and add.
    first = np.repeat([1.0, 0.0], [56, 14])
    low, high = difference_interval(first, np.roll(first, 35), level=0.95)

    z, n = 1.959964, 70
    half = z * math.sqrt(0.8 * 0.2 / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    centre = (0.8 + z**2 / (2 * n)) / (1 + z**2 / n)
    spread = math.hypot(0.8 - (centre - half), centre + half - 0.8)
    link = max(0.0, float(np.corrcoef(first, np.roll(first, 35))[0, 1]))
    assert link == 0.0
    assert (low, high) == pytest.approx((-spread, spread), rel=1e-5)


def test_a_pair_is_read_by_a_probe_that_did_not_see_the_application() -> None:
    generator = np.random.default_rng(1)
    folds = np.arange(40) % 5
    noise = generator.standard_normal((2, 40, 30))

    assert read_pair(noise[0], noise[1], folds=folds, penalty=1.0).mean() == pytest.approx(0.5, abs=0.2)
    assert read_pair(noise[0] + 4, noise[1] - 4, folds=folds, penalty=1.0).mean() == 1.0


@pytest.mark.parametrize("strength", [0.5, 1.0, 4.0])
def test_random_word_vectors_are_seldom_called_selective_at_any_strength(strength: float) -> None:
    # The rule that compared with one eight-word control said selective in 12 of 12 at medium strength.
    said = false_selective(strength=strength, trials=200, words=12, seed=3)

    assert said.yes <= ALPHA + 2 * math.sqrt(ALPHA * (1 - ALPHA) / said.trials)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_two_tokens_of_a_random_model_are_seldom_called_selective(family: str) -> None:
    said = family_false_selective(family, differing=5, trials=200, words=10, seed=3)

    assert said.yes <= ALPHA + 2 * math.sqrt(ALPHA * (1 - ALPHA) / said.trials)


def test_a_planted_attribute_is_called_selective() -> None:
    assert planted(apart=3.0, trials=16, seed=3).yes >= 0.75


def test_where_every_word_is_read_perfectly_nothing_is_said() -> None:
    said = false_selective(strength=20.0, trials=40, words=10, seed=3)

    assert said.unsaid >= 0.9
    assert said.yes == 0.0
