"""``kill -9`` in every phase of an audit, on both databases: the same bytes, nothing stuck, nothing failed.

Short: one after another on one installation. Long, with ``PLUMBLINE_TEST_PHASES=1``: every phase by every way in which
work is taken up again, each on an installation of its own.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.acceptance.commands import FILES, ROOT, manage, repeatable
from tests.acceptance.holding import PHASES, Holding
from tests.acceptance.sites import REQUEST, SECONDS, Site, site

LEASE_SECONDS = 5
WAYS = ("at once", "late", "another")
SHORT = ("registering:at once", "preparing:late", "scoring:at once", "concluding:at once", "publishing:at once")
LONG = [(f"{phase}:{way}",) for phase in PHASES for way in WAYS]
PLAYS = [SHORT, *(LONG if os.environ.get("PLUMBLINE_TEST_PHASES") == "1" else [])]

WANTED = """
from compliance import actions
from compliance.events import Actor
from compliance.models import default_team
actions.request_data(team=default_team(), name="Loans", source="demo:loanapp", actor=Actor(name="ada", role="officer"))
"""


@pytest.fixture(params=["files", "servers"])
def servers(request: pytest.FixtureRequest) -> dict[str, str]:
    """SQLite with the broker of files, then PostgreSQL with Redis."""
    if request.param == "files":
        return {}
    redis = request.getfixturevalue("redis_url").rpartition("/")[0]
    return {"DATABASE_URL": request.getfixturevalue("database_url"), "REDIS_URL": f"{redis}/{random.randrange(1, 16)}"}


def ended(here: Site) -> bool:
    return here.one("SELECT state FROM compliance_registration")[0] == "ready"


def kill_in(phases: Sequence[Sequence[str]], *, data: Path, plan: Path, settings: dict[str, str]) -> Path:
    """Run an audit whose worker is killed in these phases, each taken up again in its way; its folder."""
    holding = Holding(data / "holding", tuple(phase for phase, _ in phases))
    (data / "site").mkdir()
    path = f"{ROOT}:{holding.folder}"
    with site(data / "site", plan, PYTHONPATH=path, **settings) as here:
        here.register()
        here.shell(WANTED)
        here.start("scheduler")
        workers: list[subprocess.Popen[bytes]] = [here.start("worker", "--name", "w0")]
        asked = False
        for phase, way in phases:
            if phase != "registering" and not asked:
                wait(here, "the registration", lambda: ended(here))
                here.shell(REQUEST)
                asked = True
            if way == "another":
                workers.append(here.start("worker", "--name", f"w{len(workers)}"))
            held = holding.holder(phase, seconds=SECONDS, say=here.report_all)
            family = {parent.pid for parent in held.parents()}
            (victim,) = (worker for worker in workers if worker.pid in family)
            here.kill(victim)
            holding.let_go(phase)
            if way == "late":
                time.sleep(2 * LEASE_SECONDS)
            if way != "another":
                workers.append(here.start("worker", "--name", f"w{len(workers)}"))
        wait(here, "the registration", lambda: ended(here))
        if not asked:
            here.shell(REQUEST)
        out = here.finish()
        told = "SELECT count(*) FROM compliance_event WHERE action IN ('audit.failed', 'registration.failed')"
        assert here.one(told) == (0,)
        assert here.one("SELECT attempts FROM compliance_registration") == (0,)
        left = "SELECT count(*) FROM compliance_auditchunk WHERE state <> 'done'"
        assert here.one(left) == (0,)
        checked = manage(data / "site", "verify", "--events", *(out / name for name in FILES), **settings)
        assert checked.returncode == 0, checked.stderr
    return out


def wait(here: Site, what: str, moment: object) -> None:
    limit = time.monotonic() + SECONDS
    while not moment():  # type: ignore[operator]
        assert time.monotonic() < limit, f"{what} is stuck:\n{here.report_all()}"
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("phases", PLAYS, ids=" ".join)
def test_a_worker_killed_in_a_phase_ends_with_the_same_bytes(
    phases: tuple[str, ...], small_plan: Path, tmp_path: Path, expected: dict[str, bytes], servers: dict[str, str]
) -> None:
    steps = [tuple(phase.split(":")) for phase in phases]
    assert repeatable(kill_in(steps, data=tmp_path, plan=small_plan, settings=servers)) == expected
