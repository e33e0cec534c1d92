"""The circuit of a change of group: which connections carry it, and how much they carry when only they are left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from auditor.language_models.noise import noise_floor
from auditor.language_models.not_applicable import NotApplicable
from auditor.mechanisms._shared.bench import ComputeContext
from auditor.mechanisms._shared.pair_measures import each_pair
from auditor.mechanisms._shared.pairs import PairRuns, own_margins, plan_pairs, read_pair, structured
from auditor.mechanisms._shared.patches import CHECKED
from auditor.mechanisms.circuits.card import CARD, Settings
from auditor.mechanisms.circuits.edge_runs import FloatArray, circuit_margins, edge_scores, memory_of_one
from auditor.mechanisms.circuits.edges import Edges, read_edges
from auditor.mechanisms.circuits.measure import FRACTIONS, ORDERS, measures, weighted_share
from auditor.records import Check
from auditor.seeds import generator_of
from auditor.statistics.minimums import FOR_A_SHARE
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement


def plan_chunks(asked: PlanContext) -> Iterable[ChunkSpec]:
    """One chunk a contrast."""
    settings: Settings = asked.settings
    # Passes over a suffix, which is a third of a prompt on average; half of the pairs are scored, half are judged.
    cost = (2 * settings.steps + len(FRACTIONS) * (len(ORDERS) + settings.random)) / 6 + 3
    return plan_pairs(asked, name=CARD.name, pairs=settings.pairs, cost=cost)


def compute(bench: ComputeContext, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Score the edges on half of the pairs, judge the circuits on the other half.

    Returns
    -------
    dict
        Of every judged pair the margins of all circuits; the largest edges and their shares; how often resampled
        applications choose the same edges. Or the ``reason`` why the model cannot be tested.
    """
    settings: Settings = bench.settings
    found = _edges_of(bench, payload)
    if isinstance(found, NotApplicable):
        return {**each_pair(bench, {**payload, "pairs": payload["pairs"][:1]}, lambda *_: {}), "reason": found.reason}
    read = [(row, read_pair(bench, row)) for row in payload["pairs"]]
    aligned = [row for row, pair in read if not isinstance(pair, NotApplicable)]
    left_out = dict(Counter(pair.reason for _, pair in read if isinstance(pair, NotApplicable)))
    if not aligned:
        return each_pair(bench, payload, lambda *_: {})
    memory = settings.memory_mib << 20
    scores: list[FloatArray] = []
    deltas: list[float] = []
    too_large: list[int] = []

    def score(runs: PairRuns, _: str) -> dict[str, Any]:
        needed = memory_of_one(runs, found)
        if needed > memory:
            too_large.append(needed)
            return {}
        result = edge_scores(runs, found, steps=settings.steps, memory=memory)
        scores.append(result.values)
        deltas.append(result.delta)
        return {}

    scored = each_pair(bench, {**payload, "pairs": aligned[::2]}, score)
    if too_large:
        reason = f"one circuit of this model takes {max(too_large) >> 20} MiB, more than memory_mib allows"
        return {**scored, "reason": reason, "left_out": left_out}
    gaps = np.array([pair["gap"] for pair in scored["pairs"]])
    table = np.stack(scores)
    shares = weighted_share(table, gaps)
    generator = _generator(bench, payload["contrast"])
    sizes = [max(1, round(fraction * found.count)) for fraction in FRACTIONS]
    circuits = _circuits(shares, sizes, generator, random=settings.random)

    proven: list[str] = []

    def judge(runs: PairRuns, application: str) -> dict[str, Any]:
        prove = len(proven) < CHECKED
        proven.append(application)
        margins = circuit_margins(runs, found, circuits, memory=memory)
        kinds = len(ORDERS) + settings.random
        rows = margins[1 : 1 + len(sizes) * kinds].reshape(kinds, len(sizes))
        return {
            "full": runs.base_margin,
            "empty": runs.donor_margin,
            **{kind: row.tolist() for kind, row in zip(ORDERS, rows, strict=False)},
            "random": rows[len(ORDERS) :].tolist(),
        } | ({"checks": [asdict(check) for check in _checks(runs, margins[[0, -1]])]} if prove else {})

    judged = each_pair(bench, {**payload, "pairs": aligned[1::2] or aligned}, judge)
    ranked = np.lexsort((np.arange(found.count), -np.abs(shares)))
    return {
        **judged,
        "left_out": left_out,
        "scored": len(scores),
        "same": len(aligned) == 1,
        "edges": found.count,
        "sizes": sizes,
        "live": [int(found.live(circuit).sum()) for circuit in circuits[1 : 1 + len(sizes)]],
        "completeness": float(max(abs(delta) for delta in deltas)),
        "scored_gap": float(np.sqrt((gaps**2).mean())),
        "top": [[*found.name(int(edge)), float(shares[edge])] for edge in ranked[: settings.top]],
        "overlap": _overlap(table, gaps, sizes, generator, resamples=settings.resamples),
    }


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """The faithfulness curve with random circuits beside it, its summaries, the largest edges, and stability."""
    return measures(context, context.results.get(CARD.name, ()), test=CARD.name)


def _edges_of(bench: ComputeContext, payload: Mapping[str, Any]) -> Edges | NotApplicable:
    view = structured(bench, payload["pairs"][0]["prompts"][0])
    return view if isinstance(view, NotApplicable) else read_edges(view[0])


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
) -> list[list[float]] | None:
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
    return overlaps


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


def _generator(bench: ComputeContext, contrast: Mapping[str, str]) -> np.random.Generator:
    return generator_of(bench.plan.cases.seed, CARD.name, contrast["field"], contrast["group"])
