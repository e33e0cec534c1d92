"""Measurements of circuits: the faithfulness curve, its two areas, the edges that matter, and how stable they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from auditor.mechanisms._shared.localisation import Repeated, put_in, repeated
from auditor.mechanisms._shared.pair_measures import OfContrast
from auditor.mechanisms._shared.specifications import NOISING, SUMMED
from auditor.mechanisms.circuits.card import CARD
from auditor.mechanisms.circuits.result import Judged, JudgedPair, NotJudged, Result
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


@dataclass(frozen=True)
class Ends:
    """Margins of every pair with all edges and with none, [pairs], in nats."""

    full: FloatArray
    empty: FloatArray

    @classmethod
    def of(cls, pairs: Sequence[JudgedPair]) -> Ends:
        """Of some pairs."""
        return cls(np.array([pair.full for pair in pairs]), np.array([pair.empty for pair in pairs]))

    @property
    def gaps(self) -> FloatArray:
        """The difference that a circuit may leave."""
        return self.full - self.empty

    def left(self, margins: FloatArray) -> FloatArray:
        """By pair what is left of its difference, by size, and the difference itself: [pairs, sizes + 1].

        Each with its difference's sign; ``margins`` [pairs, sizes].
        """
        return np.column_stack([np.sign(self.gaps)[:, None] * (margins - self.empty[:, None]), np.abs(self.gaps)])


def weighted_share(scores: FloatArray, gaps: FloatArray) -> FloatArray:
    """Σ score·gap / Σ gap² over pairs, edge by edge: [edges]. All zero where no pair has a gap."""
    total = float(gaps @ gaps)
    shares: FloatArray = (gaps @ scores) / total if total > 0 else np.zeros(scores.shape[1])
    return shares


def faithfulness(ends: Ends, margins: FloatArray) -> FloatArray:
    """f = Σ (m_C − m_∅) / Σ (m_full − m_∅) over pairs, each with its difference's sign: [sizes] from [pairs, sizes].

    Where all differences point one way this is the ratio of the mean margins; where they do not, they do not cancel.
    """
    rows = ends.left(margins).sum(axis=0)
    shares: FloatArray = rows[:-1] / rows[-1]
    return shares


def area(values: FloatArray) -> float:
    """Mean of a curve over the fraction of edges, .001 to 1, by trapezia."""
    width = FRACTIONS[-1] - FRACTIONS[0]
    return float(np.trapezoid(values, FRACTIONS) / width)


def measures(context: Context, results: Sequence[Result]) -> Iterable[UnadjustedMeasurement]:
    """The faithfulness curve with random circuits beside it, its summaries, the largest edges, and stability.

    One measurement without a value where there is nothing to measure.
    """
    for result in results:
        found = OfContrast.of(context, result, test=CARD.name)
        if isinstance(result, NotJudged) or not result.pairs:
            yield found.measured(
                metric="circuit_faithfulness_area", subject={"circuit": FOUND}, unit="ratio", value=float, method=""
            )
            continue
        method = f"share of the difference left when every other edge is patched; {_basis(result)}"
        yield found.whole_gap()
        yield from _curves(found, result.pairs, method)
        yield _size(found, result, method)
        yield _stability(found, result)
        yield from _edges(found, result)


def _basis(result: Judged) -> str:
    where = "the application they were scored on" if result.same else "other applications"
    return f"edges scored on {result.scored} applications, judged on {where}"


def _curves(found: OfContrast, pairs: Sequence[JudgedPair], method: str) -> Iterable[UnadjustedMeasurement]:
    ends = Ends.of(pairs)
    tables = {
        FOUND: np.array([pair.found for pair in pairs]),
        SIGNED: np.array([pair.signed for pair in pairs]),
        # The mean margin over the random circuits of a size: faithfulness is linear in it.
        RANDOM: np.array([pair.random for pair in pairs]).mean(axis=1),
    }
    for kind, table in tables.items():
        yield from _curve(found, ends, table, kind, method)
        yield found.measured(
            metric="circuit_faithfulness_area",
            subject={"circuit": kind},
            unit="ratio",
            value=lambda table=table: area(faithfulness(ends, table)),  # type: ignore[misc]
            method="area under faithfulness over the share of edges kept, .001 to 1",
        )
        yield found.measured(
            metric="circuit_faithfulness_distance",
            subject={"circuit": kind},
            unit="ratio",
            value=lambda table=table: area(np.abs(1 - faithfulness(ends, table))),  # type: ignore[misc]
            method="area between faithfulness and 1 over the share of edges kept, .001 to 1",
        )


def _curve(found: OfContrast, ends: Ends, table: FloatArray, kind: str, method: str) -> Iterable[UnadjustedMeasurement]:
    """Faithfulness of one kind of circuit by size; ``table`` [pairs, sizes]."""
    sampled = _sampled(found.context, ends, table)
    for place, fraction in enumerate(FRACTIONS):
        yield found.measured(
            metric="circuit_faithfulness",
            subject={"circuit": kind, "share_of_edges": f"{fraction:g}"},
            unit="ratio",
            value=lambda place=place: float(faithfulness(ends, table)[place]),  # type: ignore[misc]
            interval=lambda place=place: _ends(sampled, place, found.level, pairs=len(table)),  # type: ignore[misc]
            method=method,
            again=_again(found.context, ends, table[:, place]) if kind != RANDOM else None,
        )


def _again(context: Context, ends: Ends, margins: FloatArray) -> Repeated:
    """Faithfulness of one circuit, margins [pairs], by other sums, by the probability and by halves of the pairs."""
    moved = {NOISING: put_in(margins - ends.empty)}
    return repeated(context, moved, ends.gaps, base=ends.empty, metric=SUMMED)


def _sampled(context: Context, ends: Ends, margins: FloatArray) -> FloatArray | None:
    """Faithfulness by size for resampled applications, [resamples, sizes]; ``None`` for an illustration."""
    rows = ends.left(margins)
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


def _size(found: OfContrast, result: Judged, method: str) -> UnadjustedMeasurement:
    """The smallest circuit that is enough."""
    ends, margins = Ends.of(result.pairs), np.array([pair.found for pair in result.pairs])

    def smallest() -> int:
        curve = faithfulness(ends, margins)
        far = [place for place, value in enumerate(curve) if abs(value - 1) > NEAR]
        return min(far[-1] + 1, len(curve) - 1) if far else 0

    return found.measured(
        metric="circuit_size",
        subject={},
        unit="count",
        value=lambda: float(result.live[smallest()]),
        method=f"edges on a path to the answer, in the smallest circuit from which on faithfulness stays within "
        f"{NEAR:g} of 1; {method}",
        counts={"edges": result.edges},
    )


def _stability(found: OfContrast, result: Judged) -> UnadjustedMeasurement:
    """How often resampled applications choose the same edges."""
    # The circuit of all edges is always the same, so it says nothing.
    place = FRACTIONS.index(0.01)
    overlaps = None if result.overlap is None else np.array(result.overlap[place])
    too_few = f"{result.scored} applications were scored, and stability takes at least {FOR_A_SHARE}"
    return found.measured(
        metric="circuit_stability",
        subject={"share_of_edges": f"{FRACTIONS[place]:g}"},
        unit="ratio",
        value=lambda: float("nan") if overlaps is None else float(overlaps.mean()),
        method="mean Jaccard overlap of the circuit with those of resampled applications",
        interval=lambda: None if overlaps is None else _ends(overlaps[:, None], 0, found.level),
        missing=too_few if overlaps is None else None,
    )


def _edges(found: OfContrast, result: Judged) -> Iterable[UnadjustedMeasurement]:
    """First-order shares of the largest edges, withheld where the scores do not add up."""
    bound = COMPLETE * result.scored_gap
    delta = result.completeness
    check = Check("scores of the embedding's edges sum to the difference", delta <= bound, delta, bound, "nats")
    scores = replace(found, checks=(check,))
    for edge in result.top:
        yield scores.measured(
            metric="circuit_edge",
            subject={"from": edge.sender, "to": edge.receiver},
            unit="ratio",
            value=lambda edge=edge: edge.share,  # type: ignore[misc]
            method="first-order share of the difference that runs along this edge (EAP-IG); a score, not an ablation, "
            "on the applications it was picked on, so the largest read too large",
        )
