"""`verify` computes amounts, reasons and numbers as filed again: a forged one is named by its measurement."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import auditor
from auditor.canonical import canonical_json
from auditor.door.results import Audited
from tests.answering.test_amounts_and_reasons_are_read import of_endpoint
from tests.engine.small import small_data, small_plan
from tests.language_models.bigram import yes_or_no
from tests.language_models.tiny import save_tiny
from tests.reports.exchanging import Files, changed, checked, refusals

AS_FILED = ["observed_rates", "observed_prices", "observed_reasons", "observed_intersections"]
BLACK = "field=race/group=Black"


def files_of(found: Audited) -> Files:
    return {path.name: path.read_bytes() for path in found.evidence.iterdir()}


@pytest.fixture(scope="module")
def amounts(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("amounts")
    return files_of(of_endpoint(folder, "amount", tests__run=["amount_gaps", *AS_FILED]))


@pytest.fixture(scope="module")
def reasons(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("reasons")
    return files_of(of_endpoint(folder, "reasons", tests__run=["reasons_given", *AS_FILED]))


def rows_of(files: Files) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(files["measurements.json"])
    return rows


def forged(files: Files, change: Callable[[dict[str, Any]], Mapping[str, Any]], *, start: str) -> tuple[Files, str]:
    """A bundle whose first measurement with a number and an id that starts so says something else."""
    rows = rows_of(files)
    place = next(place for place, row in enumerate(rows) if row["id"].startswith(start) and row["estimate"] is not None)
    rows[place] = {**rows[place], **change(rows[place])}
    return {**files, "measurements.json": canonical_json(rows)}, rows[place]["id"]


@pytest.mark.parametrize("kind", ["amounts", "reasons"])
def test_what_a_run_wrote_holds_together(kind: str, request: pytest.FixtureRequest) -> None:
    files: Files = request.getfixturevalue(kind)
    assert refusals(files) == []
    measured = {row["test"] for row in rows_of(files) if row["estimate"] is not None}
    assert {"amounts": "amount_gaps", "reasons": "reasons_given"}[kind] in measured
    assert "observed_rates" in measured


@pytest.mark.parametrize(
    ("kind", "start"),
    [
        ("amounts", "amount_gaps/cf_amount_gap/"),
        ("amounts", "observed_rates/selection_rate/field=race"),
        ("amounts", "observed_prices/"),
        ("reasons", "reasons_given/cf_reason_change/"),
        ("reasons", "reasons_given/cf_reason_gap/"),
        ("reasons", "observed_rates/selection_rate/"),
    ],
)
def test_a_forged_number_is_named_with_its_measurement(kind: str, start: str, request: pytest.FixtureRequest) -> None:
    files, name = forged(request.getfixturevalue(kind), lambda row: {"estimate": row["estimate"] + 0.01}, start=start)
    found = refusals(files)
    assert any(f"measurements.json: {name}: estimate: found" in line for line in found), found


def test_a_forged_count_of_reasons_is_named_with_its_measurement(reasons: Files) -> None:
    def more(row: dict[str, Any]) -> Mapping[str, Any]:
        return {"counts": {**row["counts"], "differing": row["counts"]["differing"] + 1}}

    files, name = forged(reasons, more, start="reasons_given/cf_reason_change/")
    assert any(f"measurements.json: {name}: counts.differing: found" in line for line in refusals(files))


def test_an_amount_that_its_kept_answer_does_not_say_is_named(amounts: Files) -> None:
    """One row says 50 more than the answer under its good hash: whatever follows from it, the row is named first."""
    table = pl.read_parquet(io.BytesIO(amounts["answers.parquet"]))
    case, amount = table.filter(pl.col("amount").is_not_null()).select("case_id", "amount").row(0)
    here = (pl.col("case_id") == case) & (pl.col("moment") == "")
    dearer = pl.when(here).then(pl.col("amount") + 50).otherwise(pl.col("amount"))
    [line] = refusals(changed(amounts, "answers.parquet", lambda rows: rows.with_columns(amount=dearer)))
    assert line.startswith(f"evidence: answers.parquet: {case}: amount: found {amount + 50}; expected {amount}, as ")
    assert line.endswith("as read again from the answer (1 such)")

    def exchanged(rows: pl.DataFrame) -> pl.DataFrame:
        """Answers of two cases change places, with all that was read of them."""
        first, second = rows.filter(pl.col("moment") == "", pl.col("outcome") == "favourable")["case_id"].head(2)
        swapped = pl.col("case_id").replace({first: second, second: first})
        return rows.with_columns(case_id=swapped)

    [line] = refusals(changed(amounts, "answers.parquet", exchanged))
    assert ": request: found one about " in line

    run = json.loads(amounts["run.json"])
    run["code"]["sha256"] = "c" * 64
    other = changed(amounts, "answers.parquet", lambda rows: rows.with_columns(amount=dearer))
    found = checked({**other, "run.json": canonical_json(run)})
    assert any("reads answers otherwise (answers.parquet: " in line for line in found.left)


def test_reasons_and_statuses_that_the_kept_answers_do_not_have_are_named(reasons: Files) -> None:
    def fewer(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.with_columns(reasons=pl.col("reasons").list.head(1))

    [line] = refusals(changed(reasons, "answers.parquet", fewer))
    assert ': reasons: found ["R01"]; expected ["R01", "R03"], as read again from the answer (' in line

    def filtered(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.with_columns(status=pl.lit(400, dtype=pl.Int64))

    [line] = refusals(changed(reasons, "requests.parquet", filtered))
    assert ": request: found status 400; expected an answer" in line


def test_the_values_that_numbers_as_filed_follow_from_are_those_of_the_cases(amounts: Files) -> None:
    def exchanged(table: pl.DataFrame) -> pl.DataFrame:
        swap = {"White": "Black", "Black": "White"}
        return table.with_columns(word=pl.col("word").replace(swap))

    [line] = refusals(changed(amounts, "as_filed.parquet", exchanged))
    assert line.startswith("evidence: as_filed.parquet: ")
    assert line.endswith("expected the group of its arms")

    def twice(table: pl.DataFrame) -> pl.DataFrame:
        return pl.concat([table, table.head(1)])

    [line] = refusals(changed(amounts, "as_filed.parquet", twice))
    assert "a value twice" in line
    [line] = refusals({name: data for name, data in amounts.items() if name != "as_filed.parquet"})
    assert line == (
        "evidence: as_filed.parquet: found no such file; expected one: the plan has tests on decisions taken, which "
        "follow from it"
    )


def test_a_row_that_says_two_things_is_no_way_to_move_a_rate(amounts: Files) -> None:
    """The group check would see the word, and what is measured would be the number: those denied leave their group."""
    answers = pl.read_parquet(io.BytesIO(amounts["answers.parquet"]))
    denied = answers.filter(pl.col("moment") == "", pl.col("outcome") == "adverse")["case_id"].to_list()
    of_black = (pl.col("field") == "race") & (pl.col("word") == "Black") & pl.col("case_id").is_in(denied)

    def dropped(table: pl.DataFrame) -> pl.DataFrame:
        return table.with_columns(number=pl.when(of_black).then(1.0).otherwise(pl.col("number")))

    [line] = refusals(changed(amounts, "as_filed.parquet", dropped))
    assert line.startswith("evidence: as_filed.parquet: ")
    assert line.endswith("'race': found holds both a number and a word; expected exactly one of them")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (pl.lit(None, dtype=pl.String).alias("word"), "holds neither a number nor a word; expected exactly one"),
        (pl.lit("income").alias("field"), "is a field that is not read beside the answers; expected one of: race, sex"),
    ],
)
def test_a_row_that_no_run_writes_is_refused(amounts: Files, change: pl.Expr, words: str) -> None:
    found = refusals(changed(amounts, "as_filed.parquet", lambda table: table.with_columns(change)))
    assert len(found) == 1
    assert words in found[0]


def test_a_number_in_the_place_of_a_group_is_refused(amounts: Files) -> None:
    def numbered(table: pl.DataFrame) -> pl.DataFrame:
        number = pl.when(pl.col("field") == "sex").then(1.0)
        return table.with_columns(number=number, word=pl.when(number.is_null()).then(pl.col("word")))

    [line] = refusals(changed(amounts, "as_filed.parquet", numbered))
    assert line.endswith("'sex': found holds a number; expected a word")


def test_values_that_nothing_else_says_are_named_as_not_compared(amounts: Files) -> None:
    """The plan varies race between two of its groups, and does not vary sex."""
    [line] = [line for line in checked(amounts).said if "as_filed.parquet" in line]
    assert "as_filed.parquet says of the other groups of race, sex, so these values were not compared" in line


def test_naming_another_engine_is_no_way_around_it(amounts: Files) -> None:
    """A run of an engine that kept no such values is said not to be compared, and `verify` does not end with 0."""
    run = json.loads(amounts["run.json"])
    run["code"]["sha256"] = "c" * 64
    start = "observed_rates/selection_rate/field=race"
    files, _ = forged(amounts, lambda row: {"estimate": row["estimate"] / 2}, start=start)
    del files["as_filed.parquet"]
    found = checked({**files, "run.json": canonical_json(run)})
    assert found.mismatches == ()
    assert any(
        "the bundle holds no as_filed.parquet" in line and "answers as filed were not computed again" in line
        for line in found.left
    )


def test_numbers_as_filed_of_weights_are_computed_again_too(tmp_path: Path) -> None:
    weights = save_tiny(tmp_path / "weights", model=yes_or_no(0.7))
    plan = small_plan(
        schema=2,
        prompt__answers={"favourable": [" yes"], "adverse": [" no"], "mass_floor": 0.0},
        prompt__template="{income} {race} {sex}:",
        reading={"readout": "choice", "temperature": 1.0, "max_tokens": 6},
        noise={"reask": 0},
        placebo=None,
        tests__run=["counterfactual", "observed_rates"],
    )
    found = auditor.audit(
        plan, folder=tmp_path / "run", model=f"dir:{weights}", data=small_data(60), store=tmp_path / "store"
    )
    files = files_of(found)
    assert refusals(files) == []
    changed_files, name = forged(
        files, lambda row: {"estimate": row["estimate"] / 2}, start=f"observed_rates/selection_rate/{BLACK}"
    )
    assert any(f"measurements.json: {name}: estimate: found" in line for line in refusals(changed_files))

    def other(table: pl.DataFrame) -> pl.DataFrame:
        return table.with_columns(text=pl.lit(" perhaps"))

    [line] = refusals(changed(files, "texts.parquet", other))
    assert "outcome: found " in line
    assert "expected unreadable, as read again from the answer (" in line
