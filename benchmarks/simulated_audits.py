"""Audits of models that are a few lines of arithmetic: the truth is known, everything behind the answers is real.

A :class:`World` draws a margin and a readability for every version of every application; an audit of it runs the tests
on outputs, adjusts and concludes them, and writes the findings, as a run of a language model would.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from auditor.catalogue import find_tests
from auditor.conclusions import adjust_and_conclude
from auditor.counterfactuals import ACTUAL, COUNTERFACTUAL, PLACEBO, REASK, arm
from auditor.findings import find
from auditor.plan import Plan, plan_from
from auditor.policies.packs import load_packs
from auditor.records import Case, Decision, Finding, Measurement, Outcome
from auditor.statistics.results import IntArray
from auditor.testing.context import BoolArray, Context, FloatArray

PLAN = Path(__file__).parents[1] / "plans" / "mortgage-hmda.toml"
TESTS = ("counterfactual", "arm_rates", "group_rates", "model_quality", "noise_floor")
OBSERVED_RATE = 0.87
REFERENCE_SHARE = 0.7  # of the applications; the other groups share the rest
READABLE, UNREADABLE = 0.9, 0.1  # probability on the answers
POPULATION = 400_000
"""Applications behind a true value: its own error is under a tenth of a point."""

Draw = Callable[[np.random.Generator, int], FloatArray]
Contrast = tuple[str, str]
"""A protected field and the group it is set to."""
FILED: Contrast = ("", ACTUAL)
CHANGED: Contrast = ("", PLACEBO)
"""Two versions that set no protected field: the application as filed, and with the placebo changed."""


@dataclass(frozen=True, kw_only=True)
class World:
    """Where margins and unreadable answers come from. Margins in nats; the natural cut-off is 0.

    Attributes
    ----------
    worth
        An application's own margin, whatever it says of protected attributes.
    noise
        Added to every version anew.
    filed
        By group as filed: added to the applicant's worth, in all versions. A gap between different applicants.
    shown
        By group as shown: added to the version. A difference of treatment.
    band
        By group as shown: added where the application's worth lies between the first two numbers.
    flips
        By group as shown: the share of all applications whose favourable margin is turned over, and of those whose
        adverse one is.
    unreadable, unreadable_filed
        Share of versions that cannot be read, by group as shown, and share of applications none of whose versions can,
        by group as filed.
    silent
        By group as shown: the share of its adverse answers that cannot be read.
    step
        Margins are rounded to multiples of it (heavy ties); 0 leaves them.
    redrawn
        By group as shown: the share of applications whose worth a version draws anew. Its margins keep their law
        whatever the law is, and go less with those of the other arms.
    loud
        By group as shown: SD in nats of normal noise that comes on top, so that the law of an arm is wider.
    reference_share
        Share of the applications that file the reference of an attribute; the other groups share the rest.
    observed_rate
        Share of approvals that the file shows, about which the plan's range of cut-offs lies.
    """

    worth: Draw
    noise: Draw
    filed: Mapping[Contrast, float] = field(default_factory=dict)
    shown: Mapping[Contrast, float] = field(default_factory=dict)
    band: Mapping[Contrast, tuple[float, float, float]] = field(default_factory=dict)
    flips: Mapping[Contrast, tuple[float, float]] = field(default_factory=dict)
    unreadable: Mapping[Contrast, float] = field(default_factory=dict)
    unreadable_filed: Mapping[Contrast, float] = field(default_factory=dict)
    silent: Mapping[Contrast, float] = field(default_factory=dict)
    step: float = 0.0
    redrawn: Mapping[Contrast, float] = field(default_factory=dict)
    loud: Mapping[Contrast, float] = field(default_factory=dict)
    reference_share: float = REFERENCE_SHARE
    observed_rate: float = OBSERVED_RATE


@dataclass(frozen=True)
class Drawn:
    """One draw of a world: shape (versions, applications) each, the versions in the order of :func:`versions`."""

    margins: FloatArray
    readable: BoolArray
    worth: FloatArray
    reference_share: float = REFERENCE_SHARE
    observed_rate: float = OBSERVED_RATE

    @property
    def favourable(self) -> BoolArray:
        """Readable and at or above the natural cut-off."""
        return (self.margins >= 0) & self.readable


@dataclass(frozen=True)
class Layout:
    """The cases of a number of applications; ``version`` and ``application`` place each in a draw."""

    cases: tuple[Case, ...]
    version: IntArray
    application: IntArray


@dataclass(frozen=True)
class Audited:
    """What one simulated audit says."""

    context: Context
    measurements: tuple[Measurement, ...]
    findings: tuple[Finding, ...]


@lru_cache
def the_plan(reask: int = 100) -> Plan:
    """The demonstration's plan, with its tests on outputs only."""
    raw = tomllib.loads(PLAN.read_text(encoding="utf-8"))
    raw |= {"tests": {"run": list(TESTS)}, "settings": {}, "noise": {"reask": reask}}
    return plan_from(raw, where=PLAN.name)


def seeded_plan(seed: int) -> Plan:
    """The plan with another seed, so that no two audits share their resamples."""
    plan = the_plan()
    return plan.model_copy(update={"cases": plan.cases.model_copy(update={"seed": seed})})


@lru_cache
def contrasts() -> tuple[Contrast, ...]:
    """Every protected group of the plan that is no reference."""
    return tuple(
        (attribute.field, group)
        for attribute in the_plan().attributes
        for group in attribute.groups
        if group != attribute.reference
    )


@lru_cache
def versions() -> tuple[Contrast, ...]:
    """As filed, every attribute set to every group, the placebo changed."""
    set_to = [(attribute.field, group) for attribute in the_plan().attributes for group in attribute.groups]
    return (FILED, *set_to, CHANGED)


@lru_cache
def filed_codes(applications: int, reference_share: float = REFERENCE_SHARE) -> Mapping[str, IntArray]:
    """The group every application files, by attribute, as its place in the plan: always the same for one number."""
    generator = np.random.default_rng(applications)
    found = {}
    for attribute in the_plan().attributes:
        others = (1 - reference_share) / (len(attribute.groups) - 1)
        shares = [reference_share if group == attribute.reference else others for group in attribute.groups]
        found[attribute.field] = generator.choice(len(shares), applications, p=shares)
    return found


@lru_cache
def _groups() -> Mapping[str, tuple[str, ...]]:
    return {attribute.field: attribute.groups for attribute in the_plan().attributes}


def draw(world: World, applications: int, seed: int | list[int]) -> Drawn:
    """Margins and readability of every version of every application."""
    generator = np.random.default_rng(seed)
    files = filed_codes(applications, world.reference_share)

    def shows(codes: Mapping[str, IntArray], contrast: Contrast) -> BoolArray:
        inside: BoolArray = codes[contrast[0]] == _groups()[contrast[0]].index(contrast[1])
        return inside

    gaps = np.zeros(applications)
    worth = world.worth(generator, applications)
    for contrast, gap in world.filed.items():
        inside = shows(files, contrast)
        worth, gaps = worth + gap * inside, gaps + gap * inside
    never = np.zeros(applications, dtype=bool)
    for contrast, share in world.unreadable_filed.items():
        never |= shows(files, contrast) & (generator.random(applications) < share)
    # Whether a group's wording turns an application over is the application's, not the version's; none is turned twice.
    place, favourable = generator.random(applications), float(np.mean(worth >= 0))
    margins = np.empty((len(versions()), applications))
    readable = np.empty((len(versions()), applications), dtype=bool)
    for number, (name, value) in enumerate(versions()):
        set_to = {name: np.full(applications, _groups()[name].index(value))} if name else {}
        shown = {**files, **set_to}
        row = _margins(world, generator, partial(shows, shown), worth=worth, gaps=gaps)
        start, turned = np.zeros(applications), np.zeros(applications, dtype=bool)
        for contrast, (against, towards) in world.flips.items():
            width = np.where(row >= 0, against / favourable, towards / (1 - favourable))
            turned |= shows(shown, contrast) & (place >= start) & (place < start + width)
            start += width
        margins[number] = np.where(turned, -row, row)
        readable[number] = ~never
        for contrast, share in world.unreadable.items():
            readable[number] &= ~(shows(shown, contrast) & (generator.random(applications) < share))
        for contrast, share in world.silent.items():
            lost = shows(shown, contrast) & (row < 0)
            readable[number] &= ~(lost & (generator.random(applications) < share))
    if world.step:
        margins = np.round(margins / world.step) * world.step
    # Where an attribute is set to what was filed there is no prompt of its own: it is the application as filed.
    for number, contrast in enumerate(versions()):
        if contrast[0]:
            same = shows(files, contrast)
            margins[number, same], readable[number, same] = margins[0, same], readable[0, same]
    return Drawn(margins, readable, worth, world.reference_share, world.observed_rate)


def _margins(
    world: World,
    generator: np.random.Generator,
    shows: Callable[[Contrast], BoolArray],
    *,
    worth: FloatArray,
    gaps: FloatArray,
) -> FloatArray:
    """Margins of one version before any is turned over; ``shows`` says whose version shows a group."""
    n = len(worth)
    noise, own = world.noise(generator, n), worth
    for contrast, share in world.redrawn.items():
        anew = shows(contrast) & (generator.random(n) < share)
        own = np.where(anew, world.worth(generator, n) + gaps, own)
    row = own + noise
    for contrast, shift in world.shown.items():
        row += shift * shows(contrast)
    for contrast, (low, high, shift) in world.band.items():
        row += shift * (shows(contrast) & (worth >= low) & (worth < high))
    for contrast, spread in world.loud.items():
        row = row + generator.normal(0, spread, n) * shows(contrast)
    return row


@lru_cache(maxsize=8)
def layout(applications: int, reference_share: float = REFERENCE_SHARE) -> Layout:
    """Cases as auditor.counterfactuals makes them, without their prompts."""
    placed = [item for row in range(applications) for item in _cases(row, applications, reference_share)]
    cases, version, application = zip(*placed, strict=True)
    return Layout(cases, np.array(version, dtype=np.int64), np.array(application, dtype=np.int64))


def _cases(row: int, applications: int, reference_share: float) -> Iterator[tuple[Case, int, int]]:
    """The cases of one application, each with its version and the application's row."""
    name, order = f"A{row:05d}", versions()
    files = filed_codes(applications, reference_share)
    groups = {about: _groups()[about][codes[row]] for about, codes in files.items()}
    again = row < the_plan().noise.reask

    def case(suffix: str, role: str, version: Contrast, changed: str | None, *arms: str) -> tuple[Case, int, int]:
        shown = {**groups, **({version[0]: version[1]} if version[0] else {})}
        return Case(name + suffix, name, role, changed, shown, arms, "", {}), order.index(version), row

    own = [*(arm(about, group) for about, group in groups.items()), arm(PLACEBO, "filed")]
    yield case("", ACTUAL, FILED, None, *own, *([arm(REASK, "first")] if again else []))
    for about, group in order:
        if about and groups[about] != group:
            yield case(f"/{about}={group}", COUNTERFACTUAL, (about, group), about, arm(about, group))
    yield case("/placebo", PLACEBO, CHANGED, PLACEBO, arm(PLACEBO, "changed"))
    if again:
        yield case("/reask", REASK, FILED, None, arm(REASK, "second"))


def context_of(drawn: Drawn, *, plan: Plan | None = None) -> Context:
    """What the tests on outputs read of one draw."""
    plan = plan or the_plan()
    made = layout(drawn.margins.shape[1], drawn.reference_share)
    margins = drawn.margins[made.version, made.application].tolist()
    readable = drawn.readable[made.version, made.application].tolist()
    natural = plan.operating_point.natural_margin
    decisions = {}
    for case, margin, can in zip(made.cases, margins, readable, strict=True):
        outcome = Outcome.FAVOURABLE if margin >= natural else Outcome.ADVERSE
        mass = READABLE if can else UNREADABLE
        decisions[case.id] = Decision(case.id, margin, mass, None, None, outcome if can else Outcome.INVALID)
    ids = list(dict.fromkeys(case.cluster for case in made.cases))
    cut = float(np.quantile(drawn.worth, 1 - drawn.observed_rate))
    return Context(
        plan=plan,
        cases=made.cases,
        decisions=decisions,
        observed=dict(zip(ids, (drawn.worth >= cut).tolist(), strict=True)),
        values={name: {} for name in ids},
        observed_rate=drawn.observed_rate,
    )


def audit(context: Context) -> Audited:
    """The real chain from the answers to the findings."""
    plan = context.plan
    drafts = [item for test in find_tests(plan.tests.run, where="simulation") for item in test.measure(context)]
    measurements = adjust_and_conclude(drafts)
    packs = load_packs(plan.use.policy_packs, where="simulation")
    return Audited(context, measurements, find(measurements, plan=plan, packs=packs, state=context.state))


def arms_of(drawn: Drawn, key: Contrast) -> tuple[int, int]:
    """Rows of the reference's and the group's version in a draw."""
    reference = next(item.reference for item in the_plan().attributes if item.field == key[0])
    return versions().index((key[0], reference)), versions().index(key)


def net_effect(drawn: Drawn, key: Contrast, threshold: float = 0.0) -> float:
    """Net effect of one contrast at a threshold, unreadable answers counting as not favourable."""
    control, group = arms_of(drawn, key)
    yes = (drawn.margins >= threshold) & drawn.readable
    return float(yes[group].mean() - yes[control].mean())
