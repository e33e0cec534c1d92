"""Stop by force, on both databases: the process that does not heed a stop is ended, its worker stays."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tests.acceptance.commands import ROOT, repeatable
from tests.acceptance.conftest import Place
from tests.acceptance.sites import PLAN, REQUEST, Site, site

# A test of somebody else's, as an installed package brings it. It computes without ever asking whether to stop, as long
# as a file says so, and leaves a note of the process it does it in.
DEAF = '''
import os, time
from pathlib import Path
from auditor.testing.card import Card
from auditor.testing.chunks import ChunkSpec
from auditor.plan_section import Section
from auditor.testing.rows import Row

HERE = Path(__file__).parent
CARD = Card(name="deaf", purpose="p", method="m", worrying="w", limitations="l", needs_internals=True)

class Settings(Section):
    """None."""

class Payload(Row):
    """Nothing."""

class Result(Row):
    """Nothing."""

def plan_chunks(asked):
    yield ChunkSpec(prompts=1, tokens=1, payload=Payload())

def compute(context, payload):
    (HERE / "process").write_text(str(os.getpid()))
    while (HERE / "deaf").exists():
        time.sleep(0.05)
    return Result()

def measure(context, results):
    return ()
'''


def install(folder: Path) -> Path:
    """Put the package where ``PYTHONPATH`` finds it, entry point and all."""
    folder.mkdir()
    (folder / "deaf_test.py").write_text(DEAF)
    (folder / "deaf").touch()
    metadata = folder / "deaf_test-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: deaf-test\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[plumbline.tests]\ndeaf = deaf_test\n")
    return folder


def act(here: Site, call: str) -> None:
    here.shell(
        "from compliance import actions\nfrom compliance.governance.events import Actor\n"
        "from compliance.models import Audit\n"
        f'actions.{call}(audit=Audit.objects.get(), actor=Actor(name="ada", role="officer"), '
        + {"stop_audit": 'reason="enough"', "retry_audit": 'queue="audits"'}.get(call, "")
        + ")"
    )


@pytest.mark.slow
def test_a_process_that_does_not_heed_is_ended_and_its_worker_goes_on(
    small_plan: Path, tmp_path: Path, expected: dict[str, bytes], place: Place
) -> None:
    package = install(tmp_path / "package")
    plan = tmp_path / "deaf.toml"
    plan.write_text(small_plan.read_text().replace('"noise_floor"]', '"noise_floor", "deaf"]'))
    (tmp_path / "site").mkdir()
    with site(tmp_path / "site", plan, PYTHONPATH=f"{ROOT}:{package}", **place.settings) as here:
        here.copy(place.installed)
        here.shell(f"PLAN = {str(plan)!r}\n{PLAN}\n{REQUEST}")
        worker = here.start()
        here.wait((package / "process").exists)
        deaf = psutil.Process(int((package / "process").read_text()))
        assert worker.pid in [parent.pid for parent in deaf.parents()]

        act(here, "stop_audit")
        here.wait(lambda: here.state() == "cancelling")
        assert deaf.is_running()
        act(here, "force_stop")
        assert here.state() == "cancelled"
        deaf.wait(30)
        assert worker.poll() is None
        assert here.one("SELECT count(*) FROM compliance_auditchunk WHERE state = 'running'") == (0,)

        (package / "deaf").unlink()
        act(here, "retry_audit")
        assert repeatable(here.finish())["decisions.parquet"] == expected["decisions.parquet"]
        assert worker.poll() is None
        assert int((package / "process").read_text()) != deaf.pid
        assert here.one("SELECT count(*) FROM compliance_event WHERE action = 'audit.failed'") == (0,)
