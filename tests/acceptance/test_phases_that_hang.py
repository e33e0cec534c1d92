"""A phase that never comes back, heeds no signal and lets no thread run: ended, and done by the next. Both databases.

Chunks have a test of their own, and what is given up after three times is tests/compliance/test_stalls.py.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.acceptance.commands import ROOT, repeatable
from tests.acceptance.conftest import Place
from tests.acceptance.holding import Holding
from tests.acceptance.sites import REQUEST, SECONDS, WANTED, Site, site

#: Longer than the tiny model's phases take on a busy machine.
STEP_SECONDS = 10
PHASES = ("registering", "preparing", "concluding", "publishing")


def until_registered(here: Site) -> None:
    limit = time.monotonic() + SECONDS
    while here.one("SELECT state FROM compliance_registration") != ("ready",):
        assert time.monotonic() < limit, here.report_all()
        time.sleep(0.1)


@pytest.mark.slow
def test_phases_that_hang_are_ended_from_outside_and_the_next_process_gives_the_same_bytes(
    small_plan: Path, tmp_path: Path, expected: dict[str, bytes], place: Place
) -> None:
    # One installation and one audit for all: each phase costs the step's seconds and a process that loads the engine.
    holding = Holding(tmp_path / "holding", PHASES)
    limits = {"PLUMBLINE_STEP_SECONDS": str(STEP_SECONDS), "PLUMBLINE_PREPARE_SECONDS": str(STEP_SECONDS)}
    settings = {**limits, "PLUMBLINE_LEASE_SECONDS": "2", **place.settings}
    with site(tmp_path / "site", small_plan, PYTHONPATH=f"{ROOT}:{holding.folder}", **settings) as here:
        here.copy(place.installed)
        for phase in PHASES:
            holding.hang(phase)
        here.shell(WANTED)
        here.start("scheduler")
        worker = here.start()
        for phase in PHASES:
            hung = holding.holder(phase, seconds=SECONDS, say=here.report_all)
            holding.let_go(phase)  # whoever comes next; this one looks no more
            hung.wait(SECONDS)
            if phase == "registering":
                until_registered(here)
                here.shell(REQUEST)
        assert repeatable(here.finish()) == expected
        assert worker.poll() is None
        said = "".join(path.read_text() for path in here.data.glob("*.log"))  # whole: a report shows the end of each
        assert said.count("no progress for") >= len(PHASES)
        failed = "SELECT count(*) FROM compliance_event WHERE action IN ('audit.failed', 'registration.failed')"
        assert here.one(failed) == (0,)
        assert here.one("SELECT state, error FROM compliance_registration") == ("ready", "")
