"""A bundle whose answers, requests or texts were exchanged is refused, also where its manifest was written anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import auditor
from auditor.canonical import sha256_bytes
from reports.answer_tables import _hashes
from tests.answering.asked import audited
from tests.engine.small import small_data, small_plan
from tests.language_models.bigram import yes_or_no
from tests.language_models.tiny import save_tiny
from tests.reports.exchanging import Files, changed, first, refusals
from tests.systems.answering import answering


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("asked")
    with answering() as server:
        found = audited(folder, server.url, reading__readout="choice", tests__run=["counterfactual"])
    return {path.name: path.read_bytes() for path in found.evidence.iterdir()}


def test_what_a_run_wrote_holds_together(files: Files) -> None:
    assert refusals(files) == []


@pytest.mark.parametrize(
    ("name", "change", "line"),
    [
        ("requests.parquet", first("request", '{"prompt":"another"}'), "another request"),
        ("requests.parquet", first("answer", '{"choices":[]}'), "another answer"),
        ("requests.parquet", first("answer", r"\xff"), "another answer"),
        ("requests.parquet", lambda table: table.head(table.height - 1), "request: found"),
        ("requests.parquet", lambda table: pl.concat([table, table.head(1)]), "a request that stands twice"),
        ("answers.parquet", lambda table: table.filter(pl.col("moment") != ""), "a decision without its answer"),
        ("answers.parquet", first("outcome", "refused"), "outcome: found"),
        ("answers.parquet", first("mass", 0.5), "mass: found null; expected 0.5, as read in answers.parquet"),
    ],
)
def test_an_exchanged_answer_is_refused(
    files: Files, name: str, change: Callable[[pl.DataFrame], pl.DataFrame], line: str
) -> None:
    found = refusals(changed(files, name, change))
    assert found
    assert line in found[0]


def test_a_request_that_asked_another_prompt_than_that_of_its_case_is_refused(files: Files) -> None:
    [line] = refusals(changed(files, "cases.parquet", first("prompt", "Somebody else applies.")))
    assert ": request: found one that asks something else; expected one that asks the prompt of its case" in line
    assert line.endswith("(4 such)")  # the control asked it again three times


def test_answers_of_two_cases_that_changed_places_are_refused_where_numbers_are_read_too(tmp_path: Path) -> None:
    with answering() as server:
        found = audited(tmp_path, server.url, tests__run=["counterfactual"])
    files = {path.name: path.read_bytes() for path in found.evidence.iterdir()}
    assert found.run.reading is not None
    assert found.run.reading.readout == "log_odds"
    assert refusals(files) == []

    def exchanged(rows: pl.DataFrame) -> pl.DataFrame:
        """Whole answers, so that each of their numbers is one that its request gave."""
        one, other = rows.filter(pl.col("moment") == "")["case_id"].head(2)
        return rows.with_columns(case_id=pl.col("case_id").replace({one: other, other: one}))

    [line] = refusals(changed(files, "answers.parquet", exchanged))
    assert ": request: found one about " in line
    assert "; expected one about " in line


@pytest.mark.parametrize("name", ["answers.parquet", "requests.parquet"])
def test_a_run_that_asked_a_system_has_its_answers(files: Files, name: str) -> None:
    left = {key: data for key, data in files.items() if key != name}
    assert refusals(left) == [
        f"evidence: {name}: found no such file; expected one: the decisions of the run are read from answers"
    ]


def test_a_run_holds_no_answers_of_another_kind(files: Files) -> None:
    [line] = refusals({**files, "texts.parquet": files["answers.parquet"]})
    assert line == (
        "evidence: texts.parquet: found a file that this run does not write; expected none: no such answer was read"
    )


def test_a_text_that_was_exchanged_is_refused(tmp_path: Path) -> None:
    weights = save_tiny(tmp_path / "weights", model=yes_or_no(0.7))
    reading = {"readout": "choice", "max_tokens": 6}
    plan = small_plan(schema=2, reading=reading, tests__run=["counterfactual"])
    found = auditor.audit(
        plan, folder=tmp_path / "run", model=f"dir:{weights}", data=small_data(24), store=tmp_path / "store"
    )
    texts = {path.name: path.read_bytes() for path in found.evidence.iterdir()}
    assert refusals(texts) == []
    [line] = refusals(changed(texts, "texts.parquet", first("outcome", "adverse")))
    assert "outcome: found favourable; expected adverse, as read in texts.parquet" in line
    [line] = refusals({key: data for key, data in texts.items() if key != "texts.parquet"})
    assert "texts.parquet: found no such file" in line


def test_an_answer_that_is_no_text_is_known_by_its_bytes() -> None:
    for body in (b"caf\xe9", json.dumps({"a": r"\xff"}).encode() + b"\xfe", "café".encode()):
        assert sha256_bytes(body) in _hashes(body.decode("utf-8", "backslashreplace"))
