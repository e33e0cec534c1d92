"""Running what reads untrusted files in a process of its own: bounded in time here, in memory by the process itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TOLD = 2_000


@dataclass(frozen=True)
class Answer:
    """What a child said: ``code`` is its exit code, ``None`` if its time was up; ``said`` is its answer if that is 0.

    ``told`` is the end of what it wrote to standard error.
    """

    code: int | None
    said: Any
    told: str

    @property
    def late(self) -> bool:
        """Whether it was ended because it took too long."""
        return self.code is None or self.code == -signal.SIGXCPU


def ask(module: str, job: dict[str, Any], *, seconds: float, folder: Path) -> Answer:
    """Give a job to ``python -m module`` as JSON, and take its answer.

    Parameters
    ----------
    module
        A module whose process bounds itself (:func:`compliance.bounds.bind`).
    seconds
        Until it and whatever it started are ended.
    folder
        Where the module is found.
    """
    # No other variable of this process is handed on: they hold the keys of the installation.
    environment = {"PATH": os.defpath, "LANG": "C.UTF-8", "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as trace:
        asked.write(json.dumps(job).encode())
        asked.seek(0)
        child = subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=folder,
            env=environment,
            stdin=asked,
            stdout=said,
            stderr=trace,
            start_new_session=True,
        )
        try:
            code: int | None = child.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        said.seek(0)
        answer = json.loads(said.read()) if code == 0 else None
        trace.seek(0, os.SEEK_END)
        trace.seek(max(0, trace.tell() - TOLD))
        return Answer(code, answer, trace.read().decode("utf-8", "replace"))
