"""Attribution patching: every head and MLP screened by one backward pass, the largest verified by real patching."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.each_pair import Kept, each_pair
from auditor.mechanisms._shared.halves import halves
from auditor.mechanisms._shared.nodes import Node, all_nodes
from auditor.mechanisms._shared.pair_rows import ContrastRow, LookedAt, PairOfPrompts
from auditor.mechanisms._shared.pairs import PairRuns, plan_pairs
from auditor.mechanisms._shared.patches import CHECKED, again, attribution_effects, node_effects, patch_checks
from auditor.mechanisms.attribution_patching.card import CARD, Settings
from auditor.mechanisms.attribution_patching.measure import measures
from auditor.mechanisms.attribution_patching.result import Effects, Payload, Result, Verified
from auditor.seeds import generator_of
from auditor.statistics.minimums import FOR_A_SHARE
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement


class _Screened(LookedAt):
    """A pair with first-order estimates of all nodes, in the order of :func:`.nodes.all_nodes`, in nats."""

    layers: int
    heads: int
    estimates: tuple[float, ...]


@dataclass(frozen=True)
class _Picked:
    """Nodes to patch, as numbers of ``nodes``: the ``top`` largest, and those drawn from the others."""

    nodes: Sequence[Node]
    top: Sequence[int]
    drawn: Sequence[int]

    @property
    def numbers(self) -> tuple[int, ...]:
        """Of both."""
        return (*self.top, *self.drawn)

    @property
    def chosen(self) -> list[Node]:
        """The nodes themselves."""
        return [self.nodes[number] for number in self.numbers]


def plan_chunks(asked: PlanContext) -> Iterable[ChunkSpec]:
    """One chunk a contrast."""
    settings: Settings = asked.settings
    return plan_pairs(asked, name=CARD.name, pairs=settings.pairs, cost=10, attributes=settings.attributes)


def compute(context: ComputeContext, payload: Payload) -> Result:
    """Screen every pair of a contrast, and verify in every other one the nodes that the rest put first."""
    kept = Kept()
    screening = each_pair(context, payload, _screen, kept=kept)
    pairs = screening.pairs
    if not pairs:
        return Result(**dict(screening))
    # By those that screening left, because pairs whose tokens do not align are in neither half.
    picked_on, verified_on = halves(len(pairs))
    picked = _pick(context, payload.contrast, pairs[picked_on])
    estimates = {pair.id: pair.estimates for pair in pairs[verified_on]}
    half = payload.model_copy(update={"pairs": tuple(each for each in payload.pairs if each.id in estimates)})
    verify = _Verifier(picked, estimates)
    found = each_pair(context, half, verify, kept=kept)
    about = {**dict(found), "left_out": screening.left_out}
    nodes = tuple(picked.chosen)
    return Result(**about, aligned=len(pairs), nodes=nodes, top=len(picked.top), screened=len(picked.nodes))


def measure(context: Context, results: Sequence[Result]) -> Iterable[UnadjustedMeasurement]:
    """Real effects of the verified nodes, what the random share says of the others, and how well the estimate ranks."""
    return measures(context, results)


def _screen(runs: PairRuns, prompts: PairOfPrompts) -> _Screened:
    heads, mlps = attribution_effects(runs)
    return _Screened(
        id=prompts.id,
        gap=runs.gap,
        base=runs.base_margin,
        layers=runs.decoder.layers,
        heads=runs.decoder.heads,
        estimates=tuple(float(value) for row, mlp in zip(heads, mlps, strict=True) for value in (*row, mlp)),
    )


def _pick(context: ComputeContext, contrast: ContrastRow, pairs: Sequence[_Screened]) -> _Picked:
    """The nodes of largest estimate over some pairs, and a random share of the others."""
    settings: Settings = context.settings
    nodes = all_nodes(pairs[0].layers, pairs[0].heads)
    size = np.abs(np.array([pair.estimates for pair in pairs])).mean(axis=0)
    ranked = sorted(range(len(nodes)), key=lambda index: (-size[index], index))
    top, rest = ranked[: settings.top], ranked[settings.top :]
    generator = generator_of(context.plan.cases.seed, CARD.name, contrast.field, contrast.group)
    count = min(len(rest), max(1, round(settings.sample * len(rest))))
    drawn = sorted(int(index) for index in generator.choice(rest, size=count, replace=False)) if rest else []
    return _Picked(nodes, top, drawn)


class _Verifier:
    """Patches the picked nodes of one pair after another; ``estimates`` of all nodes by application."""

    def __init__(self, picked: _Picked, estimates: Mapping[str, Sequence[float]]) -> None:
        self._picked, self._estimates = picked, estimates
        self._proven = 0

    def __call__(self, runs: PairRuns, prompts: PairOfPrompts) -> Verified:
        picked, mine = self._picked, self._estimates[prompts.id]

        def top(each: PairRuns) -> Effects:
            return Effects(exact=node_effects(each, picked.chosen[: len(picked.top)]).tolist())

        # The proofs run two whole prompts more, so a few pairs of a contrast stand for all.
        prove = self._proven < CHECKED
        self._proven += 1
        return Verified(
            id=prompts.id,
            gap=runs.gap,
            base=runs.base_margin,
            effects=Effects(exact=node_effects(runs, picked.chosen).tolist()),
            estimate=tuple(mine[number] for number in picked.numbers),
            # What so few applications give is compared with nothing, whatever is put in.
            again=again(runs, top) if len(self._estimates) >= FOR_A_SHARE else None,
            checks=patch_checks(runs) if prove else (),
        )
