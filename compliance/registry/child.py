"""The child process in which an untrusted table is read: ``python -m compliance.registry.child``.

One job comes as JSON on standard input, one answer goes as JSON to standard output. The process first takes its own
rights to memory, time and files away, and only then loads what parses. It knows no Django, no database and no key.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from compliance.bounds import bind

ANSWER_BYTES = 64 << 20


def main() -> int:
    """Read a job, answer it."""
    job = json.load(sys.stdin)
    bind(memory=job["memory"], seconds=job["seconds"], written=ANSWER_BYTES)
    try:
        answer = _answer(job)
    except MemoryError:
        return 1
    json.dump(answer, sys.stdout)
    return 0


def _answer(job: dict[str, Any]) -> dict[str, Any]:
    from auditor.exceptions import DataError
    from auditor.tables import Limits, read_table

    where = str(job["where"])
    try:
        table = read_table(Path(job["path"]), where=where, limits=Limits(**job["limits"]))
        return _register(job, table) if job["register"] else _look(job, table)
    except DataError as error:
        return {"refused": [error.where, error.what, error.expected]}


def _look(job: dict[str, Any], table: Any) -> dict[str, Any]:
    """What somebody needs who says what the columns mean: a proposal, else what is wrong with what they said."""
    from auditor.applications import write_mapping
    from auditor.exceptions import DataError
    from auditor.mapping_checks import check_mapping
    from auditor.mapping_inference import infer_mapping
    from compliance.registry.columns import mapping_of, masked_preview

    text = job["mapping"] or write_mapping(infer_mapping(table.frame, str(job["name"])))
    answer: dict[str, Any] = {"rows": table.frame.height, "mapping": text, "lines": [], "preview": [], "error": ""}
    try:
        mapping = mapping_of(text, where="mapping")
        answer["lines"] = check_mapping(table.frame, mapping)
        answer["preview"] = masked_preview(table.frame, mapping)
    except DataError as error:
        answer["error"] = str(error)
    return answer


def _register(job: dict[str, Any], table: Any) -> dict[str, Any]:
    """What the register needs: that the table fits its mapping, its hash, how many rows it has, and the first.

    Few applications are handed over whole, for the pages that estimate and preview.
    """
    from auditor.applications import apply_mapping, survey
    from compliance.registry.columns import mapping_of, masked_preview
    from compliance.registry.records import CELLS, packed

    mapping = mapping_of(job["mapping"], where=f"{job['name']}: mapping")
    preview = masked_preview(table.frame, mapping)
    told: dict[str, Any] = {"rows": table.frame.height, "sha256": table.sha256, "preview": preview}
    about: dict[str, Any] = {"source": str(job["where"]), "file_sha256": table.sha256}
    if table.frame.height * len(mapping.fields) > CELLS:
        survey(table.frame, mapping, **about)
        return {**told, "records": None}
    return {**told, "records": packed(apply_mapping(table.frame, mapping, **about))}


if __name__ == "__main__":
    sys.exit(main())
