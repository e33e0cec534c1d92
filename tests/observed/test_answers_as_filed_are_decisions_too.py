"""One sheet for a file, an endpoint and weights: tests on decisions taken also read the answers as filed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import auditor
from auditor.door.results import Audited
from auditor.mapping_files import mapping_from, write_mapping
from auditor.records import Conclusion, Measurement, Outcome
from reports.bundle import read_bundle
from reports.content import build_annex, build_content
from reports.publish import write_manifest
from tests.answering.asked import ANSWERS, listed
from tests.engine.small import MAPPING, small_data, small_plan
from tests.language_models.bigram import yes_or_no
from tests.language_models.tiny import save_tiny
from tests.observed.test_a_plan_audits_a_decision_file import GOVERNANCE, words_of
from tests.systems.answering import answering

RUN = ["arm_rates", "observed_rates", "observed_intersections", "observed_later"]
SIZE = 120
WORDS: dict[Any, str] = {Outcome.FAVOURABLE: "yes", Outcome.ADVERSE: "no"}


def plan_of(**changes: Any) -> auditor.Plan:
    return small_plan(**{"schema": 2, "tests__run": RUN, "prompt__answers": ANSWERS, **changes})


def file_of(folder: Path, found: Audited) -> Path:
    """What was answered to the applications as filed, as a file of decisions with its mapping."""
    decided = {item.case_id: item.outcome for item in found.conclusions.decisions}
    data = small_data(SIZE)
    rows = [{**record.values, "approved": WORDS.get(decided[record.id], "neither")} for record in data.records]
    folder.mkdir()
    pl.DataFrame(rows).write_csv(folder / "answers.csv")
    fields = [dict(item) for item in MAPPING["fields"]]  # type: ignore[union-attr]
    fields[3] |= {"favourable": "yes", "adverse": "no", "type": "category"}
    mapping = mapping_from({**MAPPING, "fields": fields}, where="answers")
    (folder / "answers.toml").write_text(write_mapping(mapping))
    return folder / "answers.csv"


def of_tests(found: Audited) -> Mapping[str, Measurement]:
    return {item.id: item for item in found.conclusions.measurements if item.test.startswith("observed_")}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Audited:
    folder = tmp_path_factory.mktemp("endpoint")
    with answering() as server:
        store = listed(folder, server.url)
        plan = plan_of(reading__readout="choice")
        return auditor.audit(plan, folder=folder / "run", model="endpoint:x", data=small_data(SIZE), store=store)


def agree(found: Audited, folder: Path) -> None:
    """The run's numbers as filed are those of a file of the same answers."""
    file = file_of(folder, found)
    run = {"model": f"decisions:{file}", "mapping": str(file.with_suffix(".toml"))}
    on_file = auditor.audit(plan_of(run=run, tests__run=RUN[1:]), folder=folder / "run")
    mine, other = of_tests(found), of_tests(on_file)
    assert mine.keys() == other.keys()
    assert sum(item.estimate is not None for item in mine.values()) > 20
    for name, item in mine.items():
        same = other[name]
        got = (item.estimate, item.low, item.high, item.n, item.p_value, item.p_adjusted, item.conclusion)
        assert got == (same.estimate, same.low, same.high, same.n, same.p_value, same.p_adjusted, same.conclusion), name


def test_an_endpoint_gives_the_numbers_of_a_file_of_its_answers(tmp_path: Path, endpoint: Audited) -> None:
    agree(endpoint, tmp_path / "file")
    rate = endpoint.measurement("observed_rates/selection_rate/field=race/group=Black")
    assert rate.method.startswith("selection rate, of the answers to the applications as filed;")
    assert rate.cases == "role:actual"


def test_weights_give_the_numbers_of_a_file_of_their_answers(tmp_path: Path) -> None:
    weights = save_tiny(tmp_path / "weights", model=yes_or_no(0.7))
    reading = {"readout": "choice", "temperature": 1.0, "max_tokens": 6}
    answers = {"favourable": [" yes"], "adverse": [" no"], "mass_floor": 0.0}
    plan = plan_of(
        prompt__answers=answers,
        reading=reading,
        noise={"reask": 0},
        placebo=None,
        prompt__template="{income} {race} {sex}:",
    )
    found = auditor.audit(
        plan, folder=tmp_path / "run", model=f"dir:{weights}", data=small_data(SIZE), store=tmp_path / "store"
    )
    assert {item.outcome for item in found.conclusions.decisions} == {Outcome.FAVOURABLE, Outcome.ADVERSE}
    agree(found, tmp_path / "file")


def test_what_the_applications_do_not_hold_is_not_tested(endpoint: Audited) -> None:
    [later] = [item for item in endpoint.conclusions.measurements if item.test == "observed_later"]
    assert later.conclusion is Conclusion.NOT_TESTED


def test_the_report_speaks_of_answers_as_filed_and_not_of_decisions_taken(endpoint: Audited) -> None:
    write_manifest(endpoint.evidence)
    bundle = read_bundle(endpoint.evidence)
    report, annex = build_content(bundle, GOVERNANCE), build_annex(bundle, GOVERNANCE)
    assert "sheet-observed_rates" in words_of(annex)
    assert "The answers to the applications as filed, measured as decisions taken are: different" in words_of(annex)
    for finding in json.loads((endpoint.evidence / "findings.json").read_text()):
        assert "Decisions taken" not in finding["title"]
    assert "Nobody was asked" not in words_of(report)


def test_a_plan_without_such_a_test_measures_none(tmp_path: Path) -> None:
    with answering() as server:
        store = listed(tmp_path, server.url)
        plan = plan_of(tests__run=["counterfactual"])
        found = auditor.audit(plan, folder=tmp_path / "run", model="endpoint:x", data=small_data(), store=store)
    assert not of_tests(found)
