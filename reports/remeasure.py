"""Measuring anew: the tests on outputs, the ladder and the findings of a bundle, by the code that measured them.

All that follows from decisions, and from the amounts and reasons that were read with them, is computed from them:
intervals, adjusted p-values, conclusions. Numbers as filed follow from what applications say of themselves too.
Whatever code a run names, it is tried, or naming another version would be the way around it: the engine the run names
must give the same numbers, another one may give others, and then the bundle is not compared rather than wrong. Tests on
internals follow from activations, and the quality of the model from recorded outcomes; a bundle holds neither.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from auditor.answering.evidence import ANSWERS
from auditor.counterfactuals import ACTUAL, arm
from auditor.evidence import TEXTS
from auditor.exceptions import AuditorError, InputError
from auditor.observed.filed_values import FILED
from auditor.records import Case, Decision, Measurement, Outcome
from auditor.run_record import Code
from reports.bundle import Bundle
from reports.differences import Mismatch, first_difference, short
from reports.evidence_tables import KNOWN, Asked, read_columns

if TYPE_CHECKING:
    from auditor.observed.columns import Observed
    from auditor.testing.context import Context

LIBRARIES = ("numpy", "scipy", "polars")
LADDER = "ladder"
BY_RECORDED_OUTCOMES = ("model_quality",)
"""Tests on outputs that follow from outcomes on record, which a bundle does not hold."""
SAME_SYSTEM, GENERATED_TEXT = "same_system", "generated_text"
WITHIN = 1e-9
"""How far a number may lie from the one measured, of its size: last digits are the processor's."""


@dataclass(frozen=True)
class Remeasured:
    """What differs, what was measured anew and by what, and why it cannot be compared, where it cannot."""

    mismatches: tuple[Mismatch, ...] = ()
    measurements: int = 0
    findings: int = 0
    tests: frozenset[str] = frozenset()
    engine: str = ""
    incomparable: str = ""


def remeasure(name: str, bundle: Bundle, tables: Asked) -> Remeasured:
    """Measure a bundle's decisions anew and compare.

    Parameters
    ----------
    name
        The bundle's name, for lines.
    tables
        Its cases and decisions.
    """
    engine = another_engine(bundle.run.code)
    try:
        done = _compared(name, bundle, tables)
    except InputError as error:
        done = Remeasured((Mismatch(name, error.where, error.what, error.expected),))
    except Exception as error:
        # A run of another engine may ask for what this one does not know; of the same engine it is the bundle.
        if not engine and not isinstance(error, AuditorError):
            raise
        words = " ".join(str(error).split())[:200]
        done = Remeasured((Mismatch(name, "plan.json", "a plan that cannot be measured by", words),))
    if not engine:
        other = another_library(bundle.run.code)
        return replace(done, mismatches=tuple(_by(item, other) for item in done.mismatches)) if other else done
    if not done.mismatches:
        return replace(done, engine=engine)
    first = done.mismatches[0]
    return Remeasured(
        incomparable=f"{engine}, and gives other numbers or none ({first.where}: {first.found}; {first.expected})"
    )


def another_engine(code: Code) -> str:
    """The engine a run names and the one installed, in words; empty where they are the same code."""
    from auditor import __version__
    from auditor.own_code import code_sha256

    if code.sha256 == code_sha256():
        return ""
    return (
        f"its run names the engine {short(code.version)} ({code.sha256[:12]}), installed is "
        f"{__version__} ({code_sha256()[:12]})"
    )


def another_library(code: Code) -> str:
    """The first library of another version than a run names, in words; empty where all are the same."""
    from importlib.metadata import version

    for library in LIBRARIES:
        here, wanted = version(library), code.libraries.get(library)
        if here != wanted:
            return f"the run names {library} {short(wanted)}, installed is {here}"
    return ""


def _by(found: Mismatch, other: str) -> Mismatch:
    return replace(found, expected=f"{found.expected} ({other})")


def _compared(name: str, bundle: Bundle, tables: Asked) -> Remeasured:
    """Everything that follows from decisions, against what the bundle says of it."""
    plan = bundle.plan
    anew, state, packs = _measured(plan, bundle, tables)
    there = {item.id: item for item in bundle.measurements}
    found = [difference_of(name, there.get(item.id), item) for item in anew]
    mismatches = [item for item in found if item is not None]
    known, tests = {item.id for item in anew}, {item.test for item in anew}
    given = {item.test for item in bundle.measurements}
    for test in (test for test in _tests(plan, bundle) if test not in given | tests):
        mismatches.append(Mismatch(name, f"measurements.json: {short(test)}", "no measurement", "one of every test"))
    named = {*_tests(plan, bundle), LADDER}
    for item in bundle.measurements:
        if item.test not in named:
            where = f"measurements.json: {short(item.id)}: test"
            mismatches.append(Mismatch(name, where, short(item.test), "a test that the plan names"))
        elif item.test in tests and item.id not in known:
            where = f"measurements.json: {short(item.id)}"
            mismatches.append(Mismatch(name, where, "a measurement", "none from its decisions"))
    if mismatches:
        return Remeasured(tuple(mismatches))
    mismatches += _rungs(name, bundle, plan)
    tests.add(LADDER)
    mismatches += _findings(name, bundle, plan, packs, state)
    mismatches += _controls(name, bundle, state)
    return Remeasured(tuple(mismatches), len(anew), len(bundle.findings), frozenset(tests))


def _measured(plan: Any, bundle: Bundle, tables: Asked) -> tuple[list[Measurement], Any, Any]:
    from auditor.catalogue import OBSERVED, OUTPUTS
    from auditor.conclusions import adjust_and_conclude
    from auditor.testing.context import Context
    from auditor.testing.unadjusted import UnadjustedMeasurement

    by_answers = [test for test in OUTPUTS if test.CARD.name not in BY_RECORDED_OUTCOMES]
    # Engines before this one kept no values of applications, from which numbers as filed follow.
    as_filed = FILED in bundle.contents or not another_engine(bundle.run.code)
    tests = {test.CARD.name: test for test in (*by_answers, *(OBSERVED if as_filed else ())) if bundle.run.asks}
    context = Context(
        plan=plan,
        cases=sorted(_cases(plan, tables), key=lambda case: case.id),
        decisions={item.case_id: item for item in _decisions(tables)},
        observed={},
        values={},
        observed_rate=bundle.run.data.observed_rate,
        several_rows=bundle.run.data.mapping.keeps_rows_apart,
        generated=bundle.run.generated,
        texts=_texts(bundle),
        system=_system(bundle),
    )
    if any(tests[test].CARD.needs_decision_file for test in _tests(plan, bundle) if test in tests):
        context = replace(context, decision_file=_as_filed(context, bundle))
    drafts: list[UnadjustedMeasurement] = []
    for test in _tests(plan, bundle):
        if test in tests:
            drafts += tests[test].measure(context)
        else:
            # A check that failed elsewhere and covers the run keeps the tests on outputs from being concluded too.
            drafts += [UnadjustedMeasurement(_check_only(item)) for item in bundle.measurements if item.test == test]
    done = [item for item in adjust_and_conclude(drafts) if item.test in tests]
    return done, context.state, context.packs


def _system(bundle: Bundle) -> Any:
    """The system that was asked, with what its control reads of its answers."""
    from auditor.answering.rows import SystemAnswer
    from auditor.testing.asked_system import AskedSystem

    identity, how = bundle.run.model.manifest.system, bundle.run.reading
    if identity is None or how is None:
        return None
    columns = ("case_id", "moment", "request", "outcome", "margin", "amount", "reasons", "model", "fingerprint")
    return AskedSystem(identity, how, [SystemAnswer(**_with_reasons(row)) for row in _rows(bundle, ANSWERS, columns)])


def _texts(bundle: Bundle) -> Any:
    """What the control of generated texts reads of them."""
    from auditor.chunk_rows import TextRow

    if bundle.run.generated is None:
        return ()
    return [TextRow(**_with_reasons(row), text="") for row in _rows(bundle, TEXTS, tuple(KNOWN[TEXTS]))]


def _with_reasons(row: dict[str, Any]) -> dict[str, Any]:
    return row if row["reasons"] is None else {**row, "reasons": tuple(row["reasons"])}


def _as_filed(context: Context, bundle: Bundle) -> Observed:
    """The answers to the applications as filed, with what these say in the fields that are read beside."""
    from auditor.behaviour.amount_gaps import unit_of
    from auditor.observed.as_filed import answers_as_filed
    from auditor.observed.filed_values import FiledValue, check_filed, values_of

    filed, mapping = [FiledValue(**row) for row in _rows(bundle, FILED, tuple(KNOWN[FILED]))], bundle.run.data.mapping
    check_filed(filed, mapping)
    known = {case.id for case in context.actual}
    if len({(one.case_id, one.field) for one in filed}) < len(filed) or not {one.case_id for one in filed} <= known:
        raise InputError(FILED, "holds a value twice, or of no application as filed", "one of each application")
    values = values_of(context.actual, filed)
    _of_their_groups(context, values)
    return answers_as_filed(context, values=values, mapping=mapping, unit=unit_of(context))


def _of_their_groups(context: Context, values: Sequence[Mapping[str, Any]]) -> None:
    """Refuse values that are not those of the cases: an application stands in the arms of its own groups.

    The values are those that are measured, as they are measured.
    """
    from auditor.observed.as_filed import level_of

    for attribute in context.plan.attributes:
        for case, row in zip(context.actual, values, strict=True):
            word = level_of(row.get(attribute.field))
            if [group for group in attribute.groups if arm(attribute.field, group) in case.arms] != [
                group for group in attribute.groups if group == word
            ]:
                raise InputError(f"{FILED}: {case.id}: {attribute.field}", f"is {short(word)}", "the group of its arms")


def unbound_values(bundle: Bundle, tables: Asked) -> tuple[str, ...]:
    """What of the values as filed nothing else in a bundle says: fields that are not varied, groups nobody is put in.

    Parameters
    ----------
    tables
        The bundle's cases and decisions.
    """
    from auditor.observed.filed_values import filed_fields

    if FILED not in bundle.contents:
        return ()
    varied = {attribute.field: attribute.groups for attribute in bundle.plan.attributes}
    actual = [set(case.arms) for case in _cases(bundle.plan, tables) if case.role == ACTUAL]
    beyond = {
        field
        for field, groups in varied.items()
        if not all(own & {arm(field, group) for group in groups} for own in actual)
    }
    return tuple(
        f"the other groups of {short(name)}" if name in beyond else short(name)
        for name in filed_fields(bundle.run.data.mapping)
        if name not in varied or name in beyond
    )


def _rows(bundle: Bundle, file: str, columns: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    if file in bundle.contents:
        yield from read_columns(bundle.contents[file], columns, where=file).iter_rows(named=True)


def _tests(plan: Any, bundle: Bundle) -> list[str]:
    """The plan's tests, and the control of a run that asks a system or generates texts."""
    named = list(plan.tests.run)
    for holds, control in ((bundle.run.reading, SAME_SYSTEM), (bundle.run.generated, GENERATED_TEXT)):
        if holds is not None and control not in named:
            named.append(control)
    return named


def _check_only(item: Measurement) -> Measurement:
    return replace(item, family=None, p_value=None, checks=tuple(check for check in item.checks if check.covers_run))


def _cases(plan: Any, tables: Asked) -> Iterator[Case]:
    for row in tables.cases.iter_rows(named=True):
        arms = tuple(row["arms"] or ())
        # An application as filed stands in the arm of each of its own groups.
        groups = {
            item.field: group for item in plan.attributes for group in item.groups if f"{item.field}={group}" in arms
        }
        yield Case(row["id"], row["cluster"], row["role"], row["changed"], groups, arms, "", {})


def _decisions(tables: Asked) -> Iterable[Decision]:
    for row in tables.decisions.iter_rows(named=True):
        yield Decision(**{**row, "outcome": Outcome(row["outcome"])})


def difference_of(
    name: str, said: Measurement | None, anew: Measurement, *, by: str = "the decisions"
) -> Mismatch | None:
    """What differs between a measurement and the one measured anew from what ``by`` names; ``None`` if nothing."""
    place = f"measurements.json: {anew.id}"
    if said is None:
        return Mismatch(name, place, "no such measurement", f"{short(anew.estimate)}, measured from {by}")
    left, right = (json.loads(json.dumps(item.row())) for item in (said, anew))
    difference = first_difference(left, right, within=WITHIN)
    if difference is None:
        return None
    where, found, expected = difference
    return Mismatch(name, f"{place}: {where}", short(found), f"{short(expected)}, measured from {by}")


def _rungs(name: str, bundle: Bundle, plan: Any) -> Iterator[Mismatch]:
    """The ladder is read from the other measurements of the bundle."""
    from auditor.synthesis.ladder import METRIC, ladder

    said = {item.id: item for item in bundle.measurements if item.metric == METRIC}
    for item in ladder([item for item in bundle.measurements if item.metric != METRIC], plan=plan):
        if (found := difference_of(name, said.pop(item.id, None), item)) is not None:
            yield replace(found, expected=found.expected.replace("the decisions", "the other measurements"))
    for left in said:
        yield Mismatch(name, f"measurements.json: {left}", "a step", "none from the other measurements")


def _findings(name: str, bundle: Bundle, plan: Any, packs: Any, state: Any) -> Iterator[Mismatch]:
    from auditor.findings import find

    anew = [
        json.loads(json.dumps(item.row())) for item in find(bundle.measurements, plan=plan, packs=packs, state=state)
    ]
    said = [json.loads(json.dumps(item.row())) for item in bundle.findings]
    if (difference := first_difference(said, anew)) is not None:
        where, found, expected = difference
        yield Mismatch(name, f"findings.json: {where}", short(found), f"{short(expected)}, found from the measurements")


def _controls(name: str, bundle: Bundle, state: Any) -> Iterator[Mismatch]:
    from auditor.controls import controls_of
    from auditor.packing import Packing

    packing = bundle.environment.scoring.packing if bundle.environment.scoring is not None else Packing()
    anew = controls_of(bundle.measurements, state, packing, asks=bundle.run.asks).plain()
    if (difference := first_difference(bundle.controls.plain(), anew, within=WITHIN)) is not None:
        where, found, expected = difference
        yield Mismatch(name, f"controls.json: {where}", short(found), f"{short(expected)}, read from the measurements")
