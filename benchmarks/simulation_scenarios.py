"""The worlds that audits are simulated in, each with what is true there (docs/statistics.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np

from auditor.statistics.power import detectable_by_mcnemar, worst_level
from benchmarks.simulated_audits import (
    Contrast,
    Drawn,
    World,
    arms_of,
    contrasts,
    net_effect,
    the_plan,
)
from benchmarks.simulation_rough import rough
from benchmarks.simulation_shapes import ONE, Scenario, clumps, mixed, normal

RANGE = 0.10  # about the observed rate: the plan's range of cut-offs by default
BANDED = ("sex", "female")

BANDS = {"above": (-0.575, -0.105), "below": (0.096, -0.071)}
"""Where a band of half a nat begins and how far a protected version falls in it, so that the largest |Δ| of the plan's
range is the equivalence margin: near the cut-offs that approve 93 % and 79 % (found by bisection)."""


SMOOTH = World(worth=normal(1.0, 1.0), noise=normal(0.0, 0.15))
QUIET = World(worth=normal(1.45, 1.0), noise=normal(0.0, 0.01))
GAPS = {
    ("race", "Black"): -0.6,
    ("race", "Hispanic"): -0.4,
    ("sex", "female"): -0.3,
    ("marital_status", "unmarried"): -0.3,
}
NULLS: Mapping[str, World] = {
    "null": SMOOTH,
    "null, as-filed gaps": replace(SMOOTH, filed=GAPS),
    "null, noisy, as-filed gaps": replace(SMOOTH, noise=normal(0.0, 0.6), filed=GAPS),
    "null, margins in a crowd": World(worth=normal(0.1, 0.12), noise=normal(0.0, 0.05), filed={ONE: -0.05}),
    "null, a crowd far above the cut-off": World(worth=normal(3.0, 0.12), noise=normal(0.0, 0.05), filed={ONE: -0.05}),
    "null, two clumps": World(worth=clumps(-2.0, 2.0, 0.3, 0.87), noise=normal(0.0, 0.15), filed={ONE: -0.2}),
    "null, heavy ties": replace(SMOOTH, step=0.25, filed=GAPS),
    "null, mixed noise": replace(SMOOTH, noise=mixed(0.02, 0.8, 0.2), filed=GAPS),
    # The same share whatever a version shows: half by each group of one attribute.
    "null, unreadable by chance": replace(
        SMOOTH, unreadable={("sex", "male"): 0.03, ("sex", "female"): 0.03}, filed=GAPS
    ),
    "null, unreadable by applicant": replace(SMOOTH, unreadable_filed={ONE: 0.08}, filed=GAPS),
}

MANY = {"null": 400, "null, as-filed gaps": 1000, "null, unreadable by applicant": 1000}
"""Nulls that are seen more often; the others show that the shape of the margins makes no difference."""


@lru_cache
def scenarios() -> Mapping[str, Scenario]:
    """All of them, by name."""
    made = [Scenario(name=name, world=world, audits=MANY.get(name, 100)) for name, world in NULLS.items()]
    made += [
        Scenario(
            name=f"null, {count} applications",
            world=replace(SMOOTH, noise=normal(0.0, 0.5), filed=GAPS),
            applications=count,
        )
        for count in (40, 100, 250)
    ]
    made += [
        Scenario(
            name=name,
            world=world,
            audits=60,
            affected=frozenset({ONE}),
            different=frozenset({ONE}),
            mute=frozenset({ONE}),
            sought=("refusal_rate_gap", ONE),
        )
        for name, world in (
            ("unequal readability, 22% of one arm", replace(SMOOTH, unreadable={ONE: 0.22}, filed=GAPS)),
            ("unequal readability, 4% of one arm", replace(SMOOTH, unreadable={ONE: 0.04}, filed=GAPS)),
            ("unequal readability, denials of one arm", replace(QUIET, silent={ONE: 1.0}, filed=GAPS)),
        )
    ]
    made += _at_the_margin()
    made += rough()
    made += _at_the_stated_effect()
    made += [
        Scenario(
            name=f"coverage, {count} applications",
            world=World(worth=normal(0.9, 1.0), noise=normal(0.0, 0.5), shown={ONE: -0.15}, filed=GAPS),
            applications=count,
            audits=300 if count < 300 else 100,
            affected=frozenset({ONE}),
            covers=True,
        )
        for count in (40, 60, 100, 200, 600)
    ]
    return {item.name: item for item in made}


def _at_the_margin() -> list[Scenario]:
    """True |Δ| of every contrast at the equivalence margin: at the natural cut-off, and elsewhere in the range only."""
    margin = the_plan().thresholds.equivalence_rate
    every = frozenset(contrasts())
    made = []
    # Per contrast (against, towards): Δ = ∓ the margin, with a little or some discordance the other way.
    for name, against, towards in (
        ("one way", margin, 0.0),
        ("both ways", margin + 0.005, 0.005),
        ("both ways, often", margin + 0.02, 0.02),
        ("towards the group", 0.005, margin + 0.005),
    ):
        flips = dict.fromkeys(contrasts(), (against, towards))
        world = World(worth=normal(0.9, 1.0), noise=normal(0.0, 0.0), flips=flips, filed=GAPS)
        for count in (600, 1500):
            made.append(
                Scenario(
                    name=f"Δ at the margin, {name}, {count} applications",
                    world=world,
                    applications=count,
                    audits=100 if count < 1000 else 50,
                    affected=every,
                    different=every,
                )
            )
    for name, (place, shift) in BANDS.items():
        base = World(worth=normal(0.9, 1.0), noise=normal(0.0, 0.05))
        world = replace(base, band=dict.fromkeys(contrasts(), (place, place + 0.5, shift)))
        made.append(
            Scenario(
                name=f"Δ at the margin, {name} the natural cut-off only",
                world=world,
                audits=50,
                applications=1500,
                affected=every,
                different=every,
            )
        )
    crowd = World(worth=normal(3.0, 0.6), noise=normal(0.0, 0.02), shown=dict.fromkeys(contrasts(), -0.3))
    made.append(
        Scenario(
            name="all margins fall, none near the natural cut-off",
            world=crowd,
            audits=50,
            affected=every,
            different=every,
            sought=("cf_range_effect", ONE),
        )
    )
    return made


def largest_effect(drawn: Drawn, key: Contrast) -> float:
    """The largest |Δ| over the cut-offs of the plan's range, matched by the reference arm's rate."""
    control, _ = arms_of(drawn, key)
    ends = drawn.observed_rate - RANGE, drawn.observed_rate + RANGE
    rates = np.linspace(max(ends[0], 0.001), min(ends[1], 0.999), 41)
    return max(abs(net_effect(drawn, key, float(cut))) for cut in np.quantile(drawn.margins[control], 1 - rates))


def _at_the_stated_effect() -> list[Scenario]:
    thresholds = the_plan().thresholds
    alpha = worst_level(alpha=thresholds.alpha, family_size=len(contrasts()))
    made = []
    # Without discordance of its own the effect sought brings it: all flips go one way.
    for count, assumed in ((600, 0.05), (600, 0.10), (600, 0.20), (300, 0.10), (1500, 0.05), (600, 0.0), (300, 0.0)):
        stated = detectable_by_mcnemar(n=count, discordance=assumed, alpha=alpha, power=thresholds.power).value
        if stated is not None:
            discordance = max(assumed, stated)
            made.append(_powered(count, (discordance + stated) / 2, (discordance - stated) / 2, stated))
    return made


def _powered(count: int, against: float, towards: float, stated: float) -> Scenario:
    way = f"discordance {against + towards:.0%}" if towards else "one way"
    return Scenario(
        name=f"power at the stated effect, {count} applications, {way}",
        world=World(worth=normal(0.9, 1.0), noise=normal(0.0, 0.0), flips={ONE: (against, towards)}, filed=GAPS),
        applications=count,
        audits=150 if count < 1000 else 60,
        affected=frozenset({ONE}),
        sought=("cf_net_effect", ONE),
        stated=stated,
    )
