"""Every test on internals runs on a second device and says what it says here: no tensor is left behind on the CPU."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from auditor.catalogue import TESTS, looks_inside
from auditor.language_models.packed import PackedScorer
from auditor.testing.on_internals import OnInternals
from tests.acceptance.planted import planted_model
from tests.mechanisms.asking import PACKABLE, asked, through_a_ledger
from tests.mechanisms.every_method import DATA, INSIDE, PLAN, SETTINGS
from tests.mechanisms.test_sae_sparse_features import context_with
from tests.second_device import second_device


def computed(test: OnInternals, model: Any) -> list[dict[str, Any]]:
    settings = test.Settings(**SETTINGS[test.CARD.name])
    context = context_with(model, settings, PLAN)
    context = replace(context, scorer=PackedScorer(model, pack_tokens=64, probe=PACKABLE))
    pieces = list(test.plan_chunks(asked(settings, plan=PLAN, data=DATA)))
    return [through_a_ledger(test.compute(context, through_a_ledger(piece.payload))) for piece in pieces]


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
