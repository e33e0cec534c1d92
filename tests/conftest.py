"""Fixtures and rules that every test shares."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.servers import django_db_modify_db_settings, postgresql_url, redis_url, stop_servers
from tests.settings import FOLDER

if TYPE_CHECKING:
    from auditor.language_models.store import ModelStore

__all__ = ["django_db_modify_db_settings", "postgresql_url", "redis_url"]

# Without a clock: a busy machine must not fail a law. The same examples every time.
settings.register_profile("laws", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("laws")

NO_SKIPS = os.environ.get("PLUMBLINE_NO_SKIPS") == "1"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where everything must run, a test that is left out has failed."""
    report = yield
    if NO_SKIPS and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which PLUMBLINE_NO_SKIPS=1 forbids: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for a whole file."""
    report = yield
    if NO_SKIPS and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, which PLUMBLINE_NO_SKIPS=1 forbids: {report.longrepr}"
    return report


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is marked slow and needs no database begins first, so that no worker ends with four minutes of its own.

    Tests on the database keep the order that pytest-django gave them.
    """
    items.sort(key=lambda item: item.get_closest_marker("slow") is None or _on_the_database(item))


def _on_the_database(item: pytest.Item) -> bool:
    names = item.fixturenames if isinstance(item, pytest.Function) else []
    return item.get_closest_marker("django_db") is not None or bool({"db", "transactional_db"} & set(names))


def pytest_unconfigure(config: pytest.Config) -> None:
    """The process that began the test run ends its servers and takes its folder away."""
    if not hasattr(config, "workerinput"):
        stop_servers()
        shutil.rmtree(Path(os.environ[FOLDER]), ignore_errors=True)


@pytest.fixture(scope="session")
def demo_store() -> ModelStore:
    """A store outside the clone, so that the demo model is converted once on a machine and not once a test run."""
    from auditor.language_models.store import ModelStore  # it loads torch

    root = os.environ.get("PLUMBLINE_TEST_CACHE") or "~/.cache/plumbline-tests"
    return ModelStore(Path(root).expanduser())
