"""Integrated gradients between two applications against captum's LayerIntegratedGradients, to the same completeness.

Both go from the embeddings of one application to those of the same with another race and other values in fields behind
it, for the same margin. Both double their points from 8 until the sum misses the difference by less than 1 %, and all
points are in the time; captum by Gauss-Legendre, its default. ``ratio_search_spared`` charges captum with its last
number of points alone, ``ratio_last_position_only`` spares it logits it does not need as well. Ratios are medians over
pairs, agreement is the smallest cosine of the tokens' values.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from auditor.mechanisms._shared.pairs import Pair, run_prefix
from auditor.mechanisms.integrated_gradients.paths import COMPLETE, Integrated, integrate_pair
from benchmarks.contrast import Contrast, make_contrast, with_other_fields
from benchmarks.rows import Row, seconds

PAIRS, FIRST, MOST = 3, 8, 64


@dataclass(frozen=True)
class _Compared:
    """One pair: our seconds, the peer's by number of points (the faster of its two ways), and how both agree."""

    ours: float
    peer: dict[int, float]
    last_only: float
    found: Integrated
    peer_delta: float
    cosine: float
    largest: float
    differing: int


def run() -> Iterator[Row]:
    """One row, medians over pairs."""
    contrast = make_contrast(1)
    ours(contrast, contrast.pairs[0])
    pairs = [_compare(contrast, pair) for pair in with_other_fields(contrast, PAIRS)]
    yield Row(
        name="integrated_gradients: one application, another as the baseline",
        ours=statistics.median(each.ours for each in pairs),
        peer=statistics.median(sum(each.peer.values()) for each in pairs),
        ratio=statistics.median(sum(each.peer.values()) / each.ours for each in pairs),
        agreement=min(each.cosine for each in pairs),
        unit="s",
        n=len(contrast.pairs[0].base),
        extra={
            "peer_method": "captum LayerIntegratedGradients, the faster of all points in one batch and eight",
            "ratio_search_spared": statistics.median(each.peer[max(each.peer)] / each.ours for each in pairs),
            "ratio_last_position_only": statistics.median(each.last_only / each.ours for each in pairs),
            "pairs": len(pairs),
            "steps": ", ".join(str(each.found.steps) for each in pairs),
            "peer_steps": ", ".join(str(max(each.peer)) for each in pairs),
            "tokens_that_differ": ", ".join(str(each.differing) for each in pairs),
            "largest_delta": max(abs(each.found.delta / each.found.gap) for each in pairs),
            "peer_largest_delta": max(abs(each.peer_delta / each.found.gap) for each in pairs),
            "largest_difference": max(each.largest for each in pairs),
            **contrast.about,
        },
    )


def _compare(contrast: Contrast, pair: Pair) -> _Compared:
    found = ours(contrast, pair)
    mine = seconds(lambda: ours(contrast, pair), repeats=3)
    peer: dict[int, float] = {}
    steps = FIRST
    while True:
        peer[steps] = min(_timed(contrast, pair, steps=steps, batch=batch) for batch in (None, 8))
        theirs, delta = captums(contrast, pair, steps=steps, batch=8, last_only=True)
        if abs(delta) <= COMPLETE * abs(found.gap) or 2 * steps > MOST:
            break
        steps *= 2
    values = np.concatenate([np.zeros(pair.first), found.values])
    return _Compared(
        ours=mine,
        peer=peer,
        last_only=_timed(contrast, pair, steps=steps, batch=8, last_only=True),
        found=found,
        peer_delta=delta,
        cosine=float(values @ theirs / (np.linalg.norm(values) * np.linalg.norm(theirs))),
        largest=float(np.abs(values - theirs).max()),
        differing=len(pair.field_tokens),
    )


def _timed(contrast: Contrast, pair: Pair, *, steps: int, batch: int | None, last_only: bool = False) -> float:
    return seconds(lambda: captums(contrast, pair, steps=steps, batch=batch, last_only=last_only))


def ours(contrast: Contrast, pair: Pair) -> Integrated:
    """From tokens to values, the shared prefix included."""
    return integrate_pair(contrast.decoder, contrast.target, pair, past=run_prefix(contrast.decoder, pair))


def captums(
    contrast: Contrast, pair: Pair, *, steps: int, batch: int | None, last_only: bool
) -> tuple[np.ndarray, float]:
    """captum's values by token and by how much they miss the difference; ``last_only``: logits of one position."""
    from captum.attr import LayerIntegratedGradients

    model, target = contrast.context.loaded.model, contrast.target
    (favourable,), (adverse,) = target.favourable, target.adverse
    options = {"logits_to_keep": 1} if last_only else {}

    def margin(tokens: torch.Tensor) -> torch.Tensor:
        logits = model(input_ids=tokens, use_cache=False, **options).logits[:, -1]
        return logits[:, favourable] - logits[:, adverse]

    method = LayerIntegratedGradients(margin, model.get_input_embeddings())
    values = method.attribute(
        torch.tensor([pair.donor]),
        baselines=torch.tensor([pair.base]),
        n_steps=steps,
        method="gausslegendre",
        internal_batch_size=batch,
    )
    by_token: np.ndarray = values[0].sum(-1).detach().double().numpy()
    with torch.no_grad():
        ends = margin(torch.tensor([pair.base, pair.donor]))
    return by_token, float(by_token.sum()) - float(ends[1] - ends[0])
