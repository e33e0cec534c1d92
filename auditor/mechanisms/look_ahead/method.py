"""Look-ahead planning: when can the decision be read, when does it cause the answer, and who writes it.

Four parts, each with chunks of its own: ``reading`` (probes at every field's end), ``tracing`` (what attention and
MLPs write, attention knockout), ``exchange`` (states of one application put into another) and ``rationale`` (a written
reason before and after the decision).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from auditor.counterfactuals import Cluster
from auditor.exceptions import PlanError
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms.look_ahead import exchange as look_ahead_exchange
from auditor.mechanisms.look_ahead import rationale as look_ahead_rationale
from auditor.mechanisms.look_ahead import reading as look_ahead_reading
from auditor.mechanisms.look_ahead import tracing as look_ahead_tracing
from auditor.mechanisms.look_ahead.card import CARD, Settings
from auditor.mechanisms.look_ahead.measure import measures
from auditor.mechanisms.look_ahead.result import (
    Asked,
    ExchangeCase,
    ExchangePayload,
    Payload,
    RationaleCase,
    RationalePayload,
    ReadingPayload,
    Result,
    TracedCase,
    TracingPayload,
)
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.context import Context
from auditor.testing.rows import Row
from auditor.testing.sampling import batches, by_recorded_outcome, in_turns
from auditor.testing.unadjusted import UnadjustedMeasurement

CaseT = TypeVar("CaseT", bound=Row)


@dataclass(frozen=True, slots=True)
class _Piece(Generic[CaseT]):
    """One application's or pair's share of a part: what the chunk needs, the prompts and tokens it costs."""

    case: CaseT
    prompts: int
    tokens: int


@dataclass(frozen=True, slots=True)
class _Part(Generic[CaseT]):
    """A part's shares; how many were left out for cost, and the payload of some of their cases."""

    pieces: list[_Piece[CaseT]]
    payload: Callable[[int, tuple[CaseT, ...]], Row]
    whole: bool = False

    @property
    def tokens(self) -> int:
        """Of all shares."""
        return sum(piece.tokens for piece in self.pieces)

    def chunks(self, *, share: float, most: int) -> Iterable[ChunkSpec]:
        """A share of them, at least two, cut to ``most`` tokens a chunk unless the part has to be whole."""
        kept = self.pieces[: max(min(2, len(self.pieces)), int(share * len(self.pieces)))]
        left_out = len(self.pieces) - len(kept)
        room = sum(piece.tokens for piece in kept) if self.whole else most
        for batch in batches(kept, tokens=lambda piece: piece.tokens, most=room):
            yield ChunkSpec(
                prompts=sum(piece.prompts for piece in batch),
                tokens=sum(piece.tokens for piece in batch),
                payload=self.payload(left_out, tuple(piece.case for piece in batch)),
            )


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

    def reading(left_out: int, cases: tuple[Asked, ...]) -> ReadingPayload:
        named = control if not reason else ""
        return ReadingPayload(left_out=left_out, control=named, control_reason=reason, cases=cases)

    turns = in_turns(adverse, others)
    parts: list[_Part[Any]] = [
        _Part([_reading(asked, cluster) for cluster in turns[: settings.applications]], reading, whole=True),
        _Part(
            _tracing(asked, turns[: settings.traced]),
            lambda left_out, cases: TracingPayload(left_out=left_out, cases=cases),
        ),
        _Part(
            _exchanges(asked, adverse, others),
            lambda left_out, cases: ExchangePayload(left_out=left_out, cases=cases),
        ),
        _Part(
            _rationales(asked, adverse, others),
            lambda left_out, cases: RationalePayload(left_out=left_out, cases=cases),
        ),
    ]
    share = min(1.0, settings.tokens / max(1, sum(part.tokens for part in parts)))
    for part in parts:
        yield from part.chunks(share=share, most=asked.plan.budget.chunk_tokens)


def compute(context: ComputeContext, payload: Payload) -> Result:
    """Do one chunk of one part."""
    first = payload.cases[0]
    words = first.sides[0].words if isinstance(first, RationaleCase) else first.words
    noise = context.noise(context.render(words).text)
    match payload:
        case ReadingPayload():
            return look_ahead_reading.compute(context, payload, noise)
        case TracingPayload():
            return look_ahead_tracing.compute(context, payload, noise)
        case ExchangePayload():
            return look_ahead_exchange.compute(context, payload, noise)
        case RationalePayload():
            return look_ahead_rationale.compute(context, payload, noise)


def measure(context: Context, results: Sequence[Result]) -> Iterable[UnadjustedMeasurement]:
    """Where the decision is readable, where it is causal, who writes it, which fields it needs, what a rationale is."""
    return measures(context, results, test=CARD.name)


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


def _application(asked: PlanContext, cluster: Cluster) -> Asked:
    return Asked(id=cluster.application.id, words=_words(asked, cluster))


def _reading(asked: PlanContext, cluster: Cluster) -> _Piece[Asked]:
    return _Piece(_application(asked, cluster), 1, _whole(asked, cluster))


def _tracing(asked: PlanContext, clusters: Sequence[Cluster]) -> list[_Piece[TracedCase]]:
    settings: Settings = asked.settings
    pieces = []
    for number, cluster in enumerate(clusters):
        deep = number < settings.knocked
        other = clusters[(number + 1) % len(clusters)]
        case = TracedCase(
            id=cluster.application.id, words=_words(asked, cluster), other=_words(asked, other), deep=deep
        )
        # As filed, asked once more, an empty knockout, a full one, its twin's; the last token alone twice a field.
        fields = len(asked.fields)
        prompts = 5 + (2 + deep) * (fields + 1)
        tokens = 5 * _whole(asked, cluster) + 2 * (fields + 1)
        tokens += _behind(asked, cluster, fields) if deep else 0
        pieces.append(_Piece(case, prompts, tokens))
    return pieces


def _exchanges(asked: PlanContext, adverse: Sequence[Cluster], others: Sequence[Cluster]) -> list[_Piece[ExchangeCase]]:
    settings: Settings = asked.settings
    pieces = []
    for number, cluster in enumerate(adverse[: settings.pairs]):
        start = number * settings.candidates
        tried = {(start + step) % len(others) for step in range(settings.candidates)} if others else set()
        if not tried:
            break
        chosen = [others[place] for place in sorted(tried)]
        case = ExchangeCase(
            id=cluster.application.id,
            words=_words(asked, cluster),
            others=tuple(_application(asked, other) for other in chosen),
        )
        rows = settings.regions * settings.layers
        # Both prompts with every site, the candidates, the checks; then half a depth a region and layer on average.
        tokens = (6 + len(chosen)) * _whole(asked, cluster)
        tokens += _behind(asked, cluster, settings.regions) * settings.layers // 2
        pieces.append(_Piece(case, 6 + len(chosen) + rows, tokens))
    return pieces


def _rationales(
    asked: PlanContext, adverse: Sequence[Cluster], others: Sequence[Cluster]
) -> list[_Piece[RationaleCase]]:
    settings: Settings = asked.settings
    pieces = []
    for one, other in list(zip(adverse, others, strict=False))[: settings.rationales]:
        case = RationaleCase(sides=(_application(asked, one), _application(asked, other)))
        whole = _whole(asked, one) + _whole(asked, other)
        # Three rationales written and seven texts scored for each; prompts share all but their ends.
        pieces.append(_Piece(case, 26, 2 * whole + 26 * settings.rationale_tokens))
    return pieces
