"""Counterfactual pairs as token ids: one application in the reference group and in another, aligned token by token."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from auditor.counterfactuals import arm
from auditor.language_models.answers import encode
from auditor.language_models.decoder import Decoder, Run
from auditor.language_models.kv_cache import Past
from auditor.language_models.not_applicable import NotApplicable
from auditor.language_models.precision import in_double
from auditor.language_models.residual_view import ResidualView
from auditor.language_models.sites import HEADS, MLP, RESIDUAL, Site
from auditor.language_models.targets import Target
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.pair_rows import ContrastRow, PairOfPrompts, PairsPayload, Span
from auditor.prompts import token_span
from auditor.records import Case
from auditor.testing.chunks import ChunkSpec, PlanContext


@dataclass(frozen=True)
class Pair:
    """Two prompts of one length: ``base`` in the reference group, ``donor`` in the other; ``first`` differs first.

    ``field_tokens`` are the positions of the changed field, ``later`` those of the fields behind it, by name.
    """

    base: tuple[int, ...]
    donor: tuple[int, ...]
    first: int
    field_tokens: tuple[int, ...]
    later: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def segments(self) -> dict[str, list[int]]:
        """Positions from the first difference on; before it every effect is exactly 0.

        ``field``: the changed field; then every field behind it by name; ``between``: other text; ``last``: the last
        token.
        """
        last = len(self.base) - 1
        own = [position for position in self.field_tokens if self.first <= position < last]
        behind = {
            name: [position for position in places if self.first <= position < last and position not in own]
            for name, places in self.later.items()
        }
        taken = {*own, *(position for places in behind.values() for position in places)}
        rest = [position for position in range(self.first, last) if position not in taken]
        parts = {"field": own, **behind, "between": rest, "last": [last]}
        return {name: places for name, places in parts.items() if places}


@dataclass(frozen=True)
class PairRuns:
    """Both prompts of a pair run once: the shared prefix, the two suffixes with every site, and their margins."""

    decoder: Decoder
    target: Target
    pair: Pair
    prefix: Past | None
    base: Run
    donor: Run
    base_margin: float
    donor_margin: float

    def size(self) -> int:
        """Bytes that the prefix and the states of both runs take."""
        pasts = [past for past in (self.prefix, self.base.past, self.donor.past) if past is not None]
        tensors = [tensor for past in pasts for held in (past.keys, past.values) for tensor in held.values()]
        tensors += [*self.base.states.values(), *self.donor.states.values()]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    @property
    def gap(self) -> float:
        """What the change does to the margin, in nats."""
        return self.donor_margin - self.base_margin


def turned(runs: PairRuns) -> PairRuns:
    """The same pair the other way round: the reference's states are put into the group's prompt."""
    pair = replace(runs.pair, base=runs.pair.donor, donor=runs.pair.base)
    return PairRuns(
        runs.decoder, runs.target, pair, runs.prefix, runs.donor, runs.base, runs.donor_margin, runs.base_margin
    )


def halfway(runs: PairRuns, back: PairRuns | None = None) -> tuple[PairRuns, PairRuns]:
    """Both prompts, the reference's first, with the mean of their states to be put in at every site.

    ``back`` is the pair the other way round, where the two prompts do not share what stands before.
    """
    states = {site: (state + runs.donor.states[site]) / 2 for site, state in runs.base.states.items()}
    mean = replace(runs.donor, states=states, past=None)
    return replace(runs, donor=mean), replace(back or turned(runs), donor=mean)


def plan_pairs(
    asked: PlanContext,
    *,
    name: str,
    pairs: int,
    cost: float,
    attributes: Sequence[str] = (),
    kind: type[PairsPayload] = PairsPayload,
) -> Iterable[ChunkSpec]:
    """One chunk a contrast: up to ``pairs`` applications that stand in both arms; ``cost`` prompts' tokens each.

    ``attributes`` names the plan's attributes that are looked at; empty: all of them. ``kind`` is the payload's type.
    """
    for attribute in asked.plan.attributes:
        if attributes and attribute.field not in attributes:
            continue
        for group in attribute.groups:
            if group == attribute.reference:
                continue
            wanted = (arm(attribute.field, attribute.reference), arm(attribute.field, group))
            clusters = list(asked.clusters)
            random.Random(f"{asked.plan.cases.seed}/{name}/{attribute.field}/{group}").shuffle(clusters)
            rows: list[PairOfPrompts] = []
            for cluster in clusters:
                base, donor = (next((case for case in cluster.cases if one in case.arms), None) for one in wanted)
                if base is None or donor is None:
                    continue
                rows.append(
                    PairOfPrompts(
                        id=cluster.application.id,
                        case=donor.id,
                        prompts=(base.prompt, donor.prompt),
                        spans=(base.spans[attribute.field], donor.spans[attribute.field]),
                        later=_later(base, attribute.field),
                    )
                )
                if len(rows) == pairs:
                    break
            if rows:
                tokens = asked.count_tokens(rows[0].prompts[0]) * len(rows)
                contrast = ContrastRow(field=attribute.field, group=group, reference=attribute.reference)
                yield ChunkSpec(2 * len(rows), round(tokens * cost), kind(contrast=contrast, pairs=tuple(rows)))


def _later(case: Case, changed: str) -> dict[str, Span]:
    """Where the fields behind the changed one stand."""
    end = case.spans[changed][1]
    return {name: span for name, span in case.spans.items() if span[0] >= end}


def read_pair(context: ComputeContext, prompts: PairOfPrompts) -> Pair | NotApplicable:
    """The pair as tokens, or why these do not align."""
    base, donor = encode(context.loaded.tokenizer, prompts.prompts, chat=context.plan.prompt.form == "chat")
    if len(base.ids) != len(donor.ids):
        return NotApplicable("the two values have different numbers of tokens")
    differing = [place for place, (one, other) in enumerate(zip(base.ids, donor.ids, strict=True)) if one != other]
    if not differing:
        return NotApplicable("the two prompts do not differ")
    changed = range(*token_span(base.offsets, prompts.spans[0]))
    later = {name: tuple(range(*token_span(base.offsets, span))) for name, span in prompts.later.items()}
    return Pair(base.ids, donor.ids, differing[0], tuple(changed), later)


def structured(context: ComputeContext, prompt: str) -> tuple[Decoder, Target] | NotApplicable:
    """The decoder and the target of a chunk, or the reason why the test cannot be done on this model."""
    decoder = context.decoder()
    if isinstance(decoder, ResidualView):
        return NotApplicable(f"needs the structure of the model: {decoder.reason}")
    target = context.target(prompt)
    return target if isinstance(target, NotApplicable) else (decoder, target)


def run_prefix(decoder: Decoder, pair: Pair) -> Past | None:
    """Keys and values of what stands before the first difference."""
    with torch.no_grad():
        return decoder.run(row_of(decoder, pair.base[: pair.first]), keep_past=True).past if pair.first else None


def run_pair(
    decoder: Decoder, target: Target, pair: Pair, *, layers: Sequence[int] | None = None, keep_past: bool = True
) -> PairRuns:
    """Run both prompts of a pair: the shared prefix once, then the two suffixes with every site captured.

    Keys and values of the suffixes (``keep_past``) are needed where a run starts behind the first difference.
    """
    wanted = range(decoder.layers) if layers is None else layers
    sites: list[Site] = [(node, layer) for layer in wanted for node in (RESIDUAL, HEADS, MLP)]
    sites.append((RESIDUAL, decoder.layers))
    prefix = run_prefix(decoder, pair)
    with torch.no_grad():
        base = decoder.run(row_of(decoder, pair.base[pair.first :]), past=prefix, capture=sites, keep_past=keep_past)
        donor = decoder.run(row_of(decoder, pair.donor[pair.first :]), past=prefix, capture=sites, keep_past=keep_past)
        margins = [float(decoder.margins(run, target)) for run in (base, donor)]
    return PairRuns(decoder, target, pair, prefix, base, donor, margins[0], margins[1])


def own_margins(decoder: Decoder, target: Target, prompts: Sequence[Sequence[int]]) -> list[float]:
    """Margins in nats of whole prompts by the model's own forward pass: no view, no prefix, nothing captured."""
    cut, tokens = len(target.favourable), list(target.favourable + target.adverse)
    found = []
    for ids in prompts:
        with torch.no_grad():
            logits = decoder.model(input_ids=row_of(decoder, ids), use_cache=False).logits[0, -1, tokens]
        read = in_double(logits)
        found.append(float(read[:cut].logsumexp(-1) - read[cut:].logsumexp(-1)))
    return found


def mix(base: Float[Tensor, "1 n width"], donor: Float[Tensor, "1 n width"], places: Sequence[int]) -> Tensor:
    """``base`` with the states of ``donor`` at some places."""
    mixed = base.clone()
    mixed[:, list(places)] = donor[:, list(places)]
    return mixed


def row_of(decoder: Decoder, ids: Sequence[int]) -> Tensor:
    """Ids as a batch of one, where the model is: [1, n]."""
    return torch.tensor([list(ids)], device=decoder.model.device)
