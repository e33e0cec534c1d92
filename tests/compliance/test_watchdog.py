"""The process that watches over a worker: a step that reports no progress ends its process, and nothing else does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from compliance.execution.steps import Step
from compliance.execution.watchdog import Watchdog, watch
from tests.acceptance.commands import ROOT, ask, manage, surroundings
from tests.once import with_tables

SECONDS = 0.5

# A regular expression that backtracks for ever lets no other thread of its process run.
HOLDS_EVERYTHING = "import re; re.match(r'(a+)+$', 'a' * 60 + 'b')"
SLEEPS = "import time; time.sleep(600)"
DEAF_TO_SIGNALS = "import signal, time; signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32)); time.sleep(600)"


def watched(code: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    script = (
        "from compliance.execution.watchdog import Watchdog\n"
        f"with Watchdog('audit', 1, seconds={SECONDS}) as dog, dog.watching(chunk=7):\n    {code}\n"
    )
    return run(script, folder)


def run(script: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    env = surroundings(folder, DJANGO_SETTINGS_MODULE="compliance.settings")
    return subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=env, capture_output=True, check=False, timeout=60
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with tables and an audit of eight chunks."""
    folder = with_tables(tmp_path_factory.mktemp("watched"))
    code = "from tests.compliance.factories import make_audit\nassert make_audit(chunks=8).pk == 1"
    done = manage(folder, "shell", "-v", "0", "-c", code)
    assert done.returncode == 0, done.stderr
    return folder


def stalls(folder: Path) -> tuple[int, str, str]:
    found = ask(
        folder / "plumbline.sqlite3", 'SELECT stalled, state, error FROM compliance_auditchunk WHERE "index" = 7'
    )
    return tuple(found[0])  # type: ignore[return-value]


@pytest.mark.parametrize("code", [SLEEPS, HOLDS_EVERYTHING, DEAF_TO_SIGNALS], ids=["sleeps", "holds", "deaf"])
def test_a_call_that_never_returns_is_ended_with_its_process_and_counted(code: str, folder: Path) -> None:
    before = stalls(folder)[0]
    ended = watched(code, folder)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    stalled, state, error = stalls(folder)
    assert stalled == before + 1
    assert state == ("failed" if stalled >= 3 else "queued")
    times = ", 3 times" if stalled >= 3 else ""
    assert error == f"took longer than 0 s without reporting progress{times}; PLUMBLINE_STEP_SECONDS allows more"


def test_a_step_that_gives_signs_may_take_as_long_as_it_takes() -> None:
    with Watchdog("audit", 1, seconds=SECONDS) as dog, dog.watching(chunk=1):
        for _ in range(20):
            time.sleep(SECONDS / 5)
            dog.goes_on()


def test_between_steps_no_time_runs_and_afterwards_nobody_watches() -> None:
    with Watchdog("audit", 1, seconds=SECONDS) as dog:
        with dog.watching():
            watching = [
                child for child in psutil.Process().children() if "compliance.execution.watchdog" in child.cmdline()
            ]
        time.sleep(3 * SECONDS)
    assert len(watching) == 1
    assert not watching[0].is_running()


def test_a_watchdog_that_was_ended_is_replaced_at_the_next_step() -> None:
    with Watchdog("audit", 1, seconds=60) as dog:
        with dog.watching():
            (first,) = (
                child for child in psutil.Process().children() if "compliance.execution.watchdog" in child.cmdline()
            )
            first.kill()
            first.wait(10)
            time.sleep(0.6)
            dog.goes_on()
        with dog.watching():
            (second,) = (
                child for child in psutil.Process().children() if "compliance.execution.watchdog" in child.cmdline()
            )
            assert second.pid != first.pid


def test_a_process_that_ends_by_itself_takes_its_watchdog_along(folder: Path) -> None:
    code = "import os; print(dog._process.pid, flush=True); os._exit(3)"
    ended = watched(code, folder)
    assert ended.returncode == 3
    limit = time.monotonic() + 10
    while psutil.pid_exists(int(ended.stdout)):
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_what_is_said_in_pieces_is_understood() -> None:
    read, write = os.pipe()
    found: list[Step | None] = []
    watching = threading.Thread(target=lambda: found.append(watch(read)))
    watching.start()
    said = [json.dumps({"seconds": SECONDS, "chunk": chunk}).encode() for chunk in (12, 34)]
    for piece in (b"@", said[0][:5], said[0][5:], b"\n.", b'\n-\n@{"seconds": 60}\n-\n@', said[1], b"\n"):
        os.write(write, piece)
        time.sleep(0.02)
    watching.join(20)
    assert found == [Step(seconds=SECONDS, chunk=34)]
    watching = threading.Thread(target=lambda: found.append(watch(read)))
    watching.start()
    os.write(write, b'@{"seconds": 60, "what": "preparing it"}\n')
    os.close(write)
    watching.join(20)
    assert found == [Step(seconds=SECONDS, chunk=34), None]
    os.close(read)


def test_a_step_with_seconds_of_its_own_is_ended_after_them(folder: Path) -> None:
    code = (
        "from compliance.execution.watchdog import Watchdog\n"
        "with Watchdog('audit', 1, seconds=600) as dog, dog.watching(chunk=3, seconds=0.5, setting='PLUMBLINE_X'):\n"
        f"    {HOLDS_EVERYTHING}\n"
    )
    assert run(code, folder).returncode == -signal.SIGKILL
    error = ask(folder / "plumbline.sqlite3", 'SELECT error FROM compliance_auditchunk WHERE "index" = 3')
    assert error == [("took longer than 0 s without reporting progress; PLUMBLINE_X allows more",)]
