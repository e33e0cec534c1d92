"""The tests there are, by name: a plain table of ours, and others' through the entry point ``plumbline.tests``.

A test on outputs is a module (or any object) with a ``CARD`` and ``measure(context)``, which gives unadjusted
measurements. One on internals also has ``Settings``, ``Payload``, ``Result``, ``plan_chunks`` and ``compute``, and its
``measure(context, results)`` is given what its chunks gave. Nothing here loads torch before a method is called.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Protocol, TypeGuard

from auditor.behaviour import (
    amount_gaps,
    arm_rates,
    counterfactual,
    generated_text,
    group_rates,
    model_quality,
    noise_floor,
    reasons_given,
    same_system,
)
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
from auditor.testing.card import Card
from auditor.testing.context import Context
from auditor.testing.on_internals import NEEDED, OnInternals
from auditor.testing.unadjusted import UnadjustedMeasurement

ENTRY_POINT = "plumbline.tests"


class Test(Protocol):
    """What every test offers."""

    CARD: Card

    def measure(self, context: Context) -> Iterable[UnadjustedMeasurement]:
        """Measure."""


def in_package(card: ModuleType) -> OnInternals:
    """A test of ours by its card; ``result`` (the types of its rows) and ``method`` stand beside it, loaded late."""

    def beside(name: str) -> Callable[[], ModuleType]:
        return lambda: import_module(f"{card.__package__}.{name}")

    return OnInternals(card, rows=beside("result"), method=beside("method"))


OUTPUTS = (
    counterfactual,
    arm_rates,
    group_rates,
    model_quality,
    noise_floor,
    amount_gaps,
    reasons_given,
    same_system,
    generated_text,
)
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
_OURS: tuple[Test, ...] = (*OUTPUTS, *OBSERVED, *map(in_package, INTERNALS))
TESTS: dict[str, Test] = {test.CARD.name: test for test in _OURS}


def looks_inside(test: Test) -> TypeGuard[OnInternals]:
    """Whether a test has chunks of its own that need the model."""
    return isinstance(test, OnInternals)


@cache
def _installed() -> tuple[EntryPoint, ...]:
    """What other packages offer: looked for once a process, since it means reading the records of every package."""
    return tuple(entry_points(group=ENTRY_POINT))


def find_tests(names: Sequence[str], *, where: str) -> list[Test]:
    """The tests called ``names``, in their order.

    Raises
    ------
    PlanError
        For an unknown or repeated name, and for one that two installed packages offer.
    """
    known, offered = dict(TESTS), dict[str, str]()
    for entry in _installed():
        if entry.name in names and entry.name not in TESTS:
            if entry.name in offered:
                found = f"{entry.name!r} is offered by {offered[entry.name]} and by {entry.value}"
                raise PlanError(f"{where}: tests.run", found, "one installed package that offers it")
            offered[entry.name] = entry.value
            known[entry.name] = _loaded(entry, where=where)
    for name in names:
        if name not in known:
            raise PlanError(f"{where}: tests.run", f"unknown test {name!r}", f"one of: {', '.join(sorted(known))}")
        if list(names).count(name) > 1:
            raise PlanError(f"{where}: tests.run", f"test {name!r} is listed twice", "each test once")
    return [known[name] for name in names]


def _loaded(entry: EntryPoint, *, where: str) -> Test:
    """A test of another package, which has to keep to the contract of this version."""
    called = f"the installed test {entry.name!r} ({entry.value})"
    try:
        test: Test = entry.load()
    except Exception as error:  # whatever a stranger's module does while it is read
        said = f"{called} cannot be loaded ({type(error).__name__}: {error})"
        raise PlanError(f"{where}: tests.run", said, "an installed package that can be imported here") from error
    wanted = ["CARD", "measure"]
    if getattr(getattr(test, "CARD", None), "needs_internals", False):
        wanted += NEEDED
    missing = [name for name in wanted if not hasattr(test, name)]
    if missing:
        found = f"{called} has no {' and no '.join(missing)}"
        raise PlanError(f"{where}: tests.run", found, "a test of this version (docs/extending.md)")
    # Chunks, measurements and words are looked up by the card's name, a plan's test by its entry point's.
    if test.CARD.name != entry.name:
        found = f"{called} is called {test.CARD.name!r} on its card"
        raise PlanError(f"{where}: tests.run", found, "one name, in the entry point and on the card")
    return OnInternals(test, rows=lambda: test, method=lambda: test) if test.CARD.needs_internals else test


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
