"""Rebuilding the house changes no number: two ready-made plans give the values that were kept."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.equivalence import PLANS, kept, random_model, run_small

#: Another processor adds in another order: a bound moved by 1.2e-4 of itself, a largest rounding difference by 2e-6.
#: What follows from a number that lies on a threshold is kept from more than one processor.
RELATIVE, ABSOLUTE = 3e-4, 5e-6


def same(first: Any, second: Any) -> bool:
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, float) and isinstance(second, float):
        return math.isclose(first, second, rel_tol=RELATIVE, abs_tol=ABSOLUTE)
    return bool(first == second)


@pytest.mark.parametrize("name", PLANS)
def test_every_measurement_has_the_value_it_had(name: str, tmp_path: Path) -> None:
    now = run_small(name, model=random_model(tmp_path / "model"), folder=tmp_path)
    differ = []
    for before in kept(name):
        assert list(now) == list(before)
        differ.append({key: (before[key], now[key]) for key in before if not same(before[key], now[key])})
    assert min(differ, key=len) == {}


def test_a_value_that_changed_would_be_seen() -> None:
    row = {"estimate": 0.25, "counts": {"lower": 3}}
    assert same(row, {"estimate": 0.25 + 1e-7, "counts": {"lower": 3}})
    assert not same(row, {"estimate": 0.251, "counts": {"lower": 3}})
    assert not same(row, {"estimate": 0.25, "counts": {"lower": 4}})
    assert not same(row, {"estimate": None, "counts": {"lower": 3}})
