"""An installation with registered versions, its workers as processes, and an audit asked for on it."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.acceptance.commands import ROOT, ask, manage, surroundings
from tests.once import with_tables

SECONDS = 400
NEWEST = "ORDER BY serial DESC LIMIT 1"

REQUEST = """
KEY = "one"
from compliance import actions
from compliance.governance.events import Actor
from compliance.models import DataSetVersion, LanguageModelVersion, PlanVersion
audit = actions.request_audit(
    plan=PlanVersion.objects.order_by("pk").last(), model=LanguageModelVersion.objects.get(),
    data=DataSetVersion.objects.get(), queue="audits", request_key=KEY,
    actor=Actor(name="ada", role="officer"),
)
print(audit)
"""
WANTED = """
from compliance import actions
from compliance.governance.events import Actor
from compliance.models import default_team
actions.request_data(team=default_team(), name="Loans", source="demo:loanapp", actor=Actor(name="ada", role="officer"))
"""
PLAN = """
from pathlib import Path
from auditor.plan import read_plan
from compliance import actions
from compliance.governance.events import Actor
actions.register_plan(plan=read_plan(Path(PLAN)), actor=Actor(name="ada", role="officer"))
"""
REGISTER = """
import sys
from pathlib import Path
from auditor.data_sources import load_data
from auditor.plan import read_plan
from compliance import actions
from compliance.model_store import model_store
from compliance.governance.events import Actor
actor = Actor(name="ada", role="officer")
plan = read_plan(Path(PLAN))
stored = model_store().import_model(plan.run.model)
actions.register_plan(plan=plan, actor=actor)
actions.register_model(source=plan.run.model, sha256=stored.sha256, manifest=stored.manifest, actor=actor)
actions.register_data(data=load_data(plan.run.data, ""), actor=actor)
"""


@dataclass(frozen=True, kw_only=True)
class Installed:
    """Tables and the three versions, made once and copied: ``data`` the folder, ``database`` a template or none."""

    data: Path
    database: str = ""


class Site:
    """One data folder, or one database and broker, and what runs on it."""

    def __init__(self, data: Path, plan: Path, **settings: str) -> None:
        self.data, self.settings = data, settings
        self._plan = plan
        self._workers: list[subprocess.Popen[bytes]] = []

    def copy(self, installed: Installed) -> None:
        """What ``register`` does, from one that did it. A server's database was made of the template by then."""
        shutil.copytree(installed.data, self.data, dirs_exist_ok=True)

    def register(self) -> None:
        """Tables and the three versions."""
        if "DATABASE_URL" in self.settings:
            self._run("migrate", "--verbosity", "0")
        else:
            with_tables(self.data)
        self._run("shell", "-v", "0", "-c", f"PLAN = {str(self._plan)!r}\n{REGISTER}")

    def request(self) -> None:
        """The three versions, and a request for an audit of them."""
        self.register()
        assert self.shell(REQUEST).strip() == "A-0001"

    def shell(self, code: str) -> str:
        """What a piece of code says."""
        return self._run("shell", "-v", "0", "-c", code)

    def start(self, command: str = "worker", *arguments: str, **settings: str) -> subprocess.Popen[bytes]:
        """Start a worker, or the scheduler."""
        with (self.data / f"{command}-{len(self._workers)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "manage.py", command, *arguments],
                cwd=ROOT,
                env=surroundings(self.data, **{**self.settings, **settings}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._workers.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """``kill -9`` of a worker and whatever it started."""
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """The polite way; the worker goes after the batch in hand."""
        process.terminate()
        process.wait(60)

    def running(self) -> list[subprocess.Popen[bytes]]:
        """The processes that were started and have not ended."""
        return [process for process in self._workers if process.poll() is None]

    def end(self) -> None:
        """No process stays."""
        for process in self.running():
            self.kill(process)

    def one(self, query: str) -> tuple[Any, ...]:
        """The first row of an answer."""
        if url := self.settings.get("DATABASE_URL"):
            with psycopg.connect(url) as connection:
                return tuple(connection.execute(query).fetchone() or ())
        return tuple(ask(self.data / "plumbline.sqlite3", query)[0])

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Another process writes: the whole embedded database, or the rows of audits and of the event chain."""
        if url := self.settings.get("DATABASE_URL"):
            with psycopg.connect(url) as other:
                other.execute("SELECT 1 FROM compliance_chainhead, compliance_audit FOR UPDATE")
                yield
            return
        other = sqlite3.connect(self.data / "plumbline.sqlite3", isolation_level=None, timeout=30)
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")
        other.close()

    def state(self) -> str:
        """Where the newest audit stands."""
        return str(self.one(f"SELECT state FROM compliance_audit {NEWEST}")[0])

    def done(self) -> int:
        """Prompts of the newest audit that are scored."""
        return int(self.one(f"SELECT prompts_done FROM compliance_audit {NEWEST}")[0])

    def wait(self, moment: Callable[[], bool], *, seconds: float = SECONDS) -> None:
        """Until a moment has come."""
        limit = time.monotonic() + seconds
        while not moment():
            assert time.monotonic() < limit, self.report()
            assert self.state() != "failed", self.report()
            time.sleep(0.05)

    def finish(self) -> Path:
        """Wait for the newest audit's end; the folder with its files."""
        self.wait(lambda: self.state() == "done")
        return self.data / "audits" / f"A-{self.one(f'SELECT serial FROM compliance_audit {NEWEST}')[0]:04d}"

    def report(self) -> str:
        """What there is to say when something took too long."""
        row = self.one(f"SELECT state, prompts_done, prompts, error, seen_at FROM compliance_audit {NEWEST}")
        return f"{row}\n{self.report_all()}"

    def report_all(self) -> str:
        """What the processes said."""
        return "\n".join(f"{path.name}:\n{path.read_text()[-3000:]}" for path in sorted(self.data.glob("*.log")))

    def _run(self, *arguments: str) -> str:
        done = manage(self.data, *arguments, **self.settings)
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def site(data: Path, plan: Path, **settings: str) -> Iterator[Site]:
    """A site whose processes end with the test."""
    made = Site(data, plan, **settings)
    try:
        yield made
    finally:
        made.end()
