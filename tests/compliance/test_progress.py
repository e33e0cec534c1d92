"""The bar at a terminal names what is being done."""

from __future__ import annotations

import pytest

from compliance.execution.progress import TerminalProgress
from compliance.execution.runner import phase_of


def test_the_bar_names_the_phase_of_the_next_chunk(capsys: pytest.CaptureFixture[str]) -> None:
    progress = TerminalProgress()
    progress.begin(name="A-0001", prompts=10, done=0)
    progress.phase(phase_of("shared"))
    progress.advance(4)
    progress.phase(phase_of("attribution_patching"))
    progress.advance(6)
    progress.end()

    assert "A-0001 attribution patching 100%" in capsys.readouterr().err


def test_chunks_of_outputs_are_scored_and_asked_again() -> None:
    assert [phase_of(kind) for kind in ("shared", "unshared", "probes")] == ["scoring", "asking again", "probes"]
