"""Shapley values of ten fields against captum's ShapleyValueSampling through LLMAttribution, both answers.

Compared is the time to a largest standard error of 2 % of the margin's range. Ours is measured in both ways an audit
has: every coalition (what ten fields get, no error left) and antithetic permutations (what more fields get), its own
stopping rule included. captum's would take hours, so it is put together from what is measured: the seconds of one of
its readings, and how many permutations that error takes. The second follows without chance from the worths of all 1,024
coalitions, which give the exact variance of what a field adds in a random order; captum draws plain random orders.

``agreement`` is a share of the range: for the enumeration the largest difference of a margin from one read alone and
unpacked, for the sample the largest distance of a value from the enumerated one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from auditor.language_models.answers import log_odds
from auditor.language_models.packed import plain_log_probabilities
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms.field_attribution.shapley import FloatArray, Shapley, enumerate_all, exact, sample
from benchmarks.fields import FIELDS, Explained, captum_margin, find_applications, make_bench, margins, variants
from benchmarks.rows import Row, seconds

ERROR = 0.02
PEER_SAMPLES = 1
MOST_PAIRS = 256
PLAIN = 8


def run() -> Iterator[Row]:
    """Two rows of one application: all coalitions, and a sample."""
    from captum.attr import ShapleyValueSampling

    context = make_bench()
    count = len(FIELDS)
    [explained] = find_applications(1)
    known: list[FloatArray] = []
    sampled: list[Shapley] = []
    theirs: list[FloatArray] = []

    def worth(coalitions: Sequence[int]) -> FloatArray:
        known.append(margins(context, variants(explained, coalitions)))
        return known[-1]

    def draw() -> None:
        sampled.append(sample(worth, players=count, seed=[1], error=ERROR, most_pairs=MOST_PAIRS))

    def captum() -> None:
        method = ShapleyValueSampling(context.loaded.model)
        theirs.append(captum_margin(method, context, explained, n_samples=PEER_SAMPLES))

    enumeration = seconds(lambda: enumerate_all(worth, players=count))
    worths = known[0]
    values, spread = exact(worths), float(np.ptp(worths))
    drawing = seconds(draw)
    measured = seconds(captum)
    # captum reads the application once, then every permutation field by field, for each answer.
    reading = measured / (2 * (PEER_SAMPLES * count + 1))
    largest = float(deviations(worths).max()) / spread
    needed = max(1, math.ceil((largest / ERROR) ** 2))
    peer = 2 * reading * (needed * count + 1)
    common: dict[str, float | int | str | None] = {
        "peer_method": "captum ShapleyValueSampling, from its seconds a reading and its exact variance",
        "peer_permutations_needed": needed,
        "peer_seconds_a_permutation": 2 * reading * count,
        "peer_permutations_measured": PEER_SAMPLES,
        "peer_seconds_measured": measured,
        "peer_error_of_measured": largest / math.sqrt(PEER_SAMPLES),
        "peer_distance_of_measured": float(np.abs(theirs[0] - values).max() / spread),
        "range_nats": spread,
    }
    name = f"shapley: {count} fields to a standard error of {ERROR:.0%} of the range"
    yield Row(
        name=f"{name}, all coalitions",
        ours=enumeration,
        peer=peer,
        ratio=peer / enumeration,
        agreement=_apart_from_plain(context, explained, worths) / spread,
        unit="s",
        n=1,
        extra={**common, "coalitions": len(worths), "error": 0.0},
    )
    [drawn] = sampled
    yield Row(
        name=f"{name}, antithetic sample",
        ours=drawing,
        peer=peer,
        ratio=peer / drawing,
        agreement=float(np.abs(drawn.values - values).max() / spread),
        unit="s",
        n=1,
        extra={**common, "coalitions": drawn.coalitions, "pairs": drawn.pairs, "error": drawn.relative_error},
    )


def _apart_from_plain(context: ComputeContext, explained: Explained, worths: FloatArray) -> float:
    """Largest difference in nats of some margins from those of ordinary forward passes, one prompt each."""
    masks = [int(mask) for mask in np.linspace(0, len(worths) - 1, PLAIN)]
    apart = []
    for mask, words in zip(masks, variants(explained, masks), strict=True):
        [question] = context.questions([context.render(words).text])
        pairs = zip(question.sequences, question.reads, strict=True)
        alone = [plain_log_probabilities(context.loaded.model, *pair) for pair in pairs]
        favourable, adverse = log_odds(question, alone)
        apart.append(abs(favourable - adverse - float(worths[mask])))
    return max(apart)


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
