"""What is costly to make and then only read: made by the first process of a test run that asks, read by all of them."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.settings import FOLDER

EMBEDDED = "plumbline.sqlite3"


def once(name: str, make: Callable[[Path], object]) -> Path:
    """The folder called ``name`` of this test run, which ``make`` filled; tests copy what they change.

    It goes with the test run: nothing that an earlier version made is ever read. What failed is made again.
    """
    base = Path(os.environ[FOLDER]) / "once"
    base.mkdir(exist_ok=True)
    place, made = base / name, base / f"{name}.made"
    with (base / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(mode=0o700)
            make(place)
            made.touch()
    return place


def with_tables(data: Path) -> Path:
    """Put an embedded database with its tables into a data folder, for tests that are not about the first command."""
    from tests.acceptance.commands import manage

    def migrate(folder: Path) -> None:
        done = manage(folder, "migrate", "--verbosity", "0")
        assert done.returncode == 0, done.stderr

    data.mkdir(exist_ok=True)
    assert not (data / EMBEDDED).exists(), "a database is there already"
    shutil.copy2(once("tables", migrate) / EMBEDDED, data / EMBEDDED)
    return data
