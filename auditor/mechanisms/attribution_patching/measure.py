"""Measurements of verified nodes, of what the random share says of the others, and of how well the estimate ranks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.stats import spearmanr

from auditor.mechanisms._shared.halves import picked_words
from auditor.mechanisms._shared.localisation import bases, repeated, rows_of
from auditor.mechanisms._shared.pair_measures import OfContrast, slope
from auditor.mechanisms.attribution_patching.card import CARD
from auditor.mechanisms.attribution_patching.result import Effects, Result
from auditor.mechanisms.attribution_patching.screening import screened
from auditor.testing.context import Context, FloatArray
from auditor.testing.unadjusted import UnadjustedMeasurement


def measures(context: Context, results: Sequence[Result]) -> Iterable[UnadjustedMeasurement]:
    """Real effects of the verified nodes, what the random share says of the others, and how well the estimate ranks."""
    for result in results:
        found = OfContrast.of(context, result, test=CARD.name)
        exact = np.array([pair.effects.exact for pair in result.pairs])
        if result.pairs:
            yield found.whole_gap()
        yield _ranks(found, exact, np.array([pair.estimate for pair in result.pairs]))
        gaps = found.gaps
        if result.pairs and float(gaps @ gaps) > 0:
            sizes = np.abs([slope(column, gaps) for column in exact.T])
            yield from _missed(found, sizes, top=result.top, unscreened=result.screened - result.top)
        yield from _nodes(found, result)


def _ranks(found: OfContrast, exact: FloatArray, estimate: FloatArray) -> UnadjustedMeasurement:
    """How well the estimate ranks; both [pairs, nodes]."""
    return found.measured(
        metric="screening_rank_agreement",
        subject={},
        unit="ratio",
        value=lambda: float(spearmanr(exact.ravel(), estimate.ravel()).statistic),
        method="Spearman correlation of estimated and real effects over the verified nodes and pairs",
    )


def _nodes(found: OfContrast, result: Result) -> Iterable[UnadjustedMeasurement]:
    """Shares of the nodes that were screened in."""
    pairs = result.pairs
    for place, node in enumerate(result.nodes[: result.top]):

        def read(effects: Effects, place: int = place) -> float:
            return effects.exact[place]

        yield found.share(
            np.array([read(pair.effects) for pair in pairs]),
            metric="patch_node",
            subject={"layer": str(node.layer), "node": "MLP" if node.head is None else f"head {node.head}"},
            method="interchange intervention on the node at every position: share of the difference carried; "
            + picked_words(result.aligned),
            again=repeated(found.context, rows_of(pairs, read), found.gaps, base=bases(pairs)),
        )


def _missed(found: OfContrast, sizes: FloatArray, *, top: int, unscreened: int) -> Iterable[UnadjustedMeasurement]:
    """What the nodes drawn at random say of those that were neither screened in nor drawn."""
    alpha = found.context.plan.thresholds.alpha
    said = screened(reported=sizes[:top], sample=sizes[top:], unscreened=unscreened, alpha=alpha)
    if said.largest is None:
        return
    largest, level = float(said.largest), f"{1 - alpha:.4g}"
    counts = {"drawn": said.drawn, "unscreened": said.unscreened, "exceed_at_most": said.exceed_largest}
    yield found.measured(
        metric="screening_sample_largest",
        subject={},
        unit="ratio",
        value=lambda: largest,
        method=f"largest |share| among {said.drawn} nodes drawn at random from the {said.unscreened} not screened in; "
        f"at most {said.exceed_largest} of these exceed it, with confidence {level}",
        counts=counts,
    )
    yield found.measured(
        metric="screening_missed_at_most",
        subject={},
        unit="count",
        value=lambda: float(said.exceed_reported),
        method=f"nodes not screened in that may be larger than the smallest one reported: {said.seen} of "
        f"{said.drawn} drawn at random are, so at most so many of {said.unscreened} with confidence {level}",
        counts={**counts, "seen": said.seen},
    )
