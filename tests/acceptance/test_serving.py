"""``manage.py serve`` as a process: a dead worker comes back, SIGTERM stops everything, the site's end ends it."""

from __future__ import annotations

import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.acceptance.commands import ask, start
from tests.once import with_tables
from tests.servers import free_port

SECONDS = 300


class Served:
    """A running ``serve`` and its children by what they do."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process, self.port = process, port

    def child(self, word: str) -> psutil.Process:
        """The child with that word in its command, once it is there."""
        found: list[psutil.Process] = []

        def there() -> bool:
            children = psutil.Process(self.process.pid).children()
            found[:] = [child for child in children if word in command(child)]
            return bool(found)

        wait(there)
        return found[0]

    def answers(self) -> bool:
        """Whether the site does."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def everybody(self) -> list[psutil.Process]:
        """The command's children and theirs."""
        return psutil.Process(self.process.pid).children(recursive=True)


def command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def wait(moment: Callable[[], bool]) -> None:
    limit = time.monotonic() + SECONDS
    while not moment():
        assert time.monotonic() < limit
        time.sleep(0.05)


@contextmanager
def serving(data: Path, *arguments: str) -> Iterator[Served]:
    port = free_port()
    process = start(data, "serve", "--address", f"127.0.0.1:{port}", *arguments)
    served = Served(process, port)
    try:
        wait(served.answers)
        yield served
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=SECONDS)


def listening(data: Path) -> list[str]:
    rows = ask(data / "plumbline.sqlite3", "SELECT key FROM compliance_worker ORDER BY started_at")
    return [row[0] for row in rows]


@pytest.mark.slow
def test_a_dead_worker_is_started_again_and_sigterm_stops_everything(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        wait(lambda: len(listening(tmp_path)) == 1)
        first = served.child("worker")
        first.send_signal(signal.SIGKILL)
        wait(lambda: len(listening(tmp_path)) == 2)
        assert served.child("worker").pid != first.pid
        assert served.answers()
        everybody = served.everybody()
        served.process.terminate()
        out, err = served.process.communicate(timeout=SECONDS)
    assert served.process.returncode == 0, err
    assert f"Plumbline is at http://127.0.0.1:{served.port}/" in out
    told = [line for line in err.splitlines() if line.startswith(("The ", "SIGTERM"))]
    assert told == [
        "The worker was ended by SIGKILL; it is started again in 1 s",
        "SIGTERM: stopping the worker, the notifier, the scheduler and the site; once more ends it at once",
    ]
    assert len(everybody) >= 4
    _, alive = psutil.wait_procs(everybody, timeout=5)
    assert alive == []
    assert ask(tmp_path / "plumbline.sqlite3", "SELECT stopping FROM compliance_worker ORDER BY started_at DESC")[
        0
    ] == (1,)


@pytest.mark.slow
def test_when_the_site_ends_everything_stops_with_exit_code_three(tmp_path: Path) -> None:
    with serving(with_tables(tmp_path), "--no-worker") as served:
        scheduler = served.child("scheduler")
        everybody = served.everybody()
        served.child("granian").send_signal(signal.SIGKILL)
        _, err = served.process.communicate(timeout=SECONDS)
    assert served.process.returncode == 3
    assert "The site was ended by SIGKILL; everything stops" in err
    _, alive = psutil.wait_procs([scheduler, *everybody], timeout=5)
    assert alive == []
