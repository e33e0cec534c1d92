"""True values of what an audit of a simulated world estimates, from a draw of very many applications."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from auditor.testing.context import BoolArray
from benchmarks.simulated_audits import (
    CHANGED,
    POPULATION,
    Contrast,
    Drawn,
    World,
    arms_of,
    contrasts,
    draw,
    filed_codes,
    net_effect,
    the_plan,
    versions,
)
from benchmarks.simulation_scenarios import largest_effect
from benchmarks.simulation_shapes import Scenario

Truths = Mapping[tuple[str, str, Contrast], float]
"""By test, metric and contrast."""
_known: dict[str, Truths] = {}


def truths(scenario: Scenario) -> Truths:
    """What the intervals of a scenario's audits should cover."""
    if scenario.name not in _known:
        drawn = population(scenario)
        _known[scenario.name] = {**_pairs(drawn), **_filed(drawn, scenario.applications)}
    return _known[scenario.name]


def true_effects(scenario: Scenario) -> dict[str, float]:
    """The smallest true |Δ| of the contrasts that differ: at the natural cut-off, and the largest of the range."""
    drawn = draw(scenario.world, POPULATION // 4, 1)
    return {
        "true_natural_effect": round(min(abs(net_effect(drawn, key)) for key in scenario.different), 4),
        "true_range_effect": round(min(largest_effect(drawn, key) for key in scenario.different), 4),
    }


def population(scenario: Scenario) -> Drawn:
    """Very many applications of a scenario's world."""
    return _population(_Key(scenario.world))


class _Key:
    """A world by identity: its tables cannot be hashed."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __hash__(self) -> int:
        return id(self.world)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other.world is self.world


@lru_cache(maxsize=2)
def _population(key: _Key) -> Drawn:
    return draw(key.world, POPULATION, 1)


def _pairs(drawn: Drawn) -> dict[tuple[str, str, Contrast], float]:
    found: dict[tuple[str, str, Contrast], float] = {}
    yes = drawn.favourable
    placebo = float((yes[0] != yes[versions().index(CHANGED)]).mean())
    for key in contrasts():
        control, group = arms_of(drawn, key)
        reference, protected = drawn.margins[control], drawn.margins[group]
        shift = float((protected - reference).mean())
        cut = float(np.quantile(reference[drawn.readable[control]], 1 - drawn.observed_rate))
        against, towards = yes[control] & ~yes[group], ~yes[control] & yes[group]
        unreadable = ~drawn.readable
        values = {
            "cf_net_effect": net_effect(drawn, key),
            "cf_net_effect_matched": net_effect(drawn, key, cut),
            "cf_mean_shift": shift,
            "cf_mean_shift_sd": shift / float(reference.std()),
            "refusal_rate_gap": float(unreadable[group].mean() - unreadable[control].mean()),
            "cf_invalid_gap": float(unreadable[group].mean() - unreadable[control].mean()),
            "cf_margin_fell_share": float((protected < reference).mean()),
            "cf_flip_rate": float((against | towards).mean()),
            "cf_flip_rate_against": float(against.mean()),
            "cf_flip_rate_towards": float(towards.mean()),
        }
        found |= {("counterfactual", metric, key): value for metric, value in values.items()}
        found["noise_floor", "cf_excess_flip", key] = values["cf_flip_rate"] - placebo
    found |= {
        ("arm_rates", "selection_rate", key): float(yes[row].mean()) for row, key in enumerate(versions()) if key[0]
    }
    return found


def _filed(drawn: Drawn, applications: int) -> dict[tuple[str, str, Contrast], float]:
    """Of different applicants, as filed; the number of each group is the audit's own."""
    found: dict[tuple[str, str, Contrast], float] = {}
    share = drawn.reference_share
    files, here = filed_codes(drawn.margins.shape[1], share), filed_codes(applications, share)
    for attribute in the_plan().attributes:
        members: dict[str, BoolArray] = {
            group: files[attribute.field] == code for code, group in enumerate(attribute.groups)
        }
        rates = {group: float(drawn.favourable[0, inside].mean()) for group, inside in members.items()}
        for group, rate in rates.items():
            key = (attribute.field, group)
            found["group_rates", "selection_rate", key] = rate
            if group == attribute.reference:
                continue
            base = rates[attribute.reference]
            mine, theirs = drawn.margins[0, members[group]], drawn.margins[0, members[attribute.reference]]
            codes = [attribute.groups.index(name) for name in (group, attribute.reference)]
            sizes = [int(np.sum(here[attribute.field] == code)) for code in codes]
            weights = np.array(sizes) - 1
            pooled = float(np.sqrt(np.sum(weights * [mine.var(), theirs.var()]) / weights.sum()))
            found["group_rates", "risk_difference", key] = rate - base
            found["group_rates", "impact_ratio", key] = rate / base
            found["group_rates", "denial_odds_ratio", key] = (1 - rate) / rate / ((1 - base) / base)
            found["group_rates", "shortfall", key] = -sizes[0] * (rate - base)
            found["group_rates", "smd", key] = float(mine.mean() - theirs.mean()) / pooled
    return found
