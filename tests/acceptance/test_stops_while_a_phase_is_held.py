"""Stop pressed on a real installation while a phase is held, by a wait or by another process's lock: it is final.

On both databases; the lock is the one under which an audit is concluded. Who is held goes on after the stop, as on a
slow machine, and nothing of what it does then leads back: only the person who goes on does, to the same bytes.
"""

from __future__ import annotations

import fcntl
import json
import time
from pathlib import Path

import pytest

from tests.acceptance.commands import ROOT, repeatable
from tests.acceptance.conftest import Place
from tests.acceptance.holding import Holding
from tests.acceptance.sites import REQUEST, SECONDS, Site, site
from tests.acceptance.test_stopping_by_force import act

LEASE_SECONDS = 2
PHASES = ("preparing", "scoring", "concluding", "publishing")
ACTIONS = """
import json
from compliance.models import Event
events = Event.objects.filter(action__startswith="audit.").order_by("seq")
print(json.dumps(list(events.values_list("action", flat=True))))
"""


def stop_while_it_is_locked(here: Site) -> None:
    """Another process has the folder in which the audit that goes on is to be concluded."""
    folder = here.data / "audits" / "A-0001"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        act(here, "retry_audit")
        here.wait(lambda: here.one("SELECT claim_token FROM compliance_audit") != ("",) and here.state() == "running")
        act(here, "stop_audit")
        time.sleep(LEASE_SECONDS)
        assert here.state() == "cancelling", "whoever waits for the lock lives, and is waited for"
    here.wait(lambda: here.state() == "cancelled")


@pytest.mark.slow
def test_a_stop_pressed_while_a_phase_is_held_is_final_in_each_of_them(
    small_plan: Path, tmp_path: Path, expected: dict[str, bytes], place: Place
) -> None:
    holding = Holding(tmp_path / "holding", PHASES)
    settings = {"PLUMBLINE_LEASE_SECONDS": str(LEASE_SECONDS), **place.settings}
    with site(tmp_path / "site", small_plan, PYTHONPATH=f"{ROOT}:{holding.folder}", **settings) as here:
        here.copy(place.installed)
        here.shell(REQUEST)
        here.start("scheduler")
        here.start()
        for phase in PHASES:
            holding.holder(phase, seconds=SECONDS, say=here.report_all)
            act(here, "stop_audit")
            assert here.state() == ("cancelled" if phase == "preparing" else "cancelling")
            holding.let_go(phase)
            here.wait(lambda: here.state() == "cancelled")
            if phase == "preparing":
                time.sleep(2 * LEASE_SECONDS)  # who prepared comes to its end, and sweeps come by
                assert here.state() == "cancelled"
                assert here.one("SELECT run_sha256 FROM compliance_audit") == ("",)
            if phase == "scoring":
                stop_while_it_is_locked(here)
            act(here, "retry_audit")
        assert repeatable(here.finish()) == expected
        told = json.loads(here.shell(ACTIONS).splitlines()[-1])
    # From a stop nothing leads on but the person who goes on.
    after = [told[at + 1] for at, action in enumerate(told) if action == "audit.stop_requested"]
    assert after == ["audit.resumed"] + 4 * ["audit.stopped"], told
    assert [told[at + 1] for at, action in enumerate(told) if action == "audit.stopped"] == 4 * ["audit.resumed"]
    assert told.count("audit.finished") == 1
