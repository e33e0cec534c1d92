"""Attribution patching of every head and MLP against our own exact patching of the same nodes.

Both start from the two prompts' runs, which either method needs; ``ratio_with_runs`` counts those runs on both sides.
Agreement is Spearman's correlation of estimated and exact effects over all nodes and pairs. ``miss_bound`` is the
largest exact effect among nodes that are not among the ten largest estimates.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

import numpy as np
from scipy.stats import spearmanr

from auditor.mechanisms._shared.nodes import all_nodes
from auditor.mechanisms._shared.pairs import run_pair
from auditor.mechanisms._shared.patches import attribution_effects, node_effects
from benchmarks.contrast import make_contrast
from benchmarks.rows import Row, seconds

PAIRS, TOP = 3, 10


def run() -> Iterator[Row]:
    """One row over some pairs."""
    contrast = make_contrast(PAIRS)
    nodes = all_nodes(contrast.decoder.layers, contrast.decoder.heads)
    screened, patched, shared, estimates, exact = [], [], [], [], []
    for pair in contrast.pairs:
        shared.append(seconds(lambda pair=pair: run_pair(contrast.decoder, contrast.target, pair)))  # type: ignore[misc]
        runs = run_pair(contrast.decoder, contrast.target, pair)
        screened.append(seconds(lambda runs=runs: attribution_effects(runs), repeats=3))  # type: ignore[misc]
        found: list[np.ndarray] = []
        patched.append(seconds(lambda runs=runs, found=found: found.append(node_effects(runs, nodes))))  # type: ignore[misc]
        heads, mlps = attribution_effects(runs)
        estimates.append(np.column_stack([heads, mlps]).ravel())
        exact.append(found[0])
    mine, peer, both = (statistics.median(times) for times in (screened, patched, shared))
    top = np.argsort(-np.abs(np.mean(estimates, axis=0)))[:TOP]
    rest = np.setdiff1d(np.arange(len(nodes)), top)
    yield Row(
        name="attribution_patching: every head and MLP",
        ours=mine,
        peer=peer,
        ratio=peer / mine,
        agreement=float(spearmanr(np.concatenate(estimates), np.concatenate(exact)).statistic),
        unit="s a pair",
        n=len(nodes),
        extra={
            "peer_method": "exact patching",
            "pairs": PAIRS,
            "runs_of_a_pair": both,
            "ratio_with_runs": (peer + both) / (mine + both),
            "miss_bound": float(np.abs(np.array(exact)[:, rest]).max()),
            "largest_effect": float(np.abs(np.array(exact)).max()),
            **contrast.about,
        },
    )
