"""Attribution patching: every head and MLP screened by one backward pass, the largest verified by real patching."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from auditor.behaviour.context import Card, Context, Draft
from auditor.mechanisms.contract import Asked, Bench, Work
from auditor.mechanisms.pair_measures import each_pair, slope, supporting, whole_gap
from auditor.mechanisms.pairs import PairRuns, plan_pairs
from auditor.mechanisms.patches import all_nodes, attribution_effects, node_effects
from auditor.plan import Section, Share
from auditor.records import Check

CARD = Card(
    name="attribution_patching",
    purpose="Which heads and MLPs carry a change of group to the decision.",
    method=(
        "Every node's effect is estimated to first order (its change times the gradient of the margin), in one sweep "
        "forward and one backward. The largest, and a random share of the rest, are patched for real; only real "
        "effects are reported. The largest real effect in the random share bounds what the screening missed."
    ),
    worrying="A few heads or MLPs that carry most of the difference: the decision reads the group directly there.",
    limitations=(
        "The estimate can miss nodes behind a saturated softmax and nodes whose direct and indirect effects cancel; "
        "the random share says how much, with the sample's own uncertainty. Effects of nodes need not add up."
    ),
    references=("Kramár et al. (2024), AtP*: An efficient and scalable method for localizing LLM behaviour",),
    needs_internals=True,
    question="where",
)


class Settings(Section):
    """What is verified.

    Attributes
    ----------
    attributes
        Attributes of the plan by field; empty: all of them.
    pairs
        Applications a contrast.
    top
        Nodes verified.
    sample
        Share of the others verified.
    """

    attributes: tuple[str, ...] = ()
    pairs: Annotated[int, Field(ge=1, le=1000)] = 4
    top: Annotated[int, Field(ge=1, le=1000)] = 10
    sample: Share = 0.05


def work(asked: Asked) -> Iterable[Work]:
    """One chunk a contrast."""
    settings: Settings = asked.settings
    return plan_pairs(asked, name=CARD.name, pairs=settings.pairs, cost=16, attributes=settings.attributes)


def compute(bench: Bench, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Screen and verify every pair of a contrast. The same nodes are verified in each, chosen by name alone."""
    settings: Settings = bench.settings
    estimates: dict[str, list[float]] = {}

    def screen(runs: PairRuns, application: str) -> dict[str, Any]:
        heads, mlps = attribution_effects(runs)
        estimates[application] = [float(value) for row, mlp in zip(heads, mlps, strict=True) for value in (*row, mlp)]
        return {"shape": [runs.decoder.layers, runs.decoder.heads]}

    result = each_pair(bench, payload, screen)
    if not result["pairs"]:
        return result
    layers, heads = result["pairs"][0]["shape"]
    nodes = all_nodes(layers, heads)
    size = np.abs(np.array(list(estimates.values()))).mean(axis=0)
    ranked = sorted(range(len(nodes)), key=lambda index: (-size[index], index))
    top, rest = ranked[: settings.top], ranked[settings.top :]
    seed = f"{bench.plan.cases.seed}/{CARD.name}/{payload['contrast']['field']}/{payload['contrast']['group']}"
    generator = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big"))
    count = min(len(rest), max(1, round(settings.sample * len(rest))))
    drawn = sorted(int(index) for index in generator.choice(rest, size=count, replace=False)) if rest else []
    chosen = [nodes[index] for index in (*top, *drawn)]

    def verify(runs: PairRuns, application: str) -> dict[str, Any]:
        mine = estimates[application]
        exact = node_effects(runs, chosen)
        return {"exact": exact.tolist(), "estimate": [mine[index] for index in (*top, *drawn)]}

    names = [[node.layer, node.head] for node in chosen]
    return {**each_pair(bench, payload, verify), "nodes": names, "top": len(top), "screened": len(nodes)}


def run(context: Context) -> Iterable[Draft]:
    """Real effects of the verified nodes, the miss bound, and how well the estimate ranks."""
    for result in context.results.get(CARD.name, ()):
        pairs = result["pairs"]
        exact = np.array([pair["exact"] for pair in pairs])
        estimate = np.array([pair["estimate"] for pair in pairs])
        gaps = np.array([pair["gap"] for pair in pairs])
        top = result.get("top", 0)
        checks = _checks(exact, top) if pairs else ()
        if pairs:
            yield whole_gap(result, test=CARD.name, checks=checks)
        yield supporting(
            result,
            test=CARD.name,
            metric="screening_rank_agreement",
            subject={},
            unit="ratio",
            value=lambda exact=exact, estimate=estimate: _spearman(exact, estimate),  # type: ignore[misc]
            checks=(),
            method="Spearman correlation of estimated and real effects over the verified nodes and pairs",
        )
        yield supporting(
            result,
            test=CARD.name,
            metric="screening_miss_bound",
            subject={},
            unit="logit",
            value=lambda exact=exact, top=top: float(np.abs(exact[:, top:]).max(initial=0.0)),  # type: ignore[misc]
            checks=(),
            method="largest real effect among nodes drawn at random from those not in the top",
        )
        for place, (layer, head) in enumerate(result.get("nodes", ())[:top]):
            yield supporting(
                result,
                test=CARD.name,
                metric="patch_node",
                subject={"layer": str(layer), "node": "MLP" if head is None else f"head {head}"},
                unit="ratio",
                value=lambda exact=exact, gaps=gaps, place=place: slope(exact[:, place], gaps),  # type: ignore[misc]
                checks=checks,
                method="share of the difference carried by the node at every position, patched for real",
            )


def _checks(exact: np.ndarray, top: int) -> tuple[Check, ...]:
    """Told, not enforced: the figures are real effects whether or not the screening missed another node."""
    largest = float(np.abs(exact[:, :top]).max(initial=0.0))
    missed = float(np.abs(exact[:, top:]).max(initial=0.0))
    note = f"largest real effect of a node drawn at random: {missed:.3g} nats; of the top: {largest:.3g} nats"
    return (Check("every reported effect was patched for real", True, missed, largest, note),)


def _spearman(exact: np.ndarray, estimate: np.ndarray) -> float:
    from scipy.stats import spearmanr

    return float(spearmanr(exact.ravel(), estimate.ravel()).statistic)
