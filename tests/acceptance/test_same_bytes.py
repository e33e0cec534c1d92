"""The same run gives the same evidence: repeated, killed and resumed, stopped and resumed, shared by two processes."""

from __future__ import annotations

import io
import json
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import psycopg
import pytest

from tests.acceptance.commands import FILES, ask, end, manage, repeatable, start
from tests.once import with_tables

KILLS = 5
SEED = 20261122


def scored(data: Path) -> int:
    """Prompts the embedded database counts as scored; -1 before there is an audit."""
    database = data / "plumbline.sqlite3"
    if not database.exists() or not ask(database, "SELECT 1 FROM sqlite_master WHERE name = 'compliance_audit'"):
        return -1
    rows = ask(database, "SELECT prompts_done FROM compliance_audit")
    return int(rows[0][0]) if rows else -1


def wait(process: subprocess.Popen[str], moment: Callable[[], bool]) -> None:
    """Until the moment has come; the process must still be at work then."""
    limit = time.monotonic() + 200
    while not moment():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_a_repeat_gives_the_same_bytes(
    undisturbed: Path, small_plan: Path, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    data, out = Path(shutil.copytree(undisturbed, tmp_path / "data")), tmp_path / "out"
    again = manage(data, "audit", small_plan, "--out", out)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("A-0002 ")  # a finished run is not reopened
    assert repeatable(out) == expected


def test_killed_five_times_and_resumed_it_gives_the_same_bytes(
    small_plan: Path, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    out = with_tables(tmp_path) / "out"
    cases = pl.read_parquet(io.BytesIO(expected["cases.parquet"])).height
    moments = sorted(random.Random(SEED).sample(range(1, cases - 20), KILLS - 1))
    for prompts in moments:
        process = start(tmp_path, "audit", small_plan, "--out", out)
        wait(process, lambda prompts=prompts: scored(tmp_path) >= prompts)  # type: ignore[misc]
        process.kill()
        assert end(process).returncode == -signal.SIGKILL
        assert not any((out / name).exists() for name in FILES)
    process = start(tmp_path, "audit", small_plan, "--out", out)
    evidence = tmp_path / "audits" / "A-0001" / "evidence"
    wait(process, evidence.exists)  # the fifth time while it writes its evidence
    process.kill()
    assert end(process).returncode == -signal.SIGKILL
    done = manage(tmp_path, "audit", small_plan, "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("A-0001 ")
    assert repeatable(out) == expected
    assert manage(tmp_path, "verify", *(out / name for name in FILES)).returncode == 0
    assert ask(tmp_path / "plumbline.sqlite3", "SELECT count(*) FROM compliance_audit") == [(1,)]


def test_ctrl_c_says_how_to_go_on_and_going_on_gives_the_same_bytes(
    small_plan: Path, tmp_path: Path, expected: dict[str, bytes]
) -> None:
    out = with_tables(tmp_path) / "out"
    process = start(tmp_path, "audit", small_plan, "--out", out)
    wait(process, lambda: scored(tmp_path) >= 20)
    process.send_signal(signal.SIGINT)
    stopped = end(process)
    command = f"python manage.py audit {small_plan} --out {out}"
    assert stopped.returncode == 3
    assert stopped.stdout == ""
    last = stopped.stderr.splitlines()[-1]
    assert last.startswith("A-0001: stopped with ")
    assert last.endswith(f"they are kept, labelled incomplete. To go on: {command}")
    note = json.loads((out / "incomplete.json").read_text())
    assert note["audit"] == {"audit_id": "A-0001", "status": "incomplete", "governed": False}
    assert 20 <= note["prompts_scored"] < note["prompts"]
    assert note["resume"] == command
    assert not any((out / name).exists() for name in FILES)
    done = manage(tmp_path, "audit", small_plan, "--out", out)
    assert done.returncode == 0, done.stderr
    assert repeatable(out) == expected
    assert not (out / "incomplete.json").exists()


@pytest.mark.parametrize("vendor", ["sqlite", "postgresql"])
def test_two_processes_share_one_run_and_score_every_prompt_once(
    small_plan: Path, tmp_path: Path, expected: dict[str, bytes], vendor: str, request: pytest.FixtureRequest
) -> None:
    settings: dict[str, str] = {}
    if vendor == "postgresql":
        settings["DATABASE_URL"] = request.getfixturevalue("database_with_tables")
    both = [start(tmp_path, "audit", small_plan, "--out", tmp_path / name, **settings) for name in ("one", "two")]
    for name, done in zip(("one", "two"), [end(process) for process in both], strict=True):
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("A-0001 ")
        assert repeatable(tmp_path / name) == expected
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    asked = [
        "SELECT count(*), sum(attempt), sum(prompts) FROM compliance_auditchunk",
        "SELECT count(*), sum(prompts), sum(prompts_done) FROM compliance_audit",
    ]
    if vendor == "postgresql":
        with psycopg.connect(settings["DATABASE_URL"]) as connection:
            (chunks, attempts, prompts), audits = (connection.execute(query).fetchone() or () for query in asked)
    else:
        (chunks, attempts, prompts), audits = (ask(tmp_path / "plumbline.sqlite3", query)[0] for query in asked)
    assert attempts == chunks
    assert audits == (1, prompts, prompts)
