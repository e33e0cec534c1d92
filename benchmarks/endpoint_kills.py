"""Fifty kills of whoever asks: the server counts that nothing kept was asked again and that nothing is missing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.rows import Row
from tests.systems.killing import CONCURRENCY, kill_often

KILLS, QUESTIONS = 50, 1500


def run() -> Iterator[Row]:
    """One row: requests that were asked again although their answer was kept; 0 is the aim."""
    with tempfile.TemporaryDirectory() as folder:
        found = kill_often(Path(folder), kills=KILLS, questions=QUESTIONS)
    yield Row(
        name="endpoint: kept answers asked for again after a kill",
        ours=float(found.again),
        peer=None,
        ratio=None,
        agreement=0.0 if found.same_evidence and found.answers == found.questions else 1.0,
        unit="requests",
        n=found.kills,
        extra={
            "questions": found.questions,
            "answers": found.answers,
            "sent": found.sent,
            "repeated_while_under_way": found.repeated,
            "most_under_way": found.kills * CONCURRENCY,
            "sends_without_an_end": found.unended,
            "seconds": round(found.seconds, 1),
        },
    )
