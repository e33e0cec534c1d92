"""Integrated gradients: the difference of two decisions shared out among the tokens that differ, folded to fields."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from auditor.counterfactuals import Cluster
from auditor.exceptions import Interrupted
from auditor.language_models.decoder import Decoder
from auditor.language_models.noise import NoiseFloor, noise_floor
from auditor.language_models.not_applicable import NotApplicable
from auditor.language_models.targets import Target
from auditor.mechanisms._shared.attribution_measures import GRADIENT, PATH, Explained, explained_as_decided, sizes
from auditor.mechanisms._shared.bench import ComputeContext
from auditor.mechanisms._shared.pair_measures import SMALLEST_GAP, checks_of, each_pair, slope, supporting
from auditor.mechanisms._shared.pairs import Pair, PairRuns, own_margins, plan_pairs, run_prefix, structured
from auditor.mechanisms._shared.players import Player, find_players, reference_words
from auditor.mechanisms.integrated_gradients.baselines import Aligned, Candidates, align
from auditor.mechanisms.integrated_gradients.card import CARD, FIRST_STEPS, Settings
from auditor.mechanisms.integrated_gradients.paths import COMPLETE, integrate_pair
from auditor.records import Check
from auditor.statistics.results import missing
from auditor.testing.attributions import Attribution
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement

NO_GAP = "the two prompts differ by too little to share out"
INCOMPLETE = f"the attributions miss the difference by more than {COMPLETE:.0%}"
SUM = "attributions sum to the difference of the margins"


def plan_chunks(asked: PlanContext) -> Iterable[ChunkSpec]:
    """One chunk an application, then one a contrast.

    Raises
    ------
    PlanError
        If ``reference`` is no application of the run.
    """
    settings: Settings = asked.settings
    where = f"plan: settings.{CARD.name}"
    typical = reference_words(asked, reference=settings.reference, where=where)
    if settings.cases:
        players = [player.row() for player in find_players(asked, groups={}, where=where)]
        candidates = Candidates(asked, typical)
        for cluster in _select(asked, settings):
            words = {name: asked.words[cluster.application.id][name] for name in asked.fields}
            tokens = asked.count_tokens(cluster.cases[0].prompt)
            payload = {
                "id": cluster.application.id,
                "words": words,
                "candidates": candidates.of(words),
                "players": players,
                "reference": {"name": settings.reference, "words": typical},
            }
            # A pass backward costs as much as one forward; steps are doubled once as a rule.
            yield ChunkSpec(2, tokens * 2 * 3 * FIRST_STEPS, payload)
    if settings.pairs:
        yield from plan_pairs(asked, name=CARD.name, pairs=settings.pairs, cost=2 * FIRST_STEPS)


def compute(bench: ComputeContext, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Explain one application against its reference, or every pair of a contrast.

    Returns
    -------
    dict
        Of an application its values by player, or the ``left_out`` reason; of a contrast what ``each_pair`` gives. Both
        with rows of attributions, for what is complete only.
    """
    if "contrast" in payload:
        return _contrast(bench, payload)
    about = {
        "players": payload["players"],
        "reference": payload["reference"],
        "id": payload["id"],
        "noise": bench.noise(bench.render(payload["words"]).text).row(),
    }
    view = structured(bench, bench.render(payload["words"]).text)
    if isinstance(view, NotApplicable):
        return {**about, "left_out": view.reason}
    aligned = align(bench, payload["words"], payload["candidates"])
    if isinstance(aligned, NotApplicable):
        return {**about, "left_out": aligned.reason}
    if bench.should_stop():
        raise Interrupted("stopped before an application; this chunk starts again")
    case = _explain(view[0], view[1], aligned, most=bench.settings.most_steps)
    if isinstance(case, NotApplicable):
        return {**about, "left_out": case.reason}
    players = [Player.of(row) for row in payload["players"]]
    values = {method: _by_player(players, payload, aligned, fields) for method, fields in case.pop("fields").items()}
    name = payload["reference"]["name"]
    rows = [
        Attribution(payload["id"], f"{CARD.name}/{method}", player, value, reference=f"{name}, as many tokens").row()
        for method, mine in values.items()
        for player, value in mine.items()
    ]
    compared = {"values": values, "moved": dict(aligned.words), "note": view[1].note}
    return {**about, **case, **compared, "left_out": "", "attributions": rows}


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """Sizes by field over the explained applications; by contrast the difference and its first-order share."""
    results = context.results.get(CARD.name, ())
    yield from _fields(context, [result for result in results if "contrast" not in result])
    for result in results:
        if "contrast" in result:
            yield from _contrasts(result, level=1 - context.plan.thresholds.alpha)


def _select(asked: PlanContext, settings: Settings) -> list[Cluster]:
    clusters = [cluster for cluster in asked.clusters if cluster.application.id != settings.reference]
    random.Random(f"{asked.plan.cases.seed}/{CARD.name}").shuffle(clusters)
    return clusters[: settings.cases]


def _explain(decoder: Decoder, target: Target, aligned: Aligned, *, most: int) -> dict[str, Any] | NotApplicable:
    """Values by field and method for a path from the reference to the application, or why there are none."""
    pair = Pair(aligned.reference, aligned.own, aligned.first, ())
    found = integrate_pair(decoder, target, pair, past=run_prefix(decoder, pair), most=most)
    if abs(found.gap) < SMALLEST_GAP:
        return NotApplicable(NO_GAP)
    if not found.complete:
        return NotApplicable(INCOMPLETE)

    def folded(values: np.ndarray) -> dict[str, float]:
        return {
            name: float(sum(values[place - aligned.first] for place in places if place >= aligned.first))
            for name, places in aligned.places.items()
        }

    near, far = own_margins(decoder, target, (pair.base, pair.donor))
    return {
        "fields": {PATH: folded(found.values), GRADIENT: folded(found.first_order)},
        "margin": found.margin,
        "gap": found.gap,
        "own_gap": far - near,
        "sum": float(found.values.sum()),
        "steps": found.steps,
    }


def _by_player(
    players: Iterable[Player], payload: Mapping[str, Any], aligned: Aligned, fields: Mapping[str, float]
) -> dict[str, float]:
    """A field at the reference is exactly 0; a player none of whose fields could be compared has no value."""
    words, typical = payload["words"], payload["reference"]["words"]
    known = {name: 0.0 for name in words if words[name] == typical[name]} | dict(fields)
    return {
        player.name: sum(known[name] for name in player.fields if name in known)
        for player in players
        if any(name in known for name in player.fields)
    }


def _contrast(bench: ComputeContext, payload: Mapping[str, Any]) -> dict[str, Any]:
    refused: dict[str, int] = {}
    cases = {row["id"]: row["case"] for row in payload["pairs"]}
    contrast = payload["contrast"]
    rows = []

    def explain(runs: PairRuns, application: str) -> dict[str, Any]:
        if abs(runs.gap) < SMALLEST_GAP:
            refused[NO_GAP] = refused.get(NO_GAP, 0) + 1
            return {"held": False}
        most = bench.settings.most_steps
        found = integrate_pair(runs.decoder, runs.target, runs.pair, past=runs.prefix, most=most)
        if not found.complete:
            refused[INCOMPLETE] = refused.get(INCOMPLETE, 0) + 1
            return {"held": False}
        for method, values in ((PATH, found.values), (GRADIENT, found.first_order)):
            rows.append(
                Attribution(
                    case_id=cases[application],
                    test=f"{CARD.name}/{method} between groups",
                    field=contrast["field"],
                    value=float(values.sum()),
                    reference=contrast["reference"],
                )
            )
        near, far = own_margins(runs.decoder, runs.target, (runs.pair.base, runs.pair.donor))
        check = _sum_check(float(found.values.sum()), far - near, noise_floor(runs.decoder.model, runs.target))
        total = {"sum": float(found.values.sum()), "first_order": float(found.first_order.sum()), "steps": found.steps}
        return {"held": True, **total, "checks": [asdict(check)]}

    result = each_pair(bench, payload, explain)
    pairs = [pair for pair in result["pairs"] if pair["held"]]
    left_out = {**result["left_out"], **refused}
    return {**result, "pairs": pairs, "left_out": left_out, "attributions": [row.row() for row in rows]}


def _sum_check(total: float, gap: float, floor: NoiseFloor) -> Check:
    """Against the difference by the model's own forward pass: the path stops where it meets its own ends."""
    bound = max(COMPLETE * abs(gap), floor.bound)
    note = f"nats, within {COMPLETE:.0%} of the difference by the model's own forward pass"
    return Check(SUM, abs(total - gap) <= bound, abs(total - gap), bound, note)


def _contrasts(result: Mapping[str, Any], *, level: float) -> Iterable[UnadjustedMeasurement]:
    pairs = result["pairs"]
    gaps = np.array([pair["gap"] for pair in pairs])
    common: dict[str, Any] = {"test": CARD.name, "subject": {}, "checks": checks_of(pairs), "level": level}
    yield supporting(
        result,
        metric="path_sum",
        unit="logit",
        value=lambda: float(np.mean([pair["sum"] for pair in pairs])),
        method="mean sum of the attributions over the pairs whose margins differ and whose sum is complete: what the "
        "change of group does to the margin there",
        needs_gap=False,
        **common,
    )
    yield supporting(
        result,
        metric="first_order_share",
        unit="ratio",
        value=lambda: slope(np.array([pair["first_order"] for pair in pairs]), gaps),
        method="share of the difference that the gradient at the changed prompt alone accounts for",
        **common,
    )


def _fields(context: Context, results: list[Mapping[str, Any]]) -> Iterable[UnadjustedMeasurement]:
    """The same measures as field attribution, over the applications whose reference aligns."""
    if not results:
        return
    cases = tuple(result for result in results if not result["left_out"])
    common: dict[str, Any] = {
        "context": context,
        "test": CARD.name,
        "players": tuple(Player.of(row) for row in results[0]["players"]),
        "reference": f"{results[0]['reference']['name']}, as many tokens",
        "reference_words": {},
        "cases": cases,
        "left_out": len(results) - len(cases),
    }
    if not cases:
        nothing = missing(method=SUM, reason="; ".join(sorted({result["left_out"] for result in results})), n=0)
        empty = Explained(method=PATH, checks=(), **common)
        yield empty.measured(nothing, metric="protected_share", unit="rate", higher_is_better=False)
        return
    floor = NoiseFloor(**cases[0]["noise"])
    checks = [_sum_check(case["sum"], case["own_gap"], floor) for case in cases]
    worst = max(checks, key=lambda check: (check.value or 0.0) / (check.bound or 1.0))
    decided: tuple[Check, ...] = ()
    if not cases[0]["note"]:  # else the margin of first tokens is read, which is not what is decided on
        decided = (explained_as_decided(context, cases, floor),)
    for method in (PATH, GRADIENT):
        explained = Explained(
            method=method,
            checks=(*decided, worst) if method == PATH else decided,
            note=cases[0]["note"],
            **common,
        )
        yield from sizes(explained)
