"""Measurements of what causes what: states put in, by layer and position; rationales and decisions exchanged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from auditor.mechanisms._shared.localisation import bases, repeated, rows_of
from auditor.mechanisms._shared.pair_measures import gaps_of, worst_checks
from auditor.mechanisms.look_ahead.exchange_rows import Aligned, AtLast, LastToken, Regions
from auditor.mechanisms.look_ahead.part import HALF, Part, from_here_on, slope, whole
from auditor.mechanisms.look_ahead.rationale import effects
from auditor.mechanisms.look_ahead.rationale_rows import Exchanged
from auditor.mechanisms.look_ahead.result import ExchangeResult, RationaleResult
from auditor.records import Check
from auditor.statistics.rates import Tally, selection_rate
from auditor.statistics.results import missing
from auditor.testing.context import FloatArray
from auditor.testing.unadjusted import UnadjustedMeasurement

CARRIED = "share of the difference between two applications that the exchanged state carries, Σ effect·gap / Σ gap²"
NO_ROOM = "there is no pair of applications, or no room for a rationale in the model's context"


def exchange(part: Part[ExchangeResult]) -> Iterable[UnadjustedMeasurement]:
    """From where on a state carries the decision."""
    pairs = [pair for result in part.results for pair in result.pairs]
    if part.reason or not pairs:
        nothing = missing(method="interchange interventions", reason=part.reason or "no pair of applications", n=0)
        yield part.draft(nothing, metric="causal_share", unit="ratio")
        return
    yield from _at_last(part, [pair.whole for pair in pairs])
    yield from _regions(part, [pair.aligned for pair in pairs if pair.aligned], pairs_tried=len(pairs))


def _at_last(part: Part[ExchangeResult], pairs: Sequence[AtLast]) -> Iterable[UnadjustedMeasurement]:
    """The last token's state of one application in the other."""
    checks = worst_checks(check for pair in pairs for check in pair.checks)
    gaps = gaps_of(pairs)
    threshold = part.context.plan.operating_point.natural_margin
    margins = [(pair.base, pair.base + pair.gap) for pair in pairs]
    turned = sum((own >= threshold) != (other >= threshold) for own, other in margins)
    table = np.array([pair.effects.last for pair in pairs])
    shares = [slope(part, column, gaps, method=CARRIED) for column in table.T]
    held = [share.value is not None and share.value >= HALF for share in shares]
    yield part.draft(
        whole(
            from_here_on(range(len(held)), held),
            n=len(pairs),
            method="first layer from which on the last token's state carries half of the difference",
            never="at no layer does it carry half of the difference",
        ),
        metric="causal_layer",
        unit="count",
        checks=checks,
        counts={"layers": len(held) - 1, "outcomes_apart": turned},
    )
    yield _gap(part, gaps, checks, what="as filed", counts={"outcomes_apart": turned})
    for layer, share in enumerate(shares):

        def read(effects: LastToken, layer: int = layer) -> float:
            return effects.last[layer]

        yield part.localised(
            share,
            repeated(part.context, rows_of(pairs, read), gaps, base=bases(pairs)),
            metric="causal_last_token",
            subject={"layer": str(layer)},
            unit="ratio",
            checks=checks,
        )


def _regions(
    part: Part[ExchangeResult], pairs: Sequence[Aligned], *, pairs_tried: int
) -> Iterable[UnadjustedMeasurement]:
    """States by part of the prompt, in prompts that align token by token."""
    counts = {"unaligned": pairs_tried - len(pairs)}
    if not pairs:
        reason = "no two applications have words whose tokens keep their places"
        nothing = missing(method=CARRIED, reason=reason, n=0)
        yield part.draft(nothing, metric="causal_share", unit="ratio", counts=counts)
        return
    checks = worst_checks(check for pair in pairs for check in pair.checks)
    gaps = gaps_of(pairs)
    changed = float(np.mean([pair.changed for pair in pairs]))
    yield _gap(part, gaps, checks, what="aligned", counts={**counts, "fields_changed": changed})
    for region in pairs[0].order:
        mine = [pair for pair in pairs if region in pair.effects.regions]
        own = gaps_of(mine)
        for column, layer in enumerate(part.first.layers):

            def read(effects: Regions, region: str = region, column: int = column) -> float:
                return effects.regions[region][column]

            yield part.localised(
                slope(part, np.array([read(pair.effects) for pair in mine]), own, method=CARRIED),
                repeated(part.context, rows_of(mine, read), own, base=bases(mine)),
                metric="causal_share",
                subject={"layer": str(layer), "position": region},
                unit="ratio",
                checks=checks,
            )


def _gap(
    part: Part[ExchangeResult],
    gaps: FloatArray,
    checks: Sequence[Check],
    *,
    what: str,
    counts: Mapping[str, float | int | None],
) -> UnadjustedMeasurement:
    """How far apart the two of a pair are: a size, so it is not tested against 0."""
    size = part.mean(np.abs(gaps), method="mean size of the difference between the two of a pair")
    return part.draft(
        replace(size, test=None),
        metric="exchange_gap",
        subject={"pairs": what},
        unit="logit",
        checks=checks,
        counts=counts,
    )


def rationale(part: Part[RationaleResult]) -> Iterable[UnadjustedMeasurement]:
    """Whether the decision follows the rationale, or the rationale the decision."""
    pairs = [pair for result in part.results for pair in result.pairs]
    if part.reason or not pairs:
        nothing = missing(method="written rationales", reason=part.reason or NO_ROOM, n=0)
        yield part.draft(nothing, metric="decision_follows", unit="share")
        return
    free = [each.free for pair in pairs for each in pair.written]
    as_filed = part.decided((name, margin) for pair in pairs for name, margin in zip(pair.ids, pair.plain, strict=True))
    checks = (*worst_checks(check for pair in pairs for check in pair.checks), as_filed)
    counts = {"distinct": len(set(free)), "rationales": len(free), "empty": sum(not text.strip() for text in free)}
    reason = ""
    if counts["empty"] == len(free):
        reason = "the model writes no rationale: every one is empty"
    elif all(pair.written[0].free == pair.written[1].free for pair in pairs):
        reason = "the model writes the same rationale for both applications of every pair, so there is none to exchange"
    if reason:
        nothing = missing(method="rationales exchanged", reason=reason, n=len(pairs))
        yield part.draft(nothing, metric="decision_follows", unit="share", checks=checks, counts=counts)
    else:
        yield from _followed(part, pairs, checks, counts)
    yield from _before(part, pairs, checks)
    yield from _after(part, pairs, checks)


def _followed(
    part: Part[RationaleResult],
    pairs: Sequence[Exchanged],
    checks: Sequence[Check],
    counts: Mapping[str, float | int | None],
) -> Iterable[UnadjustedMeasurement]:
    """What goes with the application and what with the rationale when rationales change places."""
    swapped = np.array([pair.swapped for pair in pairs])
    totals = swapped[:, 0, 0] - swapped[:, 1, 1]
    parted = np.array([effects(table) for table in swapped])
    for column, what in enumerate(("application", "rationale")):
        yield part.draft(
            slope(part, parted[:, column], totals, method=f"share of the difference that goes with the {what}"),
            metric="decision_follows",
            subject={"what": what},
            unit="share",
            checks=checks,
            counts=counts,
        )


def _before(
    part: Part[RationaleResult], pairs: Sequence[Exchanged], checks: Sequence[Check]
) -> Iterable[UnadjustedMeasurement]:
    """What writing a rationale first does to the decision."""
    swapped = np.array([pair.swapped for pair in pairs])
    plain = np.array([pair.plain for pair in pairs]).ravel()
    after = np.array([[table[0, 0], table[1, 1]] for table in swapped]).ravel()
    yield part.draft(
        part.mean(after - plain, method="mean change of the margin when the model first writes a rationale"),
        metric="rationale_shift",
        unit="logit",
        checks=checks,
    )
    threshold = part.context.plan.operating_point.natural_margin
    for metric, happened in (
        ("rationale_turns_outcome", (after >= threshold) != (plain >= threshold)),
        ("rationale_names_answer", np.array([named for pair in pairs for named in pair.states_answer])),
    ):
        yield part.draft(
            selection_rate(Tally.of(happened.astype(bool)), level=part.level), metric=metric, unit="rate", checks=checks
        )


def _after(
    part: Part[RationaleResult], pairs: Sequence[Exchanged], checks: Sequence[Check]
) -> Iterable[UnadjustedMeasurement]:
    changed = [each.favourable != each.adverse for pair in pairs for each in pair.written]
    yield part.draft(
        selection_rate(Tally.of(np.array(changed, dtype=bool)), level=part.level),
        metric="rationale_changes_with_decision",
        unit="rate",
        checks=checks,
    )
    # One row a pair: its rationales are not independent.
    drops = np.array(
        [
            [
                np.mean([one.own - one.turned for one in pair.likelihoods]),
                np.mean([one.own - one.moved for one in pair.likelihoods]),
            ]
            for pair in pairs
            if pair.likelihoods
        ]
    ).reshape(-1, 2)
    for column, what in enumerate(("decision", "application")):
        yield part.draft(
            part.mean(drops[:, column], method=f"log-likelihood a token that a rationale loses under another {what}"),
            metric="rationale_loss",
            subject={"changed": what},
            unit="nats a token",
            checks=checks,
        )
    both = drops.sum(axis=1)
    method = "loss under the other decision, over the losses under the other decision and application together"
    shared = part.resampled(
        np.stack([drops[:, 0], both], axis=1),
        lambda sums: np.where(sums[:, 1] > 0, sums[:, 0] / sums[:, 1], np.nan),
        method=method,
    )
    if shared.value is not None and shared.interval is None:
        shared = missing(method=method, reason="the losses are too near 0 to be shared out", n=len(drops))
    yield part.draft(shared, metric="rationale_follows_decision", unit="share", checks=checks)
