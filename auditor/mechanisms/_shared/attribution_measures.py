"""Measurements from the attributions of single applications: sizes, and the share of what is protected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from auditor.counterfactuals import ACTUAL
from auditor.mechanisms._shared.attribution_rows import Attributed
from auditor.mechanisms._shared.players import Player
from auditor.records import Check, Role
from auditor.statistics.bootstrap import bootstrap_totals
from auditor.statistics.minimums import FOR_A_SHARE, interval_may_stand, scope
from auditor.statistics.results import Estimate, Interval, missing
from auditor.testing.context import Context, FloatArray
from auditor.testing.factory import measurement
from auditor.testing.unadjusted import UnadjustedMeasurement

OCCLUSION = "occlusion"
SHAPLEY = "shapley"
PATH, GRADIENT = "integrated_gradients", "gradient_times_input"
SYMBOLS = {
    OCCLUSION: "m(x) − m(x with the field at the reference)",
    SHAPLEY: "φ",
    PATH: "(x − x′)·∫∂m/∂x",
    GRADIENT: "(x − x′)·∂m/∂x",
}


@dataclass(frozen=True)
class Explained:
    """All applications that one method explained, and the part of the measurements that they share.

    ``reference_words`` holds a field's word where all of them are compared with the same.
    """

    context: Context
    test: str
    method: str
    players: tuple[Player, ...]
    reference: str
    reference_words: Mapping[str, str]
    cases: tuple[Attributed, ...]
    checks: tuple[Check, ...]
    left_out: int
    note: str = ""

    @property
    def level(self) -> float:
        """Of every interval."""
        return 1 - self.context.plan.thresholds.alpha

    def measured(
        self, estimate: Estimate, *, metric: str, unit: str, player: Player | None = None, **more: Any
    ) -> UnadjustedMeasurement:
        """One supporting measurement; of a single field the reference is the value it was compared with."""
        subject = {"method": self.method}
        reference = self.reference
        if player is not None:
            subject = {"field": player.name, **subject}
            if player.fields[0] in self.reference_words and len(player.fields) == 1:
                reference = self.reference_words[player.fields[0]]
        words = (estimate.method, self.note, scope(estimate.n) if estimate.value is not None else "")
        estimate = replace(estimate, method="; ".join(part for part in words if part))
        counts = {"cases": len(self.cases), "cases_left_out": self.left_out, **more.pop("counts", {})}
        return UnadjustedMeasurement(
            measurement(
                estimate,
                test=self.test,
                metric=metric,
                role=Role.SUPPORTING,
                subject=subject,
                reference=reference,
                unit=unit,
                cases=f"role:{ACTUAL}",
                level=self.level,
                checks=self.checks,
                counts=counts,
                **{"higher_is_better": None, **more},
            )
        )

    def bootstrapped(
        self, rows: FloatArray, statistic: Callable[[FloatArray], FloatArray], *, method: str, least: int = 1
    ) -> Estimate:
        """A function of sums over applications, with a percentile interval from resampled applications.

        So few that it is an illustration have no interval; fewer than ``least`` have no value.

        Parameters
        ----------
        rows
            Shape (applications, m).
        statistic
            From sums, shape (block, m), to values, shape (block,).
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(statistic(rows.sum(axis=0, keepdims=True))[0]) if len(rows) else np.nan
        if not np.isfinite(value):
            return missing(method=method, reason="no explained application gives it a value", n=len(rows))
        if len(rows) < least:
            too_few = f"one application gives no share; {FOR_A_SHARE} and more tell"
            return missing(method=method, reason=too_few, n=len(rows))
        interval: Interval | None = None
        if interval_may_stand(len(rows)):
            thresholds = self.context.plan.thresholds
            sampled = bootstrap_totals(
                totals=rows, statistic=statistic, resamples=thresholds.bootstrap, seed=self.context.plan.cases.seed
            )
            interval = sampled.interval(1 - thresholds.alpha)
        reason = None if interval else f"an interval takes {FOR_A_SHARE} applications"
        return Estimate(value=value, n=len(rows), method=method, interval=interval, reason=reason)


def sizes(explained: Explained) -> Iterable[UnadjustedMeasurement]:
    """How large each player's values are, either way and with their sign, and the share of what is protected."""
    for player in explained.players:
        values = np.array(
            [
                values[player.name]
                for case in explained.cases
                if player.name in (values := case.values[explained.method])
            ],
            dtype=np.float64,
        )
        if not len(values):
            continue  # it played in no game, or could not be compared
        unknown = {"not_played": len(explained.cases) - len(values)}
        rows = np.column_stack([np.abs(values), values, np.ones(len(values))])
        size = explained.bootstrapped(rows, lambda sums: sums[:, 0] / sums[:, 2], method=f"mean |{_symbol(explained)}|")
        yield explained.measured(size, metric="attribution_size", unit="logit", player=player, counts=unknown)
        signed = explained.bootstrapped(rows, lambda sums: sums[:, 1] / sums[:, 2], method=f"mean {_symbol(explained)}")
        yield explained.measured(signed, metric="attribution_signed", unit="logit", player=player, counts=unknown)
    protected = {player.name for player in explained.players if player.protected}
    totals = np.array(
        [
            [
                sum(abs(value) for name, value in case.values[explained.method].items() if name in protected),
                sum(abs(value) for value in case.values[explained.method].values()),
            ]
            for case in explained.cases
        ]
    )
    share = explained.bootstrapped(
        totals,
        lambda sums: sums[:, 0] / sums[:, 1],
        method="Σ|value| of protected attributes and proxies over Σ|value|",
        least=2,
    )
    yield explained.measured(share, metric="protected_share", unit="rate", higher_is_better=False)


def _symbol(explained: Explained) -> str:
    return SYMBOLS[explained.method]
