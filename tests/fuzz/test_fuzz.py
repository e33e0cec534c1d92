"""Every reader meets files changed at random: read or refused in one line, never a trace, a hang or a growth."""

from __future__ import annotations

import io
import random
import secrets
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.fuzz.mutants import mutant, zip_mutant
from tests.fuzz.targets import TARGETS

COUNT = {"model": 12, "published": 24}


@pytest.mark.parametrize("name", TARGETS)
def test_changed_files_are_read_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    seed = secrets.randbelow(10**6)  # printed by what it is given to; `make soak` takes thousands
    options = ["--count", str(COUNT.get(name, 48)), "--seed", str(seed), "--keep", str(tmp_path)]
    command = [sys.executable, "-m", "tests.fuzz", name, *options]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2_000:]
    assert f"{name}: seed {seed}: {COUNT.get(name, 48)} mutants" in done.stdout


def test_the_same_seed_makes_the_same_mutants() -> None:
    raw = bytes(range(256)) * 4
    first, again = ([mutant(raw, random.Random(f"{seed}")) for seed in range(50)] for _ in range(2))
    assert first == again
    assert len(set(first)) > 40


def test_a_fault_is_found_kept_and_said(tmp_path: Path) -> None:
    """A reader that raises what it should not: the target is given in place of a real one."""
    code = (
        "import sys, tests.fuzz.targets as t, tests.fuzz.__main__ as m\n"
        "class Bad(t.Csv):\n"
        "    def look(self, path):\n"
        "        if path.name == 'mutant.csv': raise KeyError('boom')\n"
        "        return []\n"
        "t.TARGETS['csv'] = Bad\n"
        f"sys.argv[1:] = ['csv', '--count', '3', '--seed', '5', '--keep', {str(tmp_path)!r}, '--here']\n"
        "sys.exit(m.main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "csv: seed 5, mutant 2: KeyError: \"'boom'\" at" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["csv-5-0.csv", "csv-5-1.csv", "csv-5-2.csv"]


FAULTS = {
    "import os; os.write(2, b'a trace')": "wrote to standard error: 'a trace'",
    "import time; time.sleep(60)": "TimeoutError: 'took longer than 1 s'",
    "self.kept = b'x' * (200 << 20)": "memory grew by",
    "import os; os._exit(7)": "the process ended with 7",
}


@pytest.mark.parametrize("does", FAULTS)
def test_what_is_written_takes_long_grows_or_ends_the_process_is_a_fault(tmp_path: Path, does: str) -> None:
    code = (
        "import sys, tests.fuzz.targets as t, tests.fuzz.__main__ as m\n"
        "m.MUTANT_SECONDS, m.GROWTH = 1 if 'sleep' in '" + does[:40].replace("'", "") + "' else 20, 100 << 10\n"
        "class Bad(t.Csv):\n"
        "    def look(self, path):\n"
        "        self.seen = getattr(self, 'seen', -1) + 1\n"
        f"        if self.seen == 13:\n            {does}\n"
        "        return []\n"
        "t.TARGETS['csv'] = Bad\n"
        f"sys.argv[1:] = ['csv', '--count', '14', '--seed', '5', '--keep', {str(tmp_path)!r}, '--here']\n"
        "sys.exit(m.main())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    if "_exit" in does:
        assert done.returncode == 7
        assert [path.name for path in tmp_path.iterdir()] == ["csv-5-last"], "the mutant that ended it is kept"
        return
    assert done.returncode == 1, done.stderr
    assert FAULTS[does] in done.stdout


def test_a_part_of_an_archive_is_changed_behind_its_checksum() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("a.xml", "<a/>" * 20)
    found = set()
    for seed in range(40):
        raw = zip_mutant(target.getvalue(), random.Random(seed))
        try:
            with zipfile.ZipFile(io.BytesIO(raw)) as archive:
                found.add(archive.read("a.xml"))
        except Exception:  # a third are changed as a whole, and may be no archive any more
            continue
    assert len(found) > 10
