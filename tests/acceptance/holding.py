"""Workers that stand still where a test wants to kill them: a module that Python loads at its start, in a folder.

A phase holds as long as its file says so, and leaves the number of the process that holds. What is killed is the worker
as it is shipped; between two statements of its own it only waits for longer than usual.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import psutil

PHASES = ("registering", "preparing", "scoring", "concluding", "publishing")

CODE = """
import functools, importlib.abc, importlib.machinery, os, sys, time
from pathlib import Path

HERE = Path(__file__).parent
# Module: attribute, phase, and whether the step itself is done before or after it holds.
HELD = {
    "compliance.registry.registration": [("_register", "registering", "before")],
    "auditor.conductor": [("prepare", "preparing", "after"), ("conclude", "concluding", "after")],
    "compliance.execution.ledger": [("DatabaseLedger.payload", "scoring", "after")],  # the chunk is taken, not scored
    "reports.publish": [("publish", "publishing", "after")],  # the files are written and not entered
}

def hold(phase):
    if (HERE / f"hold-{phase}").exists():
        (HERE / f"{phase}-draft").write_text(str(os.getpid()))
        (HERE / f"{phase}-draft").rename(HERE / phase)
        if (HERE / f"hold-{phase}").read_text() == "hang":
            sum(range(10**15))  # lets no thread run, hears no signal
        while (HERE / f"hold-{phase}").exists():
            time.sleep(0.05)

def wrapped(step, phase, moment):
    @functools.wraps(step)
    def run(*arguments, **options):
        if moment == "before":
            hold(phase)
        made = step(*arguments, **options)
        if moment == "after":
            hold(phase)
        return made
    return run

class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name not in HELD:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        load = spec.loader.exec_module
        def exec_module(module):
            load(module)
            for attribute, phase, moment in HELD[name]:
                *owners, last = attribute.split(".")
                owner = functools.reduce(getattr, owners, module)
                setattr(owner, last, wrapped(getattr(owner, last), phase, moment))
        spec.loader.exec_module = exec_module
        return spec

sys.meta_path.insert(0, Finder())
"""


class Holding:
    """Phases that hold, in the folder to put on ``PYTHONPATH``."""

    def __init__(self, folder: Path, phases: tuple[str, ...]) -> None:
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(CODE)
        self.folder = folder
        for phase in phases:
            (folder / f"hold-{phase}").touch()

    def holder(self, phase: str, *, seconds: float, say: Callable[[], str]) -> psutil.Process:
        """The process that holds in a phase, once one does."""
        limit = time.monotonic() + seconds
        while not (self.folder / phase).exists():
            assert time.monotonic() < limit, f"nobody came to {phase}:\n{say()}"
            time.sleep(0.05)
        return psutil.Process(int((self.folder / phase).read_text()))

    def hang(self, phase: str) -> None:
        """Whoever comes to a phase never comes back from it, and heeds nothing."""
        (self.folder / f"hold-{phase}").write_text("hang")

    def let_go(self, phase: str) -> None:
        """Whoever comes next goes on."""
        (self.folder / f"hold-{phase}").unlink()
