"""A randomisation p-value is exact, ends early without losing that, and never rests on rounding or on too few draws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.canonical import canonical_json
from auditor.mechanisms._shared.randomisation import LISTED, MANY, STOP, randomised, relabel, relabellings, together
from auditor.statistics.minimums import draws_needed
from auditor.statistics.multiplicity import holm


@given(alpha=st.sampled_from([0.01, 0.05, 0.1]), family=st.integers(1, 12))
def test_the_draws_needed_are_the_fewest_from_which_one_test_of_the_family_can_reach_the_level(
    alpha: float, family: int
) -> None:
    needed = draws_needed(alpha=alpha, family_size=family)
    reached = [holm([1 / (1 + draws), *[1.0] * (family - 1)])[0] for draws in (needed, needed - 1)]

    assert reached[0] is not None
    assert reached[1] is not None
    assert reached[0] <= alpha + 1e-12 < reached[1]


def test_two_groups_against_a_reference_need_39_draws() -> None:
    assert draws_needed(alpha=0.05, family_size=2) == 39


@given(applications=st.integers(2, 6), groups=st.integers(2, 3), count=st.integers(1, 60), seed=st.integers(0, 9))
def test_relabellings_are_distinct_stay_within_applications_and_are_never_the_true_one(
    applications: int, groups: int, count: int, seed: int
) -> None:
    drawn = relabel(applications=applications, groups=groups, count=count, seed=seed)

    assert drawn.shape == (
        min(count, relabellings(applications=applications, groups=groups)),
        applications,
        groups,
    )
    assert (np.sort(drawn, axis=2) == np.arange(groups)).all()
    assert len({row.tobytes() for row in drawn}) == len(drawn)
    # Renaming all groups alike erases the same: the first application is never renamed, so none is the true one.
    assert (drawn[:, 0] == np.arange(groups)).all()
    assert (drawn != np.arange(groups)).any(axis=(1, 2)).all()


@pytest.mark.parametrize(("applications", "groups"), [(24, 3), (16, 4), (60, 2), (24, 12), (500, 7)])
def test_a_ledger_holds_the_number_of_relabellings_however_many_there_are(applications: int, groups: int) -> None:
    assert canonical_json(relabellings(applications=applications, groups=groups)) == str(MANY).encode()


def test_few_relabellings_are_counted_exactly() -> None:
    counted = [relabellings(applications=n, groups=g) for n, g in ((4, 2), (3, 3), (2, 4), (1, 3), (0, 2))]

    assert counted == [7, 35, 23, 0, 0]


@pytest.mark.parametrize("groups", [LISTED, LISTED + 1, 12])
def test_relabellings_of_many_groups_are_drawn_without_writing_down_every_order(groups: int) -> None:
    drawn = relabel(applications=6, groups=groups, count=39, seed=1)

    assert drawn.shape == (39, 6, groups)
    assert (np.sort(drawn, axis=2) == np.arange(groups)).all()
    assert len({row.tobytes() for row in drawn}) == 39
    assert (drawn[:, 0] == np.arange(groups)).all()
    assert (drawn != np.arange(groups)).any(axis=(1, 2)).all()


@pytest.mark.parametrize("stop", [None, STOP, 1])
def test_an_effect_that_is_one_more_draw_is_found_no_more_often_than_the_level(stop: int | None) -> None:
    generator = np.random.default_rng(0)
    p_values = np.array(
        [
            randomised(float(row[0]), row[1:].tolist(), floor=0.0, stop=stop).p_value
            for row in generator.standard_normal((4000, 40))
        ]
    )

    for level in (0.025, 0.05, 0.1, 0.25, 0.5):
        assert (p_values <= level + 1e-12).mean() <= level + 3 * np.sqrt(level * (1 - level) / len(p_values))


def test_three_random_draws_say_nothing_at_the_level() -> None:
    assert randomised(1.0, [0.1, 0.2, 0.3], floor=0.0).p_value == 0.25


def test_a_null_ends_early_and_says_how_many_draws_it_rests_on() -> None:
    found = randomised(0.1, [1.0] * 39, floor=0.0)

    assert (found.p_value, found.draws, found.ended) == (1.0, STOP, True)


def test_an_effect_within_rounding_is_as_large_as_any() -> None:
    assert randomised(1e-6, [0.0] * 39, floor=1e-5).p_value == 1.0
    assert randomised(1e-6, [0.0] * 39, floor=1e-5, direction=-1.0).p_value == 1.0


def test_all_controls_have_to_say_yes() -> None:
    first, second = randomised(1.0, [0.0] * 39, floor=0.0), randomised(1.0, [2.0] + [0.0] * 38, floor=0.0)
    none = randomised(1.0, [], floor=0.0)

    assert together([first, second]) == second
    assert together([first, none]) == first
    assert together([none, none]).p_value is None
