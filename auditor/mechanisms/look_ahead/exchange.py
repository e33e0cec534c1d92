"""From which layer and position on does a state carry the decision: one application with states of another put in.

At the last token the other is an application with the other outcome on record, as filed. In parts of the prompt it is
the first application with the other's words wherever every token keeps its place; so the two prompts align token by
token, and whatever is exchanged is exchanged at its own position.
"""

from __future__ import annotations

import torch

from auditor.exceptions import Interrupted
from auditor.language_models.decoder import Decoder
from auditor.language_models.noise import noise_floor
from auditor.language_models.noise_floor import NoiseFloor
from auditor.language_models.not_applicable import NotApplicable
from auditor.language_models.sites import RESIDUAL
from auditor.language_models.targets import Target
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.pairs import Pair, PairRuns, own_margins, row_of, run_pair, structured
from auditor.mechanisms._shared.patches import again, patch_checks, residual_effects
from auditor.mechanisms.look_ahead.exchange_rows import Aligned, AtLast, LastToken, PairExchanged, Regions
from auditor.mechanisms.look_ahead.layout import Layout, lay_out, regions, twin
from auditor.mechanisms.look_ahead.reading import spaced
from auditor.mechanisms.look_ahead.result import ExchangeCase, ExchangePayload, ExchangeResult
from auditor.records import Check


def compute(context: ComputeContext, payload: ExchangePayload, noise: NoiseFloor) -> ExchangeResult:
    """Exchange the states of every pair of the chunk; of its candidates the one that moves the margin most."""
    view = structured(context, context.render(payload.cases[0].words).text)
    if isinstance(view, NotApplicable):
        return ExchangeResult(left_out=payload.left_out, noise=noise, reason=view.reason)
    decoder, target = view
    pairs = []
    for case in payload.cases:
        if context.should_stop():
            raise Interrupted("stopped between two pairs; this chunk starts again")
        whole = _at_last(context, decoder, target, case)
        pairs.append(PairExchanged(id=case.id, whole=whole, aligned=_aligned(context, decoder, target, case)))
    return ExchangeResult(
        left_out=payload.left_out,
        noise=noise,
        note=target.note,
        layers=tuple(spaced(decoder.layers, context.settings.layers)),
        pairs=tuple(pairs),
    )


def _at_last(context: ComputeContext, decoder: Decoder, target: Target, case: ExchangeCase) -> AtLast:
    """The last token's state of the candidate that is decided most unlike the application, put in before each layer."""
    layouts = lay_out(context, [case.words, *(other.words for other in case.others)])
    own, *margins = context.margins([layout.text for layout in layouts])
    best = max(range(len(margins)), key=lambda number: abs(float(margins[number] - own)))
    first, second = layouts[0], layouts[1 + best]
    sites = [(RESIDUAL, layer) for layer in range(decoder.layers + 1)]
    with torch.no_grad():
        past = [decoder.run(row_of(decoder, one.tokens[:-1]), keep_past=True).past for one in (first, second)]
        base, donor = (
            decoder.run(row_of(decoder, one.tokens[-1:]), past=before, capture=sites, keep_past=True)
            for one, before in zip((first, second), past, strict=True)
        )
        ends = [float(decoder.margins(run, target)) for run in (base, donor)]
    pair = Pair(first.tokens, second.tokens, first.last, ())
    runs = PairRuns(decoder, target, pair, past[0], base, donor, ends[0], ends[1])
    turned = Pair(second.tokens, first.tokens, second.last, ())
    back = PairRuns(decoder, target, turned, past[1], donor, base, ends[1], ends[0])

    def last(each: PairRuns) -> LastToken:
        return LastToken(last=residual_effects(each, [[len(each.pair.base) - 1]])[0].tolist())

    effects = last(runs)
    # By the model's own forward pass: read from the state that was put in it would be the same by construction.
    [own_margin] = own_margins(decoder, target, [second.tokens])
    floor = noise_floor(decoder.model, target)
    off = abs(effects.last[-1] + runs.base_margin - own_margin)
    note = f"nats, against the model's own forward pass; {floor.words}"
    check = Check("the state after the last block is the decision", off <= floor.bound, off, floor.bound, note)
    return AtLast(
        id=case.id,
        other=case.others[best].id,
        base=runs.base_margin,
        gap=runs.gap,
        effects=effects,
        again=again(runs, last, back=back),
        checks=(check,),
    )


def _choose(context: ComputeContext, case: ExchangeCase) -> tuple[Layout, Layout, str, int] | None:
    """The application, its strongest counterpart, and whose words that has in how many fields."""
    twins = [(twin(context, case.words, other.words), other.id) for other in case.others]
    twins = [(found, name) for found, name in twins if found[3] and found[0].tokens != found[1].tokens]
    if not twins:
        return None
    own, *margins = context.margins([twins[0][0][0].text, *(found[1].text for found, _ in twins)])
    best = max(range(len(twins)), key=lambda number: abs(float(margins[number] - own)))
    (first, second, _, changed), name = twins[best]
    return first, second, name, len(changed)


def _aligned(context: ComputeContext, decoder: Decoder, target: Target, case: ExchangeCase) -> Aligned | None:
    """States by part of the prompt; ``None`` where no counterpart aligns."""
    chosen = _choose(context, case)
    if chosen is None:
        return None
    first, second, other, changed = chosen
    differing = next(place for place in range(len(first.tokens)) if first.tokens[place] != second.tokens[place])
    runs = run_pair(decoder, target, Pair(first.tokens, second.tokens, differing, ()))
    places = regions(first, parts=context.settings.regions)
    layers = spaced(decoder.layers, context.settings.layers)

    def effects(each: PairRuns) -> Regions:
        rows = residual_effects(each, list(places.values()), layers=layers).tolist()
        return Regions(regions=dict(zip(places, rows, strict=True)))

    return Aligned(
        id=case.id,
        other=other,
        changed=changed,
        base=runs.base_margin,
        gap=runs.gap,
        order=tuple(places),
        effects=effects(runs),
        again=again(runs, effects),
        checks=patch_checks(runs),
    )
