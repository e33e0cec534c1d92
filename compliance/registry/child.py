"""The child process in which an untrusted table is read: ``python -m compliance.registry.child``.

One job comes as JSON on standard input, one answer goes as JSON to standard output. The process first takes its own
rights to memory, time and files away, and only then loads what parses. It knows no Django, no database and no key.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

from compliance.sandbox.bounds import bind

ANSWER_BYTES = 64 << 20


def main() -> int:
    """Read a job, answer it."""
    # Millions of cells and no rings among them: looking for some took four fifths of the time.
    gc.disable()
    # Whatever a library prints goes where the trace goes: the answer stands alone.
    with os.fdopen(os.dup(1), "w") as said:
        os.dup2(2, 1)
        job = json.load(sys.stdin)
        bind(memory=job["memory"], seconds=job["seconds"], written=ANSWER_BYTES)
        try:
            answer = _answer(job)
        except MemoryError:
            return 1
        json.dump(answer, said)
    return 0


def _answer(job: dict[str, Any]) -> dict[str, Any]:
    from auditor.exceptions import DataError

    try:
        return _register(job) if job["register"] else _look(job)
    except DataError as error:
        return {"refused": [error.where, error.what, error.expected]}


def _look(job: dict[str, Any]) -> dict[str, Any]:
    """What somebody needs who says what the columns mean: a proposal, else what is wrong with what they said."""
    from auditor.exceptions import DataError
    from auditor.mapping_checks import check_mapping
    from auditor.proposals import has_fields, proposed
    from compliance.registry.column_facts import facts_of
    from compliance.registry.columns import mapping_of, masked_preview, reading_of

    path, where, limits = Path(job["path"]), str(job["where"]), _limits(job)
    text, told, roles = str(job["mapping"]), [], None
    if not has_fields(text):
        found = proposed(path, str(job["name"]), where=where, said=reading_of(text, where="mapping"), limits=limits)
        table, text, told = found.table, found.proposal.text(), found.proposal.lines()
        roles = found.proposal.roles
    answer: dict[str, Any] = {"mapping": text, "lines": [], "preview": [], "error": "", "facts": [], "columns": []}
    try:
        mapping = mapping_of(text, where="mapping")
    except DataError as error:
        return answer | {"error": str(error)}
    if job["mapping"] and text == job["mapping"]:
        table = _table(job, mapping.reading)
    if job["columns"]:
        answer["columns"] = [each.to_keep() for each in facts_of(table, roles)]
    lines = check_mapping(table, mapping)
    answer["lines"] = lines
    # Why it is proposed so, and how outcomes count: a flag the wrong way round fits its mapping as the right one does.
    # A reason may say again what a line says, such as which delimiter there is.
    facts = (*told, *_outcomes(table, mapping))
    answer["facts"] = [fact for fact in facts if not any(line in fact for line in lines)]
    # What is proposed was said by nobody, be it asked for anew or kept as it was proposed.
    answer["preview"] = masked_preview(table, mapping, said=bool(job["mapping"]) and text == job["mapping"])
    return answer


def _outcomes(table: Any, mapping: Any) -> list[str]:
    """Which values of the outcome count as what, and how many rows; none where the table does not fit or has none."""
    from auditor.applications import counts_of, misfits
    from auditor.outcome_codes import outcome_sides, written_values

    if any(misfits(table, mapping)):
        return []
    counts = counts_of(table, mapping)
    if not counts.outcome:
        return []
    item = next(each for each in mapping.fields if each.role == "outcome")
    sides = outcome_sides(item, written_values(item, table.frame.select(item.columns).unique()))
    return [*([f"field {item.name!r}: {sides.said()}"] if sides else []), *counts.lines()[-1:]]


def _register(job: dict[str, Any]) -> dict[str, Any]:
    """What the register needs: that the table fits its mapping, its hash, what became of its rows, and the first.

    Few applications are handed over whole, for the pages that estimate and preview.
    """
    from dataclasses import asdict

    from auditor.applications import Applications, apply_mapping, survey
    from auditor.mapping_checks import check_mapping
    from compliance.registry.columns import mapping_of, masked_preview
    from compliance.registry.records import CELLS, packed

    mapping = mapping_of(job["mapping"], where=f"{job['name']}: mapping")
    table = _table(job, mapping.reading)
    about: dict[str, Any] = {"source": str(job["where"]), "file_sha256": table.sha256}
    few = table.frame.height * len(mapping.fields) <= CELLS
    found = (apply_mapping if few else survey)(table, mapping, **about)
    return {
        "rows": found.count,
        "sha256": table.sha256,
        "counts": asdict(found.counts),
        "preview": masked_preview(table, mapping),
        "lines": check_mapping(table, mapping) if few else None,
        "records": packed(found) if isinstance(found, Applications) else None,
    }


def _table(job: dict[str, Any], reading: Any) -> Any:
    from auditor.tables import read_table

    return read_table(Path(job["path"]), where=str(job["where"]), limits=_limits(job), reading=reading)


def _limits(job: dict[str, Any]) -> Any:
    from auditor.tables import Limits

    return Limits(**job["limits"])


if __name__ == "__main__":
    sys.exit(main())
