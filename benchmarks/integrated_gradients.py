"""Integrated gradients between two groups against captum's LayerIntegratedGradients, at the same number of points.

Both go from the embeddings of the application in the reference group to those in the other, by Gauss-Legendre, for the
same margin. Ours doubles its points until the sum is complete, and every doubling is in its time; captum is given the
number ours ended with, so that both miss the sum by the same amount. Agreement is the cosine of the tokens' values.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch

from auditor.language_models.decoder import RESIDUAL
from auditor.mechanisms.pairs import Pair, run_pair
from auditor.mechanisms.paths import Integrated, integrate
from benchmarks.contrast import Contrast, make_contrast
from benchmarks.rows import Row, seconds


def run() -> Iterator[Row]:
    """One row: ours against the faster of captum's two ways, all points in one batch or eight at a time."""
    contrast = make_contrast(1)
    pair = contrast.pairs[0]
    found = ours(contrast, pair)
    mine = seconds(lambda: ours(contrast, pair), repeats=3)
    # One run of each is slow enough to be its own median.
    times, results = {}, []
    for batch in (None, 8):
        work = partial(captums, contrast, pair, steps=found.steps, batch=batch, last_only=False)
        times[f"peer_batch_{batch or 'all'}"] = seconds(lambda work=work: results.append(work()))  # type: ignore[misc]
    theirs, delta = results[0]
    careful = seconds(lambda: captums(contrast, pair, steps=found.steps, batch=8, last_only=True))
    peer = min(times.values())
    values = np.concatenate([np.zeros(pair.first), found.values])
    yield Row(
        name="integrated_gradients: one pair, counterfactual baseline",
        ours=mine,
        peer=peer,
        ratio=peer / mine,
        agreement=float(values @ theirs / (np.linalg.norm(values) * np.linalg.norm(theirs))),
        unit="s",
        n=len(pair.base),
        extra={
            "peer_method": "captum LayerIntegratedGradients",
            "steps": found.steps,
            "gap": found.gap,
            "delta": found.delta,
            "peer_delta": delta,
            "largest_difference": float(np.abs(values - theirs).max()),
            **times,
            "peer_last_position_only": careful,
            "ratio_last_position_only": careful / mine,
            **contrast.about,
        },
    )


def ours(contrast: Contrast, pair: Pair) -> Integrated:
    """From tokens to values, the shared prefix included."""
    runs = run_pair(contrast.decoder, contrast.target, pair, layers=[0])
    base, end = (run.states[RESIDUAL, 0] for run in (runs.base, runs.donor))
    return integrate(contrast.decoder, base=base, end=end, past=runs.prefix, target=contrast.target, gap=runs.gap)


def captums(
    contrast: Contrast, pair: Pair, *, steps: int, batch: int | None, last_only: bool
) -> tuple[np.ndarray, float]:
    """captum's values by token and by how much they miss the difference; ``last_only``: logits of one position."""
    from captum.attr import LayerIntegratedGradients

    model, target = contrast.bench.loaded.model, contrast.target
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
