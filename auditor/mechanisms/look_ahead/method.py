"""Look-ahead planning: when can the decision be read, when does it cause the answer, and who writes it.

Four parts, each with chunks of its own: ``reading`` (probes at every field's end), ``tracing`` (what attention and
MLPs write, attention knockout), ``exchange`` (states of one application put into another) and ``rationale`` (a written
reason before and after the decision).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auditor.counterfactuals import Cluster
from auditor.exceptions import PlanError
from auditor.mechanisms._shared.bench import ComputeContext
from auditor.mechanisms.look_ahead import exchange as look_ahead_exchange
from auditor.mechanisms.look_ahead import rationale as look_ahead_rationale
from auditor.mechanisms.look_ahead import reading as look_ahead_reading
from auditor.mechanisms.look_ahead import tracing as look_ahead_tracing
from auditor.mechanisms.look_ahead.card import CARD, Settings
from auditor.mechanisms.look_ahead.measure import measures
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.context import Context
from auditor.testing.sampling import batches, by_recorded_outcome, in_turns
from auditor.testing.unadjusted import UnadjustedMeasurement

READING, TRACING, EXCHANGE, RATIONALE = "reading", "tracing", "exchange", "rationale"
PARTS = {
    READING: look_ahead_reading.compute,
    TRACING: look_ahead_tracing.compute,
    EXCHANGE: look_ahead_exchange.compute,
    RATIONALE: look_ahead_rationale.compute,
}


@dataclass(frozen=True, slots=True)
class _Piece:
    """One application's or pair's share of a part: what the chunk needs, the prompts and tokens it costs."""

    payload: dict[str, Any]
    prompts: int
    tokens: int


def plan_chunks(asked: PlanContext) -> Iterable[ChunkSpec]:
    """One chunk reads all applications; the other parts are cut to the plan's chunk size.

    Raises
    ------
    PlanError
        If the control is no field of the prompt.
    """
    settings: Settings = asked.settings
    control = settings.control_field or (asked.plan.placebo.field if asked.plan.placebo else "")
    if settings.control_field and settings.control_field not in asked.fields:
        where = f"plan: settings.{CARD.name}.control_field"
        raise PlanError(where, f"{control!r} is not in the prompt", f"one of: {', '.join(asked.fields)}")
    reason = "" if control in asked.fields else "the plan has no placebo and names no control field"
    adverse, others = _draw(asked)
    planned = {
        READING: [_reading(asked, cluster) for cluster in in_turns(adverse, others)[: settings.applications]],
        TRACING: _tracing(asked, in_turns(adverse, others)[: settings.traced]),
        EXCHANGE: _exchanges(asked, adverse, others),
        RATIONALE: _rationales(asked, adverse, others),
    }
    total = sum(piece.tokens for pieces in planned.values() for piece in pieces)
    share = min(1.0, settings.tokens / max(1, total))
    for part, pieces in planned.items():
        kept = pieces[: max(min(2, len(pieces)), int(share * len(pieces)))]
        common = {"part": part, "left_out": len(pieces) - len(kept)}
        if part == READING:
            common |= {"control": control if not reason else "", "control_reason": reason}
        most = sum(piece.tokens for piece in kept) if part == READING else asked.plan.budget.chunk_tokens
        for batch in batches(kept, tokens=lambda piece: piece.tokens, most=most):
            yield ChunkSpec(
                prompts=sum(piece.prompts for piece in batch),
                tokens=sum(piece.tokens for piece in batch),
                payload={**common, "cases": [piece.payload for piece in batch]},
            )


def compute(bench: ComputeContext, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Do one chunk of one part."""
    case = payload["cases"][0]
    words = case["words"] if "words" in case else case["sides"][0]["words"]
    noise = bench.noise(bench.render(words).text).row()
    return {**PARTS[payload["part"]](bench, payload), "left_out": payload["left_out"], "noise": noise}


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """Where the decision is readable, where it is causal, who writes it, which fields it needs, what a rationale is."""
    return measures(context, context.results.get(CARD.name, ()), test=CARD.name)


def _draw(asked: PlanContext) -> tuple[list[Cluster], list[Cluster]]:
    """All applications in a seeded order: those with an adverse outcome on record, and the others."""
    clusters = list(asked.clusters)
    random.Random(f"{asked.plan.cases.seed}/{CARD.name}").shuffle(clusters)
    adverse, others = by_recorded_outcome(clusters)
    if not adverse or not others:  # nothing on record tells them apart: halves of the draw stand in
        return clusters[::2], clusters[1::2]
    return adverse, others


def _words(asked: PlanContext, cluster: Cluster) -> dict[str, str]:
    return {name: asked.words[cluster.application.id][name] for name in asked.fields}


def _whole(asked: PlanContext, cluster: Cluster) -> int:
    return asked.count_tokens(cluster.cases[0].prompt)


def _behind(asked: PlanContext, cluster: Cluster, count: int) -> int:
    """Tokens behind ``count`` evenly chosen fields, together: what it costs to run on from each of them."""
    case = cluster.cases[0]
    stops = sorted(stop for _, stop in case.spans.values())
    chosen = [stops[len(stops) * number // count] for number in range(min(count, len(stops)))]
    characters = sum(len(case.prompt) - stop for stop in chosen)
    return round(_whole(asked, cluster) * characters / max(1, len(case.prompt)))


def _reading(asked: PlanContext, cluster: Cluster) -> _Piece:
    payload = {"id": cluster.application.id, "words": _words(asked, cluster)}
    return _Piece(payload, 1, _whole(asked, cluster))


def _tracing(asked: PlanContext, clusters: Sequence[Cluster]) -> list[_Piece]:
    settings: Settings = asked.settings
    pieces = []
    for number, cluster in enumerate(clusters):
        deep = number < settings.knocked
        other = clusters[(number + 1) % len(clusters)]
        payload = {"id": cluster.application.id, "words": _words(asked, cluster), "other": _words(asked, other)}
        # As filed, asked once more, an empty knockout, a full one, its twin's; the last token alone twice a field.
        fields = len(asked.fields)
        prompts = 5 + (2 + deep) * (fields + 1)
        tokens = 5 * _whole(asked, cluster) + 2 * (fields + 1)
        tokens += _behind(asked, cluster, fields) if deep else 0
        pieces.append(_Piece({**payload, "deep": deep}, prompts, tokens))
    return pieces


def _exchanges(asked: PlanContext, adverse: Sequence[Cluster], others: Sequence[Cluster]) -> list[_Piece]:
    settings: Settings = asked.settings
    pieces = []
    for number, cluster in enumerate(adverse[: settings.pairs]):
        start = number * settings.candidates
        tried = {(start + step) % len(others) for step in range(settings.candidates)} if others else set()
        if not tried:
            break
        chosen = [others[place] for place in sorted(tried)]
        payload = {
            "id": cluster.application.id,
            "words": _words(asked, cluster),
            "others": [{"id": other.application.id, "words": _words(asked, other)} for other in chosen],
        }
        rows = settings.regions * settings.layers
        # Both prompts with every site, the candidates, the checks; then half a depth a region and layer on average.
        tokens = (6 + len(chosen)) * _whole(asked, cluster)
        tokens += _behind(asked, cluster, settings.regions) * settings.layers // 2
        pieces.append(_Piece(payload, 6 + len(chosen) + rows, tokens))
    return pieces


def _rationales(asked: PlanContext, adverse: Sequence[Cluster], others: Sequence[Cluster]) -> list[_Piece]:
    settings: Settings = asked.settings
    pieces = []
    for pair in list(zip(adverse, others, strict=False))[: settings.rationales]:
        sides = [{"id": cluster.application.id, "words": _words(asked, cluster)} for cluster in pair]
        whole = sum(_whole(asked, cluster) for cluster in pair)
        # Three rationales written and seven texts scored for each; prompts share all but their ends.
        pieces.append(_Piece({"sides": sides}, 26, 2 * whole + 26 * settings.rationale_tokens))
    return pieces
