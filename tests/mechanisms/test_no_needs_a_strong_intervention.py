"""That nothing moved is a "no" only where the intervention reached what it was to change: *usable* as *used*."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from auditor.language_models.decoder_check import read_decoder
from auditor.mechanisms.steering.runs import Steerer
from auditor.synthesis.ladder_steps import MOST_SHORT, usable, used
from benchmarks.inside_nulls import GROUPS, prompts, random_model, target
from tests.mechanisms.test_ladder import STEERED, UNMOVED, UNUSED, counted

ALPHA = 0.05
NOTHING = UNMOVED


def test_a_direction_that_reaches_and_moves_nothing_is_a_no() -> None:
    assert usable([NOTHING], alpha=ALPHA).held is False


@pytest.mark.parametrize("short", [0.3, 1.0])
def test_a_direction_that_falls_short_on_other_applications_is_not_known(short: float) -> None:
    step = usable([counted(NOTHING, held_out_short=short)], alpha=ALPHA)
    assert step.held is None
    assert f"falls {100 * short:.1f}% short" in step.reason


def test_how_far_a_direction_reaches_has_to_be_known() -> None:
    counts = {name: value for name, value in NOTHING.counts.items() if name != "held_out_short"}
    assert usable([replace(NOTHING, counts=counts)], alpha=ALPHA).held is None


@pytest.mark.parametrize(("step", "item"), [(used, UNUSED), (usable, UNMOVED)])
@pytest.mark.parametrize(
    ("low", "high", "held"), [(0.1, 0.5, None), (-0.1, 0.7, None), (-0.02, 0.3, None), (0.01, 0.09, False)]
)
def test_what_may_do_part_of_the_work_is_no_no(
    step: Any, item: Any, low: float, high: float, held: bool | None
) -> None:
    """Of a plan that calls a shift of a tenth of a logit none."""
    assert step([replace(item, low=low, high=high)], alpha=ALPHA).held is held


def test_a_yes_needs_no_reach() -> None:
    """Its p-value is exact whatever the direction is."""
    assert usable([counted(STEERED, held_out_short=0.5)], alpha=ALPHA).held is True


def steerer_of(model: Any, *, labels: np.ndarray | None = None) -> Steerer:
    return Steerer(
        read_decoder(model), prompts(0, 24), target=target(), depths=(0.5,), doses=(1.0,), seed=0, labels=labels
    )


def test_a_direction_of_the_groups_reaches_other_applications_and_one_of_no_meaning_does_not() -> None:
    with torch.inference_mode():
        steerer = steerer_of(random_model("llama", 0))
        (own,) = steerer.curve((1, 0), draws=1)
        # Of the applications that are fitted on every other one bears its labels turned round.
        labels = np.tile(np.arange(len(GROUPS)), (24, 1))
        labels[list(steerer.fitted)[::2]] = labels[0][::-1]
        (null,) = steerer_of(random_model("llama", 0), labels=labels).curve((1, 0), draws=1)
    assert own.short < MOST_SHORT
    assert null.short > 3 * MOST_SHORT


def test_a_move_that_rounding_swallows_reaches_nothing() -> None:
    """Beside a number of 10^4 the spacing of bfloat16 is 64, and the distance between the groups is lost."""
    with torch.inference_mode():
        steerer = steerer_of(random_model("llama", 0))
        layer = steerer.middle
        table = steerer.states[layer][list(steerer.fitted)]
        move = (table[:, 1] - table[:, 0]).mean(0)
        exact, _ = steerer._reach((1, 0), layer, move, dose=1.0)
        steerer.states[layer] = steerer.states[layer] + 1e4
        steerer.dtype = torch.bfloat16
        swallowed, movement = steerer._reach((1, 0), layer, move, dose=1.0)
    assert exact < MOST_SHORT
    assert swallowed == pytest.approx(1.0)
    assert movement == 0
