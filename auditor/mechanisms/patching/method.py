"""Activation patching: where between the changed field and the answer the difference is carried."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.each_pair import each_pair
from auditor.mechanisms._shared.localisation import bases, repeated, rows_of
from auditor.mechanisms._shared.nodes import Node
from auditor.mechanisms._shared.pair_measures import OfContrast, gaps_of
from auditor.mechanisms._shared.pair_rows import PairOfPrompts, Patched
from auditor.mechanisms._shared.pairs import PairRuns, plan_pairs
from auditor.mechanisms._shared.patches import CHECKED, again, node_effects, patch_checks, residual_effects
from auditor.mechanisms.patching.card import CARD, Settings
from auditor.mechanisms.patching.result import Effects, Payload, Result
from auditor.statistics.minimums import FOR_A_SHARE
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement

OWN = "field"
PARTS = {"between": "other text", "last": "last token"}


def plan_chunks(asked: PlanContext) -> Iterable[ChunkSpec]:
    """One chunk a contrast."""
    settings: Settings = asked.settings
    # Three times as much again where other corruptions repeat it.
    cost = 32 * (4 if settings.pairs >= FOR_A_SHARE else 1)
    return plan_pairs(asked, name=CARD.name, pairs=settings.pairs, cost=cost, attributes=settings.attributes)


def compute(context: ComputeContext, payload: Payload) -> Result:
    """Patch every pair of a contrast."""
    done: list[str] = []

    def explain(runs: PairRuns, prompts: PairOfPrompts) -> Patched[Effects]:
        done.append(prompts.id)
        # What so few applications give is compared with nothing, whatever is put in.
        repeat = len(payload.pairs) >= FOR_A_SHARE
        return _explain(runs, prompts, prove=len(done) <= CHECKED, repeat=repeat)

    return Result(**dict(each_pair(context, payload, explain)))


def measure(context: Context, results: Sequence[Result]) -> Iterable[UnadjustedMeasurement]:
    """Shares by layer: the stream at three parts of the prompt, and every MLP."""
    for result in results:
        found = OfContrast.of(context, result, test=CARD.name)
        yield found.whole_gap()
        # In the order of the prompt, which a ledger's sorted keys do not keep.
        for part in sorted({part for pair in result.pairs for part in pair.effects.stream}, key=_place):
            yield from _stream(found, [pair for pair in result.pairs if part in pair.effects.stream], part)
        yield from _mlps(found, result.pairs)


def _stream(found: OfContrast, pairs: Sequence[Patched[Effects]], part: str) -> Iterable[UnadjustedMeasurement]:
    """The stream at one part of the prompt, in the pairs that have it."""
    gaps, base = gaps_of(pairs), bases(pairs)
    position = PARTS.get(part, found.result.contrast.field if part == OWN else part)
    for layer in range(len(pairs[0].effects.stream[part])):

        def read(effects: Effects, layer: int = layer) -> float:
            return effects.stream[part][layer]

        yield found.share(
            np.array([read(pair.effects) for pair in pairs]),
            gaps=gaps,
            metric="patch_stream",
            subject={"layer": str(layer), "position": position},
            method="interchange intervention on the residual stream: share of the difference carried",
            again=repeated(found.context, rows_of(pairs, read), gaps, base=base),
        )


def _mlps(found: OfContrast, pairs: Sequence[Patched[Effects]]) -> Iterable[UnadjustedMeasurement]:
    """What every MLP adds."""
    base = bases(pairs)
    for layer in range(len(pairs[0].effects.mlps) if pairs else 0):

        def read(effects: Effects, layer: int = layer) -> float:
            return effects.mlps[layer]

        yield found.share(
            np.array([read(pair.effects) for pair in pairs]),
            metric="patch_mlp",
            subject={"layer": str(layer)},
            method="interchange intervention on this MLP's output: share of the difference carried",
            again=repeated(found.context, rows_of(pairs, read), found.gaps, base=base),
        )


def _place(part: str) -> tuple[int, str]:
    return {OWN: 0, "between": 2, "last": 3}.get(part, 1), part


def _explain(runs: PairRuns, prompts: PairOfPrompts, *, prove: bool, repeat: bool) -> Patched[Effects]:
    parts = runs.pair.segments()
    nodes = [Node(layer) for layer in range(runs.decoder.layers)]

    def effects(each: PairRuns) -> Effects:
        stream = residual_effects(each, list(parts.values())).tolist()
        return Effects(stream=dict(zip(parts, stream, strict=True)), mlps=node_effects(each, nodes).tolist())

    return Patched(
        id=prompts.id,
        gap=runs.gap,
        base=runs.base_margin,
        effects=effects(runs),
        again=again(runs, effects) if repeat else None,
        checks=patch_checks(runs) if prove else (),
    )
