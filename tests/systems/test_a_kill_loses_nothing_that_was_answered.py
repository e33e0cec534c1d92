"""SIGKILL at any moment: the server itself counts that nothing kept is asked again, and that nothing is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.systems.killing import CONCURRENCY, kill_often


@pytest.mark.slow
def test_after_eight_kills_everything_is_answered_and_nothing_kept_was_asked_again(tmp_path: Path) -> None:
    # Fifty kills: python -m benchmarks endpoint_kills --json
    found = kill_often(tmp_path, kills=8, questions=240)
    assert found.kills == 8
    assert found.answers == found.questions
    assert found.again == 0
    # Twice only what was under way at a kill: at most one for each thread.
    assert found.repeated <= found.kills * CONCURRENCY
    assert found.repeated <= found.unended
    assert found.sent == found.questions + found.repeated
    assert found.same_evidence
