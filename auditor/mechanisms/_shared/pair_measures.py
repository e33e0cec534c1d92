"""From effects on counterfactual pairs to measurements: shares of what the change does, with the checks beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from auditor.counterfactuals import arm
from auditor.exceptions import Interrupted
from auditor.language_models.noise import noise_floor
from auditor.language_models.noise_floor import NoiseFloor
from auditor.language_models.not_applicable import NotApplicable
from auditor.mechanisms._shared.bench import ComputeContext
from auditor.mechanisms._shared.pairs import PairRuns, read_pair, run_pair, structured
from auditor.records import Check, Conclusion, Role
from auditor.statistics.bootstrap import bootstrap_totals
from auditor.statistics.minimums import FOR_A_SHARE, interval_may_stand, scope
from auditor.testing.context import Context, FloatArray, case_query
from auditor.testing.factory import made
from auditor.testing.unadjusted import UnadjustedMeasurement

KEPT_BYTES = 512 << 20
"""Memory that kept runs may take."""
SHARES = ("rate", "ratio", "share")
SMALLEST_GAP = 1e-3
"""Below this root mean square gap, in nats, there is no difference to attribute."""


class Kept:
    """Runs of pairs that a chunk looks at twice, as many as fit into ``KEPT_BYTES``: the others are run again."""

    def __init__(self) -> None:
        self._runs: dict[str, PairRuns] = {}
        self._bytes = 0

    def get(self, name: str, run: Callable[[], PairRuns]) -> PairRuns:
        """The runs of one pair."""
        if name in self._runs:
            return self._runs[name]
        runs = run()
        size = runs.size()
        if self._bytes + size <= KEPT_BYTES:
            self._bytes += size
            self._runs[name] = runs
        return runs


def each_pair(
    bench: ComputeContext,
    payload: Mapping[str, Any],
    explain: Callable[[PairRuns, str], dict[str, Any]],
    *,
    kept: Kept | None = None,
) -> dict[str, Any]:
    """Explain every pair of a chunk whose tokens align; count the others by reason."""
    noise = noise_floor(bench.loaded.model).row()
    base = {
        "contrast": payload["contrast"],
        "reason": None,
        "note": "",
        "left_out": {},
        "noise": noise,
        "pairs": [],
    }
    view = structured(bench, payload["pairs"][0]["prompts"][0])
    if isinstance(view, NotApplicable):
        return {**base, "reason": view.reason}
    decoder, target = view
    left_out: dict[str, int] = {}
    pairs = []
    for row in payload["pairs"]:
        if bench.should_stop():
            raise Interrupted("stopped between two pairs; this chunk starts again")
        pair = read_pair(bench, row)
        if isinstance(pair, NotApplicable):
            left_out[pair.reason] = left_out.get(pair.reason, 0) + 1
            continue
        if kept is None:
            runs = run_pair(decoder, target, pair)
        else:
            runs = kept.get(row["id"], partial(run_pair, decoder, target, pair, keep_past=False))
        pairs.append({"id": row["id"], "gap": runs.gap, "base": runs.base_margin, **explain(runs, row["id"])})
    return {**base, "note": target.note, "left_out": left_out, "pairs": pairs}


def nothing_to_share(gaps: FloatArray, floor: NoiseFloor) -> str | None:
    """Why the differences of some pairs cannot be shared out; ``None`` where they can."""
    size = float(np.sqrt((gaps**2).mean()))
    if size < SMALLEST_GAP:
        return f"the change moves the margin by less than {SMALLEST_GAP} nats, so there is nothing to share out"
    if not floor.tells(size):
        return (
            f"the change moves the margin by {size:.2g} nats, which rounding alone could do ({floor.arithmetic}), "
            "so there is nothing to share out"
        )
    return None


def slope(effects: FloatArray, gaps: FloatArray) -> float:
    """Σ effect·gap / Σ gap²: the share of the gap, weighted so that pairs without a gap do not count."""
    return float(effects @ gaps / (gaps @ gaps))


def share_interval(context: Context, effects: FloatArray, gaps: FloatArray) -> tuple[float, float] | None:
    """Percentile interval of :func:`slope` at the plan's level, applications resampled; none for an illustration."""
    if not interval_may_stand(len(gaps)) or not float(gaps @ gaps) > 0:
        return None
    thresholds = context.plan.thresholds
    sampled = bootstrap_totals(
        totals=np.stack([effects * gaps, gaps**2], axis=1),
        statistic=lambda sums: np.asarray(sums[:, 0] / sums[:, 1]),
        resamples=thresholds.bootstrap,
        seed=context.plan.cases.seed,
    )
    found = sampled.interval(1 - thresholds.alpha)
    return (found.low, found.high) if found is not None else None


def checks_of(pairs: Sequence[Mapping[str, Any]]) -> tuple[Check, ...]:
    """The self-checks of all pairs, each at its worst."""
    worst: dict[str, Mapping[str, Any]] = {}
    for pair in pairs:
        for check in pair.get("checks", ()):
            seen = worst.get(check["name"])
            if seen is None or (check["held"], -(check["value"] or 0)) < (seen["held"], -(seen["value"] or 0)):
                worst[check["name"]] = check
    return tuple(Check(**check) for check in worst.values())


def supporting(
    result: Mapping[str, Any],
    *,
    test: str,
    metric: str,
    subject: Mapping[str, str],
    unit: str,
    value: Callable[[], float],
    checks: Sequence[Check],
    method: str,
    needs_gap: bool = True,
    interval: Callable[[], tuple[float, float] | None] | None = None,
    level: float,
    counts: Mapping[str, float | int | None] | None = None,
    again: str = "",
    unstable: str | None = None,
) -> UnadjustedMeasurement:
    """One supporting measurement of a contrast.

    Its number is withheld where a self-check did not hold, and a share where it would come from one application; fewer
    applications than ``FOR_A_SHARE`` are called an illustration. ``again`` says how often
    other specifications agree, and ``unstable`` why nothing can be concluded from it.
    """
    contrast, pairs = result["contrast"], result["pairs"]
    gaps = np.array([pair["gap"] for pair in pairs], dtype=np.float64)
    reason = result["reason"]
    if reason is None and not pairs:
        reason = "no pair is left to look at: " + "; ".join(result["left_out"])
    failed = [check.name for check in checks if not check.held]
    if reason is None and failed:
        reason = f"a self-check did not hold: {'; '.join(failed)}"
    if reason is None and unit in SHARES and len(pairs) < 2:
        reason = f"one application gives no share; {FOR_A_SHARE} and more tell how it is in general"
    if reason is None and needs_gap:
        reason = nothing_to_share(gaps, NoiseFloor(**result["noise"]))
    ends = interval() if interval is not None and reason is None else None
    whole = {"field": contrast["field"], "group": contrast["group"], **subject}
    measured = made(
        test=test,
        metric=metric,
        role=Role.SUPPORTING,
        subject=whole,
        unit=unit,
        reference=contrast["reference"],
        estimate=value() if reason is None else None,
        low=ends[0] if ends else None,
        high=ends[1] if ends else None,
        level=level,
        n=len(pairs),
        checks=tuple(checks),
        cases=case_query(arm(contrast["field"], contrast["reference"]), arm(contrast["field"], contrast["group"])),
        missing_reason=reason,
        conclusion=Conclusion.NOT_TESTED if result["reason"] else Conclusion.INCONCLUSIVE if unstable else None,
        conclusion_reason=result["reason"] or unstable,
        method="; ".join(part for part in (method, result["note"], again, scope(len(pairs)) if pairs else "") if part),
        counts={"left_out": sum(result["left_out"].values()), **(counts or {})},
    )
    return UnadjustedMeasurement(measured)


def shared(
    context: Context, result: Mapping[str, Any], effects: FloatArray, *, gaps: FloatArray | None = None, **about: Any
) -> UnadjustedMeasurement:
    """A share of the difference, Σ effect·gap / Σ gap², with its interval from resampled applications.

    Parameters
    ----------
    effects
        By application, in nats.
    gaps
        The differences of the same applications; all of the result's by default.
    about
        As :func:`supporting` takes it; the level is the plan's.
    """
    own = np.array([pair["gap"] for pair in result["pairs"]], dtype=np.float64) if gaps is None else gaps
    return supporting(
        result,
        unit="ratio",
        value=lambda: slope(effects, own),
        interval=lambda: share_interval(context, effects, own),
        level=1 - context.plan.thresholds.alpha,
        **about,
    )


def whole_gap(result: Mapping[str, Any], *, test: str, checks: Sequence[Check], level: float) -> UnadjustedMeasurement:
    """The difference itself, in nats: what every share of it is a share of."""
    gaps = np.array([pair["gap"] for pair in result["pairs"]], dtype=np.float64)
    return supporting(
        result,
        test=test,
        metric="patch_gap",
        subject={},
        unit="logit",
        value=lambda: float(gaps.mean()),
        checks=checks,
        method="mean difference of the margin over the aligned pairs",
        needs_gap=False,
        level=level,
    )
