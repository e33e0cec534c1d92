"""The child in which ``manage.py verify`` reads files: its limits of time and memory, and its death, are said."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from compliance.sandbox.checking import checked
from compliance.sandbox.children import ChildError, answer_of

EXPECTED = "; expected the files as they were written"


@pytest.fixture(scope="module")
def files(simulated: Path) -> list[Path]:
    """A report and its evidence."""
    return [simulated / "evidence.zip", simulated / "report.pdf"]


def verifying() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE and "compliance.sandbox.verify_child" in child.cmdline()
    ]


def test_files_that_take_too_long_are_said_to_and_their_reader_is_gone(files: list[Path]) -> None:
    began = time.monotonic()
    found = checked(files, seconds=1)  # less than it takes to load what verifies
    assert time.monotonic() - began < 30
    line = f"evidence.zip, report.pdf: found what takes longer than 1 s to be checked{EXPECTED}"
    assert found == {"found": [line], "left": 0, "not_compared": [], "alone": [], "heads": [], "first": []}
    assert not verifying()


def test_files_that_take_too_much_memory_are_said_to(files: list[Path]) -> None:
    found = checked(files, memory=24 << 20)
    line = (
        "evidence.zip, report.pdf: found what cannot be checked within 24 MiB of memory, or ends its reader" + EXPECTED
    )
    assert found == {"found": [line], "left": 0, "not_compared": [], "alone": [], "heads": [], "first": []}


def test_a_reader_that_is_ended_has_found_nothing_whole(files: list[Path]) -> None:
    answers: list[dict[str, Any]] = []
    asked = threading.Thread(target=lambda: answers.append(checked(files)))
    asked.start()
    limit = time.monotonic() + 60
    while not (reading := verifying()):
        assert asked.is_alive()
        assert time.monotonic() < limit
        time.sleep(0.01)
    reading[0].kill()
    asked.join(60)
    line = (
        "evidence.zip, report.pdf: found what cannot be checked within 4,096 MiB of memory, or ends its reader"
        + EXPECTED
    )
    assert answers == [{"found": [line], "left": 0, "not_compared": [], "alone": [], "heads": [], "first": []}]


def test_limits_that_suffice_give_what_the_files_say(files: list[Path]) -> None:
    found = checked(files, memory=2 << 30, seconds=300)
    assert found["found"] == []
    assert any("equal, to the last byte, to the report that is set again" in line for line in found["said"])


@pytest.mark.parametrize("said", ["", "no JSON", "[1]", '{"found": ['])
def test_a_child_that_ends_well_without_an_answer_gave_none(said: str, tmp_path: Path) -> None:
    (tmp_path / "muddled.py").write_text(f"print({said!r})")
    with pytest.raises(ChildError):
        answer_of("muddled", {}, where="x", seconds=60, environment={"PYTHONPATH": str(tmp_path)})
