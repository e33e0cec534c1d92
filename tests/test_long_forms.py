"""What asks for the long form of a test reaches it: tests/settings.py takes all other settings of the product away."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
KEPT = ("PLUMBLINE_TEST", "PLUMBLINE_NO_SKIPS")
FILES = [ROOT / "Makefile", *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("tests/**/*.py"))]


def test_every_setting_that_is_written_before_pytest_is_one_that_tests_keep() -> None:
    written = {
        name
        for path in FILES
        for line in path.read_text(encoding="utf-8").splitlines()
        if "pytest" in line or "make test" in line
        for name in re.findall(r"\b(PLUMBLINE_[A-Z_]+)=", line)
    }

    assert "PLUMBLINE_TEST_ROUND_TRIPS" in written
    assert [name for name in sorted(written) if not name.startswith(KEPT)] == []


@pytest.mark.parametrize("count", [60, 90])
def test_a_number_of_random_tables_that_is_asked_for_is_the_number_tried(count: int) -> None:
    code = "import tests.settings, tests.data.test_round_trips as asked; print(asked.ASKED.max_examples)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PLUMBLINE_TEST_ROUND_TRIPS": str(count)},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(done.stdout) == count // 3
