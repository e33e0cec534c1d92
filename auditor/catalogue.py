"""The tests there are, by name: a plain table of ours, and others' through the entry point ``plumbline.tests``.

A test is a module (or any object) with a ``CARD`` and ``measure(context)``, which gives unadjusted measurements; one
that looks inside a model also has ``Settings``, ``plan_chunks`` and ``compute``. Nothing here loads torch before one
is called.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, TypeGuard, cast

from auditor.behaviour import arm_rates, counterfactual, group_rates, model_quality, noise_floor
from auditor.behaviour.observed import (
    equal_factors,
    human_agreement,
    intersections,
    later_outcomes,
    likely_groups,
    marginal_applicants,
    prices,
    rates,
    reasons,
    scores,
    segments,
)
from auditor.exceptions import PlanError
from auditor.mechanisms.attribution_patching import card as attribution_patching
from auditor.mechanisms.circuits import card as circuits
from auditor.mechanisms.components import card as components
from auditor.mechanisms.erasure import card as erasure
from auditor.mechanisms.field_attribution import card as field_attribution
from auditor.mechanisms.integrated_gradients import card as integrated_gradients
from auditor.mechanisms.interpretation import card as interpretation
from auditor.mechanisms.look_ahead import card as look_ahead
from auditor.mechanisms.patching import card as patching
from auditor.mechanisms.probing import card as probing
from auditor.mechanisms.sparse_features import card as sparse_features
from auditor.mechanisms.steering import card as steering
from auditor.mechanisms.superposition import card as superposition
from auditor.plan import Section
from auditor.testing.card import Card
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement

if TYPE_CHECKING:
    from auditor.mechanisms._shared.bench import ComputeContext, ModelTest
    from auditor.testing.chunks import ChunkSpec, PlanContext

ENTRY_POINT = "plumbline.tests"


class Test(Protocol):
    """What every test offers."""

    CARD: Card

    def measure(self, context: Context) -> Iterable[UnadjustedMeasurement]:
        """Measure."""


class InPackage:
    """A test on internals whose card and settings are at hand, and whose method is loaded when it is asked for.

    A page, a plan and a report know a test by its card; only a worker needs the method, which brings torch along.

    Parameters
    ----------
    card
        The module with ``CARD`` and ``Settings``; ``method`` stands beside it, with ``plan_chunks``, ``compute`` and
        ``measure``.
    """

    def __init__(self, card: ModuleType) -> None:
        self.CARD: Card = card.CARD
        self.Settings: type[Section] = card.Settings
        self.module = f"{card.__package__}.method"

    @property
    def method(self) -> ModelTest:
        """What plans, computes and measures."""
        return cast("ModelTest", import_module(self.module))

    def plan_chunks(self, asked: PlanContext) -> Iterable[ChunkSpec]:
        """Plan the chunks."""
        return self.method.plan_chunks(asked)

    def compute(self, bench: ComputeContext, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Do one chunk."""
        return self.method.compute(bench, payload)

    def measure(self, context: Context) -> Iterable[UnadjustedMeasurement]:
        """Measure."""
        return self.method.measure(context)


OUTPUTS = (counterfactual, arm_rates, group_rates, model_quality, noise_floor)
OBSERVED = (
    rates,
    scores,
    equal_factors,
    segments,
    later_outcomes,
    prices,
    intersections,
    likely_groups,
    marginal_applicants,
    human_agreement,
    reasons,
)
INTERNALS = (
    field_attribution,
    integrated_gradients,
    components,
    attribution_patching,
    patching,
    circuits,
    look_ahead,
    probing,
    erasure,
    steering,
    sparse_features,
    superposition,
    interpretation,
)
_OURS: tuple[Test, ...] = (*OUTPUTS, *OBSERVED, *map(InPackage, INTERNALS))
TESTS: dict[str, Test] = {test.CARD.name: test for test in _OURS}


def looks_inside(test: Test) -> TypeGuard[ModelTest]:
    """Whether a test has chunks of its own that need the model."""
    return hasattr(test, "plan_chunks") and hasattr(test, "compute")


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
            known[entry.name] = _loaded(entry, where=where)
    for name in names:
        if name not in known:
            raise PlanError(f"{where}: tests.run", f"unknown test {name!r}", f"one of: {', '.join(sorted(known))}")
        if list(names).count(name) > 1:
            raise PlanError(f"{where}: tests.run", f"test {name!r} is listed twice", "each test once")
    return [known[name] for name in names]


def _loaded(entry: EntryPoint, *, where: str) -> Test:
    """A test of another package, which has to keep to the contract of this version."""
    test: Test = entry.load()
    missing = [name for name in ("CARD", "measure") if not hasattr(test, name)]
    if missing:
        found = f"the installed test {entry.name!r} ({entry.value}) has no {' and no '.join(missing)}"
        raise PlanError(f"{where}: tests.run", found, "a test of this version (docs/extending.md)")
    return test


def on_outputs(name: str) -> bool:
    """Whether a test looks at answers alone; one that is not installed here is not known to."""
    card = card_of(name)
    return card is not None and not card.needs_internals


@cache
def card_of(name: str) -> Card | None:
    """The card of a test, also of an installed package; ``None`` of one that is not there."""
    try:
        return find_tests([name], where="catalogue")[0].CARD
    except PlanError:
        return None
