"""Activation patching: where between the changed field and the answer the difference is carried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from auditor.mechanisms._shared.bench import ComputeContext
from auditor.mechanisms._shared.localisation import bases, repeated, rows_of
from auditor.mechanisms._shared.pair_measures import checks_of, each_pair, shared, whole_gap
from auditor.mechanisms._shared.pairs import PairRuns, plan_pairs
from auditor.mechanisms._shared.patches import CHECKED, Node, again, node_effects, patch_checks, residual_effects
from auditor.mechanisms.patching.card import CARD, Settings
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


def compute(bench: ComputeContext, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Patch every pair of a contrast."""
    done: list[str] = []

    def explain(runs: PairRuns, application: str) -> dict[str, Any]:
        done.append(application)
        # What so few applications give is compared with nothing, whatever is put in.
        return _explain(runs, prove=len(done) <= CHECKED, repeat=len(payload["pairs"]) >= FOR_A_SHARE)

    return each_pair(bench, payload, explain)


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """Shares by layer: the stream at three parts of the prompt, and every MLP."""
    for result in context.results.get(CARD.name, ()):
        pairs = result["pairs"]
        checks = checks_of(pairs)
        gaps = np.array([pair["gap"] for pair in pairs])
        common: dict[str, Any] = {"test": CARD.name, "checks": checks}
        yield whole_gap(result, test=CARD.name, checks=checks, level=1 - context.plan.thresholds.alpha)
        # In the order of the prompt, which a ledger's sorted keys do not keep.
        for part in sorted({part for pair in pairs for part in pair["stream"]}, key=_place):
            held = [index for index, pair in enumerate(pairs) if part in pair["stream"]]
            mine = [pairs[index] for index in held]
            position = PARTS.get(part, result["contrast"]["field"] if part == OWN else part)
            for layer in range(len(mine[0]["stream"][part])):
                yield shared(
                    context,
                    result,
                    np.array([pair["stream"][part][layer] for pair in mine]),
                    gaps=gaps[held],
                    metric="patch_stream",
                    subject={"layer": str(layer), "position": position},
                    method="interchange intervention on the residual stream: share of the difference carried",
                    **repeated(context, rows_of(mine, "stream", part, layer), gaps[held], base=bases(mine)),
                    **common,
                )
        for layer in range(len(pairs[0]["mlps"]) if pairs else 0):
            yield shared(
                context,
                result,
                np.array([pair["mlps"][layer] for pair in pairs]),
                metric="patch_mlp",
                subject={"layer": str(layer)},
                method="interchange intervention on this MLP's output: share of the difference carried",
                **repeated(context, rows_of(pairs, "mlps", layer), gaps, base=bases(pairs)),
                **common,
            )


def _place(part: str) -> tuple[int, str]:
    return {OWN: 0, "between": 2, "last": 3}.get(part, 1), part


def _explain(runs: PairRuns, *, prove: bool, repeat: bool) -> dict[str, Any]:
    parts = runs.pair.segments()
    nodes = [Node(layer) for layer in range(runs.decoder.layers)]

    def effects(each: PairRuns) -> dict[str, Any]:
        stream = residual_effects(each, list(parts.values())).tolist()
        return {"stream": dict(zip(parts, stream, strict=True)), "mlps": node_effects(each, nodes).tolist()}

    checks = {"checks": [asdict(check) for check in patch_checks(runs)]} if prove else {}
    return {**effects(runs), **({"again": again(runs, effects)} if repeat else {}), **checks}
