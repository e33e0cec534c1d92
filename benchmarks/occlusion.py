"""Occlusion of ten fields against captum's FeatureAblation through LLMAttribution, both answers.

Agreement is the largest difference of an attribution in nats.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms.field_attribution.shapley import FloatArray
from benchmarks.fields import FIELDS, Explained, captum_margin, find_applications, make_bench, margins, variants
from benchmarks.rows import Row, seconds

APPLICATIONS = 3


def run() -> Iterator[Row]:
    """One row over some applications, ours and captum's in turns."""
    from captum.attr import FeatureAblation

    context = make_bench()
    ours, peers, apart, tokens = [], [], [], []
    for explained in find_applications(APPLICATIONS):
        method = FeatureAblation(context.loaded.model)
        took, mine = _timed(partial(occlude, context, explained), repeats=3)
        ours.append(took)
        took, theirs = _timed(partial(captum_margin, method, context, explained))
        peers.append(took)
        apart.append(float(np.abs(mine - theirs).max()))
        tokens.append(len(context.questions([context.render(explained.words).text])[0].prompt))
    yield Row(
        name=f"occlusion: {len(FIELDS)} fields, both answers",
        ours=statistics.median(ours),
        peer=statistics.median(peers),
        ratio=statistics.median(peer / mine for peer, mine in zip(peers, ours, strict=True)),
        agreement=max(apart),
        unit="s an application",
        n=len(apart),
        extra={"peer_method": "captum FeatureAblation", "tokens_a_prompt": statistics.mean(tokens), "tolerance": 1e-4},
    )


def _timed(work: Callable[[], FloatArray], *, repeats: int = 1) -> tuple[float, FloatArray]:
    """Median seconds, and what came out."""
    found: list[FloatArray] = []
    return seconds(lambda: found.append(work()), repeats=repeats), found[0]


def occlude(context: ComputeContext, explained: Explained) -> FloatArray:
    """m(x) − m(x with each field at the reference), one reading."""
    everybody = (1 << len(FIELDS)) - 1
    masks = [everybody, *(everybody ^ 1 << number for number in range(len(FIELDS)))]
    own, *without = margins(context, variants(explained, masks))
    return own - np.array(without)
