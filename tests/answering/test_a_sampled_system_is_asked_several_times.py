"""A sampled system is asked with replicates nested in applications; one that answers alike is asked once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from tests.answering.asked import audited
from tests.systems.answering import answering

RUN: dict[str, Any] = {"tests__run": ["counterfactual", "noise_floor"], "reading__readout": "choice"}


def test_each_replicate_is_a_draw_of_its_own_and_applications_stay_the_unit(tmp_path: Path) -> None:
    with answering() as server:
        found = audited(
            tmp_path, server.url, reading__replicates=3, reading__temperature=1.0, reading__max_tokens=1, **RUN
        )
        seeds = Counter(asked.body["seed"] for asked in server.asked if "Income" in str(asked.body))
    run, done = found.run, found.conclusions
    assert run.replicates == 3
    assert set(seeds) == {5, 6, 7, 8}  # three draws and that of the re-asks
    assert {case.cluster.rpartition("~")[2] for case in done.cases} == {"1", "2", "3"}
    outcomes = {item.case_id: item.outcome for item in done.decisions}
    several = {case.id.partition("~")[0] for case in done.cases}
    assert several == set(run.data.selected)
    drawn = [{outcomes[f"{name}~{number}"] for number in (1, 2, 3)} for name in sorted(several)]
    assert any(len(answers) > 1 for answers in drawn)
    effect = found.measurement("counterfactual/cf_net_effect/field=sex/group=female/vs=male")
    assert effect.n == 3 * len(several)
    assert "application" in effect.method
    floor = found.measurement("noise_floor/cf_noise_floor/change=replicate")
    assert floor.estimate is not None
    assert floor.estimate > 0


def test_a_system_that_answers_alike_is_asked_once(tmp_path: Path) -> None:
    with answering() as server:
        found = audited(tmp_path, server.url, reading__replicates=3, **RUN)
    assert found.run.reading is not None
    assert found.run.reading.deterministic is True
    assert found.run.replicates == 1
    assert not any("~" in case.id for case in found.conclusions.cases)
