"""One made-up measurement of every kind: every metric that has words, in a shape that its test gives."""

from __future__ import annotations

from auditor.records import Check, Conclusion, Measurement, Role
from reports.labels import metric_labels

CONTRASTS = {"field": "race", "group": "Black"}
RANGE = {"rate": 0.87, "threshold": 2.18, "natural_inside": 0, "range_low": 0.78, "range_high": 0.98, "mde": 0.017}
PRIMARY = ("cf_net_effect", "refusal_rate_gap", "cf_range_effect")
RATES = ("cf_net_effect", "cf_net_effect_matched", "refusal_rate_gap", "cf_range_effect", "cf_curve_effect")


def contrasts() -> list[Measurement]:
    """The contrasts, the curve, near cut-offs and floors that the simulated audit does not hold."""
    common = {"test": "counterfactual", "reference": "White", "n": 600, "cases": "arm:race=White|race=Black"}
    rows = [
        Measurement(
            id=f"made/{metric}",
            metric=metric,
            role=Role.PRIMARY,
            subject=CONTRASTS,
            unit="rate_difference",
            estimate=estimate,
            low=estimate - 0.03,
            high=estimate + 0.03,
            p_value=0.0004,
            p_adjusted=0.0016,
            family=family,
            conclusion=code,
            counts=RANGE,
            method="made up",
            **common,
            level=0.95,
        )
        for metric, family, estimate, code in (
            ("refusal_rate_gap", "readability", 0.22, Conclusion.DIFFERENCE_FOUND),
            ("cf_range_effect", "cut-off range", -0.17, Conclusion.DIFFERENCE_FOUND),
        )
    ]
    rows += [
        Measurement(
            id=f"made/curve/{rate}",
            metric="cf_curve_effect",
            role=Role.SUPPORTING,
            subject={**CONTRASTS, "cut_off": f"reference approves {rate}%"},
            unit="rate_difference",
            estimate=-0.002 * rate / 2,
            low=-0.14,
            high=0.02,
            counts={"rate": rate / 100, "threshold": 2.0},
            **common,
            level=0.95,
        )
        for rate in range(78, 99, 4)
    ]
    rows.append(
        Measurement(
            id="made/fell",
            metric="cf_margin_fell_share",
            role=Role.SECONDARY,
            subject=CONTRASTS,
            unit="rate",
            estimate=1.0,
            low=0.993,
            high=1.0,
            counts={"fell": 600, "rose": 0, "same": 0},
            **common,
            level=0.95,
        )
    )
    rows += [
        Measurement(
            id=f"made/near/{place}",
            metric="near_cut_off",
            role=Role.SUPPORTING,
            subject={"field": "race", "cut_off": place},
            unit="count",
            estimate=near,
            counts={"threshold": at, "within": 1.0},
            **{**common, "reference": None},
            level=0.95,
        )
        for place, near, at in (("natural", 0.0, 0.0), ("matched", 212.0, 2.18))
    ]
    rows.append(
        Measurement(
            id="made/floor",
            test="noise_floor",
            metric="cf_noise_floor",
            role=Role.SECONDARY,
            subject={"change": "placebo", "cut_off": "matched"},
            unit="rate",
            estimate=0.005,
            low=0.001,
            high=0.014,
            n=600,
            level=0.95,
        )
    )
    return rows


PLACES = (
    {"layer": "3", "position": "last token"},
    {"layer": "3", "node": "head 5"},
    {"layer": "3", "feature": "1000", "describer": "local:small"},
    {"dose": "1"},
    {"setting": "withheld", "at": "field end", "layer": "3"},
    {"circuit": "found", "share_of_edges": "0.05"},
    {"from": "layer 0, head 1", "to": "margin"},
    {"states": "before layer 3"},
    {"attribute": "marital_status", "field": "total_income"},
    {"method": "occlusion"},
    {"pairs": "of any two applications"},
    {"changed": "the answer"},
    {"what": "the rationale"},
    {"decoded": "by the lens"},
    {"by": "sparse features"},
    {"path": "mean of both"},
    {"role": "actual"},
)


def _subject(metric: str, number: int, copy: int) -> dict[str, str]:
    if metric == "attribute_ladder":
        return CONTRASTS
    place = PLACES[2] if metric.startswith("feature_") else PLACES[number % len(PLACES)]
    return {**place, **({"field": "marital_status"} if copy else {})}


def everything() -> list[Measurement]:
    """Those, and one of every metric of tests on internals, with a subject that holds every key once."""
    made = {item.metric for item in contrasts()}
    inside = [name for name in metric_labels() if name not in made and not name.startswith(("cf_", "version_"))]
    units = ("share", "rate", "logit", "count", "ratio", "cosine", "activation", "rate_difference", "sd", "people")
    return [
        *contrasts(),
        *(
            Measurement(
                id=f"made/inside/{metric}/{copy}",
                test="patching" if metric not in ("selection_rate", "invalid_rate") else "arm_rates",
                metric=metric,
                role=Role.SUPPORTING,
                subject=_subject(metric, number + copy, copy),
                unit=units[number % len(units)],
                estimate=0.31,
                low=0.2,
                high=0.4,
                n=48,
                family="inside: patching",
                p_value=0.02,
                p_adjusted=0.06,
                checks=(Check("patched with itself changes nothing", True, 1e-6, 1e-3),) if copy else (),
                level=0.95,
            )
            for number, metric in enumerate(inside)
            for copy in range(2)
        ),
    ]
