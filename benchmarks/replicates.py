"""Replicates nested in applications: false findings without an effect, and power at the smallest detectable effect.

Made-up systems: every application has its own approval rate, near 0 or 1 for most, and every replicate is a draw from
it. Without an effect both arms have that rate. The peer counts replicates as if each were an application (McNemar on
all of them): its false findings stand beside ours, also where effects differ by application and cancel in the mean.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from auditor.statistics.pairs import PairCounts, mcnemar_exact
from auditor.statistics.permutation import sign_flip_test
from auditor.statistics.replicates import Components, ReplicatedPairs, replicated_mde
from benchmarks.rows import Row

ALPHA, POWER, FLIPS = 0.05, 0.8, 1999
Generator = np.random.Generator
FloatArray = npt.NDArray[np.float64]


def run() -> Iterator[Row]:
    """Long forms: 2,000 data sets a row."""
    for applications in (60, 300):
        for replicates in (2, 3, 5):
            yield false_findings(applications=applications, replicates=replicates, repeats=2000)
            yield power_at_mde(applications=applications, replicates=replicates, repeats=2000)


def false_findings(*, applications: int, replicates: int, repeats: int) -> Row:
    """How often a system that treats groups alike, application by application, is found not to.

    A second world holds effects that cancel: half the applications gain what the others lose. Its mean is 0 as well,
    and the test is of the mean; the share of its findings stands in ``cancelling``.
    """
    rng = np.random.default_rng([applications, replicates, 1])
    ours = naive = cancelling = cancelling_naive = 0
    for _ in range(repeats):
        p = rates(rng, applications)
        pairs = ask(rng, p, p, replicates)
        ours += found(pairs)
        naive += mcnemar_exact(_as_if_apart(rng, pairs)).p_value < ALPHA
        # The reference rate is the middle of what the group's may be, so that what some gain others lose.
        middle = rng.uniform(0.4, 0.6, applications)
        turned = ask(rng, middle, middle + rng.choice([-0.4, 0.4], applications), replicates)
        cancelling += found(turned)
        cancelling_naive += mcnemar_exact(_as_if_apart(rng, turned)).p_value < ALPHA
    return Row(
        name=f"replicates: no effect, {applications} applications asked {replicates} times",
        ours=ours / repeats,
        peer=naive / repeats,
        ratio=None,
        agreement=None,
        unit="false findings",
        n=repeats,
        extra={
            "level": ALPHA,
            "cancelling": cancelling / repeats,
            "cancelling_as_if_apart": cancelling_naive / repeats,
        },
    )


def power_at_mde(*, applications: int, replicates: int, repeats: int) -> Row:
    """How often an effect of the size `replicated_mde` gives, from the true components, is found."""
    rng = np.random.default_rng([applications, replicates, 2])
    # Rates far enough from 0 and 1 for the effect to be the same for all, so that the components are known.
    centre, half = 0.6, 0.15
    within = centre * (1 - centre) - half**2 / 3
    effect = 0.1
    for _ in range(50):  # the protected arm's variance is that at its own rates
        shifted = (centre - effect) * (1 - centre + effect) - half**2 / 3
        parts = Components(0.0, within, shifted, replicates, replicates, applications)
        mde = replicated_mde(
            parts, n=applications, replicates=replicates, alpha=ALPHA, family_size=1, power=POWER, basis="assumed"
        )
        effect = float(mde.value or 0.0)
    hits = 0
    for _ in range(repeats):
        p = rng.uniform(centre - half, centre + half, applications)
        hits += found(ask(rng, p, p - effect, replicates))
    return Row(
        name=f"replicates: smallest effect, {applications} applications asked {replicates} times",
        ours=hits / repeats,
        peer=None,
        ratio=None,
        agreement=None,
        unit="power",
        n=repeats,
        extra={"mde": effect, "stated": POWER},
    )


def rates(rng: Generator, applications: int) -> FloatArray:
    """Approval rates of applications: most are nearly sure, some are not."""
    drawn: FloatArray = rng.beta(1.2, 0.4, applications)
    return drawn


def ask(rng: Generator, control: FloatArray, protected: FloatArray, replicates: int) -> ReplicatedPairs:
    """Replicates of every application in both arms."""
    n = len(control)
    asked = np.full(n, replicates)
    names = tuple(map(str, range(n)))
    return ReplicatedPairs(names, rng.binomial(asked, control), asked, rng.binomial(asked, protected), asked)


def found(pairs: ReplicatedPairs) -> bool:
    """Whether the test of application means rejects at the level."""
    return sign_flip_test(pairs.differences, flips=FLIPS).p_value < ALPHA


def _as_if_apart(rng: Generator, pairs: ReplicatedPairs) -> PairCounts:
    """Every replicate of one arm beside one of the other, all of them counted."""
    b = c = both = 0
    for x, n, y in zip(pairs.control_yes, pairs.control_n, pairs.protected_yes, strict=True):
        together = int(rng.hypergeometric(x, n - x, y)) if y else 0
        both += together
        b, c = b + int(x) - together, c + int(y) - together
    return PairCounts(both, b, c, int(pairs.control_n.sum()) - both - b - c)
