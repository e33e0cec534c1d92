"""What the acceptance tests share: a tiny model with real files, imported once, and one undisturbed run on it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.acceptance.commands import manage, repeatable, write_plan
from tests.language_models.tiny import save_tiny


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model's folder."""
    return save_tiny(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="session")
def small_plan(tiny_folder: Path) -> Path:
    """The small plan on the tiny model."""
    return write_plan(tiny_folder.parent / "small.toml", model=f"dir:{tiny_folder}")


@pytest.fixture(scope="session")
def undisturbed(small_plan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of one run that nothing disturbed, on an embedded database made by that run; ``out`` in it."""
    data = tmp_path_factory.mktemp("undisturbed")
    done = manage(data, "audit", small_plan, "--out", data / "out")
    assert done.returncode == 0, done.stderr
    return data


@pytest.fixture(scope="session")
def expected(undisturbed: Path) -> dict[str, bytes]:
    """The bytes that every other way of running the small plan must give."""
    return repeatable(undisturbed / "out")


@pytest.fixture
def database_url(postgresql_url: str) -> Iterator[str]:
    """A PostgreSQL database of its own, without tables."""
    name = f"acceptance_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgresql_url, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}"')
        yield postgresql_url.rpartition("/")[0] + f"/{name}"
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
