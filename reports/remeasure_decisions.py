"""Measuring anew from a decision file: every measurement of its bundle, by whoever has the file at hand."""

from __future__ import annotations

from pathlib import Path

from auditor.exceptions import AuditorError
from reports.bundle import Bundle
from reports.differences import Mismatch, short
from reports.remeasure import Remeasured, another_engine, difference_of


def remeasure_decisions(name: str, bundle: Bundle, path: Path) -> Remeasured:
    """Measure the decision file of a bundle anew and compare.

    Parameters
    ----------
    name
        The bundle's name, for lines.
    path
        The decision file; one that is not, byte for byte, that of the run is a mismatch.
    """
    engine = another_engine(bundle.run.code)
    try:
        found, count = _compared(name, bundle, path)
    except AuditorError as error:
        found, count = [Mismatch(name, path.name, short(" ".join(str(error).split())), "the file of the run")], 0
    if found and engine:
        first = found[0]
        return Remeasured(
            incomparable=f"{engine}, and gives other numbers or none ({first.where}: {first.found}; {first.expected})"
        )
    return Remeasured(tuple(found), count, engine=engine)


def _compared(name: str, bundle: Bundle, path: Path) -> tuple[list[Mismatch], int]:
    from auditor.catalogue import find_tests
    from auditor.conclusions import adjust_and_conclude
    from auditor.decision_audit import context_of, drafts_of
    from auditor.decision_files import decisions_of

    plan = bundle.plan
    context = context_of(plan, decisions_of(bundle.run, path=path))
    anew = adjust_and_conclude(drafts_of(find_tests(plan.tests.run, where="run"), context))
    there = {item.id: item for item in bundle.measurements}
    compared = [difference_of(name, there.pop(item.id, None), item, by="the decision file") for item in anew]
    mismatches = [item for item in compared if item is not None]
    for left in there:
        where = f"measurements.json: {left}"
        mismatches.append(Mismatch(name, where, "a measurement", "none from the decision file"))
    return mismatches, len(anew)
