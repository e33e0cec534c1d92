"""The same plan end to end on the embedded database and on PostgreSQL: same evidence, sound event chain."""

from __future__ import annotations

import stat
from pathlib import Path

from tests.acceptance.commands import FILES, manage, repeatable


def test_a_fresh_folder_needs_nothing_but_the_command(undisturbed: Path) -> None:
    assert stat.S_IMODE((undisturbed / "secret-key").stat().st_mode) == 0o600
    assert (undisturbed / "plumbline.sqlite3").stat().st_size > 0
    checked = manage(undisturbed, "verify", "--events", *(undisturbed / "out" / name for name in FILES))
    assert checked.returncode == 0, checked.stderr
    assert any(line.startswith("event chain: ") for line in checked.stdout.splitlines())


def test_postgresql_asks_for_its_tables_and_then_gives_the_same_evidence(
    undisturbed: Path, small_plan: Path, tmp_path: Path, expected: dict[str, bytes], database_url: str
) -> None:
    settings = {"DATABASE_URL": database_url, "PLUMBLINE_MODELS": str(undisturbed / "store")}
    command = ("audit", small_plan, "--out", tmp_path / "out", "--no-progress")
    early = manage(tmp_path, *command, **settings)
    line = "database: its tables are not up to date; expected python manage.py migrate to have run\n"
    assert (early.returncode, early.stdout, early.stderr) == (2, "", line)
    assert manage(tmp_path, "migrate", "--verbosity", "0", **settings).returncode == 0
    done = manage(tmp_path, *command, **settings)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("A-0001 ")
    assert repeatable(tmp_path / "out") == expected
    assert not (tmp_path / "plumbline.sqlite3").exists()
    checked = manage(tmp_path, "verify", "--events", *(tmp_path / "out" / name for name in FILES), **settings)
    assert checked.returncode == 0, checked.stderr


def test_a_database_that_does_not_answer_is_one_line(small_plan: Path, tmp_path: Path) -> None:
    gone = "postgresql://postgres@127.0.0.1:9/none"
    done = manage(tmp_path, "audit", small_plan, "--no-progress", DATABASE_URL=gone)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("database: ")
    assert done.stderr.endswith("; expected one that answers\n")
    assert done.stderr.count("\n") == 1
