"""A decision known as a bound is held to its bounds, and the controls of a run are measured again from its answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import auditor
from auditor.canonical import canonical_json
from tests.answering.asked import audited
from tests.engine.small import small_data, small_plan
from tests.language_models.bigram import yes_or_no
from tests.language_models.tiny import save_tiny
from tests.reports.exchanging import Files, changed, refusals
from tests.systems.answering import answering

ANSWERS = {"favourable": [" approve"], "adverse": [" deny"], "mass_floor": 0.5}


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("bounded")
    with answering() as server:
        found = audited(folder, server.url, tests__run=["counterfactual"], prompt__answers=ANSWERS)
    return {path.name: path.read_bytes() for path in found.evidence.iterdir()}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("texts")
    weights = save_tiny(folder / "weights", model=yes_or_no(0.7))
    plan = small_plan(schema=2, reading={"readout": "choice", "max_tokens": 6}, tests__run=["counterfactual"])
    found = auditor.audit(
        plan, folder=folder / "run", model=f"dir:{weights}", data=small_data(24), store=folder / "store"
    )
    return {path.name: path.read_bytes() for path in found.evidence.iterdir()}


def to_bounds(outcome: str, **values: float | None) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Other numbers of the first answer that was decided by a bound, or not, as ``outcome``."""

    def change(table: pl.DataFrame) -> pl.DataFrame:
        one = (pl.col("outcome") == outcome) & pl.col("mass_at_least").is_not_null() & (pl.col("moment") == "")
        case = table.filter(one)["case_id"][0]
        here = (pl.col("case_id") == case) & one
        return table.with_columns(
            pl.when(here).then(pl.lit(value, dtype=pl.Float64)).otherwise(pl.col(name)).alias(name)
            for name, value in values.items()
        )

    return change


def test_what_a_run_wrote_holds_together(bounded: Files, texts: Files) -> None:
    assert refusals(bounded) == []
    assert refusals(texts) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (to_bounds("favourable", at_least=-5.0, at_most=None), "expected unreadable by its margin or the bounds of it"),
        (to_bounds("favourable", mass_at_least=0.2), "expected unreadable by its margin or the bounds of it"),
        (to_bounds("adverse", mass_at_least=0.1, mass_at_most=0.2), "expected invalid by its margin"),
        (to_bounds("adverse", mass_at_least=0.9, mass_at_most=1.0, at_least=1.0, at_most=None), "expected favourable"),
        (
            to_bounds("favourable", at_least=None, at_most=None, mass_at_least=None, mass_at_most=None),
            "expected unreadable by its margin",
        ),
        (to_bounds("favourable", mass_at_most=None), "expected a margin with its probability, or bounds of both"),
        (to_bounds("favourable", at_least=float("nan")), "found is nan; expected a number, or null"),
    ],
)
def test_a_decision_that_its_bounds_do_not_give_is_refused(
    bounded: Files, change: Callable[[pl.DataFrame], pl.DataFrame], line: str
) -> None:
    found = refusals(changed(bounded, "answers.parquet", change))
    assert found
    assert line in found[0]


@pytest.mark.parametrize(("kind", "control"), [("bounded", "same_system"), ("texts", "generated_text")])
def test_a_run_without_the_row_of_its_control_is_refused(
    kind: str, control: str, request: pytest.FixtureRequest
) -> None:
    files: Files = request.getfixturevalue(kind)
    rows = json.loads(files["measurements.json"])
    left = [row for row in rows if row["test"] != control]
    assert len(left) == len(rows) - 1
    found = refusals({**files, "measurements.json": canonical_json(left)})
    assert any(f"{control}/" in line and "found no such measurement" in line for line in found)


def test_answers_of_the_control_that_were_left_out_are_missed(bounded: Files) -> None:
    def without(table: pl.DataFrame) -> pl.DataFrame:
        return table.filter(pl.col("moment") != "drift end")

    [line] = refusals(changed(bounded, "answers.parquet", without))
    assert "as many as the run was to ask for" in line


def test_the_control_of_a_system_is_measured_again_from_its_answers(bounded: Files) -> None:
    def renamed(table: pl.DataFrame) -> pl.DataFrame:
        last = pl.col("moment") == "drift end"
        return table.with_columns(model=pl.when(last).then(pl.lit("another")).otherwise(pl.col("model")))

    found = refusals(changed(bounded, "answers.parquet", renamed))
    assert any("same_system/" in line and "checks" in line for line in found)


def test_the_control_of_texts_is_measured_again_from_them(texts: Files) -> None:
    def doubtful(table: pl.DataFrame) -> pl.DataFrame:
        return table.with_columns(tokens=pl.col("tokens") + 1, ties=pl.col("ties") + 1, largest_difference=pl.lit(0.5))

    found = refusals(changed(texts, "texts.parquet", doubtful))
    assert any("generated_text/" in line for line in found)


def test_weights_give_a_margin_of_every_case(tmp_path: Path) -> None:
    weights = save_tiny(tmp_path / "weights", model=yes_or_no(0.7))
    plan = small_plan(tests__run=["counterfactual"])
    found = auditor.audit(
        plan, folder=tmp_path / "run", model=f"dir:{weights}", data=small_data(12), store=tmp_path / "store"
    )
    files = {path.name: path.read_bytes() for path in found.evidence.iterdir()}
    assert refusals(files) == []

    def without(table: pl.DataFrame) -> pl.DataFrame:
        nothing = [pl.lit(None, dtype=pl.Float64).alias(name) for name in ("margin", "mass")]
        return pl.concat([table.head(1).with_columns(nothing), table.tail(-1)])

    [line] = refusals(changed(files, "decisions.parquet", without))
    assert "found no margin; expected a margin of every case" in line
