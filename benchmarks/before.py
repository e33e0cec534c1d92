"""A whole audit by this version and by the commit before, one after the other on one machine.

``PLUMBLINE_BEFORE`` names the commit (``HEAD^`` by default). Its files go into a worktree of git's beside this clone's;
both audit ``plans/quick.toml`` with this environment's interpreter, a database of their own and one store of models, in
turn, ``PLUMBLINE_TIMES`` times each. The first audit of each, which imports the model and fills caches, is not counted.

One row for the seconds of the processor, one for the seconds on the clock: medians, and how many measurements agree.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rows import Row

ROOT = Path(__file__).parents[1]
PLAN = "plans/quick.toml"


@dataclass(frozen=True)
class Took:
    """One audit: seconds on the clock and of the processor, and its estimates by measurement."""

    wall: float
    processor: float
    estimates: dict[str, float | None]


def run() -> Iterator[Row]:
    """Both versions in turn."""
    commit = os.environ.get("PLUMBLINE_BEFORE", "HEAD^")
    times = int(os.environ.get("PLUMBLINE_TIMES", "3"))
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "before"
        _git("worktree", "add", "--detach", str(tree), commit)
        try:
            trees = {"ours": ROOT, "peer": tree}
            for name, root in trees.items():
                audit(root, Path(folder), f"{name}-first")
            took = {name: [] for name in trees}
            for number in range(times):
                for name, root in trees.items():
                    took[name].append(audit(root, Path(folder), f"{name}-{number}"))
        finally:
            _git("worktree", "remove", "--force", str(tree))
    ours, peer = took["ours"], took["peer"]
    same = agreement(ours[0].estimates, peer[0].estimates)
    for unit, read in (("s of processor", lambda one: one.processor), ("s", lambda one: one.wall)):
        mine, theirs = statistics.median(map(read, ours)), statistics.median(map(read, peer))
        yield Row(
            name=f"quick plan, {unit}",
            ours=mine,
            peer=theirs,
            ratio=theirs / mine,
            agreement=same,
            unit=unit,
            n=times,
            extra={"peer": _git("rev-parse", "--short", commit)},
        )


def audit(root: Path, folder: Path, name: str) -> Took:
    """One audit by the code in ``root``, as the command runs it."""
    out = folder / name
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("PLUMBLINE_")},
        "PLUMBLINE_DATA": str(folder / f"{name}-data"),
        "PLUMBLINE_MODELS": str(folder / "store"),
    }
    command = [sys.executable, "manage.py", "audit", PLAN, "--out", str(out), "--no-progress"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    subprocess.run(command, cwd=root, env=environment, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = json.loads((out / "result.json").read_bytes())
    return Took(
        wall=wall,
        processor=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        estimates={item["id"]: item["estimate"] for item in result["measurements"]},
    )


def agreement(ours: dict[str, float | None], peer: dict[str, float | None]) -> float:
    """Share of all measurements, of either, that both have with the same estimate."""
    names = ours.keys() | peer.keys()
    return sum(name in ours and name in peer and ours[name] == peer[name] for name in names) / len(names)


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()
