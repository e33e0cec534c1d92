"""The controls of an audit in one place, as its evidence holds them; nothing in them is measured here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from auditor.records import Measurement
from auditor.testing.state import State


def controls_of(measurements: Sequence[Measurement], state: State, packing: Mapping[str, Any]) -> dict[str, Any]:
    """The controls in one place; each figure is a measurement's, or ``None`` with the measurement's reason."""

    def floor(kind: str, cut_off: str = "natural") -> dict[str, Any] | None:
        found = [
            item
            for item in measurements
            if item.metric == "cf_noise_floor"
            and (item.subject["change"], item.subject.get("cut_off", "natural")) == (kind, cut_off)
        ]
        # Of several attributes and groups the one that changes most; one without a number is not passed over.
        item = max(found, key=lambda one: math.inf if one.estimate is None else one.estimate, default=None)
        if item is None:
            return None
        row = item.row()
        return {
            "measurement": item.id,
            "flip_rate": row["estimate"],
            "low": row["low"],
            "high": row["high"],
            "level": item.level,
            "n": item.n,
            "missing_reason": row["missing_reason"],
            "largest_margin_difference": row["counts"].get("largest_margin_difference"),
        }

    return {
        "noise_floor": floor("reask"),
        "placebo": floor("placebo"),
        "noise_floor_matched": floor("reask", "matched"),
        "placebo_matched": floor("placebo", "matched"),
        "noise_floor_largest": floor("reask", "largest"),
        "placebo_largest": floor("placebo", "largest"),
        "planted_bias": None,
        "planted_bias_missing_reason": "copies of the model with a planted bias are not part of this plan",
        "degenerate": {
            "holds": state.degenerate,
            "reasons": list(state.reasons),
            "arms": [
                {
                    "field": item.field,
                    "group": item.group,
                    "n": item.n,
                    "unreadable_share": item.unreadable_share,
                    "commonest_outcome": item.commonest[0],
                    "commonest_share": item.commonest[1],
                    "mute": item.mute,
                    "degenerate": item.degenerate,
                }
                for item in state.arms
            ],
        },
        "packing": dict(packing),
        "self_checks": [{"measurement": item.id, **check} for item in measurements for check in item.row()["checks"]],
        "power": [
            {
                "measurement": item.id,
                "contrast": f"{item.subject['group']} − {item.reference}",
                "mde": item.row()["counts"].get("mde"),
                "n": item.n,
            }
            for item in measurements
            if item.metric == "cf_net_effect"
        ],
    }
