"""Measurements of circuits: the faithfulness curve, its two areas, the edges that matter, and how stable they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from auditor.mechanisms._shared.localisation import put_in, repeated
from auditor.mechanisms._shared.pair_measures import checks_of, supporting, whole_gap
from auditor.mechanisms._shared.specifications import NOISING, SUMMED
from auditor.records import Check
from auditor.statistics.bootstrap import BootstrapSample
from auditor.statistics.minimums import FOR_A_SHARE, interval_may_stand
from auditor.testing.context import Context, FloatArray
from auditor.testing.unadjusted import UnadjustedMeasurement

FRACTIONS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Sizes of circuits as shares of all edges."""
NEAR = 0.15
"""A circuit is enough from the size on from which faithfulness stays this near to 1: one that overshoots is not."""
COMPLETE = 0.05
"""Largest gap between the embedding's edge scores and the difference they should sum to, as a share of it."""
FOUND, SIGNED, RANDOM = "found", "signed", "random"
ORDERS = (FOUND, SIGNED)
"""Circuits by the size of their edges' scores, and by the scores with their sign: what adds to the difference."""


def weighted_share(scores: FloatArray, gaps: FloatArray) -> FloatArray:
    """Σ score·gap / Σ gap² over pairs, edge by edge: [edges]. All zero where no pair has a gap."""
    total = float(gaps @ gaps)
    shares: FloatArray = (gaps @ scores) / total if total > 0 else np.zeros(scores.shape[1])
    return shares


def faithfulness(pairs: Sequence[Mapping[str, Any]], margins: FloatArray) -> FloatArray:
    """f = Σ (m_C − m_∅) / Σ (m_full − m_∅) over pairs, each with its difference's sign: [sizes] from [pairs, sizes].

    Where all differences point one way this is the ratio of the mean margins; where they do not, they do not cancel.
    """
    rows = _sums(pairs, margins).sum(axis=0)
    shares: FloatArray = rows[:-1] / rows[-1]
    return shares


def _sums(pairs: Sequence[Mapping[str, Any]], margins: FloatArray) -> FloatArray:
    """By pair what is left of its difference, by size, and the difference itself: [pairs, sizes + 1]."""
    full = np.array([pair["full"] for pair in pairs])
    empty = np.array([pair["empty"] for pair in pairs])
    gaps = full - empty
    sign = np.sign(gaps)
    return np.column_stack([sign[:, None] * (margins - empty[:, None]), np.abs(gaps)])


def area(values: FloatArray) -> float:
    """Mean of a curve over the fraction of edges, .001 to 1, by trapezia."""
    width = FRACTIONS[-1] - FRACTIONS[0]
    return float(np.trapezoid(values, FRACTIONS) / width)


def measures(context: Context, results: Sequence[Mapping[str, Any]], *, test: str) -> Iterable[UnadjustedMeasurement]:
    """All measurements of every contrast; one without a value where there is nothing to measure."""
    for result in results:
        pairs = result["pairs"]
        common: dict[str, Any] = {"test": test, "checks": checks_of(pairs), "level": 1 - context.plan.thresholds.alpha}
        if result["reason"] or not pairs:
            yield supporting(
                result,
                metric="circuit_faithfulness_area",
                subject={"circuit": FOUND},
                unit="ratio",
                value=float,
                method="",
                **common,
            )
            continue
        method = f"share of the difference left when every other edge is patched; {_basis(result)}"
        yield whole_gap(result, **common)
        yield from _curves(context, result, method, common)
        yield from _size(result, method, common, level=1 - context.plan.thresholds.alpha)
        yield from _edges(result, test, level=1 - context.plan.thresholds.alpha)


def _basis(result: Mapping[str, Any]) -> str:
    where = "the application they were scored on" if result["same"] else "other applications"
    return f"edges scored on {result['scored']} applications, judged on {where}"


def _curves(
    context: Context, result: Mapping[str, Any], method: str, common: Mapping[str, Any]
) -> Iterable[UnadjustedMeasurement]:
    pairs = result["pairs"]
    tables = {kind: np.array([pair[kind] for pair in pairs]) for kind in ORDERS}
    # The mean margin over the random circuits of a size: faithfulness is linear in it.
    tables[RANDOM] = np.array([pair[RANDOM] for pair in pairs]).mean(axis=1)
    level = 1 - context.plan.thresholds.alpha
    for kind, table in tables.items():
        sampled = _sampled(context, pairs, table)
        again = [_again(context, pairs, column) if kind != RANDOM else {} for column in table.T]
        for place, fraction in enumerate(FRACTIONS):
            yield supporting(
                result,
                metric="circuit_faithfulness",
                subject={"circuit": kind, "share_of_edges": f"{fraction:g}"},
                unit="ratio",
                value=lambda table=table, place=place: float(faithfulness(pairs, table)[place]),  # type: ignore[misc]
                interval=lambda sampled=sampled, place=place: _ends(  # type: ignore[misc]
                    sampled, place, level, pairs=len(pairs)
                ),
                method=method,
                **again[place],
                **common,
            )
        yield supporting(
            result,
            metric="circuit_faithfulness_area",
            subject={"circuit": kind},
            unit="ratio",
            value=lambda table=table: area(faithfulness(pairs, table)),  # type: ignore[misc]
            method="area under faithfulness over the share of edges kept, .001 to 1",
            **common,
        )
        yield supporting(
            result,
            metric="circuit_faithfulness_distance",
            subject={"circuit": kind},
            unit="ratio",
            value=lambda table=table: area(np.abs(1 - faithfulness(pairs, table))),  # type: ignore[misc]
            method="area between faithfulness and 1 over the share of edges kept, .001 to 1",
            **common,
        )


def _again(context: Context, pairs: Sequence[Mapping[str, Any]], margins: FloatArray) -> dict[str, Any]:
    """Faithfulness of one circuit, margins [pairs], by other sums, by the probability and by halves of the pairs."""
    full, empty = (np.array([pair[end] for pair in pairs]) for end in ("full", "empty"))
    return repeated(context, {NOISING: put_in(margins - empty)}, full - empty, base=empty, metric=SUMMED)


def _sampled(context: Context, pairs: Sequence[Mapping[str, Any]], margins: FloatArray) -> FloatArray | None:
    """Faithfulness by size for resampled applications, [resamples, sizes]; ``None`` for an illustration."""
    rows = _sums(pairs, margins)
    if not interval_may_stand(len(rows)) or not rows[:, -1].sum() > 0:
        return None
    draws = np.random.default_rng(context.plan.cases.seed).multinomial(
        len(rows), np.full(len(rows), 1 / len(rows)), size=context.plan.thresholds.bootstrap
    )
    sums = draws @ rows
    shares: FloatArray = sums[:, :-1] / sums[:, -1:]
    return shares


def _ends(
    sampled: FloatArray | None, place: int, level: float, *, pairs: int | None = None
) -> tuple[float, float] | None:
    """Percentiles, taken further out for as few ``pairs`` as were resampled."""
    found = None if sampled is None else BootstrapSample(sampled[:, place], pairs).interval(level)
    return None if found is None else (found.low, found.high)


def _size(
    result: Mapping[str, Any], method: str, common: Mapping[str, Any], *, level: float
) -> Iterable[UnadjustedMeasurement]:
    """The smallest circuit that is enough, and how often resampled applications choose the same edges."""
    pairs = result["pairs"]
    margins = np.array([pair["found"] for pair in pairs])

    def smallest() -> int:
        curve = faithfulness(pairs, margins)
        far = [place for place, value in enumerate(curve) if abs(value - 1) > NEAR]
        return min(far[-1] + 1, len(curve) - 1) if far else 0

    yield supporting(
        result,
        metric="circuit_size",
        subject={},
        unit="count",
        value=lambda: float(result["live"][smallest()]),
        method=f"edges on a path to the answer, in the smallest circuit from which on faithfulness stays within "
        f"{NEAR:g} of 1; {method}",
        counts={"edges": result["edges"]},
        **common,
    )
    # The circuit of all edges is always the same, so it says nothing.
    place = FRACTIONS.index(0.01)
    if result["overlap"] is None:
        reason = f"{result['scored']} applications were scored, and stability takes at least {FOR_A_SHARE}"
        yield supporting(
            {**result, "reason": reason},
            metric="circuit_stability",
            subject={"share_of_edges": f"{FRACTIONS[place]:g}"},
            unit="ratio",
            value=float,
            method="mean Jaccard overlap of the circuit with those of resampled applications",
            **common,
        )
    else:
        overlaps = np.array(result["overlap"])
        yield supporting(
            result,
            metric="circuit_stability",
            subject={"share_of_edges": f"{FRACTIONS[place]:g}"},
            unit="ratio",
            value=lambda: float(overlaps[place].mean()),
            method="mean Jaccard overlap of the circuit with those of resampled applications",
            interval=lambda: _ends(overlaps.T, place, level),
            **common,
        )


def _edges(result: Mapping[str, Any], test: str, *, level: float) -> Iterable[UnadjustedMeasurement]:
    """First-order shares of the largest edges, withheld where the scores do not add up."""
    bound = COMPLETE * result["scored_gap"]
    delta = result["completeness"]
    check = Check("scores of the embedding's edges sum to the difference", delta <= bound, delta, bound, "nats")
    for sender, receiver, share in result["top"]:
        yield supporting(
            result,
            test=test,
            metric="circuit_edge",
            subject={"from": sender, "to": receiver},
            unit="ratio",
            value=lambda share=share: share,  # type: ignore[misc]
            checks=(check,),
            level=level,
            method="first-order share of the difference that runs along this edge (EAP-IG); a score, not an ablation, "
            "on the applications it was picked on, so the largest read too large",
        )
