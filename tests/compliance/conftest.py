"""A finished audit and its readers."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client

from compliance.models import Audit, Membership, default_team
from compliance.roles import Role
from tests.compliance.finished import finish, simulate


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evidence, made once a test run."""
    return simulate(tmp_path_factory.mktemp("simulated"))


@pytest.fixture
def finished(db: None, simulated: Path, settings: LazySettings, tmp_path: Path) -> Iterator[Audit]:
    """A finished audit in a data folder of its own."""
    settings.DATA_FOLDER = tmp_path / "data"
    yield finish(simulated)
    shutil.rmtree(tmp_path / "data")


@pytest.fixture
def officer(db: None) -> User:
    """Somebody who may look at everything of the default team."""
    user = User.objects.create_user("officer", password="a long password")
    Membership.objects.create(team=default_team(), user=user, role=Role.INTERNAL_AUDIT)
    return user


@pytest.fixture
def signed_in(client: Client, officer: User) -> Client:
    """The officer's browser."""
    client.force_login(officer)
    return client
