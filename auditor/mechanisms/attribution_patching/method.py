"""Attribution patching: every head and MLP screened by one backward pass, the largest verified by real patching."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from auditor.mechanisms._shared.bench import ComputeContext
from auditor.mechanisms._shared.halves import halves, picked_words
from auditor.mechanisms._shared.localisation import bases, repeated, rows_of
from auditor.mechanisms._shared.pair_measures import Kept, checks_of, each_pair, shared, slope, supporting, whole_gap
from auditor.mechanisms._shared.pairs import PairRuns, plan_pairs
from auditor.mechanisms._shared.patches import (
    CHECKED,
    again,
    all_nodes,
    attribution_effects,
    node_effects,
    patch_checks,
)
from auditor.mechanisms.attribution_patching.card import CARD, Settings
from auditor.mechanisms.attribution_patching.screening import screened
from auditor.seeds import generator_of
from auditor.statistics.minimums import FOR_A_SHARE
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.context import Context, FloatArray
from auditor.testing.unadjusted import UnadjustedMeasurement


def plan_chunks(asked: PlanContext) -> Iterable[ChunkSpec]:
    """One chunk a contrast."""
    settings: Settings = asked.settings
    return plan_pairs(asked, name=CARD.name, pairs=settings.pairs, cost=10, attributes=settings.attributes)


def compute(bench: ComputeContext, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Screen every pair of a contrast, and verify in every other one the nodes that the rest put first."""
    settings: Settings = bench.settings
    estimates: dict[str, list[float]] = {}

    def screen(runs: PairRuns, application: str) -> dict[str, Any]:
        heads, mlps = attribution_effects(runs)
        estimates[application] = [float(value) for row, mlp in zip(heads, mlps, strict=True) for value in (*row, mlp)]
        return {"shape": [runs.decoder.layers, runs.decoder.heads]}

    kept = Kept()
    result = each_pair(bench, payload, screen, kept=kept)
    if not result["pairs"]:
        return result
    layers, heads = result["pairs"][0]["shape"]
    nodes = all_nodes(layers, heads)
    # By those that screening left, because pairs whose tokens do not align are in neither half.
    picked_on, verified_on = halves(len(result["pairs"]))
    size = np.abs(np.array([estimates[pair["id"]] for pair in result["pairs"][picked_on]])).mean(axis=0)
    ranked = sorted(range(len(nodes)), key=lambda index: (-size[index], index))
    top, rest = ranked[: settings.top], ranked[settings.top :]
    contrast = payload["contrast"]
    generator = generator_of(bench.plan.cases.seed, CARD.name, contrast["field"], contrast["group"])
    count = min(len(rest), max(1, round(settings.sample * len(rest))))
    drawn = sorted(int(index) for index in generator.choice(rest, size=count, replace=False)) if rest else []
    chosen = [nodes[index] for index in (*top, *drawn)]
    checked: list[str] = []

    def verify(runs: PairRuns, application: str) -> dict[str, Any]:
        mine = estimates[application]
        exact = node_effects(runs, chosen)
        # The proofs run two whole prompts more, so a few pairs of a contrast stand for all.
        checks = [asdict(check) for check in patch_checks(runs)] if len(checked) < CHECKED else []
        checked.append(application)

        def effects(each: PairRuns) -> dict[str, Any]:
            return {"exact": node_effects(each, chosen[: len(top)]).tolist()}

        found = {
            "exact": exact.tolist(),
            "estimate": [mine[index] for index in (*top, *drawn)],
        }
        # What so few applications give is compared with nothing, whatever is put in.
        repeats = {"again": again(runs, effects)} if len(verified) >= FOR_A_SHARE else {}
        return found | repeats | ({"checks": checks} if checks else {})

    names = [[node.layer, node.head] for node in chosen]
    verified = {pair["id"] for pair in result["pairs"][verified_on]}
    rows = [row for row in payload["pairs"] if row["id"] in verified]
    found = each_pair(bench, {**payload, "pairs": rows}, verify, kept=kept)
    return {
        **found,
        "left_out": result["left_out"],
        "aligned": len(result["pairs"]),
        "nodes": names,
        "top": len(top),
        "screened": len(nodes),
    }


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """Real effects of the verified nodes, what the random share says of the others, and how well the estimate ranks."""
    alpha = context.plan.thresholds.alpha
    for result in context.results.get(CARD.name, ()):
        pairs = result["pairs"]
        exact = np.array([pair["exact"] for pair in pairs])
        estimate = np.array([pair["estimate"] for pair in pairs])
        gaps = np.array([pair["gap"] for pair in pairs])
        top = result.get("top", 0)
        named: dict[str, Any] = {"test": CARD.name, "checks": checks_of(pairs)}
        about = {**named, "level": 1 - alpha}
        if pairs:
            yield whole_gap(result, **about)
        yield supporting(
            result,
            metric="screening_rank_agreement",
            subject={},
            unit="ratio",
            value=lambda exact=exact, estimate=estimate: _spearman(exact, estimate),  # type: ignore[misc]
            method="Spearman correlation of estimated and real effects over the verified nodes and pairs",
            **about,
        )
        if pairs and float(gaps @ gaps) > 0:
            yield from _missed(result, np.abs([slope(column, gaps) for column in exact.T]), alpha, about)
        for place, (layer, head) in enumerate(result.get("nodes", ())[:top]):
            yield shared(
                context,
                result,
                exact[:, place],
                metric="patch_node",
                subject={"layer": str(layer), "node": "MLP" if head is None else f"head {head}"},
                method="interchange intervention on the node at every position: share of the difference carried; "
                + picked_words(result["aligned"]),
                **repeated(context, rows_of(pairs, "exact", place), gaps, base=bases(pairs)),
                **named,
            )


def _missed(
    result: Mapping[str, Any], sizes: FloatArray, alpha: float, about: Mapping[str, Any]
) -> Iterable[UnadjustedMeasurement]:
    """What the nodes drawn at random say of those that were neither screened in nor drawn."""
    top = result["top"]
    said = screened(reported=sizes[:top], sample=sizes[top:], unscreened=result["screened"] - top, alpha=alpha)
    if said.largest is None:
        return
    level = f"{1 - alpha:.4g}"
    counts = {"drawn": said.drawn, "unscreened": said.unscreened, "exceed_at_most": said.exceed_largest}
    yield supporting(
        result,
        metric="screening_sample_largest",
        subject={},
        unit="ratio",
        value=lambda: float(said.largest or 0.0),
        method=f"largest |share| among {said.drawn} nodes drawn at random from the {said.unscreened} not screened in; "
        f"at most {said.exceed_largest} of these exceed it, with confidence {level}",
        counts=counts,
        **about,
    )
    yield supporting(
        result,
        metric="screening_missed_at_most",
        subject={},
        unit="count",
        value=lambda: float(said.exceed_reported),
        method=f"nodes not screened in that may be larger than the smallest one reported: {said.seen} of "
        f"{said.drawn} drawn at random are, so at most so many of {said.unscreened} with confidence {level}",
        counts={**counts, "seen": said.seen},
        **about,
    )


def _spearman(exact: FloatArray, estimate: FloatArray) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(exact.ravel(), estimate.ravel()).statistic)
