"""Every test on internals runs on a second device and says what it says here: no tensor is left behind on the CPU."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from auditor.catalogue import TESTS, looks_inside
from auditor.language_models.packed import PackedScorer
from auditor.mechanisms.contract import ModelTest
from tests.acceptance.planted import planted_model
from tests.engine.small import small_data
from tests.mechanisms.asking import PACKABLE, asked, through_a_ledger
from tests.mechanisms.test_sae_sparse_features import bench_with, plan_of
from tests.second_device import second_device

DATA = small_data(24)
PLAN = plan_of(expansion=4, k=8, steps=60)
SETTINGS: dict[str, dict[str, Any]] = {
    "attribution_patching": {"attributes": ("race",), "pairs": 2, "top": 2},
    "circuit": {"pairs": 2, "steps": 2, "random": 1, "resamples": 20, "top": 2},
    "components": {"attributes": ("race",), "pairs": 2},
    "erasure": {"attributes": ("race",), "full_strength": ("race",), "applications": 8},
    "field_attribution": {"cases": 2, "shapley_cases": 1, "players": 6},
    "integrated_gradients": {"cases": 1, "pairs": 1, "most_steps": 16},
    "interpretation": {"applications": 8, "report": 4},
    "look_ahead": {"applications": 20, "traced": 2, "knocked": 1, "pairs": 1, "rationales": 1, "rationale_tokens": 2},
    "patching": {"attributes": ("race",), "pairs": 2},
    "probes": {"attributes": ("race",), "applications": 8, "control_draws": 4},
    "sparse_features": {"attributes": ("race",), "applications": 8, "features": 4, "random_draws": 3, "spliced": 2},
    "steering": {"attributes": ("race",), "full_strength": ("race",), "applications": 8, "doses": (1.0,)},
    "superposition": {"applications": 6},
}
INSIDE = [name for name, test in TESTS.items() if looks_inside(test)]


def computed(test: ModelTest, model: Any) -> list[dict[str, Any]]:
    settings = test.Settings(**SETTINGS[test.CARD.name])
    bench = bench_with(model, settings, PLAN)
    bench = replace(bench, scorer=PackedScorer(model, pack_tokens=64, probe=PACKABLE))
    pieces = list(test.work(asked(settings, plan=PLAN, data=DATA)))
    return [through_a_ledger(test.compute(bench, through_a_ledger(piece.payload))) for piece in pieces]


def reasons(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("reason"), str):
            yield value["reason"]
        for item in value.values():
            yield from reasons(item)
    elif isinstance(value, list):
        for item in value:
            yield from reasons(item)


def shape(value: Any) -> Any:
    """Names, lengths and kinds; numbers stand for themselves only in whether they are finite."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    if isinstance(value, float):
        return math.isfinite(value)
    return type(value).__name__


def test_no_method_is_left_out() -> None:
    assert sorted(INSIDE) == sorted(SETTINGS)


@pytest.mark.parametrize("name", INSIDE)
def test_a_method_runs_on_a_second_device_and_says_what_it_says_here(name: str) -> None:
    test = TESTS[name]
    assert looks_inside(test)
    here = computed(test, planted_model("B", against=40.0))
    model = planted_model("B", against=40.0)
    with second_device(model):
        there = computed(test, model)

    assert here
    assert list(reasons(there)) == list(reasons(here))
    assert shape(there) == shape(here)
