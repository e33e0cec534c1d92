"""The commands as processes, and a plan small enough to run many times."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from django.core.management import call_command

from auditor.evidence import REPEATABLE

ROOT = Path(__file__).parents[2]
FILES = ("report.pdf", "annex.pdf", "result.json", "evidence.zip")
SECONDS = 900

SMALL_PLAN = """
schema = 1
name = "small"
title = "Small"

[run]
model = "{model}"
data = "demo:loanapp"

[use]
business_use = "Loan applications"
decision_role = "advisory"
policy_packs = ["us-ecoa-regb"]

[cases]
limit = 40
seed = 3

[prompt]
template = "Loan {loan_amount}, form {form_number}, sex {sex}, race {race}: "

[prompt.answers]
favourable = ["Y"]
adverse = ["N"]
mass_floor = 0.0

[placebo]
field = "form_number"
label = "Form number"
low = 100
high = 999

[[attributes]]
field = "race"
groups = ["White", "Black"]
reference = "White"

[[attributes]]
field = "sex"
groups = ["male", "female"]
reference = "male"

[noise]
reask = 10

[tests]
run = ["counterfactual", "arm_rates", "group_rates", "model_quality", "noise_floor"]

[budget]
threads = 1
pack_tokens = 256
chunk_tokens = 150
max_prompt_tokens = 256
"""


def write_plan(path: Path, *, model: str) -> Path:
    """A plan of 40 real applications in some 40 chunks: seconds on a tiny model."""
    path.write_text(SMALL_PLAN.replace("{model}", model))
    return path


def surroundings(data: Path, **settings: str) -> dict[str, str]:
    """The environment of a user who set only what is given."""
    # Without compiled files every process compiles the project's and its workers' code once more.
    mine = ("PLUMBLINE", "DJANGO", "DATABASE_URL", "REDIS_URL", "PYTHONDONTWRITEBYTECODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
    return {**kept, "OMP_NUM_THREADS": "1", "PLUMBLINE_DATA": str(data), "PLUMBLINE_LEASE_SECONDS": "5", **settings}


def start(data: Path, *arguments: str | Path, room: int | None = None, **settings: str) -> subprocess.Popen[str]:
    """Start a command; ``room`` is the largest file in bytes it may write, as on a disk that is nearly full."""

    def limit() -> None:
        if room is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    return subprocess.Popen(
        [sys.executable, "manage.py", *map(str, arguments)],
        cwd=ROOT,
        env=surroundings(data, **settings),
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=limit,  # noqa: PLW1509, the test that calls this has no threads
    )


def end(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for a command."""
    try:
        out, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def manage(data: Path, *arguments: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return end(start(data, *arguments, **settings))


def repeatable(out: Path) -> dict[str, bytes]:
    """The files that a repeat must reproduce, as they lie in the bundle."""
    with zipfile.ZipFile(out / "evidence.zip") as bundle:
        return {name: bundle.read(name) for name in REPEATABLE}


def ask(database: Path, query: str) -> list[Any]:
    """What the embedded database says, read from outside while it is in use."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10) as connection:
        rows = connection.execute(query).fetchall()
    connection.close()
    return rows


def here(*arguments: str | Path) -> int:
    """Run a command in this process, on the test's database; returns its exit code."""
    try:
        call_command(*map(str, arguments))
    except SystemExit as end:
        return int(str(end.code))
    return 0
