"""Shapley values obey their axioms, and sampling agrees with enumeration within the error it states."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.mechanisms.field_attribution.shapley import (
    FloatArray,
    Worth,
    contributions,
    enumerate_all,
    exact,
    path,
    sample,
)


def game(players: int, seed: int) -> FloatArray:
    return np.random.default_rng(seed).normal(size=1 << players)


def worth_of(values: FloatArray) -> Worth:
    return lambda coalitions: values[list(coalitions)]


games = st.integers(1, 7).flatmap(lambda players: st.tuples(st.just(players), st.integers(0, 2**32 - 1)))


@given(games)
def test_values_sum_to_what_everybody_adds_to_nobody(drawn: tuple[int, int]) -> None:
    v = game(*drawn)
    assert exact(v).sum() == pytest.approx(v[-1] - v[0], abs=1e-12)


@given(games, st.data())
def test_a_player_who_changes_nothing_gets_exactly_zero(drawn: tuple[int, int], data: st.DataObject) -> None:
    players, seed = drawn
    dummy = data.draw(st.integers(0, players - 1))
    coalitions = np.arange(1 << players)
    v = game(players, seed)[coalitions & ~(1 << dummy)]
    assert exact(v)[dummy] == 0.0
    sampled = sample(worth_of(v), players=players, seed=[seed], error=0.01, most_pairs=8)
    assert sampled.values[dummy] == 0.0


@given(games, st.data())
def test_players_who_can_be_exchanged_get_the_same(drawn: tuple[int, int], data: st.DataObject) -> None:
    players, seed = drawn
    one, other = (data.draw(st.integers(0, players - 1)) for _ in range(2))
    coalitions = np.arange(1 << players)
    swapped = coalitions & ~(1 << one) & ~(1 << other)
    swapped = swapped | (coalitions >> one & 1) << other | (coalitions >> other & 1) << one
    v = game(players, seed)
    values = exact(v + v[swapped])
    assert values[one] == pytest.approx(values[other], abs=1e-12)


@given(games, st.floats(-3, 3), st.floats(-3, 3))
def test_values_of_a_sum_of_games_are_the_sums_of_their_values(drawn: tuple[int, int], a: float, b: float) -> None:
    players, seed = drawn
    v, w = game(players, seed), game(players, seed + 1)
    assert exact(a * v + b * w) == pytest.approx(a * exact(v) + b * exact(w), abs=1e-10)


@given(games, st.data())
def test_the_order_in_which_players_are_listed_does_not_matter(drawn: tuple[int, int], data: st.DataObject) -> None:
    players, seed = drawn
    order = data.draw(st.permutations(range(players)))
    v = game(players, seed)
    moved = np.empty_like(v)
    for coalition in range(len(v)):
        moved[sum((coalition >> player & 1) << place for place, player in enumerate(order))] = v[coalition]
    assert exact(moved) == pytest.approx(exact(v)[order], abs=1e-12)


@settings(max_examples=30)
@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_enumeration_is_the_mean_over_all_orders(players: int, seed: int) -> None:
    v = game(players, seed)
    known = dict(enumerate(map(float, v)))
    orders = [contributions(order, known) for order in permutations(range(players))]
    assert exact(v) == pytest.approx(np.mean(orders, axis=0), abs=1e-12)


@given(st.integers(6, 8), st.integers(0, 2**32 - 1))
def test_sampling_agrees_with_enumeration_within_its_standard_error(players: int, seed: int) -> None:
    v = game(players, seed)
    sampled = sample(worth_of(v), players=players, seed=[seed, 1], error=1e-12, most_pairs=200)
    assert sampled.standard_errors is not None
    # 100 examples of up to seven values: 5 standard errors leave chance no room.
    assert (np.abs(sampled.values - exact(v)) <= 5 * sampled.standard_errors + 1e-12).all()
    assert sampled.values.sum() == pytest.approx(v[-1] - v[0], abs=1e-10)


@given(st.integers(2, 9), st.integers(0, 2**32 - 1))
def test_what_two_players_do_together_cancels_in_an_antithetic_pair(players: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    alone, together = generator.normal(size=players), np.triu(generator.normal(size=(players, players)), 1)
    members = (np.arange(1 << players)[:, None] >> np.arange(players)) & 1
    v = members @ alone + np.einsum("si,ij,sj->s", members, together, members)
    sampled = sample(worth_of(v), players=players, seed=[seed], error=1e-9, most_pairs=64)
    assert sampled.pairs == 8
    assert sampled.values == pytest.approx(alone + (together.sum(0) + together.sum(1)) / 2, abs=1e-9)


def test_sampling_goes_on_until_the_error_is_reached_or_the_pairs_are_used_up() -> None:
    v = game(8, 3)
    reached = sample(worth_of(v), players=8, seed=[0], error=0.05, most_pairs=4096)
    assert reached.relative_error <= 0.05
    assert 8 < reached.pairs < 4096
    short = sample(worth_of(v), players=8, seed=[0], error=0.001, most_pairs=12)
    assert short.pairs == 12
    assert short.relative_error > 0.001
    assert sample(worth_of(np.zeros(8)), players=3, seed=[0], error=0.1, most_pairs=64).pairs == 8


def test_no_coalition_is_asked_about_twice_and_each_round_asks_once() -> None:
    v, rounds = game(6, 4), []

    def worth(coalitions: Sequence[int]) -> FloatArray:
        rounds.append(list(coalitions))
        return v[list(coalitions)]

    result = sample(worth, players=6, seed=[2], error=1e-9, most_pairs=32)
    asked = [coalition for batch in rounds for coalition in batch]
    assert len(set(asked)) == len(asked) == result.coalitions
    assert len(rounds) == 3


def test_the_same_seed_gives_the_same_sample_and_another_seed_another() -> None:
    v = game(7, 5)
    one, again, other = (
        sample(worth_of(v), players=7, seed=[seed], error=1e-9, most_pairs=8).values for seed in (1, 1, 2)
    )
    assert (one == again).all()
    assert (one != other).any()


def test_an_enumeration_reports_both_ends_its_range_and_no_error() -> None:
    v = game(4, 6)
    result = enumerate_all(worth_of(v), players=4)
    assert (result.empty, result.full, result.spread) == (v[0], v[-1], np.ptp(v))
    assert (result.coalitions, result.pairs, result.standard_errors, result.relative_error) == (16, 0, None, 0.0)


def test_a_game_without_players_has_no_values() -> None:
    result = enumerate_all(worth_of(np.array([2.5])), players=0)
    assert result.values.shape == (0,)
    assert result.empty == result.full == 2.5


def test_joining_one_by_one_leads_from_nobody_to_everybody() -> None:
    assert path([2, 0, 1]) == [0, 4, 5, 7]


def test_games_that_cannot_be_played_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2\^players,\)"):
        exact(np.zeros(6))
    with pytest.raises(ValueError, match=r"shape \(2\^players,\)"):
        exact([])
    with pytest.raises(ValueError, match="at most 12 players"):
        enumerate_all(worth_of(np.zeros(1)), players=13)
    with pytest.raises(ValueError, match="at least 1 player and 8 pairs are needed, got 0 players and 8 pairs"):
        sample(worth_of(np.zeros(1)), players=0, seed=[0], error=0.1, most_pairs=8)


def test_twelve_players_are_enumerated() -> None:
    v = np.bitwise_count(np.arange(1 << 12)).astype(float) ** 2
    assert enumerate_all(worth_of(v), players=12).values == pytest.approx(np.full(12, 12.0))
