"""A finished audit and its readers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Permission, User
from django.db import connections
from django.test import Client
from django.utils import translation

from compliance.access.roles import Role
from compliance.environment import sqlite
from compliance.models import Audit, Membership, default_team
from tests.compliance.finished import finish, simulate
from tests.once import EMBEDDED, once, with_tables


@pytest.fixture(autouse=True)
def _english_again() -> Iterator[None]:
    """A page in German leaves its language with the thread, as a server's thread has it until its next request."""
    yield
    translation.deactivate()


@pytest.fixture(scope="session")
def simulated() -> Path:
    """Evidence, made once a test run."""
    return once("simulated", simulate)


@pytest.fixture
def finished(db: None, simulated: Path, settings: LazySettings, tmp_path: Path) -> Iterator[Audit]:
    """A finished audit in a data folder of its own."""
    settings.DATA_FOLDER = tmp_path / "data"
    yield finish(simulated)
    shutil.rmtree(tmp_path / "data")


@pytest.fixture
def officer(db: None) -> User:
    """Somebody who may look at everything of the default team, and take its files."""
    user = User.objects.create_user("officer", password="a long password")
    user.user_permissions.add(Permission.objects.get(codename="export_audit"))
    Membership.objects.create(team=default_team(), user=user, role=Role.INTERNAL_AUDIT)
    return user


@pytest.fixture
def signed_in(client: Client, officer: User) -> Client:
    """The officer's browser."""
    client.force_login(officer)
    return client


@contextmanager
def sqlite_in_use(path: Path) -> Iterator[None]:
    """Let every thread use the SQLite database at ``path``."""
    settings, connection = connections.settings["default"], connections["default"]
    connection.close()
    del connections["default"]
    connections.settings["default"] = connections.configure_settings({"default": sqlite(path)})["default"]
    try:
        yield
    finally:
        connections["default"].close()
        connections.settings["default"] = settings
        connections["default"] = connection  # the very one that ends the test database at last


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An embedded database as the first command leaves it, to be copied."""
    return with_tables(tmp_path_factory.mktemp("sqlite")) / EMBEDDED


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Either database, for tests that are marked ``django_db(transaction=True)``; its vendor."""
    if request.param == "postgresql":
        yield request.param
        return
    path = tmp_path / "plumbline.sqlite3"
    shutil.copy(request.getfixturevalue("empty_sqlite"), path)
    with request.getfixturevalue("django_db_blocker").unblock(), sqlite_in_use(path):
        yield request.param


@pytest.fixture
def embedded(empty_sqlite: Path, tmp_path: Path, django_db_blocker: Any) -> Iterator[Path]:
    """The embedded database, where only its file matters."""
    path = tmp_path / "plumbline.sqlite3"
    shutil.copy(empty_sqlite, path)
    with django_db_blocker.unblock(), sqlite_in_use(path):
        yield path
