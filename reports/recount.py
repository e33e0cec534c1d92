"""Counting anew: what a bundle's measurements say of its decisions, against its decisions.

This is arithmetic of a few lines on two tables, by none of the code that measured: pairs by what happened to them,
rates, the mean shift of the margin and the exact McNemar p. It holds for bundles of any version. What it leaves out
(intervals, adjusted p, conclusions) is measured anew by ``reports.remeasure``, where the same code is at hand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
from scipy import stats

from auditor.behaviour.metrics import (
    ANSWER_MASS,
    CF_FLIP_RATE,
    CF_FLIP_RATE_AGAINST,
    CF_FLIP_RATE_TOWARDS,
    CF_MEAN_SHIFT,
    CF_NET_EFFECT,
    INVALID_RATE,
    REFUSAL_RATE_GAP,
    SELECTION_RATE,
)
from auditor.records import NO_DECISION, Measurement
from auditor.replicates import application_of
from reports.bundle import Bundle
from reports.differences import Mismatch, short
from reports.evidence_tables import DECISIONS, Asked
from reports.wording import on_file

CLOSE = 1e-9
NET, UNREADABLE = CF_NET_EFFECT, REFUSAL_RATE_GAP
FLIPS = {CF_FLIP_RATE: ("b", "c"), CF_FLIP_RATE_AGAINST: ("b",), CF_FLIP_RATE_TOWARDS: ("c",)}
RATES = {SELECTION_RATE: "favourable", INVALID_RATE: "invalid", ANSWER_MASS: "mass"}


@dataclass(frozen=True)
class Recount:
    """What differs, and how many figures were counted anew of how many measurements."""

    mismatches: tuple[Mismatch, ...]
    figures: int = 0
    measurements: int = 0


def recount(name: str, bundle: Bundle, tables: Asked) -> Recount:
    """Compare what was measured with what was decided.

    Parameters
    ----------
    name
        The bundle's name, for lines.
    tables
        Its cases and decisions.
    """
    found = list(_tables(name, bundle, tables))
    if found:
        return Recount(tuple(found))
    if not bundle.run.asks:
        return Recount(tuple(_beyond_a_file(name, bundle, tables)))
    rows = tables.cases.join(tables.decisions, left_on="id", right_on="case_id").with_columns(
        favourable=pl.col("outcome") == "favourable", invalid=pl.col("outcome").is_in(NO_DECISION)
    )
    arms = {str(key[0]): part for key, part in rows.explode("arms").group_by("arms") if key[0] is not None}
    figures, counted = 0, 0
    for item in bundle.measurements:
        expected = _expected(item, arms, nested=bundle.run.replicates > 1)
        if expected is None:
            continue
        counted += 1
        for place, value in expected.items():
            said = _said(item, place)
            # A failed self-check takes numbers and counts away; what is left is compared.
            if said is _ABSENT or (said is None and any(not check.held for check in item.checks)):
                continue
            figures += 1
            if not _same(said, value):
                words = f"{short(value)}, as counted from {DECISIONS}"
                found.append(Mismatch(name, f"measurements.json: {item.id}: {place}", short(said), words))
    found += _lacking(name, bundle)
    return Recount(tuple(found), figures, counted)


def _tables(name: str, bundle: Bundle, tables: Asked) -> Iterator[Mismatch]:
    """Whether both tables hold together: one decision a case, by the plan's rule, of the applications of the run."""
    cases, decisions = tables.cases, tables.decisions
    for frame, key, file in ((cases, "id", "cases.parquet"), (decisions, "case_id", DECISIONS)):
        if frame[key].null_count() or frame[key].n_unique() < frame.height:
            yield Mismatch(name, f"{file}: {key}", "an id that is missing or stands twice", "every id once")
            return
    for left, right, words in (
        (decisions.select(id="case_id"), cases.select("id"), "a decision of no case"),
        (cases.select("id"), decisions.select(id="case_id"), "a case without its decision"),
    ):
        beside = left.join(right, on="id", how="anti")
        if beside.height:
            yield Mismatch(name, f"{DECISIONS}: {short(beside['id'][0])}", words, "one decision a case")
            return
    selected = set(bundle.run.data.selected)
    filed = set(cases.filter(pl.col("role") == "actual")["cluster"].to_list())
    if bundle.run.replicates > 1:
        filed = set(map(application_of, filed))
    if filed != selected:
        odd = min(filed ^ selected)
        where = "in cases.parquet and not in run.json" if odd in filed else "in run.json and not in cases.parquet"
        yield Mismatch(name, f"cases.parquet: application {short(odd)}", where, "the applications of the run")
    twice = cases.explode("arms").drop_nulls("arms").group_by("arms", "cluster").len().filter(pl.col("len") > 1)
    if twice.height:
        one = twice.sort("arms", "cluster").row(0)
        yield Mismatch(name, f"cases.parquet: {short(one[1])}", f"more than one case in {short(one[0])}", "one a group")
    yield from _by_the_rule(name, bundle, decisions)


def _by_the_rule(name: str, bundle: Bundle, decisions: pl.DataFrame) -> Iterator[Mismatch]:
    """Each scored decision follows from its margin and its mass; sampled answers have neither."""
    floor = bundle.plan.prompt.answers.mass_floor
    cut = bundle.plan.operating_point.natural_margin
    numbers = pl.col("margin").is_not_null(), pl.col("mass").is_not_null()
    if bundle.run.asks and bundle.run.reading is None:
        # Weights give both numbers of every case, or their text is read, which gives neither.
        wanted = bundle.run.generated is None
        odd = decisions.filter(~(numbers[0] & numbers[1]) if wanted else numbers[0] | numbers[1])
        if odd.height:
            where = f"{DECISIONS}: {short(odd['case_id'][0])}: margin"
            if wanted:
                yield Mismatch(name, where, "no margin", "a margin of every case")
            else:
                yield Mismatch(name, where, "a margin", "none: its text was read")
            return
    scored = decisions.filter(numbers[0] & numbers[1])
    if scored.is_empty():
        return
    unread = pl.when(pl.col("mass") < floor).then(pl.lit("invalid"))
    ruled = unread.when(pl.col("margin") >= cut).then(pl.lit("favourable")).otherwise(pl.lit("adverse"))
    odd = scored.with_columns(ruled=ruled).filter(pl.col("ruled") != pl.col("outcome"))
    if odd.height:
        one = odd.row(0, named=True)
        words = f"{one['ruled']} by its margin and the plan's rule ({odd.height:,} such)"
        yield Mismatch(name, f"{DECISIONS}: {short(one['case_id'])}: outcome", short(one["outcome"]), words)
    logged = scored.filter(pl.col("log_favourable").is_not_null() & pl.col("log_adverse").is_not_null())
    apart = (pl.col("log_favourable") - pl.col("log_adverse") - pl.col("margin")).abs()
    sums = (pl.col("log_favourable").exp() + pl.col("log_adverse").exp() - pl.col("mass")).abs()
    odd = logged.filter((apart > 1e-6) | (sums > 1e-6) | apart.is_nan())
    if odd.height:
        one = odd.row(0, named=True)
        found = f"margin {one['margin']:g} and mass {one['mass']:g}"
        words = f"what its log-probabilities give ({odd.height:,} such)"
        yield Mismatch(name, f"{DECISIONS}: {short(one['case_id'])}", found, words)


def _expected(item: Measurement, arms: Mapping[str, pl.DataFrame], *, nested: bool) -> dict[str, Any] | None:
    """What a measurement must say, by place in it; ``None`` for one that is not counted here.

    Where replicates are ``nested`` in applications, its p is none of McNemar's.
    """
    subject = item.subject
    if not {"field", "group"} <= set(subject) or len(subject) > 2:
        return None
    mine = arms.get(f"{subject['field']}={subject['group']}")
    if item.test == "counterfactual" and item.reference is not None:
        base = arms.get(f"{subject['field']}={item.reference}")
        return None if mine is None or base is None else _pairs(item, _joined(base, mine), nested=nested)
    if item.metric in RATES and item.test in ("arm_rates", "group_rates") and mine is not None:
        # A rate that is hidden with a small group is not printed: nothing is compared of it.
        if item.estimate is None:
            return None
        chosen = mine if item.test == "arm_rates" else mine.filter(pl.col("role") == "actual")
        return {"n": chosen.height, "estimate": _mean(chosen[RATES[item.metric]])}
    return None


def _joined(base: pl.DataFrame, mine: pl.DataFrame) -> pl.DataFrame:
    """One row an application that stands in both arms; columns of the group end in ``_g``."""
    names = ("cluster", "favourable", "invalid", "margin")
    return base.select(names).join(mine.select(names), on="cluster", suffix="_g")


def _pairs(item: Measurement, pairs: pl.DataFrame, *, nested: bool) -> dict[str, Any] | None:
    n = pairs.height
    if item.metric == NET or item.metric in FLIPS:
        counts = _counts(pairs, "favourable")
    elif item.metric == UNREADABLE:
        counts = _counts(pairs, "invalid")
    elif item.metric == CF_MEAN_SHIFT and item.estimate is not None:
        return {"n": n, "estimate": _mean(pairs["margin_g"] - pairs["margin"])}
    else:
        return None
    b, c = counts["b"], counts["c"]
    if item.metric in FLIPS:
        return {"n": n, "estimate": sum(counts[key] for key in FLIPS[item.metric]) / n if n else None}
    expected: dict[str, Any] = {"n": n, "counts.b": b, "counts.c": c, "counts.flips": b + c}
    word = "favourable" if item.metric == NET else "unreadable"
    both = counts["a"]
    expected |= {f"counts.{word}_reference": both + b, f"counts.{word}_group": both + c}
    # A failed self-check takes the numbers away and leaves the counts.
    if item.estimate is not None or not any(not check.held for check in item.checks):
        expected["estimate"] = (c - b) / n if n else None
    if item.p_value is not None and not nested:
        expected["p_value"] = float(stats.binomtest(min(b, c), b + c).pvalue) if b + c else 1.0
    return expected


def _counts(pairs: pl.DataFrame, what: str) -> dict[str, int]:
    """Pairs by outcome: a both, b the reference only, c the group only."""
    left, right = pairs[what], pairs[f"{what}_g"]
    return {"a": int((left & right).sum()), "b": int((left & ~right).sum()), "c": int((~left & right).sum())}


def _beyond_a_file(name: str, bundle: Bundle, tables: Asked) -> Iterator[Mismatch]:
    """What a run on decisions already taken cannot hold: cases, and numbers of tests that need answers."""
    if tables.cases.height:
        yield Mismatch(name, "cases.parquet", f"{tables.cases.height:,} cases", "none: the run asked nobody")
    for item in bundle.measurements:
        if item.estimate is not None and not on_file(item):
            yield Mismatch(name, f"measurements.json: {item.id}", short(item.estimate), "no number: nobody was asked")


def _lacking(name: str, bundle: Bundle) -> Iterator[Mismatch]:
    """Contrasts of the plan that no measurement speaks of, and contrasts that are none of the plan's."""
    if "counterfactual" not in bundle.plan.tests.run:
        return
    planned = {
        (item.field, group, item.reference)
        for item in bundle.plan.attributes
        for group in item.groups
        if group != item.reference
    }
    net = [item for item in bundle.measurements if item.test == "counterfactual" and item.metric == NET]
    there = {(item.subject.get("field"), item.subject.get("group"), item.reference) for item in net}
    for field, group, reference in sorted(planned - there):
        contrast = f"{field}: {group} against {reference}"
        yield Mismatch(name, f"measurements.json: {NET}", f"nothing of {contrast}", "every contrast of plan.json")
    for item in net:
        if (item.subject.get("field"), item.subject.get("group"), item.reference) not in planned:
            yield Mismatch(name, f"measurements.json: {item.id}", "a contrast", "one of plan.json")


_ABSENT = object()


def _said(item: Measurement, place: str) -> Any:
    """What a measurement says; a count it does not have is not compared, but for those every version has."""
    if not place.startswith("counts."):
        return getattr(item, place)
    key = place.removeprefix("counts.")
    return item.counts.get(key, None if key in ("b", "c") else _ABSENT)


def _same(said: Any, value: Any) -> bool:
    if said is None or value is None:
        return said is value
    if isinstance(said, bool) or not isinstance(said, int | float):
        return False
    return math.isclose(said, value, rel_tol=CLOSE, abs_tol=CLOSE)


def _mean(values: pl.Series) -> float | None:
    mean = values.cast(pl.Float64).mean()
    return float(mean) if isinstance(mean, float) else None
