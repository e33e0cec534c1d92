"""Measurements of components: the shares they write, and the lens by layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from auditor.mechanisms._shared.halves import halves, picked_words
from auditor.mechanisms._shared.localisation import put_in, repeated
from auditor.mechanisms._shared.nodes import Node
from auditor.mechanisms._shared.pair_measures import OfContrast, gaps_of
from auditor.mechanisms._shared.specifications import NOISING
from auditor.mechanisms.components.card import CARD
from auditor.mechanisms.components.result import Parted, Result
from auditor.testing.context import Context, FloatArray
from auditor.testing.unadjusted import UnadjustedMeasurement


def measures(context: Context, results: Sequence[Result]) -> Iterable[UnadjustedMeasurement]:
    """The largest components' shares of the difference, and the lens by layer."""
    for result in results:
        found = OfContrast.of(context, result, test=CARD.name)
        if not result.pairs:
            yield found.measured(metric="direct_share", subject={}, unit="ratio", value=float, method="")
            continue
        yield from _largest(found, result)
        yield found.whole_gap()
        yield _norm(found, result.pairs)
        yield from _lens(found, result.pairs)


def _largest(found: OfContrast, result: Result) -> Iterable[UnadjustedMeasurement]:
    """Picked on one half of the pairs, measured on the other."""
    pairs = result.pairs
    picked_on, measured_on = halves(len(pairs))
    half = replace(found, result=result.model_copy(update={"pairs": pairs[measured_on]}))
    by = gaps_of(pairs[picked_on])
    written = _written(pairs)
    ranked = sorted(written, key=lambda node: (-abs(float(written[node][picked_on] @ by)), _tie(node)))
    one = len(pairs[0].attention[0]) == 1
    for node in ranked[: result.top]:
        effects = written[node][measured_on]
        said = "MLP" if node.head is None else "attention" if one else f"head {node.head}"
        yield half.share(
            effects,
            metric="direct_share",
            subject={"layer": str(node.layer), "node": said},
            again=repeated(found.context, {NOISING: put_in(effects)}, half.gaps),
            method="direct logit attribution: share of the difference this component writes into the answer; "
            + picked_words(len(pairs)),
        )


def _written(pairs: Sequence[Parted]) -> dict[Node, FloatArray]:
    """What every component adds to the difference of every pair, [pairs], in nats."""
    attention = np.array([pair.attention for pair in pairs])
    mlps = np.array([pair.mlps for pair in pairs])
    heads = {Node(layer, head): attention[:, layer, head] for layer, head in np.ndindex(*attention.shape[1:])}
    return heads | {Node(layer): mlps[:, layer] for layer in range(mlps.shape[1])}


def _tie(node: Node) -> str:
    """Which of two equally large components comes first: by layer and head as text, an MLP behind the heads."""
    return str((node.layer, node.head))


def _norm(found: OfContrast, pairs: Sequence[Parted]) -> UnadjustedMeasurement:
    norms = np.array([pair.direction for pair in pairs])
    return found.measured(
        metric="direct_norm",
        subject={},
        unit="logit",
        value=lambda: float(norms.mean()),
        method="length of the direction of the residual stream that moves the margin, norm frozen: the most nats "
        "that one unit written at the last token can move the margin; mean over both prompts of all pairs",
        needs_gap=False,
    )


def _lens(found: OfContrast, pairs: Sequence[Parted]) -> Iterable[UnadjustedMeasurement]:
    """The difference as it can be read from the stream of every layer."""
    lenses = np.array([pair.lens for pair in pairs])
    for layer, effects in enumerate(lenses.T):
        yield found.share(
            effects,
            metric="lens_share",
            subject={"layer": str(layer)},
            again=repeated(found.context, {NOISING: put_in(effects)}, found.gaps),
            method="logit lens: share of the difference readable from the residual stream so far",
        )
