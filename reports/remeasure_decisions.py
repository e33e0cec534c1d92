"""Measuring anew from a decision file: every measurement of its bundle, by whoever has the file at hand."""

from __future__ import annotations

from pathlib import Path

from auditor.canonical import sha256_file
from auditor.exceptions import AuditorError, reason_of
from auditor.mapping_files import stored_mapping
from auditor.observed.building import fingerprint_of
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
    if (other := _another_file(name, bundle, path)) is not None:
        # Before any engine is named: which file it is follows from no code that measures.
        return Remeasured((other,))
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


def _another_file(name: str, bundle: Bundle, path: Path) -> Mismatch | None:
    """Whether the file is, byte for byte, that of the run, and the run is named after it and its mapping."""
    run = bundle.run
    try:
        digest = sha256_file(path)
    except OSError as error:
        return Mismatch(name, path.name, f"cannot be read: {reason_of(error)}", "the file of the run")
    if digest != run.data.file_sha256:
        return Mismatch(name, path.name, f"SHA-256 {digest}", f"{short(run.data.file_sha256)}, the file of the run")
    try:
        named = fingerprint_of(digest, stored_mapping(run.data.mapping.plain()))
    except AuditorError as error:
        return Mismatch(name, "run.json: data.mapping", short(" ".join(str(error).split())), "the mapping of the run")
    for where, found in (("data.fingerprint", run.data.fingerprint), ("model.sha256", run.model.sha256)):
        if found != named:
            return Mismatch(name, f"run.json: {where}", short(found), f"{named}, the hash of the file and its mapping")
    return None


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
