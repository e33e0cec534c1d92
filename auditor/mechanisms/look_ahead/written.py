"""Measurements of who writes the decision at the last token, and which fields must be attended to for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from auditor.mechanisms._shared.pair_measures import SMALLEST_GAP, worst_checks
from auditor.mechanisms.look_ahead.layout import LAST
from auditor.mechanisms.look_ahead.part import Part, share
from auditor.mechanisms.look_ahead.result import TracingResult
from auditor.mechanisms.look_ahead.tracing import ALL_FIELDS
from auditor.mechanisms.look_ahead.tracing_rows import Trace
from auditor.records import Check
from auditor.statistics.results import Estimate, missing
from auditor.testing.context import FloatArray
from auditor.testing.unadjusted import UnadjustedMeasurement

ATTENTION, MLP, REST = "attention", "MLP", "embedding and constants"


def tracing(part: Part[TracingResult]) -> Iterable[UnadjustedMeasurement]:
    """Shares written, what can be decoded on the way, and what cutting attention does."""
    cases = [case for result in part.results for case in result.cases]
    if part.reason or not cases:
        nothing = missing(method="contributions to the margin", reason=part.reason or "no application", n=0)
        yield part.draft(nothing, metric="written_share", unit="share")
        return
    checks = list(worst_checks(check for case in cases for check in case.checks))
    if part.first.exact:
        checks.append(part.decided((case.id, case.margin) for case in cases))
    yield from _written(part, cases, checks)
    yield from _seen(part, cases, checks)
    yield from _knockout(part, cases, checks)


def _written(
    part: Part[TracingResult], cases: Sequence[Trace], checks: Sequence[Check]
) -> Iterable[UnadjustedMeasurement]:
    margins = np.array([case.margin for case in cases])
    attention = np.array([case.attention for case in cases])
    mlps = np.array([case.mlps for case in cases])
    totals = {ATTENTION: attention.sum(axis=1), MLP: mlps.sum(axis=1)}
    totals[REST] = margins - totals[ATTENTION] - totals[MLP]
    for node, values in totals.items():
        yield part.draft(
            _covered(part, values, margins, f"share of the differences between applications that {node} write"),
            metric="written_share",
            subject={"node": node},
            unit="share",
            checks=checks,
        )
    for node, values in totals.items():
        yield part.draft(
            part.mean(values, method="mean contribution to the margin"),
            metric="written_mean",
            subject={"node": node},
            unit="logit",
            checks=checks,
        )
    for node, table in ((ATTENTION, attention), (MLP, mlps)):
        for layer in range(table.shape[1]):
            yield part.draft(
                _covered(part, table[:, layer], margins, "share of the differences between applications"),
                metric="written_by_layer",
                subject={"layer": str(layer), "node": node},
                unit="share",
                checks=checks,
            )


def _covered(part: Part[TracingResult], values: FloatArray, margins: FloatArray, method: str) -> Estimate:
    """Cov(contribution, margin) / Var(margin): over all components these sum to 1, because contributions sum to m."""
    if len(margins) < 2 or float(margins.std()) < SMALLEST_GAP:
        return missing(method=method, reason="the margins do not differ", n=len(margins))
    rows = np.stack([values * margins, values, margins, margins**2, np.ones_like(margins)], axis=1)

    def statistic(sums: FloatArray) -> FloatArray:
        both, own, total, squares, n = sums.T
        spread = squares - total**2 / n
        return np.asarray(np.where(spread > 0, (both - own * total / n) / spread, np.nan))

    return part.resampled(rows, statistic, method=f"{method}: Cov(contribution, margin) / Var(margin)")


def _seen(
    part: Part[TracingResult], cases: Sequence[Trace], checks: Sequence[Check]
) -> Iterable[UnadjustedMeasurement]:
    """How far the decided answer has come, by layer, when a state is decoded as if it were the last."""
    for tables, metric, method in (
        (
            [case.probability for case in cases],
            "answer_probability",
            "mean probability of the decided answer, decoded at the last token",
        ),
        (
            [case.reciprocal for case in cases],
            "answer_reciprocal_rank",
            "mean of 1 / rank of the decided answer, decoded at the last token",
        ),
    ):
        for decoded in tables[0]:
            table = np.array([each[decoded] for each in tables])
            for layer in range(table.shape[1]):
                rows = np.stack([table[:, layer], np.ones(len(table))], axis=1)
                yield part.draft(
                    part.resampled(rows, share, method=method),
                    metric=metric,
                    subject={"layer": str(layer), "decoded": decoded},
                    unit="share",
                    checks=checks,
                )


def _knockout(
    part: Part[TracingResult], cases: Sequence[Trace], checks: Sequence[Check]
) -> Iterable[UnadjustedMeasurement]:
    margins = np.array([case.margin for case in cases])
    without = np.array([case.without_all for case in cases])
    rows = np.stack([without, without**2, margins, margins**2, np.ones_like(margins)], axis=1)
    yield part.draft(
        part.resampled(rows, _spread_left, method="SD of the margins with every field knocked out, over their SD"),
        metric="knockout_spread_left",
        unit="ratio",
        checks=checks,
        counts={"twins": sum(case.twin for case in cases)},
    )
    placebo = part.context.plan.placebo
    fields = cases[0].to_last.fields
    cut = np.array([case.to_last.whole for case in cases])
    deep = [(case, case.to_later) for case in cases if case.to_later is not None]
    tables = {LAST: ([*fields, ALL_FIELDS], cut - margins[:, None])} if cut.size else {}
    if deep:
        later = np.array([[*blocked, case.without_all] for case, blocked in deep])
        own = np.array([case.margin for case, _ in deep])
        tables["all later text"] = ([*fields, ALL_FIELDS], later - own[:, None])
    for to, (names, changes) in tables.items():
        floor = (
            float(np.abs(changes[:, names.index(placebo.field)]).mean()) if placebo and placebo.field in names else None
        )
        for name, change in zip(names, changes.T, strict=True):
            yield part.draft(
                _size(part, change, "mean |change| of the margin when attention from this field is cut, all layers"),
                metric="knockout_size",
                subject={"field": name, "to": to},
                unit="logit",
                checks=checks,
                counts={"signed": float(change.mean()), "placebo": floor},
            )
    for number, window in enumerate(cases[0].to_last.windows):
        moved = np.array([case.to_last.windows[number].margins for case in cases]) - margins[:, None]
        for name, change in zip([*fields, ALL_FIELDS], moved.T, strict=True):
            last = window.stop - 1
            yield part.draft(
                _size(part, change, f"mean |change| of the margin, attention cut in layers {window.first} to {last}"),
                metric="knockout_window_size",
                subject={"layer": str(window.first), "position": name},
                unit="logit",
                checks=checks,
                counts={"last_layer": last},
            )


def _size(part: Part[TracingResult], change: FloatArray, method: str) -> Estimate:
    return part.resampled(np.stack([np.abs(change), np.ones_like(change)], axis=1), share, method=method)


def _spread_left(sums: FloatArray) -> FloatArray:
    left, left_squares, own, own_squares, n = sums.T
    variances = np.maximum(np.stack([left_squares - left**2 / n, own_squares - own**2 / n]), 0.0)
    return np.asarray(np.sqrt(np.where(variances[1] > 0, variances[0], np.nan) / variances[1]))
