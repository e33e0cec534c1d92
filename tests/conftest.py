"""Fixtures that several packages share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from auditor.language_models.store import ModelStore


@pytest.fixture(scope="session")
def demo_store() -> ModelStore:
    """A store outside the clone, so that the demo model is converted once on a machine and not once a test run."""
    root = os.environ.get("PLUMBLINE_TEST_CACHE") or "~/.cache/plumbline-tests"
    return ModelStore(Path(root).expanduser())
