"""The supervisor over real processes: who is started again, when, and that nobody is left behind."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from compliance.execution import supervisor
from compliance.execution.supervisor import Program, Supervisor

SHORT_LIVED = ("sh", "-c", "exit 7")


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", code)


def supervise(*programs: Program, seconds: float) -> tuple[bool, list[str]]:
    """Watch over programs for so long; whether the end was asked for, and what was said."""
    said: list[str] = []
    limit = time.monotonic() + seconds
    ended = Supervisor(programs, environment=os.environ, say=said.append).run(lambda: time.monotonic() > limit)
    return ended, said


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LOOK_SECONDS", 0.02)


def test_a_program_that_keeps_ending_is_started_again_after_pauses_that_double() -> None:
    asked, said = supervise(Program(name="worker", command=SHORT_LIVED), seconds=3.6)
    assert asked
    assert said == [f"The worker ended with exit code 7; it is started again in {pause} s" for pause in (1, 2, 4)]


def test_pauses_stop_growing_and_begin_anew_after_a_program_that_lasted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LONGEST_PAUSE", 1.0)
    _, said = supervise(Program(name="worker", command=SHORT_LIVED), seconds=2.6)
    assert [line[-3:] for line in said] == ["1 s"] * len(said)
    assert len(said) >= 2
    monkeypatch.setattr(supervisor, "LONGEST_PAUSE", 60.0)
    monkeypatch.setattr(supervisor, "LONG_ENOUGH", 0.1)
    _, said = supervise(Program(name="worker", command=("sh", "-c", "sleep 0.2; exit 7")), seconds=2.6)
    assert [line[-3:] for line in said] == ["1 s"] * len(said)
    assert len(said) >= 2


def test_the_end_of_a_needed_program_ends_everything(tmp_path: Path) -> None:
    other = tmp_path / "other"
    ended, said = supervise(
        Program(name="site", command=("sh", "-c", "sleep 0.3; exit 1"), needed=True),
        Program(name="worker", command=("sh", "-c", f"echo $$ > {other}; exec sleep 60")),
        seconds=30,
    )
    assert not ended
    assert said == ["The site ended with exit code 1; everything stops"]
    assert not psutil.pid_exists(int(other.read_text()))


def test_a_program_that_does_not_stop_is_ended_with_all_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "GRACE_SECONDS", 0.5)
    child = tmp_path / "child"
    deaf = python(
        "import signal, subprocess, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"open({str(child)!r}, 'w').write(str(subprocess.Popen(['sleep', '60']).pid))\n"
        "time.sleep(60)"
    )
    began = time.monotonic()
    ended, said = supervise(Program(name="worker", command=deaf), seconds=1.5)
    assert ended
    assert said == ["The worker does not stop; it is ended"]
    assert time.monotonic() - began < 40
    gone(int(child.read_text()))


def test_what_a_dead_program_started_does_not_live_on_beside_its_successor(tmp_path: Path) -> None:
    child = tmp_path / "child"
    script = f"sleep 60 & echo $! >> {child}; kill -9 $$"
    _, said = supervise(Program(name="worker", command=("sh", "-c", script)), seconds=0.6)
    assert said == ["The worker was ended by SIGKILL; it is started again in 1 s"]
    gone(*map(int, child.read_text().split()))


def gone(*processes: int) -> None:
    """Ended; whether somebody has already asked how does not matter."""
    limit = time.monotonic() + 5
    for pid in processes:
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < limit
            time.sleep(0.02)
