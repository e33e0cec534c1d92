"""What the acceptance tests share: a tiny model with real files, imported once, and one undisturbed run on it."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from django.utils import translation
from playwright.sync_api import expect

from tests.acceptance.commands import manage, repeatable, write_plan
from tests.acceptance.sites import Installed, site
from tests.language_models.tiny import save_tiny
from tests.once import once
from tests.receivers import Hook, MailServer, hook_server, mail_server

expect.set_options(timeout=120_000)  # what a page says when a busy machine has got to it


@pytest.fixture(autouse=True)
def _english_again() -> Iterator[None]:
    """A page in German leaves its language with the thread, as a server's thread has it until its next request."""
    yield
    translation.deactivate()


@pytest.fixture
def mail() -> Iterator[MailServer]:
    """A real mail server on this machine, and what reached it."""
    with mail_server() as state:
        yield state


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A real receiver of webhooks on this machine, and what reached it."""
    with hook_server() as state:
        yield state


@pytest.fixture(scope="session")
def tiny_folder() -> Path:
    """A tiny model's folder."""
    return once("tiny", lambda folder: save_tiny(folder / "model")) / "model"


@pytest.fixture(scope="session")
def small_plan(tiny_folder: Path) -> Path:
    """The small plan on the tiny model."""
    made = once("plan", lambda folder: write_plan(folder / "small.toml", model=f"dir:{tiny_folder}"))
    return made / "small.toml"


@pytest.fixture(scope="session")
def undisturbed(small_plan: Path) -> Path:
    """The data folder of one run that nothing disturbed, on an embedded database made by that run; ``out`` in it."""

    def run(data: Path) -> None:
        done = manage(data, "audit", small_plan, "--out", data / "out")
        assert done.returncode == 0, done.stderr

    return once("undisturbed", run)


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


@pytest.fixture
def database_with_tables(postgresql_url: str) -> Iterator[str]:
    """The same with the tables that ``migrate`` makes; copied, because making them takes seconds."""
    tables, name, server_url = "tables", f"acceptance_{uuid.uuid4().hex[:12]}", postgresql_url.rpartition("/")[0]

    def migrate(data: Path) -> None:
        with psycopg.connect(postgresql_url, autocommit=True) as server:
            server.execute(f'DROP DATABASE IF EXISTS "{tables}" WITH (FORCE)')
            server.execute(f'CREATE DATABASE "{tables}"')
        done = manage(data, "migrate", "--verbosity", "0", DATABASE_URL=f"{server_url}/{tables}")
        assert done.returncode == 0, done.stderr

    once("tables-on-a-server", migrate)
    with psycopg.connect(postgresql_url, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{tables}"')
        yield f"{server_url}/{name}"
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a site is put: what it is copied from, and the settings that name its database and broker."""

    installed: Installed
    settings: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="session")
def installed(small_plan: Path) -> Installed:
    """An installation with the small plan's three versions, on files."""

    def register(data: Path) -> None:
        with site(data, small_plan) as made:
            made.register()

    return Installed(data=once("installed", register))


@pytest.fixture(scope="session")
def installed_on_a_server(small_plan: Path, postgresql_url: str) -> Installed:
    """The same on PostgreSQL; its database is a template for others."""
    name = "installed"

    def register(data: Path) -> None:
        with psycopg.connect(postgresql_url, autocommit=True) as server:
            server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            server.execute(f'CREATE DATABASE "{name}"')
        with site(data, small_plan, DATABASE_URL=postgresql_url.rpartition("/")[0] + f"/{name}") as made:
            made.register()

    return Installed(data=once("installed-on-a-server", register), database=name)


@pytest.fixture(params=["files", "servers"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """SQLite with the broker of files, then PostgreSQL with Redis."""
    if request.param == "files":
        yield Place(installed=request.getfixturevalue("installed"))
        return
    found: Installed = request.getfixturevalue("installed_on_a_server")
    url, name = request.getfixturevalue("postgresql_url"), f"acceptance_{uuid.uuid4().hex[:12]}"
    redis = request.getfixturevalue("redis_url").rpartition("/")[0]
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE "{found.database}"')
        settings = {
            "DATABASE_URL": url.rpartition("/")[0] + f"/{name}",
            "REDIS_URL": f"{redis}/{random.randrange(1, 16)}",
        }
        yield Place(installed=found, settings=settings)
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
