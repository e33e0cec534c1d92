"""``kill -9`` in every phase of an audit, on both databases: the same bytes, nothing stuck, nothing failed.

Short: one after another on one installation, and then a second audit by two workers, while another process holds the
database's write lock for longer than a statement waits (``PLUMBLINE_TEST_LOCK=30`` for half a minute); and SIGTERM
while it is registered and prepared, which whoever is at it finishes and then goes. Long, with
``PLUMBLINE_TEST_PHASES=1``: every phase by every way in which work is taken up again, each on an installation of its
own.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.acceptance.commands import ROOT, manage, repeatable
from tests.acceptance.conftest import Place
from tests.acceptance.holding import PHASES, Holding
from tests.acceptance.sites import REQUEST, SECONDS, WANTED, Site, site

#: How long another process holds the database while the second audit runs; a statement waits for a second.
LOCK_SECONDS = float(os.environ.get("PLUMBLINE_TEST_LOCK", "3"))
LEASE_SECONDS = 2  # whoever is killed counts as lost soon; a busy machine may lose a lease without a kill
WAYS = ("at once", "late", "another")
TOLD = ("registering:told", "preparing:told")  # SIGTERM instead of ``kill -9``
SHORT = ("registering:another", "preparing:late", "scoring:at once", "concluding:at once", "publishing:another")
LONG = [(f"{phase}:{way}",) for phase in PHASES for way in (*WAYS, "told")]
PLAYS = [SHORT, TOLD, *(LONG if os.environ.get("PLUMBLINE_TEST_PHASES") == "1" else [])]


def ended(here: Site) -> bool:
    return here.one("SELECT state FROM compliance_registration")[0] == "ready"


class Play:
    """A site whose workers are killed in phases, each taken up again in its way."""

    def __init__(self, here: Site, holding: Holding) -> None:
        self._here, self._holding = here, holding
        self._living: list[subprocess.Popen[bytes]] = []
        self._count = 0

    def worker(self) -> None:
        self._living.append(self._here.start("worker", "--name", f"w{self._count}"))
        self._count += 1

    def kill_in(self, phase: str, way: str) -> None:
        if way == "another" and len(self._living) < 2:
            self.worker()
        held = self._holding.holder(phase, seconds=SECONDS, say=self._here.report_all)
        family = {parent.pid for parent in held.parents()}
        (victim,) = (worker for worker in self._living if worker.pid in family)
        if way == "told":
            victim.terminate()
            self._holding.let_go(phase)
            assert victim.wait(SECONDS) == 0, self._here.report_all()
        else:
            self._here.kill(victim)
            self._holding.let_go(phase)
        self._living.remove(victim)
        if way == "late":
            time.sleep(2 * LEASE_SECONDS)
        if not self._living or way != "another":
            self.worker()

    def two_workers(self) -> None:
        while len(self._living) < 2:
            self.worker()


def kill_in(phases: Sequence[Sequence[str]], *, data: Path, plan: Path, place: Place) -> list[Path]:
    """Run an audit whose workers are killed in these phases, then one by two workers; the folders of both."""
    holding = Holding(data / "holding", tuple(phase for phase, _ in phases))
    settings = {"PLUMBLINE_LEASE_SECONDS": str(LEASE_SECONDS), "PLUMBLINE_DATABASE_SECONDS": "1", **place.settings}
    with site(data / "site", plan, PYTHONPATH=f"{ROOT}:{holding.folder}", **settings) as here:
        here.copy(place.installed)
        here.shell(f"{WANTED}\n{REQUEST}" if phases[0][0] != "registering" else WANTED)
        here.start("scheduler")
        play = Play(here, holding)
        play.worker()
        for number, (phase, way) in enumerate(phases):
            if number == 1 and phases[0][0] == "registering":
                wait(here, "the registration", lambda: ended(here))
                here.shell(REQUEST)
            play.kill_in(phase, way)
        wait(here, "the registration", lambda: ended(here))
        if len(phases) == 1 and phases[0][0] == "registering":
            here.shell(REQUEST)
        outs = [here.finish()]
        if len(phases) == len(PHASES):
            play.two_workers()
            here.shell(REQUEST.replace('KEY = "one"', 'KEY = "two"'))
            here.wait(lambda: here.done() > 0)
            with here.locked():
                time.sleep(LOCK_SECONDS)
            outs.append(here.finish())
        told = "SELECT count(*) FROM compliance_event WHERE action IN ('audit.failed', 'registration.failed')"
        assert here.one(told) == (0,)
        assert here.one("SELECT attempts FROM compliance_registration") == (0,)
        left = "SELECT count(*) FROM compliance_auditchunk WHERE state <> 'done'"
        assert here.one(left) == (0,)
        # The log against rows and files; what verifying the files themselves finds is tests/acceptance/test_workers.py.
        checked = manage(data / "site", "verify", "--events", **settings)
        assert checked.returncode == 0, checked.stderr
    return outs


def wait(here: Site, what: str, moment: object) -> None:
    limit = time.monotonic() + SECONDS
    while not moment():  # type: ignore[operator]
        assert time.monotonic() < limit, f"{what} is stuck:\n{here.report_all()}"
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.parametrize("phases", PLAYS, ids=" ".join)
def test_a_worker_killed_in_a_phase_ends_with_the_same_bytes(
    phases: tuple[str, ...], small_plan: Path, tmp_path: Path, expected: dict[str, bytes], place: Place
) -> None:
    steps = [tuple(phase.split(":")) for phase in phases]
    for out in kill_in(steps, data=tmp_path, plan=small_plan, place=place):
        assert repeatable(out) == expected
