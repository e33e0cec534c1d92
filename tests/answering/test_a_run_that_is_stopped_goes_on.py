"""Whatever ends a run of a system, what was answered is not asked again, and nothing is concluded before its end."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from auditor.exceptions import RunError
from auditor.systems.exceptions import CapReached, Paused
from tests.answering.asked import audited
from tests.systems.answering import Answering, answering
from tests.systems.faults import Asked, Fault

QUICK: dict[str, Any] = {"tests__run": ["counterfactual"]}
LATE = 70
"""Requests, those of the probe among them: a server that ends here ends in the middle of the cases."""


def cases(server: Answering) -> Counter[str]:
    """How often each prompt about an applicant reached the server."""
    found = (asked.body["messages"][0]["content"] for asked in server.asked)
    return Counter(text for text in found if "Income" in text)


def test_a_server_that_is_away_ends_the_run_with_a_line_and_nothing_is_concluded(tmp_path: Path) -> None:
    away = True

    def faults(asked: Asked) -> Fault | None:
        return Fault(wire="status", code=500) if away and asked.number >= LATE else None

    with answering(faults=faults) as server:
        with pytest.raises(Paused, match=r"^endpoint:x: paused, since one request was tried 1 times"):
            audited(tmp_path, server.url, more="tries = 1\nconcurrency = 2", **QUICK)
        assert not (tmp_path / "run" / "evidence").exists()
        probe = sum("Income" not in str(asked.body) for asked in server.asked)
        away = False
        found = audited(tmp_path, server.url, more="tries = 1\nconcurrency = 2", **QUICK)
        answered = sum(server.answered.values())
    # Two imports probed it; every case and every re-ask was answered once.
    assert found.run.reading is not None
    assert found.conclusions.asking is not None
    assert answered == 2 * probe + found.run.reading.requests
    assert found.conclusions.asking.sent.answers == len(found.conclusions.asking.answers)
    with answering() as server:
        whole = audited(tmp_path / "whole", server.url, **QUICK)
    assert [item.row() for item in whole.conclusions.decisions] == [item.row() for item in found.conclusions.decisions]


def test_a_cap_of_the_plan_ends_the_run_before_it_is_crossed(tmp_path: Path) -> None:
    with answering() as server:
        with pytest.raises(CapReached, match="the 30 requests that were allowed have gone out"):
            audited(tmp_path, server.url, limits__requests=30, **QUICK)
        assert sum(cases(server).values()) == 30


@pytest.mark.parametrize(("meaning", "named"), [("other model", "model"), ("other fingerprint", "fingerprint")])
def test_a_system_that_is_swapped_during_a_run_ends_its_conclusions(tmp_path: Path, meaning: str, named: str) -> None:
    with answering(faults=lambda asked: Fault(meaning=meaning) if asked.number >= LATE else None) as server:
        found = audited(tmp_path, server.url, **QUICK)
    [control] = [item for item in found.conclusions.measurements if item.test == "same_system"]
    [check] = control.checks
    assert not check.held
    assert check.note.startswith(f"the {named} was ")
    concluded = {item.conclusion for item in found.conclusions.measurements if item.conclusion is not None}
    assert concluded == {"INCONCLUSIVE"}


def test_answers_that_change_during_a_run_end_its_conclusions(tmp_path: Path) -> None:
    with answering(faults=lambda asked: Fault(meaning="refusal") if asked.number >= LATE else None) as server:
        found = audited(tmp_path, server.url, reading__readout="choice", **QUICK)
    [control] = [item for item in found.conclusions.measurements if item.test == "same_system"]
    assert control.checks[0].value == 1.0
    assert control.checks[0].note == "10 of 10 answers changed when they were asked again"
    assert not control.checks[0].held


def test_a_run_does_not_go_on_where_another_address_is_listed(tmp_path: Path) -> None:
    away = Fault(wire="status", code=500)
    with answering(faults=lambda asked: away if asked.number >= LATE else None) as server, pytest.raises(Paused):
        audited(tmp_path, server.url, more="tries = 1", **QUICK)
    with answering() as other, pytest.raises(RunError, match="holds another run"):
        audited(tmp_path, other.url, **QUICK)
