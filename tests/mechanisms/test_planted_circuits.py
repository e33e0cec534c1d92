"""Every method names the planted nodes and no other: redundant paths, opposing heads, distractors that matter.

The short form of ``python -m benchmarks known_circuit --json``, which does it for more models.
"""

from __future__ import annotations

import numpy as np
import pytest

from auditor.mechanisms._shared.patches import node_effects
from tests.mechanisms.known_circuit import VALUES
from tests.mechanisms.planted_circuits import (
    AGAINST,
    ALONE,
    COPY,
    KINDS,
    METHODS,
    NODES,
    OTHER,
    OTHER_HEAD,
    SHARED,
    VALUE,
    VALUE_HEAD,
    margin_error,
    named,
    pairs_of,
    planted,
    power_by_share,
    prompt,
    runs_of,
    study,
)


@pytest.mark.parametrize("kind", KINDS)
def test_every_variant_computes_the_planted_function(kind: str) -> None:
    assert margin_error(planted(kind, 0)) < 0.5


def test_the_distractor_matters() -> None:
    """Where its own field changes it carries the whole difference, so naming it elsewhere would be easy."""
    import random

    draw = random.Random(2)
    shares = []
    for _ in range(6):
        base = prompt(draw)
        place = base.index(OTHER) + 1
        donor = base[:place] + (VALUES[1] if base[place] == VALUES[0] else VALUES[0]) + base[place + 1 :]
        runs = runs_of(planted(ALONE, 0).known, base, donor)
        assert abs(runs.gap) > 1
        effects = dict(zip([(node.layer, node.head) for node in NODES], node_effects(runs, NODES), strict=True))
        shares.append(effects[OTHER_HEAD] / runs.gap)
    assert np.mean(shares) == pytest.approx(1, abs=0.15)


def test_methods_find_the_true_nodes_and_raise_no_alarm_elsewhere() -> None:
    for (method, kind, contrast), tally in study(KINDS, [0], pairs=24).items():
        about = (method, kind, contrast, tally)
        # First order may miss a head behind a saturated softmax; patching may not.
        assert tally.found == tally.true or method == "attribution patching", about
        assert tally.found >= 1, about
        assert tally.distractor == tally.others == tally.null == 0, about


def test_heads_that_carry_a_part_of_the_effect_are_named_and_power_is_told_by_the_part() -> None:
    found = power_by_share([0], pairs=24)
    assert {share for _, _, share in found} == {0.25, 0.5, 0.75, 1.0}
    for (method, contrast, share), (hits, of) in found.items():
        assert of == (2 if share == 0.5 else 1)
        assert hits == of or method == "attribution patching", (method, contrast, share, hits, of)


@pytest.mark.parametrize("method", METHODS)
def test_a_head_that_works_against_the_difference_has_the_other_sign(method: str) -> None:
    runs = pairs_of(planted(AGAINST, 0), VALUE, count=12, seed=3)
    gaps = np.array([each.gap for each in runs])
    effects = np.array([METHODS[method](each) for each in runs])
    shares = dict(zip([(node.layer, node.head) for node in NODES], gaps @ effects / (gaps @ gaps), strict=True))
    assert shares[VALUE_HEAD] > 1.1
    assert shares[COPY] < -0.2


def test_two_heads_that_share_the_work_are_both_named_with_half_of_it() -> None:
    runs = pairs_of(planted(SHARED, 0), VALUE, count=12, seed=3)
    gaps = np.array([each.gap for each in runs])
    effects = np.array([METHODS["activation patching"](each) for each in runs])
    shares = dict(zip([(node.layer, node.head) for node in NODES], gaps @ effects / (gaps @ gaps), strict=True))
    assert shares[VALUE_HEAD] == pytest.approx(0.5, abs=0.1)
    assert shares[COPY] == pytest.approx(0.5, abs=0.1)


def test_naming_keeps_its_level_on_effects_that_go_with_nothing() -> None:
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(400):
        gaps = rng.choice([-3.0, 3.0], 24) + rng.normal(0, 0.1, 24)
        wrong += bool(named(rng.normal(0, 2.0, (24, len(NODES))), gaps))
    assert wrong / 400 <= 0.08  # 0.05 and under three standard errors
