"""What tests on internals share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from auditor.language_models.local import forget_models


@pytest.fixture
def model_let_go() -> Iterator[None]:
    """A large model does not stay in memory, nor its number of threads, for the tests that follow."""
    threads = torch.get_num_threads()
    yield
    forget_models()
    torch.set_num_threads(threads)
