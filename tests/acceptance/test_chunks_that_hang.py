"""A chunk that never comes back, on a real worker and both databases: counted, ended with its reason, gone on with."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.acceptance.commands import ROOT, repeatable
from tests.acceptance.conftest import Place
from tests.acceptance.sites import PLAN, REQUEST, SECONDS, Site, site
from tests.acceptance.test_stopping_by_force import DEAF, act, install

STEP_SECONDS = 12  # what loading the tiny model, a batch of it and its report never take, also on a busy machine
# No other thread of the process runs meanwhile, so nobody in it could end it.
HANG = '    while (HERE / "deaf").exists():\n        __import__("re").match(r"(a+)+$", "a" * 60 + "b")\n'
# It hangs once in earnest: each time costs a step's seconds and a process that loads the engine anew.
TWICE_BEFORE = """
from compliance.models import AuditChunk
assert AuditChunk.objects.filter(state="running").update(stalled=2) == 1
"""


def until_failed(here: Site) -> None:
    limit = time.monotonic() + 3 * SECONDS  # processes, one after another, each of which loads the engine
    while here.state() != "failed":
        assert time.monotonic() < limit, here.report()
        time.sleep(0.1)


@pytest.mark.slow
def test_a_chunk_that_hangs_is_counted_ended_and_fails_its_audit_with_the_reason(
    small_plan: Path, tmp_path: Path, expected: dict[str, bytes], place: Place
) -> None:
    package = install(tmp_path / "package")
    loop = '    while (HERE / "deaf").exists():\n        time.sleep(0.05)\n'
    assert loop in DEAF
    (package / "deaf_test.py").write_text(DEAF.replace(loop, HANG))
    plan = tmp_path / "deaf.toml"
    plan.write_text(small_plan.read_text().replace('"noise_floor"]', '"noise_floor", "deaf"]'))
    (tmp_path / "site").mkdir()
    settings = {"PLUMBLINE_STEP_SECONDS": str(STEP_SECONDS), "PLUMBLINE_LEASE_SECONDS": "2", **place.settings}
    with site(tmp_path / "site", plan, PYTHONPATH=f"{ROOT}:{package}", **settings) as here:
        here.copy(place.installed)
        here.shell(f"PLAN = {str(plan)!r}\n{PLAN}\n{REQUEST}")
        here.start("scheduler")
        worker = here.start()
        here.wait((package / "process").exists)
        here.shell(TWICE_BEFORE)
        until_failed(here)
        stalled, lost, error = here.one("SELECT stalled, lost, error FROM compliance_auditchunk WHERE state = 'failed'")
        assert stalled == 3
        assert error.startswith(
            f"took longer than {STEP_SECONDS} s without reporting progress, 3 times; PLUMBLINE_STEP_SECONDS"
        )
        number = here.one("SELECT \"index\" FROM compliance_auditchunk WHERE state = 'failed'")[0]
        told = here.one("SELECT error FROM compliance_audit")[0]
        assert told == f"A-0001: chunk {number} {error}; it is not sent again"
        assert lost <= 6  # nobody held on to it for longer
        left = here.one("SELECT count(*) FROM compliance_auditchunk WHERE state <> 'done'")
        assert left == (1,)
        assert worker.poll() is None

        (package / "deaf").unlink()
        act(here, "retry_audit")
        assert repeatable(here.finish())["decisions.parquet"] == expected["decisions.parquet"]
        assert here.one("SELECT max(stalled) FROM compliance_auditchunk") == (0,)
