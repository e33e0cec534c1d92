"""Who writes the decision at the last token, and which fields must be attended to for it.

Written: with the final norm's scale frozen the margin is a sum over what attention and MLPs of every layer add. Read:
the decided answer's probability and rank in the stream after each. Knockout: attention from a field's tokens is cut for
the last token only, in all layers or some; for all later text; and from all fields at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from auditor.exceptions import Interrupted
from auditor.language_models.decoder import Decoder, Run
from auditor.language_models.noise import SUMMED, noise_floor
from auditor.language_models.noise_floor import NoiseFloor
from auditor.language_models.not_applicable import NotApplicable
from auditor.language_models.precision import in_double
from auditor.language_models.sites import ATTENTION, HEADS, MLP, RESIDUAL
from auditor.language_models.targets import Target
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.direct_logits import attribute
from auditor.mechanisms._shared.float_rows import Numbers, numbers_of
from auditor.mechanisms._shared.pairs import own_margins, row_of, structured
from auditor.mechanisms.look_ahead.layout import Layout, twin
from auditor.mechanisms.look_ahead.result import TracedCase, TracingPayload, TracingResult
from auditor.mechanisms.look_ahead.tracing_rows import CutOff, CutWindow, Trace
from auditor.records import Check

ALL_FIELDS = "all fields"
#: What is decoded through the final norm and the unembedding: the stream for a probability, what is added for a rank.
STREAMS = ("stream after attention", "stream after MLP")
ADDED = ("attention output", "MLP output")


def compute(context: ComputeContext, payload: TracingPayload, noise: NoiseFloor) -> TracingResult:
    """Trace every application of the chunk."""
    view = structured(context, context.render(payload.cases[0].words).text)
    if isinstance(view, NotApplicable):
        return TracingResult(left_out=payload.left_out, noise=noise, reason=view.reason)
    decoder, target = view
    cases = []
    for case in payload.cases:
        if context.should_stop():
            raise Interrupted("stopped between two applications; this chunk starts again")
        with torch.no_grad():
            cases.append(_trace(context, decoder, target, case))
    return TracingResult(
        left_out=payload.left_out, noise=noise, note=target.note, exact=target.exact, cases=tuple(cases)
    )


def hidden(layout: Layout, fields: list[str], *, start: int, stop: int) -> Tensor:
    """Which keys positions ``start`` to ``stop`` may not see, [1, stop − start, stop]: fields' values behind them.

    The tokens of a value still see each other.
    """
    mask = torch.zeros((1, stop - start, stop), dtype=torch.bool, device="cpu")  # moved to where it is used
    for name in fields:
        first, end = layout.spans[name]
        mask[:, max(0, end - start) :, first:end] = True
    return mask


def _trace(context: ComputeContext, decoder: Decoder, target: Target, case: TracedCase) -> Trace:
    layout, other, _, _ = twin(context, case.words, case.other)
    layers = range(decoder.layers)
    sites = [(node, layer) for layer in layers for node in (RESIDUAL, HEADS, ATTENTION, MLP)]
    tokens = row_of(decoder, layout.tokens)
    run = decoder.run(tokens, capture=[*sites, (RESIDUAL, decoder.layers)], keep_past=True)
    everything = {layer: hidden(layout, layout.fields, start=0, stop=len(layout.tokens)) for layer in layers}
    nothing = {layer: torch.zeros_like(mask) for layer, mask in everything.items()}
    # Both are the model's own forward pass; whole answers are read with others, packed.
    exact = target.exact
    own = float(context.margins([layout.text])[0]) if exact else own_margins(decoder, target, [layout.tokens])[0]
    found = attribute(decoder, run, target, own=own)
    empty = float(decoder.margins(decoder.run(tokens, hide=nothing), target))
    without = float(decoder.margins(decoder.run(tokens, hide=everything), target))
    twinned = float(decoder.margins(decoder.run(row_of(decoder, other.tokens), hide=everything), target))
    gaps = _Gaps(empty=abs(empty - own), twin=abs(without - twinned), sum=found.gap, rounding=found.rounding)
    aligned = other.tokens != layout.tokens
    probability, reciprocal = _answers(
        decoder, run, target, favourable=found.margin >= context.plan.operating_point.natural_margin
    )
    return Trace(
        id=case.id,
        margin=found.margin,
        embedding=found.embedding,
        attention=numbers_of(found.attention.sum(axis=1)),
        mlps=numbers_of(found.mlps),
        constant=found.constant,
        direction=found.direction,
        probability=probability,
        reciprocal=reciprocal,
        without_all=without,
        twin=aligned,
        to_last=_to_last(context, decoder, run, layout, target),
        to_later=_to_later(decoder, run, layout, target) if case.deep else None,
        checks=_checks(gaps, noise_floor(decoder.model, target), twinned=aligned),
    )


@dataclass(frozen=True)
class _Gaps:
    """By how much a trace misses what it must give, in nats.

    Attributes
    ----------
    empty
        With nothing knocked out, the margin decided on.
    twin
        With every field knocked out, the same of another application.
    sum
        All contributions together, the margin.
    rounding
        By how much that sum moves with the order of its terms.
    """

    empty: float
    twin: float
    sum: float
    rounding: float


def _checks(gaps: _Gaps, floor: NoiseFloor, *, twinned: bool) -> tuple[Check, ...]:
    bound, summed = floor.bound, floor.bound + SUMMED * gaps.rounding
    checks = [
        Check("contributions sum to the model's own margin", gaps.sum <= summed, gaps.sum, summed, floor.words),
        Check(
            "nothing knocked out changes nothing",
            gaps.empty <= bound,
            gaps.empty,
            bound,
            "largest difference in nats between a run with an empty knockout and the margin decided on",
        ),
    ]
    if twinned:
        note = "two applications of one layout, attention to all fields cut: largest difference of margins in nats"
        held = gaps.twin <= bound
        checks.append(Check("with every field knocked out none matters", held, gaps.twin, bound, note))
    return tuple(checks)


def _answers(
    decoder: Decoder, run: Run, target: Target, *, favourable: bool
) -> tuple[dict[str, Numbers], dict[str, Numbers]]:
    """By layer, the decided answer's probability in the stream, and 1 / its rank in what attention and MLP add."""
    tokens = list(target.favourable if favourable else target.adverse)
    held: dict[str, list[Tensor]] = {name: [] for name in (*STREAMS, *ADDED)}
    for layer in range(decoder.layers):
        before = run.states[RESIDUAL, layer][0, -1]
        attention, mlp = run.states[ATTENTION, layer][0, -1], run.states[MLP, layer][0, -1]
        after = run.states[RESIDUAL, layer + 1][0, -1]
        for name, state in zip(held, (before + attention, after, attention, mlp), strict=True):
            held[name].append(state)
    probability: dict[str, Numbers] = {}
    reciprocal: dict[str, Numbers] = {}
    for name, states in held.items():
        logits = decoder.logits(torch.stack(states))
        if name in STREAMS:
            chances = torch.exp(logits[:, tokens].logsumexp(-1) - logits.logsumexp(-1))
            probability[name] = tuple(in_double(chances).tolist())
        else:
            best = logits[:, tokens].max(-1, keepdim=True).values
            reciprocal[name] = tuple((1.0 / (1.0 + in_double((logits > best).sum(-1)))).tolist())
    return probability, reciprocal


def _to_last(context: ComputeContext, decoder: Decoder, run: Run, layout: Layout, target: Target) -> CutOff:
    """Margins with the last token cut off from each field and from all: in all layers, and in windows of layers."""
    fields = layout.fields
    if run.past is None or not layout.last:
        return CutOff(fields=tuple(fields), whole=(), windows=())
    past = run.past.upto(layout.last)
    mask = torch.cat(
        [
            hidden(layout, names, start=layout.last, stop=len(layout.tokens))
            for names in (*([f] for f in fields), fields)
        ]
    )

    def margins(first: int, stop: int) -> Numbers:
        stream = run.states[RESIDUAL, first][:, -1:].expand(len(mask), -1, -1)
        blocked = decoder.run_from(first, stream, past=past, hide=dict.fromkeys(range(first, stop), mask))
        return tuple(in_double(decoder.margins(blocked, target)).tolist())

    count = min(context.settings.windows, decoder.layers)
    edges = [decoder.layers * number // count for number in range(count + 1)]
    return CutOff(
        fields=tuple(fields),
        whole=margins(0, decoder.layers),
        windows=tuple(
            CutWindow(first=first, stop=stop, margins=margins(first, stop)) for first, stop in pairwise(edges)
        ),
    )


def _to_later(decoder: Decoder, run: Run, layout: Layout, target: Target) -> Numbers:
    """Margins with all text after a field cut off from its value, in all layers: from the field's end on."""
    found = []
    for name in layout.fields:
        start = layout.spans[name][1]
        stream = run.states[RESIDUAL, 0][:, start:]
        mask = hidden(layout, [name], start=start, stop=len(layout.tokens))
        past = run.past.upto(start) if run.past is not None else None
        blocked = decoder.run_from(0, stream, past=past, hide=dict.fromkeys(range(decoder.layers), mask))
        found.append(float(decoder.margins(blocked, target)))
    return tuple(found)
