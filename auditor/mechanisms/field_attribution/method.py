"""Field attribution: what drove the decision on one application, in fields rather than tokens.

Occlusion sets one field to the reference and takes the difference. Shapley values share the whole difference between
the application and the reference among the fields, whatever they do together. Every variant of an application is one
leaf of one tree of prompts, so each costs little more than the text behind the field that changed.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from auditor.counterfactuals import Cluster
from auditor.exceptions import PlanError
from auditor.mechanisms._shared.attribution_measures import OCCLUSION, SHAPLEY
from auditor.mechanisms._shared.attribution_rows import Reference
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.players import Player, changed, choose, find_players, reference_words
from auditor.mechanisms.field_attribution.card import CARD, Settings
from auditor.mechanisms.field_attribution.measure import measures
from auditor.mechanisms.field_attribution.reasons import principal, sentence
from auditor.mechanisms.field_attribution.result import Asked, Explained, Game, Payload, Reasons, Result
from auditor.mechanisms.field_attribution.shapley import (
    FloatArray,
    Shapley,
    enumerate_all,
    sample,
)
from auditor.seeds import seed_of
from auditor.testing.attributions import Attribution
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.context import Context
from auditor.testing.sampling import batches, by_recorded_outcome, in_turns
from auditor.testing.unadjusted import UnadjustedMeasurement


@dataclass(frozen=True)
class _Planned:
    """An application to explain, with the prompts and tokens that it takes by estimate."""

    case: Asked
    prompts: int
    tokens: int


def plan_chunks(asked: PlanContext) -> Iterable[ChunkSpec]:
    """One chunk for every application with Shapley values; the others together, up to the plan's chunk size.

    Raises
    ------
    PlanError
        If the settings name a reference, group or field that the run does not have.
    """
    settings: Settings = asked.settings
    where = f"plan: settings.{CARD.name}"
    players = find_players(asked, groups=settings.groups, where=where)
    reference = Reference(
        name=settings.reference, words=reference_words(asked, reference=settings.reference, where=where)
    )
    _check_names(settings, players, where)
    planned: list[_Planned] = []
    clusters = _select(asked, settings)
    total = 0
    for number, cluster in enumerate(clusters):
        words = {name: asked.words[cluster.application.id][name] for name in asked.fields}
        deep = number < settings.shapley_cases
        prompts, tokens = _cost(asked, cluster, [p for p in players if p.differs(words, reference.words)], deep=deep)
        if planned and total + tokens > settings.tokens:
            break
        total += tokens
        planned.append(_Planned(Asked(id=cluster.application.id, words=words, shapley=deep), prompts, tokens))
    most = asked.plan.budget.chunk_tokens
    for batch in batches(planned, tokens=lambda item: item.tokens, most=most, alone=lambda item: item.case.shapley):
        yield ChunkSpec(
            prompts=sum(each.prompts for each in batch),
            tokens=sum(each.tokens for each in batch),
            payload=Payload(
                reference=reference,
                players=players,
                left_out=len(clusters) - len(planned),
                cases=tuple(each.case for each in batch),
            ),
        )


def compute(context: ComputeContext, payload: Payload) -> Result:
    """Explain the applications of one chunk."""
    reference = payload.reference
    cases = tuple(_explain(context, payload.players, reference.words, case) for case in payload.cases)
    return Result(
        reference=reference,
        players=payload.players,
        left_out=payload.left_out,
        noise=context.noise(context.render(reference.words).text),
        cases=cases,
        attributions=tuple(row for case in cases for row in _attributions(case, reference.name)),
    )


def measure(context: Context, results: Sequence[Result]) -> Iterable[UnadjustedMeasurement]:
    """How large the fields' values are over the explained applications, and what their self-checks found."""
    return measures(context, results)


def _check_names(settings: Settings, players: Sequence[Player], where: str) -> None:
    known = {name for player in players for name in (player.name, *player.fields)}
    for name in settings.fields:
        if name not in known:
            raise PlanError(f"{where}.fields", f"{name!r} is not in the prompt", f"one of: {', '.join(sorted(known))}")


def _select(asked: PlanContext, settings: Settings) -> list[Cluster]:
    """The applications to explain: a seeded shuffle, for a balanced one adverse and favourable records in turns."""
    clusters = [cluster for cluster in asked.clusters if cluster.application.id != settings.reference]
    random.Random(f"{asked.plan.cases.seed}/{CARD.name}").shuffle(clusters)
    if settings.select == "balanced":
        clusters = in_turns(*by_recorded_outcome(clusters))
    return clusters[: settings.cases]


def _cost(asked: PlanContext, cluster: Cluster, players: Sequence[Player], *, deep: bool) -> tuple[int, int]:
    """Prompts and tokens of one application, from where its fields stand: text behind a change is computed anew."""
    settings: Settings = asked.settings
    case = cluster.cases[0]
    rate = asked.count_tokens(case.prompt) / max(1, len(case.prompt))
    end = len(case.prompt)
    starts = {player.name: min(case.spans[name][0] for name in player.fields) for player in players}
    characters = end + sum(end - start for start in starts.values())
    prompts = 1 + len(players)
    if deep:
        # Which of the others will play is known once they are occluded; spread evenly they cost what is usual.
        rest = [player for player in players if not player.protected]
        room = min(len(rest), max(0, settings.players - (len(players) - len(rest))))
        spread = {rest[index * len(rest) // room].name: float(room - index) for index in range(room)}
        effects = {player.name: spread.get(player.name, 0.0) for player in players}
        chosen = choose(players, effects, wanted=settings.fields, at_most=settings.players)
        sampled = len(chosen) > settings.exact_up_to
        coalitions = 1 << len(chosen)
        if sampled:
            coalitions = min(coalitions, 2 + 2 * settings.pairs * (len(chosen) - 1))
        edges = [*sorted(starts[player.name] for player in chosen), end]
        characters += edges[0]
        characters += sum(
            min(2 << step, coalitions) * (stop - start) for step, (start, stop) in enumerate(pairwise(edges))
        )
        prompts += coalitions
    answers = asked.plan.prompt.answers
    beyond_first = sum(max(0, asked.count_tokens(text) - 1) for text in (*answers.favourable, *answers.adverse))
    return prompts, round(rate * characters) + prompts * beyond_first


def _explain(
    context: ComputeContext, players: Sequence[Player], reference: Mapping[str, str], case: Asked
) -> Explained:
    words = case.words
    moving = [player for player in players if player.differs(words, reference)]
    own, *without = _margins(context, [words, *(changed(words, reference, [player]) for player in moving)])
    # What the reference does not change is exactly 0, and costs no prompt.
    values: dict[str, dict[str, float]] = {OCCLUSION: dict.fromkeys((player.name for player in players), 0.0)}
    values[OCCLUSION] |= {player.name: own - margin for player, margin in zip(moving, without, strict=True)}
    game = None
    if case.shapley:
        game = _play(context, moving, values[OCCLUSION], reference, case)
        still = {player.name: 0.0 for player in players if player not in moving}
        values[SHAPLEY] = still | game.values
    adverse = own < context.plan.operating_point.natural_margin
    reasons = _reasons(context, players, reference, words, values) if adverse else {}
    return Explained(id=case.id, margin=own, values=values, game=game, reasons=reasons)


def _reasons(
    context: ComputeContext,
    players: Sequence[Player],
    reference: Mapping[str, str],
    words: Mapping[str, str],
    values: Mapping[str, Mapping[str, float]],
) -> dict[str, Reasons]:
    """By method what lowered the margin most, and the margin without it."""
    found = {method: principal(effects, players) for method, effects in values.items()}
    turned = _margins(context, [changed(words, reference, strongest) for strongest in found.values()])
    return {
        method: Reasons(
            players=tuple(player.name for player in strongest),
            sentences=tuple(
                sentence(player, words=words, reference=reference, effect=values[method][player.name])
                for player in strongest
            ),
            margin_without=margin,
        )
        for (method, strongest), margin in zip(found.items(), turned, strict=True)
    }


def _play(
    context: ComputeContext,
    moving: Sequence[Player],
    effects: Mapping[str, float],
    reference: Mapping[str, str],
    case: Asked,
) -> Game:
    settings: Settings = context.settings
    chosen = choose(moving, effects, wanted=settings.fields, at_most=settings.players)
    everybody = (1 << len(chosen)) - 1

    def worth(coalitions: Sequence[int]) -> FloatArray:
        return context.margins(
            [
                context.render(changed(case.words, reference, _members(chosen, everybody ^ coalition))).text
                for coalition in coalitions
            ]
        )

    if len(chosen) <= settings.exact_up_to:
        result = enumerate_all(worth, players=len(chosen))
    else:
        result = sample(
            worth,
            players=len(chosen),
            seed=(context.plan.cases.seed, seed_of(case.id)),
            error=settings.standard_error,
            most_pairs=settings.pairs,
        )
    return _game(chosen, result)


def _game(chosen: Sequence[Player], result: Shapley) -> Game:
    names = [player.name for player in chosen]
    errors = result.standard_errors
    return Game(
        values=dict(zip(names, map(float, result.values), strict=True)),
        standard_errors=None if errors is None else dict(zip(names, map(float, errors), strict=True)),
        empty=result.empty,
        full=result.full,
        spread=result.spread,
        coalitions=result.coalitions,
        pairs=result.pairs,
    )


def _members(players: Sequence[Player], coalition: int) -> list[Player]:
    return [player for number, player in enumerate(players) if coalition >> number & 1]


def _margins(context: ComputeContext, variants: Sequence[Mapping[str, str]]) -> list[float]:
    return [float(value) for value in context.margins([context.render(words).text for words in variants])]


def _attributions(case: Explained, reference: str) -> Iterable[Attribution]:
    errors = (case.game.standard_errors if case.game else None) or {}
    for method, values in case.values.items():
        for name, value in values.items():
            yield Attribution(
                case_id=case.id,
                test=f"{CARD.name}/{method}",
                field=name,
                value=value,
                standard_error=errors.get(name) if method == SHAPLEY else None,
                reference=reference,
            )
