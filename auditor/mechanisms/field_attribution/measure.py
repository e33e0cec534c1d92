"""Measurements of explained applications: sizes of values, reasons of adverse decisions, and how values add up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from auditor.language_models.noise_floor import NoiseFloor
from auditor.mechanisms._shared.attribution_measures import SHAPLEY, Explained, sizes
from auditor.mechanisms._shared.decision_checks import as_decided
from auditor.mechanisms.field_attribution.card import CARD
from auditor.mechanisms.field_attribution.result import Explained as Case
from auditor.mechanisms.field_attribution.result import Game, Result
from auditor.records import Check, Outcome
from auditor.statistics.minimums import GROUP, MINIMUMS
from auditor.statistics.rates import Tally, selection_rate
from auditor.statistics.results import Estimate, missing
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement


def measures(context: Context, results: Sequence[Result]) -> Iterable[UnadjustedMeasurement]:
    """All measurements of both methods; none where no application was explained."""
    cases = [case for result in results for case in result.cases]
    if not cases:
        return
    first = results[0]
    for method in dict.fromkeys(name for case in cases for name in case.values):
        mine = tuple(case for case in cases if method in case.values)
        explained = Explained(
            context=context,
            test=CARD.name,
            method=method,
            players=first.players,
            reference=first.reference.name,
            reference_words=first.reference.words,
            cases=mine,
            checks=tuple(_checks(context, mine, method, first.noise)),
            left_out=first.left_out,
        )
        yield from sizes(explained)
        yield from _reasons(explained, mine)
        if method == SHAPLEY:
            yield from _sums(explained, mine)


def _checks(context: Context, cases: Sequence[Case], method: str, floor: NoiseFloor) -> Iterable[Check]:
    yield as_decided(context, ((case.id, case.margin) for case in cases), noise=floor, which="margin explained")
    if method == SHAPLEY:
        gap = max(_sum_gaps(cases))
        yield Check(
            name="values sum to the margin's change",
            held=gap <= floor.bound,
            value=gap,
            bound=floor.bound,
            note="largest |Σφ − (margin as filed − margin at the reference)| in nats; holds for any number of samples, "
            "so it shows no convergence",
        )


def _sum_gaps(cases: Iterable[Case]) -> list[float]:
    """|Σφ − change of the margin| of every game; the margin was read with the occlusions, not with the coalitions."""
    games = [(case.margin, case.game) for case in cases if case.game is not None]
    return [abs(float(sum(game.values.values()) - (margin - game.empty))) for margin, game in games]


def _reasons(explained: Explained, cases: Sequence[Case]) -> Iterable[UnadjustedMeasurement]:
    """Over the explained applications that were decided adversely: whose fields lowered the margin most."""
    context = explained.context
    adverse = [
        case.reasons[explained.method]
        for case in cases
        if context.decisions[case.id].outcome is Outcome.ADVERSE and case.reasons
    ]
    for player in explained.players:
        named = [player.name in reasons.players for reasons in adverse]
        if any(named):
            yield explained.measured(
                _rate(named, level=explained.level), metric="reason_share", unit="rate", player=player
            )
    protected = {player.name for player in explained.players if player.protected}
    yield explained.measured(
        _rate([bool(protected & set(reasons.players)) for reasons in adverse], level=explained.level),
        metric="protected_reason_share",
        unit="rate",
        higher_is_better=False,
    )
    threshold = context.plan.operating_point.natural_margin
    yield explained.measured(
        _rate([reasons.margin_without >= threshold for reasons in adverse], level=explained.level),
        metric="reasons_turn_decision",
        unit="rate",
        higher_is_better=True,
    )


def _rate(cases: Sequence[bool], *, level: float) -> Estimate:
    """A share of the explained adverse decisions; none below the minimum denominator of a rate."""
    method = "share of adverse decisions"
    if not cases:
        return missing(method=method, reason="no explained application was decided adversely", n=0)
    least = MINIMUMS[GROUP].least
    if len(cases) < least:
        decided = "one adverse decision was" if len(cases) == 1 else f"{len(cases)} adverse decisions were"
        return missing(method=method, reason=f"{decided} explained, at least {least} needed", n=len(cases))
    return selection_rate(Tally.of(np.array(cases, dtype=bool)), level=level)


def _sums(explained: Explained, cases: Sequence[Case]) -> Iterable[UnadjustedMeasurement]:
    """How well the values add up, and how large the sampling error is where permutations were sampled."""
    gaps = _sum_gaps(cases)
    yield explained.measured(
        Estimate(value=max(gaps), n=len(gaps), method="largest |Σφ − (margin as filed − margin at the reference)|"),
        metric="attribution_sum_gap",
        unit="logit",
        higher_is_better=False,
    )
    sampled = [
        (game, max(game.standard_errors.values()))
        for case in cases
        if (game := case.game) is not None and game.standard_errors
    ]
    if sampled:
        yield explained.measured(
            Estimate(
                value=max(error for _, error in sampled),
                n=len(sampled),
                method="largest standard error of a sampled value",
            ),
            metric="attribution_error",
            unit="logit",
            higher_is_better=False,
            counts={
                "share_of_range": max(_of_range(game, error) for game, error in sampled),
                "pairs": max(game.pairs for game, _ in sampled),
            },
        )


def _of_range(game: Game, error: float) -> float:
    return error / game.spread if game.spread else 0.0
