"""How often the change over the cut-off range is called one where two versions treat a group alike.

    python -m benchmarks version_nulls --json

Both versions turn decisions against the group, at every cut-off by the same share; only who is turned differs. ``ours``
is the share of comparisons with p at most .05, ``peer`` the level, ``error`` the Monte Carlo standard error.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from auditor.comparison_pairs import Answer, Both, ComparedContrast, Rules
from auditor.comparison_range import range_p_value
from auditor.records import Outcome
from benchmarks.rows import Row

ALPHA = 0.05
PAIRS = (40, 200)
REPEATS = 400
LOCATION, SPREAD = 1.5, 1.5  # of what an application is worth, in nats; the natural cut-off is 0
Margins = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Null:
    """How two versions differ that have one law.

    ``apart`` is the SD of what each version adds to an application of its own, ``shift`` and ``noise`` what setting the
    group does to a margin, all in nats; ``stretch`` multiplies every margin of the later version.
    """

    apart: float
    shift: float
    noise: float
    stretch: float = 1.0


NULLS: Mapping[str, Null] = {
    "alike": Null(apart=0.3, shift=-0.3, noise=0.3),
    "nearly_the_same": Null(apart=0.05, shift=-0.3, noise=0.05),
    "far_apart": Null(apart=1.0, shift=-0.6, noise=0.8),
    "on_another_scale": Null(apart=0.3, shift=-0.3, noise=0.3, stretch=2.0),
}
"""Nets of −3 to −8 points at the natural cut-off, in both versions."""

RULES = Rules(
    attributes=[{"field": "race", "groups": ["a", "b"], "reference": "a"}],
    alpha=ALPHA,
    power=0.8,
    practical=0.02,
    equivalence=0.02,
    resamples=2000,
    seed=1,
    natural=0.0,
    degenerate_share=0.98,
    mute_share=0.05,
    range=None,
    left_out={},
)


def run() -> Iterator[Row]:
    """One row a null and number of pairs."""
    for name in NULLS:
        for pairs in PAIRS:
            yield false_changes(name, pairs=pairs, repeats=REPEATS)


def false_changes(name: str, *, pairs: int, repeats: int) -> Row:
    """The share of comparisons that call a change, of ``repeats`` drawn from one null; seeded by name and number."""
    found = 0
    for repeat in range(repeats):
        rng = np.random.default_rng((zlib.crc32(name.encode()), pairs, repeat))
        found += range_p_value(draw(NULLS[name], rng, pairs), RULES) <= ALPHA
    share = found / repeats
    return Row(
        name=f"version_nulls/{name}/{pairs}",
        ours=share,
        peer=ALPHA,
        ratio=share / ALPHA,
        agreement=None,
        unit="false changes",
        n=repeats,
        extra={"pairs": pairs, "error": math.sqrt(share * (1 - share) / repeats)},
    )


def draw(null: Null, rng: np.random.Generator, pairs: int) -> ComparedContrast:
    """One comparison: the same applications in two versions."""
    worth = rng.normal(LOCATION, SPREAD, pairs)
    control: list[Margins] = []
    protected: list[Margins] = []
    for stretch in (1.0, null.stretch):
        own = worth + rng.normal(0, null.apart, pairs)
        control.append(stretch * own)
        protected.append(stretch * (own + null.shift + rng.normal(0, null.noise, pairs)))
    return ComparedContrast("race", "b", "a", _both(control, "a"), _both(protected, "b"))


def _both(versions: list[Margins], group: str) -> tuple[Both, ...]:
    def answer(number: int, margin: float) -> Answer:
        outcome = Outcome.FAVOURABLE if margin >= RULES.natural else Outcome.ADVERSE
        return Answer(f"{number}/{group}", str(number), "actual", (f"race={group}",), outcome, margin)

    return tuple(
        Both(answer(number, float(first)), answer(number, float(second)))
        for number, (first, second) in enumerate(zip(*versions, strict=True))
    )
