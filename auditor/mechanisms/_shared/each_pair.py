"""Every pair of a chunk, run once or twice and explained; those whose tokens do not align are counted by reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from auditor.exceptions import Interrupted
from auditor.language_models.noise import noise_floor
from auditor.language_models.not_applicable import NotApplicable
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.pair_rows import LookedAt, PairOfPrompts, PairsPayload, PairsResult
from auditor.mechanisms._shared.pairs import PairRuns, read_pair, run_pair, structured

KEPT_BYTES = 512 << 20
"""Memory that kept runs may take."""

PairT = TypeVar("PairT", bound=LookedAt)


class Kept:
    """Runs of pairs that a chunk looks at twice, as many as fit into ``KEPT_BYTES``: the others are run again."""

    def __init__(self) -> None:
        self._runs: dict[str, PairRuns] = {}
        self._bytes = 0

    def get(self, name: str, run: Callable[[], PairRuns]) -> PairRuns:
        """The runs of one pair."""
        if name in self._runs:
            return self._runs[name]
        runs = run()
        size = runs.size()
        if self._bytes + size <= KEPT_BYTES:
            self._bytes += size
            self._runs[name] = runs
        return runs


def each_pair(
    context: ComputeContext,
    payload: PairsPayload,
    explain: Callable[[PairRuns, PairOfPrompts], PairT | NotApplicable],
    *,
    kept: Kept | None = None,
) -> PairsResult[PairT]:
    """Explain every pair of a chunk whose tokens align; count the others, and those not explained, by reason."""
    noise = noise_floor(context.loaded.model)
    view = structured(context, payload.pairs[0].prompts[0])
    if isinstance(view, NotApplicable):
        return PairsResult(contrast=payload.contrast, reason=view.reason, noise=noise)
    decoder, target = view
    left_out: Counter[str] = Counter()
    pairs: list[PairT] = []
    for prompts in payload.pairs:
        if context.should_stop():
            raise Interrupted("stopped between two pairs; this chunk starts again")
        pair = read_pair(context, prompts)
        if isinstance(pair, NotApplicable):
            left_out[pair.reason] += 1
            continue
        if kept is None:
            runs = run_pair(decoder, target, pair)
        else:
            runs = kept.get(prompts.id, partial(run_pair, decoder, target, pair, keep_past=False))
        found = explain(runs, prompts)
        if isinstance(found, NotApplicable):
            left_out[found.reason] += 1
        else:
            pairs.append(found)
    return PairsResult(
        contrast=payload.contrast, note=target.note, left_out=dict(left_out), noise=noise, pairs=tuple(pairs)
    )


def looked_at(runs: PairRuns, prompts: PairOfPrompts) -> LookedAt:
    """A pair of which nothing but its margins is kept."""
    return LookedAt(id=prompts.id, gap=runs.gap, base=runs.base_margin)
