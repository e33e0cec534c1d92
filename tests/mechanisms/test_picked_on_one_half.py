"""The largest of many nodes is picked on one half of the pairs and measured on the other, so its interval holds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from auditor.language_models.noise_floor import NoiseFloor
from auditor.mechanisms._shared.halves import FEWEST, halves
from auditor.mechanisms._shared.nodes import Node
from auditor.mechanisms._shared.pair_measures import gaps_of, share_interval, slope
from auditor.mechanisms._shared.pair_rows import PairOfPrompts
from auditor.mechanisms._shared.pairs import read_pair, run_pair, structured
from auditor.mechanisms._shared.patches import attribution_effects
from auditor.mechanisms.attribution_patching import method as attribution_patching
from auditor.mechanisms.components import method as components
from auditor.mechanisms.components.result import Parted, Result
from tests.mechanisms.computing import CONTRAST, compute_context, of_pairs, pair

RUNS, PAIRS, LAYERS, HEADS = 200, 48, 4, 6
NOISE = 0.5
"""Nats by which a node's effect on one pair departs from its share of the difference, which is about 1."""


def simulated(seed: int, *, spread: float) -> tuple[Result, np.ndarray]:
    """What components keep of pairs, and the true shares of heads: none, or random ones of a spread."""
    generator = np.random.default_rng((seed, 7))
    true = generator.normal(0, spread, (LAYERS, HEADS)) if spread else np.zeros((LAYERS, HEADS))
    pairs = []
    for number in range(PAIRS):
        gap = float(generator.choice([-1, 1]) * generator.normal(1, 0.2))
        pairs.append(
            Parted(
                id=f"a{number}",
                gap=gap,
                attention=(true * gap + generator.normal(0, NOISE, true.shape)).tolist(),
                mlps=(0.0,) * LAYERS,
                lens=(gap,),
                direction=(1.0, 1.0),
            )
        )
    noise = NoiseFloor(logit=1e-6, state=1e-6, precision=1e-7, arithmetic="float32")
    return Result(contrast=CONTRAST, noise=noise, pairs=tuple(pairs), top=1), true


PLAN = SimpleNamespace(thresholds=SimpleNamespace(alpha=0.05, bootstrap=2000), cases=SimpleNamespace(seed=1))
CONTEXT: Any = SimpleNamespace(plan=PLAN)


@pytest.mark.parametrize("spread", [0.0, 0.05], ids=["null copies", "random effects"])
def test_the_interval_of_the_picked_node_holds_its_true_share_as_often_as_stated(spread: float) -> None:
    held, would_have = 0, 0
    for seed in range(RUNS):
        result, true = simulated(seed, spread=spread)
        (top,) = [
            draft.measurement
            for draft in components.measure(CONTEXT, [result])
            if draft.measurement.metric == "direct_share"
        ]
        node = int(top.subject["layer"]), int(top.subject["node"].removeprefix("head "))
        held += top.low <= true[node] <= top.high
        assert top.n == PAIRS // 2
        # Picked and measured on the same pairs, as it was.
        gaps = gaps_of(result.pairs)
        effects = np.array([each.attention for each in result.pairs]).reshape(PAIRS, -1)
        shares = np.array([slope(column, gaps) for column in effects.T])
        worst = int(np.argmax(np.abs(shares)))
        low, high = share_interval(CONTEXT, effects[:, worst], gaps) or (0.0, 0.0)
        would_have += low <= true.ravel()[worst] <= high
    # Percentile intervals of 24 pairs hold some 93 %; three standard errors of 200 runs are 5 %.
    assert held / RUNS >= 0.88
    assert would_have / RUNS < 0.75


def test_a_measurement_says_what_its_node_was_picked_on() -> None:
    result, _ = simulated(0, spread=0.1)
    for count, said in (
        (PAIRS, "picked on 24 other applications"),
        (3, "picked on the applications that it is measured"),
    ):
        few = result.model_copy(update={"pairs": result.pairs[:count]})
        rows = [draft.measurement for draft in components.measure(CONTEXT, [few])]
        (top,) = [row for row in rows if row.metric == "direct_share"]
        assert said in top.method
        (gap,) = [row for row in rows if row.metric == "patch_gap"]
        assert gap.n == count  # of what nothing was picked, nothing is lost


def eight() -> list[PairOfPrompts]:
    return [pair(number, group, loan=120 + 31 * number) for number, group in enumerate(["Black", "Asian"] * 4)]


def test_attribution_patching_picks_nodes_on_one_half_and_patches_them_in_the_other() -> None:
    at, asked = compute_context(attribution_patching.Settings(top=3, sample=0.4)), eight()
    result = attribution_patching.compute(at, of_pairs(*asked))
    assert [each.id for each in result.pairs] == ["a1", "a3", "a5", "a7"]

    decoder, target = structured(at, asked[0].prompts[0])
    sizes = []
    for row in asked[::2]:
        heads, mlps = attribution_effects(run_pair(decoder, target, read_pair(at, row)))
        sizes.append([abs(value) for head, mlp in zip(heads, mlps, strict=True) for value in (*head, mlp)])
    ranked = np.argsort(-np.mean(sizes, axis=0), kind="stable")[:3]
    heads = decoder.heads
    wanted = [
        Node(int(place) // (heads + 1), None if place % (heads + 1) == heads else int(place) % (heads + 1))
        for place in ranked
    ]
    assert list(result.nodes[:3]) == wanted


def test_pairs_that_do_not_align_are_in_neither_half() -> None:
    first, *others = eight()
    asked = of_pairs(first, pair(99, "Hispanic"), *others)
    result = attribution_patching.compute(compute_context(attribution_patching.Settings(top=3)), asked)
    assert [each.id for each in result.pairs] == ["a1", "a3", "a5", "a7"]
    assert sum(result.left_out.values()) == 1


def test_halves_have_nothing_in_common_and_few_pairs_are_not_halved() -> None:
    for count in range(1, 60):
        items = list(range(count))
        picked, measured = (items[part] for part in halves(count))
        if count < FEWEST:
            assert picked == measured == items
        else:
            assert sorted(picked + measured) == items
