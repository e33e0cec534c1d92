"""Integrated gradients: the difference of two decisions shared out among the tokens that differ, folded to fields."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

from auditor.counterfactuals import Cluster
from auditor.exceptions import Interrupted
from auditor.language_models.decoder import Decoder
from auditor.language_models.noise import noise_floor
from auditor.language_models.not_applicable import NotApplicable
from auditor.language_models.targets import Target
from auditor.mechanisms._shared.attribution_measures import GRADIENT, PATH
from auditor.mechanisms._shared.attribution_rows import Reference
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.each_pair import each_pair
from auditor.mechanisms._shared.pair_measures import SMALLEST_GAP
from auditor.mechanisms._shared.pair_rows import PairOfPrompts
from auditor.mechanisms._shared.pairs import Pair, PairRuns, own_margins, plan_pairs, run_prefix, structured
from auditor.mechanisms._shared.players import find_players, reference_words
from auditor.mechanisms.integrated_gradients.baselines import Aligned, Candidates, align
from auditor.mechanisms.integrated_gradients.card import CARD, FIRST_STEPS, Settings
from auditor.mechanisms.integrated_gradients.measure import measures, sum_check
from auditor.mechanisms.integrated_gradients.paths import COMPLETE, FloatArray, Integrated, integrate_pair
from auditor.mechanisms.integrated_gradients.result import (
    Application,
    Contrasted,
    Explained,
    Groups,
    NotExplained,
    Payload,
    Result,
    Summed,
)
from auditor.testing.attributions import Attribution
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement

NO_GAP = "the two prompts differ by too little to share out"
INCOMPLETE = f"the attributions miss the difference by more than {COMPLETE:.0%}"


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
        players = find_players(asked, groups={}, where=where)
        candidates = Candidates(asked, typical)
        for cluster in _select(asked, settings):
            words = {name: asked.words[cluster.application.id][name] for name in asked.fields}
            tokens = asked.count_tokens(cluster.cases[0].prompt)
            payload = Application(
                id=cluster.application.id,
                words=words,
                candidates=candidates.of(words),
                players=players,
                reference=Reference(name=settings.reference, words=typical),
            )
            # A pass backward costs as much as one forward; steps are doubled once as a rule.
            yield ChunkSpec(2, tokens * 2 * 3 * FIRST_STEPS, payload)
    if settings.pairs:
        yield from plan_pairs(asked, name=CARD.name, pairs=settings.pairs, cost=2 * FIRST_STEPS, kind=Groups)


def compute(context: ComputeContext, payload: Payload) -> Result:
    """Explain one application against its reference, or every pair of a contrast; what is complete alone has values."""
    return _contrasted(context, payload) if isinstance(payload, Groups) else _explained(context, payload)


def measure(context: Context, results: Sequence[Result]) -> Iterable[UnadjustedMeasurement]:
    """Sizes by field over the explained applications; by contrast the difference and its first-order share."""
    return measures(context, results)


def _select(asked: PlanContext, settings: Settings) -> list[Cluster]:
    clusters = [cluster for cluster in asked.clusters if cluster.application.id != settings.reference]
    random.Random(f"{asked.plan.cases.seed}/{CARD.name}").shuffle(clusters)
    return clusters[: settings.cases]


def _explained(context: ComputeContext, asked: Application) -> Explained | NotExplained:
    prompt = context.render(asked.words).text
    noise = context.noise(prompt)
    found = _path(context, asked, prompt)
    if isinstance(found, NotApplicable):
        return NotExplained(
            id=asked.id, players=asked.players, reference=asked.reference, noise=noise, reason=found.reason
        )
    aligned, target, path, own_gap = found
    values = {
        PATH: _by_player(asked, aligned, path.values),
        GRADIENT: _by_player(asked, aligned, path.first_order),
    }
    return Explained(
        id=asked.id,
        players=asked.players,
        reference=asked.reference,
        noise=noise,
        margin=path.margin,
        values=values,
        gap=path.gap,
        own_gap=own_gap,
        sum=float(path.values.sum()),
        steps=path.steps,
        moved=dict(aligned.words),
        note=target.note,
        attributions=tuple(_attributions(asked, values)),
    )


def _path(
    context: ComputeContext, asked: Application, prompt: str
) -> tuple[Aligned, Target, Integrated, float] | NotApplicable:
    """The path from the reference to the application, and their difference by the model's own forward pass."""
    view = structured(context, prompt)
    if isinstance(view, NotApplicable):
        return view
    aligned = align(context, asked.words, asked.candidates)
    if isinstance(aligned, NotApplicable):
        return aligned
    if context.should_stop():
        raise Interrupted("stopped before an application; this chunk starts again")
    decoder, target = view
    pair = Pair(aligned.reference, aligned.own, aligned.first, ())
    path = integrate_pair(decoder, target, pair, past=run_prefix(decoder, pair), most=context.settings.most_steps)
    if abs(path.gap) < SMALLEST_GAP:
        return NotApplicable(NO_GAP)
    return (aligned, target, path, _own_gap(decoder, target, pair)) if path.complete else NotApplicable(INCOMPLETE)


def _own_gap(decoder: Decoder, target: Target, pair: Pair) -> float:
    near, far = own_margins(decoder, target, (pair.base, pair.donor))
    return far - near


def _by_player(asked: Application, aligned: Aligned, values: FloatArray) -> dict[str, float]:
    """Values by position, [n], folded to players.

    A field at the reference is exactly 0; a player none of whose fields could be compared has no value.
    """
    compared = {
        name: float(sum(values[place - aligned.first] for place in places if place >= aligned.first))
        for name, places in aligned.places.items()
    }
    words, typical = asked.words, asked.reference.words
    known = {name: 0.0 for name in words if words[name] == typical[name]} | compared
    return {
        player.name: sum(known[name] for name in player.fields if name in known)
        for player in asked.players
        if any(name in known for name in player.fields)
    }


def _attributions(asked: Application, values: Mapping[str, Mapping[str, float]]) -> Iterable[Attribution]:
    reference = f"{asked.reference.name}, as many tokens"
    for method, mine in values.items():
        for player, value in mine.items():
            yield Attribution(asked.id, f"{CARD.name}/{method}", player, value, reference=reference)


def _contrasted(context: ComputeContext, payload: Groups) -> Contrasted:
    contrast = payload.contrast
    rows: list[Attribution] = []

    def explain(runs: PairRuns, prompts: PairOfPrompts) -> Summed | NotApplicable:
        if abs(runs.gap) < SMALLEST_GAP:
            return NotApplicable(NO_GAP)
        most = context.settings.most_steps
        path = integrate_pair(runs.decoder, runs.target, runs.pair, past=runs.prefix, most=most)
        if not path.complete:
            return NotApplicable(INCOMPLETE)
        total, first_order = float(path.values.sum()), float(path.first_order.sum())
        rows.extend(
            Attribution(
                case_id=prompts.case,
                test=f"{CARD.name}/{method} between groups",
                field=contrast.field,
                value=value,
                reference=contrast.reference,
            )
            for method, value in ((PATH, total), (GRADIENT, first_order))
        )
        own_gap = _own_gap(runs.decoder, runs.target, runs.pair)
        return Summed(
            id=prompts.id,
            gap=runs.gap,
            base=runs.base_margin,
            sum=total,
            first_order=first_order,
            steps=path.steps,
            checks=(sum_check(total, own_gap, noise_floor(runs.decoder.model, runs.target)),),
        )

    return Contrasted(**dict(each_pair(context, payload, explain)), attributions=tuple(rows))
