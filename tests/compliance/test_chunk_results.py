"""What a chunk gave is stored once, and comes back byte for byte."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from auditor.exceptions import RunError
from auditor.ledger import Chunk, FolderLedger, Ledger
from compliance.execution.ledger import DatabaseLedger
from compliance.models import Audit, AuditChunk
from tests.compliance.factories import make_audit, make_chunks, make_run, start
from tests.once import with_tables


@pytest.fixture
def audit(db: None) -> Audit:
    return make_audit(chunks=3)


@pytest.fixture(params=["rows", "folder"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Ledger:
    """Both ledgers promise the same."""
    if request.param == "folder":
        folder = FolderLedger(tmp_path / "run")
        folder.freeze(make_run(), make_chunks(3))
        return folder
    request.getfixturevalue("db")
    return DatabaseLedger(make_audit(chunks=3))


def test_cases_and_decisions_come_back_byte_for_byte(ledger: Ledger) -> None:
    assert ledger.payload(1) == b"cases 1"
    assert ledger.claim(1)
    assert ledger.complete(1, bytes(range(256)) * 40)
    assert ledger.result(1) == bytes(range(256)) * 40
    assert [state.done for state in ledger.states()] == [False, True, False]


def test_a_chunk_is_completed_once_and_the_first_result_stays(ledger: Ledger) -> None:
    ledger.claim(0)
    assert ledger.complete(0, b"first")
    assert not ledger.complete(0, b"second")
    assert ledger.result(0) == b"first"


def test_the_frozen_run_comes_back_as_it_was(ledger: Ledger) -> None:
    assert ledger.frozen()
    assert ledger.run() == make_run()


def test_freezing_the_same_run_again_is_harmless(ledger: Ledger) -> None:
    ledger.claim(0)
    ledger.complete(0, b"kept")
    ledger.freeze(make_run(), make_chunks(3))
    assert [state.done for state in ledger.states()] == [True, False, False]


def test_another_run_is_refused(ledger: Ledger) -> None:
    with pytest.raises(RunError, match="holds another run"):
        ledger.freeze(make_run("two"), make_chunks(3))


def test_prompts_are_counted_once_a_chunk(audit: Audit) -> None:
    slow, quick = DatabaseLedger(audit), DatabaseLedger(audit)
    slow.claim(0)
    AuditChunk.objects.filter(index=0).update(lease_expires_at=timezone.now() - timedelta(minutes=1))
    quick.claim(0)
    assert slow.complete(0, b"decisions")  # late, but the same bytes, so it counts
    assert not quick.complete(0, b"decisions")
    audit.refresh_from_db()
    assert audit.prompts_done == 2


def test_a_chunk_that_is_not_done_has_no_result(audit: Audit) -> None:
    with pytest.raises(RunError, match="A-0001: chunk 0 has no result yet"):
        DatabaseLedger(audit).result(0)


def test_a_run_that_cannot_be_frozen_whole_leaves_nothing(db: None) -> None:
    def broken() -> Iterator[Chunk]:
        yield from make_chunks(2)
        raise OSError("the disk is gone")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.compliance.factories.make_chunks", lambda count: broken())
        with pytest.raises(OSError, match="the disk is gone"):
            start(run=make_run())
    assert not Audit.objects.exists()
    assert not AuditChunk.objects.exists()


RACE = """
import django, json, sys
django.setup()
from compliance.execution.ledger import DatabaseLedger
from compliance.models import Audit
ledger = DatabaseLedger(Audit.objects.get())
sys.stdin.readline()
print(json.dumps([i for i in range(40) if ledger.claim(i) and ledger.complete(i, b"x")]))
"""
MAKE = """
import django
django.setup()
from tests.compliance.factories import make_audit
make_audit(chunks=40)
"""
COUNT = """
import django
django.setup()
from compliance.models import Audit
print(Audit.objects.get().prompts_done)
"""


def test_two_processes_share_the_chunks_of_a_run_in_the_embedded_database(tmp_path: Path) -> None:
    data = str(with_tables(tmp_path))
    surroundings = {**os.environ, "PLUMBLINE_DATA": data, "DJANGO_SETTINGS_MODULE": "compliance.settings"}

    def python(program: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", program], env=surroundings, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    python(MAKE).communicate(timeout=60)
    racers = [python(RACE), python(RACE)]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    won = [json.loads(racer.communicate(timeout=60)[0]) for racer in racers]
    assert sorted(won[0] + won[1]) == list(range(40))
    assert python(COUNT).communicate(timeout=60)[0] == "80\n"
