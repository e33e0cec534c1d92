"""Shapley values of ten fields against captum's ShapleyValueSampling through LLMAttribution, both answers.

Compared is the time to a largest standard error of 2 % of the margin's range. Ours is measured to that point, its own
stopping rule included. captum's is too long to wait for (25 permutations take minutes), so it is put together from what
is measured: the seconds of one of its permutations, and how many permutations that error takes. The second follows
without chance from our enumeration of all 1,024 coalitions, which gives the exact variance of what a field adds in a
random order, and captum draws plain random orders. ``agreement`` is the largest distance of our sampled values from the
enumerated ones, ``peer_agreement_of_measured`` captum's from them, both as shares of the range.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from auditor.mechanisms.contract import Bench
from auditor.mechanisms.shapley import FloatArray, Shapley, enumerate_all, sample
from benchmarks.fields import FIELDS, Explained, captum_margin, find_applications, make_bench, margins, variants
from benchmarks.rows import Row, seconds

APPLICATIONS = 1
ERROR = 0.02
PEER_SAMPLES = 2
MOST_PAIRS = 256


def run() -> Iterator[Row]:
    """One row an application."""
    bench = make_bench()
    for number, explained in enumerate(find_applications(APPLICATIONS)):
        yield _compare(bench, explained, number + 1)


def _compare(bench: Bench, explained: Explained, number: int) -> Row:
    from captum.attr import ShapleyValueSampling

    count = len(FIELDS)
    known: list[FloatArray] = []
    exact: list[Shapley] = []
    sampled: list[Shapley] = []
    theirs: list[FloatArray] = []

    def worth(coalitions: Sequence[int]) -> FloatArray:
        return margins(bench, variants(explained, coalitions))

    def kept(coalitions: Sequence[int]) -> FloatArray:
        known.append(worth(coalitions))
        return known[-1]

    def draw() -> None:
        sampled.append(sample(worth, players=count, seed=[number], error=ERROR, most_pairs=MOST_PAIRS))

    def captum() -> None:
        method = ShapleyValueSampling(bench.loaded.model)
        theirs.append(captum_margin(method, bench, explained, n_samples=PEER_SAMPLES))

    enumeration = seconds(lambda: exact.append(enumerate_all(kept, players=count)))
    ours = seconds(draw, repeats=3)
    measured = seconds(captum)
    # captum reads the application once, then every permutation field by field, for each answer.
    reading = measured / (2 * (PEER_SAMPLES * count + 1))
    largest, spread = float(deviations(known[0]).max()), exact[0].spread
    needed = max(1, math.ceil((largest / (ERROR * spread)) ** 2))
    peer = 2 * reading * (needed * count + 1)
    return Row(
        name=f"shapley: {count} fields to a standard error of {ERROR:.0%} of the range, application {number}",
        ours=ours,
        peer=peer,
        ratio=peer / ours,
        agreement=float(np.abs(sampled[0].values - exact[0].values).max() / spread),
        unit="s",
        n=1,
        extra={
            "peer": "captum ShapleyValueSampling, from its seconds a reading and its exact variance",
            "peer_permutations_needed": needed,
            "peer_seconds_a_permutation": 2 * reading * count,
            "peer_permutations_measured": PEER_SAMPLES,
            "peer_seconds_measured": measured,
            "peer_error_of_measured": largest / math.sqrt(PEER_SAMPLES) / spread,
            "peer_agreement_of_measured": float(np.abs(theirs[0] - exact[0].values).max() / spread),
            "pairs": sampled[0].pairs,
            "coalitions": sampled[0].coalitions,
            "error": sampled[0].relative_error,
            "enumeration": enumeration,
            "enumeration_ratio": peer / enumeration,
            "range_nats": spread,
        },
    )


def deviations(worths: FloatArray) -> FloatArray:
    """Standard deviation of what each player adds in a random order, exactly; shape (players,).

    Parameters
    ----------
    worths
        Of all coalitions, shape (2^players,).
    """
    players = len(worths).bit_length() - 1
    coalitions = np.arange(len(worths))
    weights = [1 / (players * math.comb(players - 1, size)) for size in range(players)]
    found = []
    for player in range(players):
        without = coalitions[(coalitions >> player) & 1 == 0]
        added = worths[without | 1 << player] - worths[without]
        chance = np.array([weights[mask.bit_count()] for mask in without.tolist()])
        found.append(math.sqrt(max(0.0, float(chance @ added**2 - (chance @ added) ** 2))))
    return np.array(found)
