"""Checking files that anybody may have made: in a child process, bounded in time and memory. Never in this one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from auditor.exceptions import InputError
from compliance.sandbox.children import ChildError, answer_of

MEMORY = 4 << 30
SECONDS = 900
"""What checking files may take; a report of a hundred pages takes some 500 MiB and, measured again, half a minute."""
MOST_LINES = 50


def checked(
    paths: Sequence[Path],
    *,
    decisions: Path | None = None,
    memory: int = MEMORY,
    seconds: int = SECONDS,
    most: int = MOST_LINES,
) -> dict[str, Any]:
    """What a child process found of files: it may be slow, or break, and this one not.

    Parameters
    ----------
    paths
        Reports, results and bundles, as :func:`reports.verification.check` takes them.
    decisions
        The decision file behind a bundle, as :func:`reports.verification.check` takes it.
    memory
        Bytes that the child may write.
    seconds
        By the clock.
    most
        How many differences are named.

    Returns
    -------
    dict
        ``found``: lines that name what differs, ``left``: how many more there are, ``said``: what holds, if nothing
        was found, ``not_compared``: what could not be compared and should have been, ``alone``: what there was
        nothing to compare with, ``heads``: heads of an event chain that files print, by name, ``first``: what is to be
        read before all of this. A child without an answer is a line in ``found``: what could not be checked is never
        called whole.

    Raises
    ------
    InputError
        If a file cannot be opened or its kind is not known.
    """
    job = {
        "files": [str(path) for path in paths],
        "decisions": None if decisions is None else str(decisions),
        "folder": str(Path.cwd()),
        "memory": memory,
        "seconds": seconds,
        "most": most,
    }
    names = ", ".join(path.name for path in paths)
    try:
        answer = answer_of("compliance.sandbox.verify_child", job, where=names, seconds=seconds)
    except ChildError as error:
        if error.late:
            return _broken(f"{names}: found what takes longer than {seconds:,} s to be checked")
        return _broken(
            f"{names}: found what cannot be checked within {memory >> 20:,} MiB of memory, or ends its reader"
        )
    if "refused" in answer:
        raise InputError(*answer["refused"])
    return answer


def _broken(line: str) -> dict[str, Any]:
    nothing: dict[str, Any] = {"left": 0, "not_compared": [], "alone": [], "heads": [], "first": []}
    return {"found": [f"{line}; expected the files as they were written"], **nothing}
