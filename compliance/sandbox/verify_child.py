"""The child process in which reports and bundles are verified: ``python -m compliance.sandbox.verify_child``.

Anybody may have made the files. One job comes as JSON on standard input, one answer goes as JSON to standard output.
The process first takes its own rights to memory and time away. It knows no Django, no database and no key.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import IO, Any

from compliance.sandbox.bounds import bind

ANSWER_BYTES = 64 << 20


def main() -> int:
    """Read a job, answer it."""
    # Whatever a library prints goes where the trace goes: the answer stands alone.
    with os.fdopen(os.dup(1), "w") as said:
        os.dup2(2, 1)
        return _answer_to(json.load(sys.stdin), said)


def _answer_to(job: dict[str, Any], said: IO[str]) -> int:
    # The engine that draws charts reserves tens of GB of addresses: only memory that can be written counts.
    bind(memory=job["memory"], seconds=job["seconds"], written=ANSWER_BYTES, mapped=True)
    # Modules are found where this process began; files are named as they were on the command line.
    sys.path[0] = str(Path.cwd())
    os.chdir(job["folder"])
    from auditor.exceptions import AuditorError, InputError
    from reports.verification import check

    try:
        decisions = Path(job["decisions"]) if job.get("decisions") else None
        checked = check([Path(path) for path in job["files"]], decisions=decisions)
        answer: dict[str, Any] = {"found": [str(item) for item in checked.mismatches[: job["most"]]]}
        answer["said"] = list(checked.said)
        answer["left"] = max(0, len(checked.mismatches) - job["most"])
        answer["not_compared"], answer["alone"] = list(checked.left), list(checked.alone)
        answer["first"] = list(checked.first)
        answer["heads"] = [[name, head[:100]] for name, head in checked.heads]
    except InputError as error:
        answer = {"refused": [error.where, error.what, error.expected]}
    except AuditorError as error:
        answer = {"refused": [str(error)]}
    except MemoryError:
        return 1
    json.dump(answer, said)
    return 0


if __name__ == "__main__":
    sys.exit(main())
