"""What the commands say to input they cannot use: one line, exit code 2."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import load_command_class

ROOT = Path(__file__).parents[2]
PLAN = "plans/mortgage-hmda.toml"


def manage(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PLUMBLINE", "DJANGO"))}
    surroundings = {**kept, "PLUMBLINE_DATA": str(tmp_path / "data")}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, check=False, cwd=ROOT, env=surroundings, text=True, capture_output=True, timeout=300)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["audit"], "audit: the following arguments are required: PLAN.toml"),
        (["audit", PLAN, "--fail-on", "awful"], "audit: argument --fail-on: invalid choice: 'awful'"),
        (["audit", PLAN, "--nonsense"], "audit: unrecognized arguments: --nonsense"),
        (
            ["audit", "nowhere.toml"],
            "nowhere.toml: cannot be read: no such file or directory; expected a readable plan file",
        ),
        (["audit", "Makefile"], "Makefile: is not valid TOML"),
        (["audit", PLAN, "--set", "alpha"], "--set alpha: has no key and value; expected key=value"),
        (["audit", PLAN, "--set", "thresholds.alpha=2"], f"{PLAN}: thresholds.alpha: 2: input should be less than 0.5"),
        (["audit", PLAN, "--set", "tests.ran=1"], f"{PLAN}: tests.ran: 1: unknown key; expected a key of docs/plan.md"),
        (
            ["audit", PLAN, "--model", ""],
            f"{PLAN}: run.model: is not given; expected it in the plan, or --model SOURCE",
        ),
        (
            ["audit", PLAN, "--data", "demo:none"],
            "demo:none: is not a known source; expected demo:loanapp, package:NAME/PATH or the path",
        ),
        (["audit", PLAN, "--data", "no.csv"], "no.csv: there is no such file; expected a file that can be read"),
        (["audit", PLAN, "--data", "no.xls"], "no.xls: is not a known source"),
        (
            ["audit", PLAN, "--out", "/dev/null/x"],
            "/dev/null/x: cannot be made: not a directory; expected a folder to write",
        ),
        (["verify"], "verify: nothing to check; expected a FILE or --events"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_input_that_cannot_be_used_gets_one_line(
    db: None, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    command = load_command_class("compliance", arguments[0])
    quiet = ["--no-progress"] if arguments[0] == "audit" and arguments[1:] else []
    with pytest.raises(SystemExit) as end:
        command.run_from_argv(["manage.py", *arguments, *quiet])
    said = capsys.readouterr()
    assert end.value.code == 2, said.err
    assert said.err.startswith(line)
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_a_process_ends_with_that_line_and_exit_code(tmp_path: Path) -> None:
    done = manage(tmp_path, "audit", "nowhere.toml")
    expected = "nowhere.toml: cannot be read: no such file or directory; expected a readable plan file (TOML)\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)


def test_the_empty_event_chain_of_a_new_installation_holds(tmp_path: Path) -> None:
    done = manage(tmp_path, "verify", "--events")
    assert (done.returncode, done.stdout) == (
        0,
        f"event chain: 0 events, head {'0' * 64}\nrows and files: as the events that finished their audits say\n",
    )
