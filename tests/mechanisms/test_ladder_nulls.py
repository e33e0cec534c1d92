"""An audit in which nothing is inside the model seldom says that something is, over all its contrasts."""

from __future__ import annotations

import math

from benchmarks.inside_nulls_ladder import ALPHA, said_by_step

TRIALS = 300


def test_no_step_holds_more_often_than_the_level_allows_where_nothing_is() -> None:
    rates = said_by_step(trials=TRIALS, effect=0.0, seed=2)

    assert max(rates.values()) <= ALPHA + 2 * math.sqrt(ALPHA * (1 - ALPHA) / TRIALS), rates


def test_every_step_holds_where_something_is() -> None:
    rates = said_by_step(trials=20, effect=8.0, seed=2)

    assert min(rates.values()) >= 0.9, rates
