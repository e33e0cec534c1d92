"""Coverage of every kind of 95% interval at 40, 100, 300 and 600 base profiles, in populations whose truth is known.

Kinds of tests on internals are seen at the numbers of applications that those take: 24, 48 and 96. Those of decisions
already taken at 100, 300 and 600 in a group, or at 40 and more branches.

No model is needed. ``ours`` is the share of intervals that held the truth, ``peer`` the level asked for, ``error`` the
Monte Carlo standard error, ``withheld`` the share of data sets where no interval was given (they do not count).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator

import numpy as np

from benchmarks.coverage_inside import INSIDE
from benchmarks.coverage_kinds import KINDS, LEVEL, Kind
from benchmarks.coverage_observed import OBSERVED
from benchmarks.coverage_replicates import REPLICATED
from benchmarks.rows import Row

EVERY = {**KINDS, **INSIDE, **OBSERVED, **REPLICATED}
REPEATS = 1000


def run() -> Iterator[Row]:
    """One row a kind and number of profiles."""
    for kind in EVERY.values():
        for clusters in kind.sizes:
            yield coverage(kind, clusters=clusters, repeats=REPEATS)


def coverage(kind: Kind, *, clusters: int, repeats: int) -> Row:
    """Coverage of one kind over ``repeats`` data sets of ``clusters`` profiles; seeded by both."""
    held, given = 0, 0
    for repeat in range(repeats):
        # A checksum and not `hash`, which differs from one process to the next.
        rng = np.random.default_rng((zlib.crc32(kind.name.encode()), clusters, repeat))
        found = kind.draw(rng, clusters)
        if found is not None:
            given += 1
            held += found
    share = held / given if given else 0.0
    return Row(
        name=f"coverage/{kind.name}/{clusters}",
        ours=share,
        peer=LEVEL,
        ratio=share / LEVEL,
        agreement=None,
        unit="coverage",
        n=given,
        extra={
            "clusters": clusters,
            "error": math.sqrt(share * (1 - share) / given) if given else None,
            "withheld": 1 - given / repeats,
            "note": kind.note,
        },
    )
