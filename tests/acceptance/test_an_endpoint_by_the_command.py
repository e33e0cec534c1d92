"""``manage.py audit`` of an endpoint: away, killed, gone on with, verified; what was answered is asked for once."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

from auditor.systems.request_store import RequestStore
from tests.acceptance.commands import SMALL_PLAN, manage, start
from tests.once import with_tables
from tests.systems.answering import Answering, answering
from tests.systems.faults import Asked, Fault

LISTED = """
[endpoint.x]
dialect = "chat_completions"
url = "{url}"
model = "underwriter"
concurrency = 2
tries = 1
"""
SECONDS = 400


def write_plan(path: Path) -> Path:
    text = SMALL_PLAN.replace("{model}", "endpoint:x").replace("limit = 40", "limit = 12")
    text = text.replace('favourable = ["Y"]', 'favourable = ["approve"]').replace(
        'adverse = ["N"]', 'adverse = ["deny"]'
    )
    path.write_text(text.replace('run = ["counterfactual", "arm_rates"', 'run = ["counterfactual", "probes"'))
    return path


def prompts(server: Answering) -> Counter[str]:
    """How often each prompt about an applicant reached the server."""
    with server.lock:
        found = Counter(asked.body["messages"][0]["content"] for asked in server.asked)
    return Counter({text: count for text, count in found.items() if text.startswith("Loan ")})


def kept(data: Path) -> Counter[str]:
    """How many answers to each prompt are kept."""
    [path] = data.glob("audits/*/requests.sqlite")
    with RequestStore(path) as store:
        records = [json.loads(json.loads(line)["request"]) for line in store.evidence()]
    return Counter(record["body"]["messages"][0]["content"] for record in records)


def state_of(data: Path) -> str:
    """Where the one audit stands."""
    [path] = data.glob("*.sqlite3")
    with closing(sqlite3.connect(path)) as database:
        [(state,)] = database.execute("SELECT state FROM compliance_audit").fetchall()
    return str(state)


def test_an_audit_of_an_endpoint_survives_an_outage_and_a_kill(tmp_path: Path) -> None:
    data, out, plan = tmp_path / "data", tmp_path / "out", write_plan(tmp_path / "plan.toml")
    command = ("audit", plan, "--out", out, "--no-progress")
    away = 0

    def faults(asked: Asked) -> Fault | None:
        return Fault(wire="status", code=503) if away and asked.number >= away else None

    with answering(faults=faults, pause=0.02) as server:
        with_tables(data)
        (data / "systems.toml").write_text(LISTED.replace("{url}", server.url))
        away = 40
        stopped = manage(data, *command)
        assert stopped.returncode == 3, stopped.stderr
        [line] = stopped.stderr.splitlines()
        assert "endpoint:x: paused, since one request was tried 1 times, the last time" in line
        assert line.startswith("A-0001: paused with ")
        assert "; what was answered is kept. To go on: python manage.py audit " in line
        assert state_of(data) == "paused"
        assert not (out / "report.pdf").exists()

        away = 0
        before = len(server.asked)
        killed = start(data, *command)
        end = time.monotonic() + SECONDS
        while len(server.asked) < before + 35 and time.monotonic() < end:
            time.sleep(0.005)
        killed.kill()
        killed.communicate()
        time.sleep(0.2)  # what the server was at when its client went away reaches nobody
        seen, held = prompts(server), kept(data)

        done = manage(data, *command)
        assert done.returncode == 0, done.stderr
        everything, after = kept(data), prompts(server)
    assert state_of(data) == "done"
    assert held.total() < everything.total()
    assert after - seen == everything - held
    assert manage(data, "verify", *out.iterdir()).returncode == 0
    result = json.loads((out / "result.json").read_text())
    assert result["environment"]["sent"]["answers"] == everything.total()
    assert [item["conclusion"] for item in result["measurements"] if item["test"] == "probes"] == ["NOT_TESTED"]
