"""The controls of an audit in one place, as its evidence holds them; nothing in them is measured here."""

from __future__ import annotations

import math
from collections.abc import Sequence

from auditor.behaviour.metrics import CF_NET_EFFECT, CF_NOISE_FLOOR
from auditor.hashed import Hashed
from auditor.packing import Packing
from auditor.records import Measurement
from auditor.testing.state import State

NOBODY_ASKED = "nobody was asked: decisions already taken are read, and none of them can be taken again"
NONE_PLANTED = "copies of the model with a planted bias are not part of this plan"


class Floor(Hashed):
    """What changes by itself: figures of one measurement, or why it has none.

    ``flip_rate`` is a share with its interval at ``level``, ``largest_margin_difference`` is in nats.
    """

    measurement: str = ""
    flip_rate: float | None = None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    n: int = 0
    missing_reason: str | None = None
    largest_margin_difference: float | None = None


class PlantedBias(Hashed):
    """What became of a difference that was planted in a copy of the model."""

    design: str = ""
    result: str = ""


class ArmAnswers(Hashed):
    """How one arm was answered: which outcome was commonest, and what share could not be read."""

    field: str
    group: str
    n: int
    unreadable_share: float
    commonest_outcome: str
    commonest_share: float
    mute: bool
    degenerate: bool


class Degenerate(Hashed):
    """Whether the plan's rule for degenerate and mute models holds, why, and how each arm was answered."""

    holds: bool
    reasons: tuple[str, ...] = ()
    arms: tuple[ArmAnswers, ...] = ()


class SelfCheck(Hashed):
    """One self-check of one measurement, as :class:`auditor.records.Check` says."""

    measurement: str = ""
    name: str
    held: bool
    value: float | None = None
    bound: float | None = None
    note: str = ""
    covers_run: bool = False


class Power(Hashed):
    """The smallest difference that a contrast could have found, in the unit of its measurement."""

    measurement: str = ""
    contrast: str
    mde: float | None
    n: int


class Controls(Hashed):
    """``controls.json``: whether this audit could have seen a difference."""

    noise_floor: Floor | None = None
    placebo: Floor | None = None
    noise_floor_matched: Floor | None = None
    placebo_matched: Floor | None = None
    noise_floor_largest: Floor | None = None
    placebo_largest: Floor | None = None
    planted_bias: PlantedBias | None = None
    planted_bias_missing_reason: str = ""
    degenerate: Degenerate | None = None
    packing: Packing = Packing()
    self_checks: tuple[SelfCheck, ...] = ()
    power: tuple[Power, ...] = ()


def controls_of(measurements: Sequence[Measurement], state: State, packing: Packing, *, asks: bool = True) -> Controls:
    """The controls in one place; each figure is a measurement's, or ``None`` with the measurement's reason.

    Of a run that ``asks`` nobody, power is the control: the least that each comparison of decisions could have shown.
    """

    def floor(kind: str, cut_off: str = "natural") -> Floor | None:
        found = [
            item
            for item in measurements
            if item.metric == CF_NOISE_FLOOR
            and (item.subject["change"], item.subject.get("cut_off", "natural")) == (kind, cut_off)
        ]
        # Of several attributes and groups the one that changes most; one without a number is not passed over.
        item = max(found, key=lambda one: math.inf if one.estimate is None else one.estimate, default=None)
        if item is None:
            return None
        row = item.row()
        return Floor(
            measurement=item.id,
            flip_rate=row["estimate"],
            low=row["low"],
            high=row["high"],
            level=item.level,
            n=item.n,
            missing_reason=row["missing_reason"],
            largest_margin_difference=row["counts"].get("largest_margin_difference"),
        )

    return Controls(
        noise_floor=floor("reask"),
        placebo=floor("placebo"),
        noise_floor_matched=floor("reask", "matched"),
        placebo_matched=floor("placebo", "matched"),
        noise_floor_largest=floor("reask", "largest"),
        placebo_largest=floor("placebo", "largest"),
        planted_bias=None,
        planted_bias_missing_reason=NONE_PLANTED if asks else NOBODY_ASKED,
        degenerate=Degenerate(
            holds=state.degenerate,
            reasons=tuple(state.reasons),
            arms=tuple(
                ArmAnswers(
                    field=item.field,
                    group=item.group,
                    n=item.n,
                    unreadable_share=item.unreadable_share,
                    commonest_outcome=item.commonest[0],
                    commonest_share=item.commonest[1],
                    mute=item.mute,
                    degenerate=item.degenerate,
                )
                for item in state.arms
            ),
        ),
        packing=packing,
        self_checks=tuple(
            SelfCheck(measurement=item.id, **check) for item in measurements for check in item.row()["checks"]
        ),
        power=tuple(
            Power(
                measurement=item.id,
                contrast=f"{item.subject['group']} − {item.reference}",
                mde=item.row()["counts"].get("mde"),
                n=item.n,
            )
            for item in measurements
            if (item.metric == CF_NET_EFFECT if asks else item.reference is not None and "mde" in item.counts)
        ),
    )
