"""Real Celery workers on real brokers: the same bytes as the command line, also after ``kill -9``.

Two workers on both databases are in test_kills_in_every_phase.py. ``PLUMBLINE_TEST_PHASES=1`` runs the long forms.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.acceptance.commands import FILES, end, manage, repeatable, start
from tests.acceptance.conftest import Place
from tests.acceptance.sites import PLAN, REQUEST, Installed, site

LONG = os.environ.get("PLUMBLINE_TEST_PHASES") == "1"
MOMENTS = int(os.environ.get("PLUMBLINE_TEST_KILLS", "3" if LONG else "1"))
SEED = 20261123


if LONG:

    @pytest.mark.slow
    @pytest.mark.parametrize("count", [1, 2])
    def test_any_number_of_workers_gives_the_bytes_of_the_command(
        count: int, small_plan: Path, tmp_path: Path, expected: dict[str, bytes], place: Place
    ) -> None:
        with site(tmp_path, small_plan, **place.settings) as here:
            here.copy(place.installed)
            here.shell(REQUEST)
            for number in range(count):
                here.start("worker", "--name", f"w{number}")
            out = here.finish()
            assert repeatable(out) == expected
            assert here.one("SELECT sum(attempt) - count(*) FROM compliance_auditchunk")[0] == 0
            checked = manage(tmp_path, "verify", "--events", *(out / name for name in FILES), **place.settings)
            assert checked.returncode == 0, checked.stderr


@pytest.mark.slow
@pytest.mark.parametrize("place", ["files", "servers"] if LONG else ["files"], indirect=True)
def test_a_worker_killed_at_random_moments_ends_with_the_same_bytes(
    small_plan: Path, tmp_path: Path, expected: dict[str, bytes], place: Place
) -> None:
    with site(tmp_path, small_plan, PLUMBLINE_LEASE_SECONDS="2", **place.settings) as here:
        here.copy(place.installed)
        here.shell(REQUEST)
        here.start("scheduler")
        worker = here.start()
        here.wait(lambda: here.state() == "running")
        prompts = int(here.one("SELECT prompts FROM compliance_audit")[0])
        for moment in sorted(random.Random(SEED).sample(range(1, prompts - 10), MOMENTS)):
            here.wait(lambda moment=moment: here.done() >= moment)  # type: ignore[misc]
            here.kill(worker)
            worker = here.start()
        assert repeatable(here.finish()) == expected
        failed = "SELECT count(*) FROM compliance_event WHERE action = 'audit.failed'"
        assert here.one(failed) == (0,)  # a lost worker is no failed attempt


@pytest.mark.slow
def test_requests_at_the_same_moment_on_the_embedded_database_are_one_audit(
    small_plan: Path, tmp_path: Path, installed: Installed
) -> None:
    with site(tmp_path, small_plan) as here:
        here.copy(installed)
        clicks = [start(tmp_path, "shell", "-v", "0", "-c", REQUEST) for _ in range(2)]
        assert [end(click).stdout.strip() for click in clicks] == ["A-0001"] * 2
        assert here.one("SELECT count(*) FROM compliance_audit") == (1,)


@pytest.mark.slow
def test_a_worker_that_is_told_to_go_leaves_the_rest_to_the_next(
    small_plan: Path, tmp_path: Path, installed: Installed
) -> None:
    long = tmp_path / "long.toml"  # so long that it cannot end before the worker has gone
    long.write_text(small_plan.read_text().replace("limit = 40\n", "limit = 120\n"))
    with site(tmp_path, long) as here:
        here.copy(installed)
        here.shell(f"PLAN = {str(long)!r}\n{PLAN}\n{REQUEST}")
        first = here.start()
        here.wait(lambda: here.done() > 0)
        here.stop(first)
        assert here.state() == "running"
        assert here.one("SELECT count(*) FROM compliance_auditchunk WHERE state = 'running'") == (0,)
        here.start()
        here.finish()
        assert here.one("SELECT sum(lost) FROM compliance_auditchunk") == (0,)
