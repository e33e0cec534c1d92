"""Component attribution: which heads and MLPs write a change of group into the answer; the margin by layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from auditor.language_models.noise import SUMMED, noise_floor
from auditor.mechanisms._shared.bench import ComputeContext
from auditor.mechanisms._shared.direct_logits import Direct, attribute, lens
from auditor.mechanisms._shared.halves import halves, picked_words
from auditor.mechanisms._shared.localisation import put_in, repeated
from auditor.mechanisms._shared.pair_measures import checks_of, each_pair, shared, supporting, whole_gap
from auditor.mechanisms._shared.pairs import PairRuns, own_margins, plan_pairs
from auditor.mechanisms._shared.patches import CHECKED
from auditor.mechanisms._shared.specifications import NOISING
from auditor.mechanisms.components.card import CARD, Settings
from auditor.records import Check
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement


def plan_chunks(asked: PlanContext) -> Iterable[ChunkSpec]:
    """One chunk a contrast."""
    settings: Settings = asked.settings
    return plan_pairs(asked, name=CARD.name, pairs=settings.pairs, cost=2, attributes=settings.attributes)


def compute(bench: ComputeContext, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Attribute both prompts of every pair."""
    done: list[str] = []

    def explain(runs: PairRuns, application: str) -> dict[str, Any]:
        done.append(application)
        return _explain(runs, prove=len(done) <= CHECKED)

    return {**each_pair(bench, payload, explain), "top": bench.settings.top}


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """The largest components' shares of the difference, and the lens by layer."""
    for result in context.results.get(CARD.name, ()):
        pairs = result["pairs"]
        if not pairs:
            yield supporting(
                result,
                test=CARD.name,
                metric="direct_share",
                subject={},
                unit="ratio",
                value=float,
                checks=(),
                method="",
                level=1 - context.plan.thresholds.alpha,
            )
            continue
        checks = checks_of(pairs)
        picked_on, measured_on = halves(len(pairs))
        measured = {**result, "pairs": pairs[measured_on]}
        gaps = np.array([pair["gap"] for pair in measured["pairs"]])
        attention = np.array([pair["attention"] for pair in pairs])
        mlps = np.array([pair["mlps"] for pair in pairs])
        named = {
            **{(layer, head): attention[:, layer, head] for layer, head in np.ndindex(*attention.shape[1:])},
            **{(layer, None): mlps[:, layer] for layer in range(mlps.shape[1])},
        }
        by = np.array([pair["gap"] for pair in pairs[picked_on]])
        ranked = sorted(named, key=lambda node: (-abs(float(named[node][picked_on] @ by)), str(node)))
        for layer, head in ranked[: result["top"]]:
            effects = named[layer, head][measured_on]
            one = attention.shape[2] == 1
            node = "MLP" if head is None else "attention" if one else f"head {head}"
            yield shared(
                context,
                measured,
                effects,
                test=CARD.name,
                metric="direct_share",
                subject={"layer": str(layer), "node": node},
                **repeated(context, {NOISING: put_in(effects)}, gaps),
                checks=checks,
                method="direct logit attribution: share of the difference this component writes into the answer; "
                + picked_words(len(pairs)),
            )
        yield whole_gap(result, test=CARD.name, checks=checks, level=1 - context.plan.thresholds.alpha)
        norms = np.array([pair["direction"] for pair in pairs])
        yield supporting(
            result,
            test=CARD.name,
            metric="direct_norm",
            subject={},
            unit="logit",
            value=lambda norms=norms: float(norms.mean()),  # type: ignore[misc]
            checks=checks,
            method="length of the direction of the residual stream that moves the margin, norm frozen: the most nats "
            "that one unit written at the last token can move the margin; mean over both prompts of all pairs",
            needs_gap=False,
            level=1 - context.plan.thresholds.alpha,
        )
        lenses = np.array([pair["lens"] for pair in pairs])
        whole = np.array([pair["gap"] for pair in pairs])
        for layer in range(lenses.shape[1]):
            yield shared(
                context,
                result,
                lenses[:, layer],
                test=CARD.name,
                metric="lens_share",
                subject={"layer": str(layer)},
                **repeated(context, {NOISING: put_in(lenses[:, layer])}, whole),
                checks=checks,
                method="logit lens: share of the difference readable from the residual stream so far",
            )


def _explain(runs: PairRuns, *, prove: bool) -> dict[str, Any]:
    # Two whole prompts by the model's own forward pass, so a few pairs of a contrast stand for all.
    own: list[float] | list[None] = (
        own_margins(runs.decoder, runs.target, (runs.pair.base, runs.pair.donor)) if prove else [None, None]
    )
    sides = [
        attribute(runs.decoder, run, runs.target, own=margin)
        for run, margin in zip((runs.base, runs.donor), own, strict=True)
    ]
    lenses = [lens(runs.decoder, run, runs.target) for run in (runs.base, runs.donor)]
    found: dict[str, Any] = {
        "attention": (sides[1].attention - sides[0].attention).tolist(),
        "mlps": (sides[1].mlps - sides[0].mlps).tolist(),
        "lens": (lenses[1] - lenses[0]).tolist(),
        "direction": [side.direction for side in sides],
    }
    if prove:
        checks = _checks(runs, sides, [float(side[-1]) for side in lenses], [side for side in own if side is not None])
        found["checks"] = [asdict(check) for check in checks]
    return found


def _checks(runs: PairRuns, sides: list[Direct], last: list[float], own: list[float]) -> tuple[Check, Check]:
    """Both against the model's own forward pass, which neither sum nor lens comes from."""
    floor = noise_floor(runs.decoder.model, runs.target)
    gap = max(side.gap for side in sides)
    bound = floor.bound + SUMMED * max(side.rounding for side in sides)
    off = max(abs(read - margin) for read, margin in zip(last, own, strict=True))
    return (
        Check("contributions sum to the model's own margin", gap <= bound, gap, bound, f"nats; {floor.words}"),
        Check(
            "the lens at the last layer is the model's own margin", off <= floor.bound, off, floor.bound, floor.words
        ),
    )
