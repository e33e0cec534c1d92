"""Every page is served, and a report is set and verified, in a process where torch cannot be imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.acceptance.commands import ROOT
from tests.settings import FOLDER

PAGES = (
    "tests/compliance/test_officers_site.py::test_officers_read_every_page_in_so_many_queries",
    "tests/compliance/test_access_of_every_address.py",
)
REPORTS = (
    "tests/reports/test_two_parts.py::test_what_was_published_agrees_and_each_is_named_for_what_it_is",
    "tests/reports/test_two_parts.py::test_the_annex_has_prompt_and_measurements_and_no_verdict",
)


def run_without_torch(*tests: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.no_torch", "-p", "no:xdist", *tests]
    # A test run of its own, with servers and a folder of its own.
    own = {name: value for name, value in os.environ.items() if name not in (FOLDER, "PYTEST_XDIST_WORKER")}
    return subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, timeout=280, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("tests", [PAGES, REPORTS], ids=["pages", "reports"])
def test_torch_is_not_asked_for(tests: tuple[str, ...]) -> None:
    done = run_without_torch(*tests)
    assert done.returncode == 0, done.stdout[-3000:]


def test_torch_is_hidden() -> None:
    command = [sys.executable, "-c", "import tests.no_torch\nimport torch"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "torch is hidden" in done.stderr
