"""The tests there are, by name: a plain table of ours, and others' through the entry point ``plumbline.tests``.

A test is a module (or any object) with a ``CARD`` and ``run(context) -> Iterable[Draft]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, TypeGuard

from auditor.behaviour import arm_rates, counterfactual, group_rates, model_quality, noise_floor
from auditor.exceptions import PlanError
from auditor.mechanisms import (
    attribution_patching,
    circuit,
    components,
    erasure,
    field_attribution,
    integrated_gradients,
    interpretation,
    look_ahead,
    patching,
    probes,
    sparse_features,
    steering,
    superposition,
)
from auditor.mechanisms.contract import ModelTest
from auditor.testing.card import Card
from auditor.testing.context import Context
from auditor.testing.drafts import Draft

ENTRY_POINT = "plumbline.tests"


class Test(Protocol):
    """What every test offers."""

    CARD: Card

    def run(self, context: Context) -> Iterable[Draft]:
        """Measure."""


TESTS: dict[str, Test] = {
    module.CARD.name: module
    for module in (
        counterfactual,
        arm_rates,
        group_rates,
        model_quality,
        noise_floor,
        field_attribution,
        integrated_gradients,
        components,
        attribution_patching,
        patching,
        circuit,
        look_ahead,
        probes,
        erasure,
        steering,
        sparse_features,
        superposition,
        interpretation,
    )
}


def looks_inside(test: Test) -> TypeGuard[ModelTest]:
    """Whether a test has chunks of its own that need the model."""
    return hasattr(test, "work") and hasattr(test, "compute")


@cache
def _installed() -> tuple[EntryPoint, ...]:
    """What other packages offer: looked for once a process, since it means reading the records of every package."""
    return tuple(entry_points(group=ENTRY_POINT))


def find_tests(names: Sequence[str], *, where: str) -> list[Test]:
    """The tests called ``names``, in their order.

    Raises
    ------
    PlanError
        For an unknown or repeated name.
    """
    known = dict(TESTS)
    for entry in _installed():
        if entry.name in names and entry.name not in known:
            known[entry.name] = entry.load()
    for name in names:
        if name not in known:
            raise PlanError(f"{where}: tests.run", f"unknown test {name!r}", f"one of: {', '.join(sorted(known))}")
        if list(names).count(name) > 1:
            raise PlanError(f"{where}: tests.run", f"test {name!r} is listed twice", "each test once")
    return [known[name] for name in names]
