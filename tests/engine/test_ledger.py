"""A folder keeps a run: frozen once, a chunk held by one living process, every result stored once or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from auditor.exceptions import RunError
from auditor.ledger import Chunk, FolderLedger
from tests.records import run_of

RUN = run_of({})
CHUNKS = [Chunk(0, "shared", 3, 40, b"zero"), Chunk(1, "unshared", 1, 9, b"one")]


@pytest.fixture
def ledger(tmp_path: Path) -> FolderLedger:
    ledger = FolderLedger(tmp_path / "run")
    ledger.freeze(RUN, CHUNKS)
    return ledger


def ended_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_frozen_run_gives_back_what_was_put_in(ledger: FolderLedger) -> None:
    again = FolderLedger(ledger.path)
    assert again.frozen()
    assert again.run() == RUN
    assert [(state.index, state.kind, state.prompts, state.tokens, state.done) for state in again.states()] == [
        (0, "shared", 3, 40, False),
        (1, "unshared", 1, 9, False),
    ]
    assert [again.payload(index) for index in (0, 1)] == [b"zero", b"one"]


def test_freezing_the_same_run_again_changes_nothing(ledger: FolderLedger) -> None:
    assert ledger.claim(0)
    assert ledger.complete(0, b"result")
    ledger.freeze(RUN, [])
    assert ledger.result(0) == b"result"
    assert len(ledger.states()) == 2


def test_another_run_is_refused(ledger: FolderLedger) -> None:
    with pytest.raises(RunError) as refusal:
        ledger.freeze(run_of({"name": "other"}), CHUNKS)
    assert str(refusal.value) == f"{ledger.path}: holds another run; expected an empty folder or the same run"


def test_a_folder_without_its_run_file_is_not_frozen(ledger: FolderLedger) -> None:
    (ledger.path / "run.json").unlink()
    assert not ledger.frozen()
    ledger.freeze(RUN, CHUNKS)
    assert ledger.frozen()


def test_a_chunk_held_by_a_living_process_cannot_be_had(ledger: FolderLedger) -> None:
    (ledger.path / "chunks" / "00000.claim").write_text(str(os.getppid()))
    assert not ledger.claim(0)
    assert ledger.claim(1)


@pytest.mark.parametrize("left", ["", "12x", str(2**40), "dead"])
def test_a_claim_of_no_living_process_is_free_again(ledger: FolderLedger, left: str) -> None:
    claim = ledger.path / "chunks" / "00000.claim"
    claim.write_text(str(ended_process()) if left == "dead" else left)
    assert ledger.claim(0)
    assert claim.read_text() == str(os.getpid())


def test_a_result_is_stored_once(ledger: FolderLedger) -> None:
    assert ledger.claim(0)
    assert ledger.complete(0, b"first")
    assert not ledger.complete(0, b"second")
    assert ledger.result(0) == b"first"
    assert not ledger.claim(0)
    assert [state.done for state in ledger.states()] == [True, False]
    assert not (ledger.path / "chunks" / "00000.claim").exists()


def test_a_chunk_given_back_is_free_with_its_reason_beside_it(ledger: FolderLedger) -> None:
    assert ledger.claim(0)
    ledger.release(0, "Interrupted: stopped")
    assert (ledger.path / "chunks" / "00000.reason").read_text() == "Interrupted: stopped"
    assert not (ledger.path / "chunks" / "00000.claim").exists()
    assert ledger.claim(0)


def test_a_file_called_stop_asks_for_a_stop(ledger: FolderLedger) -> None:
    assert not ledger.should_stop()
    (ledger.path / "stop").touch()
    assert ledger.should_stop()


FULL = """
import resource, signal, sys
from pathlib import Path
from auditor.exceptions import StorageError
from auditor.ledger import FolderLedger
ledger = FolderLedger(Path(sys.argv[1]))
room = int(sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
try:
    assert ledger.claim(0)
    ledger.complete(0, b"x" * 1000)
except StorageError as error:
    ledger.release(0, "no room")
    print(error)
"""


@pytest.mark.parametrize(("room", "file"), [(100, "00000.decisions"), (0, "00000.claim")])
def test_a_full_disk_is_named_and_leaves_the_chunk_free(ledger: FolderLedger, room: int, file: str) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(ledger.path), str(room)],
        cwd=root,
        check=False,
        text=True,
        capture_output=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    what = "cannot be written: file too large; expected room and permission to write evidence"
    assert done.stdout == f"{ledger.path}/chunks/{file}: {what}\n"
    assert not [path.name for path in (ledger.path / "chunks").iterdir() if path.suffix in (".partial", ".decisions")]
    assert ledger.claim(0)
