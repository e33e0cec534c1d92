"""The circuit of a change of group: which connections carry it, and how much they carry when only they are left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from auditor.language_models.noise import noise_floor
from auditor.language_models.not_applicable import NotApplicable
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.each_pair import each_pair, looked_at
from auditor.mechanisms._shared.pair_rows import ContrastRow, LookedAt, PairOfPrompts
from auditor.mechanisms._shared.pairs import PairRuns, own_margins, plan_pairs, read_pair, structured
from auditor.mechanisms._shared.patches import CHECKED
from auditor.mechanisms.circuits.card import CARD, Settings
from auditor.mechanisms.circuits.edge_runs import FloatArray, circuit_margins, edge_scores, memory_of_one
from auditor.mechanisms.circuits.edges import Edges, read_edges
from auditor.mechanisms.circuits.measure import FRACTIONS, ORDERS, measures, weighted_share
from auditor.mechanisms.circuits.result import Edge, Judged, JudgedPair, NotJudged, Payload, Result
from auditor.records import Check
from auditor.seeds import generator_of
from auditor.statistics.minimums import FOR_A_SHARE
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement


@dataclass(frozen=True)
class _Scores:
    """First-order scores of all edges on some pairs.

    ``table`` [pairs, edges] in nats, ``gaps`` [pairs], ``completeness`` the most by which those of the embedding's
    edges miss a pair's difference.
    """

    table: FloatArray
    gaps: FloatArray
    completeness: float


def plan_chunks(asked: PlanContext) -> Iterable[ChunkSpec]:
    """One chunk a contrast."""
    settings: Settings = asked.settings
    # Passes over a suffix, which is a third of a prompt on average; half of the pairs are scored, half are judged.
    cost = (2 * settings.steps + len(FRACTIONS) * (len(ORDERS) + settings.random)) / 6 + 3
    return plan_pairs(asked, name=CARD.name, pairs=settings.pairs, cost=cost)


def compute(context: ComputeContext, payload: Payload) -> Result:
    """Score the edges on half of the pairs, judge the circuits on the other half.

    Returns
    -------
    Result
        Of every judged pair the margins of all circuits; the largest edges and their shares; how often resampled
        applications choose the same edges. Or the ``reason`` why the model cannot be tested.
    """
    settings: Settings = context.settings
    edges = _edges_of(context, payload)
    if isinstance(edges, NotApplicable):
        return _not_judged(context, payload, payload.pairs[:1], reason=edges.reason)
    read = [(prompts, read_pair(context, prompts)) for prompts in payload.pairs]
    aligned = tuple(prompts for prompts, pair in read if not isinstance(pair, NotApplicable))
    left_out = dict(Counter(pair.reason for _, pair in read if isinstance(pair, NotApplicable)))
    if not aligned:
        return _not_judged(context, payload, payload.pairs, reason=None)
    memory = settings.memory_mib << 20
    scores = _score(context, _of(payload, aligned[::2]), edges, memory=memory)
    if isinstance(scores, NotJudged):
        return scores.model_copy(update={"left_out": left_out})
    shares = weighted_share(scores.table, scores.gaps)
    generator = _generator(context, payload.contrast)
    sizes = tuple(max(1, round(fraction * edges.count)) for fraction in FRACTIONS)
    circuits = _circuits(shares, sizes, generator, random=settings.random)
    judge = _Judge(edges, circuits, sizes=len(sizes), random=settings.random, memory=memory)
    judged = each_pair(context, _of(payload, aligned[1::2] or aligned), judge)
    ranked = np.lexsort((np.arange(edges.count), -np.abs(shares)))
    return Judged(
        **{**dict(judged), "left_out": left_out},
        scored=len(scores.table),
        same=len(aligned) == 1,
        edges=edges.count,
        sizes=sizes,
        live=tuple(int(edges.live(circuit).sum()) for circuit in circuits[1 : 1 + len(sizes)]),
        completeness=scores.completeness,
        scored_gap=float(np.sqrt((scores.gaps**2).mean())),
        top=tuple(_edge(edges, int(number), shares) for number in ranked[: settings.top]),
        overlap=_overlap(scores.table, scores.gaps, sizes, generator, resamples=settings.resamples),
    )


def measure(context: Context, results: Sequence[Result]) -> Iterable[UnadjustedMeasurement]:
    """The faithfulness curve with random circuits beside it, its summaries, the largest edges, and stability."""
    return measures(context, results)


def _edges_of(context: ComputeContext, payload: Payload) -> Edges | NotApplicable:
    view = structured(context, payload.pairs[0].prompts[0])
    return view if isinstance(view, NotApplicable) else read_edges(view[0])


def _edge(edges: Edges, number: int, shares: FloatArray) -> Edge:
    sender, receiver = edges.name(number)
    return Edge(sender=sender, receiver=receiver, share=float(shares[number]))


def _of(payload: Payload, pairs: Sequence[PairOfPrompts]) -> Payload:
    return payload.model_copy(update={"pairs": tuple(pairs)})


def _not_judged(
    context: ComputeContext, payload: Payload, pairs: Sequence[PairOfPrompts], *, reason: str | None
) -> NotJudged:
    """What can be said of some pairs without a circuit."""
    found = each_pair(context, _of(payload, pairs), looked_at)
    return NotJudged(**{**dict(found), "reason": reason or found.reason})


def _score(context: ComputeContext, payload: Payload, edges: Edges, *, memory: int) -> _Scores | NotJudged:
    """Score every edge on every pair, or say that one circuit takes more than ``memory``."""
    settings: Settings = context.settings
    table: list[FloatArray] = []
    deltas: list[float] = []
    too_large: list[int] = []

    def score(runs: PairRuns, prompts: PairOfPrompts) -> LookedAt:
        needed = memory_of_one(runs, edges)
        if needed > memory:
            too_large.append(needed)
        else:
            found = edge_scores(runs, edges, steps=settings.steps, memory=memory)
            table.append(found.values)
            deltas.append(found.delta)
        return looked_at(runs, prompts)

    scored = each_pair(context, payload, score)
    if too_large:
        reason = f"one circuit of this model takes {max(too_large) >> 20} MiB, more than memory_mib allows"
        return NotJudged(**{**dict(scored), "reason": reason})
    gaps = np.array([pair.gap for pair in scored.pairs])
    return _Scores(np.stack(table), gaps, float(max(abs(delta) for delta in deltas)))


class _Judge:
    """Runs one pair after another with the edges of each circuit alone; ``circuits`` [circuits, edges]."""

    def __init__(
        self, edges: Edges, circuits: np.ndarray[Any, np.dtype[np.bool_]], *, sizes: int, random: int, memory: int
    ) -> None:
        self._edges, self._circuits, self._memory = edges, circuits, memory
        self._sizes, self._kinds = sizes, len(ORDERS) + random
        self._proven = 0

    def __call__(self, runs: PairRuns, prompts: PairOfPrompts) -> JudgedPair:
        margins = circuit_margins(runs, self._edges, self._circuits, memory=self._memory)
        found, signed, *random = map(tuple, margins[1:-1].reshape(self._kinds, self._sizes).tolist())
        prove = self._proven < CHECKED
        self._proven += 1
        return JudgedPair(
            id=prompts.id,
            gap=runs.gap,
            base=runs.base_margin,
            full=runs.base_margin,
            empty=runs.donor_margin,
            found=found,
            signed=signed,
            random=tuple(random),
            checks=_checks(runs, margins[[0, -1]]) if prove else (),
        )


def _circuits(
    shares: FloatArray, sizes: Sequence[int], generator: np.random.Generator, *, random: int
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """[circuits, edges]: none; the ones found, by size; the signed ones; random ones, several times; all."""
    count = len(shares)
    orders = [np.lexsort((np.arange(count), -np.abs(shares))), np.lexsort((np.arange(count), -shares))]
    orders += [generator.permutation(count) for _ in range(random)]
    circuits = np.zeros((2 + len(orders) * len(sizes), count), dtype=bool)
    for number, order in enumerate(orders):
        for place, size in enumerate(sizes):
            circuits[1 + number * len(sizes) + place, order[:size]] = True
    circuits[-1] = True
    return circuits


def _overlap(
    table: FloatArray, gaps: FloatArray, sizes: Sequence[int], generator: np.random.Generator, *, resamples: int
) -> tuple[tuple[float, ...], ...] | None:
    """By size, the Jaccard overlap of the circuit with those of resampled applications.

    ``None`` for fewer than ``FOR_A_SHARE``: a resample of few holds most of them, and agrees with them for that.
    """
    if len(table) < FOR_A_SHARE:
        return None
    own = np.argsort(-np.abs(weighted_share(table, gaps)), kind="stable")
    overlaps: list[list[float]] = [[] for _ in sizes]
    for _ in range(resamples):
        drawn = generator.integers(0, len(table), len(table))
        order = np.argsort(-np.abs(weighted_share(table[drawn], gaps[drawn])), kind="stable")
        for place, size in enumerate(sizes):
            both = len(np.intersect1d(own[:size], order[:size], assume_unique=True))
            overlaps[place].append(both / (2 * size - both))
    return tuple(map(tuple, overlaps))


def _checks(runs: PairRuns, ends: FloatArray) -> tuple[Check, Check]:
    """Both against the model's own forward pass: without an edge the view only reads the other prompt's state again."""
    floor = noise_floor(runs.decoder.model, runs.target)
    bound, note = floor.bound, f"nats; {floor.words}"
    own = own_margins(runs.decoder, runs.target, (runs.pair.donor, runs.pair.base))
    empty, full = (abs(float(end) - margin) for end, margin in zip(ends, own, strict=True))
    return (
        Check("without an edge it is the other prompt's margin", empty <= bound, empty, bound, note),
        Check("with all edges it is the prompt's own margin", full <= bound, full, bound, note),
    )


def _generator(context: ComputeContext, contrast: ContrastRow) -> np.random.Generator:
    return generator_of(context.plan.cases.seed, CARD.name, contrast.field, contrast.group)
