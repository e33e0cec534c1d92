"""Worlds in which tests on outputs could be wrong by their approximations: small groups, heavy tails, rare outcomes.

Each is seen at few applications, where an approximation is worst, and at the fewest at which equivalence can be said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
from scipy import optimize, stats

from benchmarks.simulated_audits import Contrast, World, contrasts, the_plan
from benchmarks.simulation_shapes import ONE, Scenario, normal, stepped, tailed

AUDITS = 300
FEW = 100
FEWEST = 300
"""Applications from which equivalence within 2 points may be said at all."""
OFTEN = 1200
"""Applications of which 3 % are more than the 30 outcomes of a kind that equivalence needs."""
SOME, MOST = 0.3, 0.7  # of the applications, judged anew in an arm
EVERY = frozenset(contrasts())


STILL = normal(0.0, 0.0)
PLAIN = World(worth=normal(1.0, 1.0), noise=normal(0.0, 0.3))
UNEQUAL = {ONE: MOST, ("race", "Hispanic"): SOME, ("sex", "female"): MOST}
"""By group: the share whose margins go with nothing that the other arm says."""


def _rare(rate: float, *, noise: float) -> World:
    """A model that approves ``rate``, in a file that shows as much."""
    whole = float(np.hypot(1.0, noise))
    return World(worth=normal(whole * float(stats.norm.ppf(rate)), 1.0), noise=normal(0.0, noise), observed_rate=rate)


NULLS: Mapping[str, tuple[World, int]] = {
    **{
        f"null, the reference is {share:.0%} of the applications": (replace(PLAIN, reference_share=share), count)
        for share, count in ((0.05, FEWEST), (0.15, FEW))
    },
    "null, tails of 2 degrees of freedom": (World(worth=tailed(1.2, 1.0, 2), noise=tailed(0.0, 0.3, 2)), FEW),
    "null, tails without a mean": (World(worth=tailed(1.2, 1.0, 1), noise=tailed(0.0, 0.3, 1)), FEW),
    **{f"null, {rate:.0%} approved": (_rare(rate, noise=0.5), FEW) for rate in (0.01, 0.03, 0.97, 0.99)},
    "null, six distinct scores": (World(worth=normal(1.0, 1.0), noise=normal(0.0, 0.5), step=1.0), FEW),
    "null, three distinct scores": (World(worth=normal(1.0, 1.0), noise=normal(0.0, 0.5), step=2.0), FEW),
}
UNEQUAL_NULLS: Mapping[str, tuple[World, int]] = {
    "null, arms of unequal noise": (replace(PLAIN, redrawn=UNEQUAL), FEW),
    "null, arms of unequal noise, without a mean": (
        World(worth=tailed(1.2, 1.0, 1), noise=tailed(0.0, 0.1, 1), redrawn=UNEQUAL),
        FEW,
    ),
}


def rough() -> Iterator[Scenario]:
    """All of them."""
    for name, (world, count) in NULLS.items():
        yield Scenario(name=f"{name}, {count} applications", world=world, applications=count, audits=AUDITS)
    for name, (world, count) in UNEQUAL_NULLS.items():
        yield Scenario(
            name=f"{name}, {count} applications",
            world=world,
            applications=count,
            audits=AUDITS,
            turning=frozenset(UNEQUAL),
        )
    for name, (world, count) in at_the_margin().items():
        different = frozenset(world.loud) or frozenset(world.flips)
        yield Scenario(
            name=f"Δ at the margin, {name}, {count} applications",
            world=world,
            applications=count,
            audits=AUDITS // 2 if count < OFTEN else AUDITS // 6,
            affected=different,
            different=different,
        )


def at_the_margin() -> Mapping[str, tuple[World, int]]:
    """True |Δ| of every contrast at the equivalence margin."""
    margin = the_plan().thresholds.equivalence_rate
    against: Mapping[Contrast, tuple[float, float]] = dict.fromkeys(contrasts(), (margin, 0.0))
    base = World(worth=normal(0.9, 1.0), noise=STILL, flips=against)
    return {
        "a reference of 10 %": (replace(base, reference_share=0.10), FEWEST),
        "tails without a mean": (replace(base, worth=tailed(1.2, 1.0, 1)), FEWEST),
        "a few distinct scores": (replace(base, worth=stepped(0.9, 1.0, 1.0)), FEWEST),
        "arms judged anew": (replace(base, flips={ONE: (margin, 0.0)}, redrawn={ONE: SOME}), FEWEST),
        "arms of wider noise": (_wider(margin), FEWEST),
        # Two of three decisions of the rare kind turn, which only one contrast can take from them.
        "3 % approved, against": (replace(_rare(0.03, noise=0.0), flips={ONE: (margin, 0.0)}), OFTEN),
        "3 % approved, towards": (replace(_rare(0.03, noise=0.0), flips={ONE: (0.0, margin)}), OFTEN),
        "97 % approved, against": (replace(_rare(0.97, noise=0.0), flips={ONE: (margin, 0.0)}), OFTEN),
    }


def _wider(margin: float, *, mean: float = 1.0, noise: float = 0.15) -> World:
    """One group's margins have more noise, by as much as costs ``margin`` of the approvals at the natural cut-off."""
    own = 1 + noise**2

    def short(spread: float) -> float:
        wide = stats.norm.cdf(mean / np.sqrt(own + spread**2))
        return float(stats.norm.cdf(mean / np.sqrt(own)) - wide - margin)

    spread = float(optimize.brentq(short, 0.0, 5.0))
    return World(worth=normal(mean, 1.0), noise=normal(0.0, noise), loud={ONE: spread})
