"""Numbers that somebody made up consistently in a bundle: they do not follow from its decisions, and each is named."""

from __future__ import annotations

import io
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from auditor.canonical import canonical_json, sha256_json
from auditor.exceptions import InputError
from reports.bundle import parse
from reports.publish import write_manifest
from reports.verification import check, verify
from tests.reports.conftest import Audit
from tests.reports.measuring import measured_evidence

NET = "counterfactual/cf_net_effect/field=race/group=Black/vs=White"


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return measured_evidence(tmp_path_factory.mktemp("measured"))


def forged(folder: Path, base: Path, **changes: Callable[[Any], Any]) -> Path:
    """The folder with changed records and tables, and a manifest that lists them: consistent, and made up."""
    copy = base / "forged"
    shutil.copytree(folder, copy)
    for name, change in changes.items():
        if name in ("cases", "decisions"):
            change(pl.read_parquet(copy / f"{name}.parquet")).write_parquet(copy / f"{name}.parquet")
        else:
            path = copy / f"{name}.json"
            path.write_bytes(canonical_json(change(json.loads(path.read_bytes()))))
    write_manifest(copy)
    return copy


def with_value(name: str, place: str, value: Any) -> Callable[[Any], Any]:
    """Measurements of which one says something else."""

    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        row = next(row for row in rows if row["id"] == name)
        *path, last = place.split(".")
        for key in path:
            row = row[key]
        assert row[last] != value, "the forgery changes nothing"
        row[last] = value
        return rows

    return change


def test_what_was_measured_is_counted_and_computed_again(measured: Path) -> None:
    done = check([measured])
    assert done.mismatches == ()
    counted = next(line for line in done.said if "were counted again" in line)
    assert int(counted.split(": ")[1].split(" figures")[0].replace(",", "")) > 30
    assert any("were computed again from the decisions" in line for line in done.said)
    assert any("that the model gave these decisions is not shown" in line for line in done.said)


COUNTED = {
    "pairs": (NET, "n", 7),
    "against": (NET, "counts.b", 0),
    "towards": (NET, "counts.c", 50),
    "favourable of the reference": (NET, "counts.favourable_reference", 1),
    "favourable of the group": (NET, "counts.favourable_group", 1),
    "net effect": (NET, "estimate", -0.001),
    "net effect taken away": (NET, "estimate", None),
    "p": (NET, "p_value", 0.9),
    "refusals": ("counterfactual/refusal_rate_gap/field=race/group=Black/vs=White", "counts.unreadable_group", 9),
    "flips": ("counterfactual/cf_flip_rate/field=sex/group=female/vs=male", "estimate", 0.5),
    "shift": ("counterfactual/cf_mean_shift/field=race/group=Black/vs=White", "estimate", 0.0),
    "rate of an arm": ("arm_rates/selection_rate/field=race/group=Black", "estimate", 0.99),
    "rate as filed": ("group_rates/selection_rate/field=sex/group=male", "estimate", 0.99),
}
COMPUTED = {
    "adjusted p": (NET, "p_adjusted", 0.9),
    "interval": (NET, "high", 0.02),
    "conclusion": (NET, "conclusion", "EQUIVALENT_WITHIN_MARGIN"),
    "reason": (NET, "conclusion_reason", "Nothing was found."),
    "role": (NET, "role", "exploratory"),
    "smallest difference": (NET, "counts.mde", 0.001),
    "matched": ("counterfactual/cf_net_effect_matched/field=race/group=Black/vs=White", "estimate", 0.0),
    "noise": ("noise_floor/cf_noise_floor/change=placebo", "estimate", 0.4),
    "impact ratio": ("group_rates/impact_ratio/field=race/group=Black/vs=White", "estimate", 1.0),
}


@pytest.mark.parametrize("change", [*COUNTED, *COMPUTED])
def test_a_made_up_number_is_named(measured: Path, tmp_path: Path, change: str) -> None:
    name, place, value = {**COUNTED, **COMPUTED}[change]
    found = verify([forged(measured, tmp_path, measurements=with_value(name, place, value))])
    assert [item.where for item in found] == [f"measurements.json: {name}: {place}"]
    source = "counted from decisions.parquet" if change in COUNTED else "measured from the decisions"
    assert source in found[0].expected


def test_every_made_up_number_is_named_not_the_first_alone(measured: Path, tmp_path: Path) -> None:
    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return with_value(NET, "estimate", 0.0)(with_value(NET, "counts.b", 0)(rows))

    assert [item.where.rpartition(": ")[2] for item in verify([forged(measured, tmp_path, measurements=change)])] == [
        "counts.b",
        "estimate",
    ]


def test_a_contrast_or_measurement_that_was_left_out_or_added_is_named(measured: Path, tmp_path: Path) -> None:
    def without(text: str) -> Callable[[Any], Any]:
        return lambda rows: [row for row in rows if row["id"] != text]

    assert verify([forged(measured, tmp_path / "a", measurements=without(NET), findings=lambda _: [])])[0].found == (
        "nothing of race: Black against White"
    )
    rate = "counterfactual/cf_margin_fell_share/field=race/group=Black/vs=White"
    left_out = verify([forged(measured, tmp_path / "b", measurements=without(rate), findings=lambda _: [])])
    assert (left_out[0].where, left_out[0].found) == (f"measurements.json: {rate}", "no such measurement")
    added = verify(
        [forged(measured, tmp_path / "c", measurements=lambda rows: [*rows, {**rows[0], "id": "counterfactual/more"}])]
    )
    assert added[0].where == "measurements.json: counterfactual/more"


def test_a_finding_that_was_left_out_or_softened_is_named(measured: Path, tmp_path: Path) -> None:
    def soften(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        assert rows, "the run has findings"
        rows[0]["severity"] = "low"
        return rows

    assert verify([forged(measured, tmp_path / "a", findings=lambda _: [])])[0].where == "findings.json: "
    assert verify([forged(measured, tmp_path / "b", findings=soften)])[0].where == "findings.json: [0].severity"


DECISIONS: dict[str, tuple[Callable[[pl.DataFrame], pl.DataFrame], str]] = {
    "another outcome": (lambda frame: frame.with_columns(outcome=pl.lit("favourable")), "by its margin and the plan's"),
    "another margin": (lambda frame: frame.with_columns(margin=pl.col("margin") * 1.5), "its log-probabilities give"),
    "a decision less": (lambda frame: frame.slice(1), "one decision a case"),
    "a decision twice": (lambda frame: pl.concat([frame, frame.head(1)]), "every id once"),
    "a column less": (lambda frame: frame.drop("outcome"), "case_id, margin"),
    "numbers as text": (lambda frame: frame.with_columns(pl.col("margin").cast(pl.String)), "Float64"),
}


@pytest.mark.parametrize("change", DECISIONS)
def test_decisions_that_do_not_hold_together_are_named(measured: Path, tmp_path: Path, change: str) -> None:
    made, words = DECISIONS[change]
    found = verify([forged(measured, tmp_path, decisions=made)])
    assert "decisions.parquet" in found[0].where
    assert words in found[0].expected


def test_cases_of_other_applications_than_the_run_selected_are_named(measured: Path, tmp_path: Path) -> None:
    first = pl.read_parquet(measured / "cases.parquet")["cluster"].min()
    decided = pl.read_parquet(measured / "cases.parquet").filter(pl.col("cluster") != first)["id"]
    folder = forged(
        measured,
        tmp_path,
        cases=lambda frame: frame.filter(pl.col("cluster") != first),
        decisions=lambda frame: frame.filter(pl.col("case_id").is_in(decided.implode())),
    )
    assert verify([folder])[0].where == f"cases.parquet: application {first}"


def of_another_engine(run: dict[str, Any]) -> dict[str, Any]:
    return {**run, "code": {**run["code"], "version": "0.0.1", "sha256": "0" * 64}}


def of_another_library(run: dict[str, Any]) -> dict[str, Any]:
    return {**run, "code": {**run["code"], "libraries": {**run["code"]["libraries"], "numpy": "1.0.0"}}}


@pytest.mark.parametrize("names", [of_another_engine, of_another_library])
def test_naming_other_code_is_no_way_around_being_computed_again(
    measured: Path, tmp_path: Path, names: Callable[[Any], Any]
) -> None:
    same = check([forged(measured, tmp_path / "a", run=names)])
    assert same.mismatches == ()
    assert not any("computed again" in line for line in same.left)
    assert any("were computed again from the decisions" in line for line in same.said)
    made_up = with_value(NET, "high", 0.02)
    done = check([forged(measured, tmp_path / "b", run=names, measurements=made_up)])
    lines = " ".join([*map(str, done.mismatches), *done.left])
    assert "measured from the decisions" in lines
    assert ("names the engine 0.0.1" if names is of_another_engine else "names numpy 1.0.0") in lines


def test_what_another_engine_measures_otherwise_was_not_compared(working: Audit, tmp_path: Path) -> None:
    done = check([working.folder])
    assert done.mismatches == ()
    assert any(line.startswith(f"{working.folder.name}: its run names the engine") for line in done.left)
    name = "counterfactual.cf_net_effect.race.Black"
    found = verify([forged(working.folder, tmp_path, measurements=with_value(name, "counts.b", 1))])
    assert found[0].where == f"measurements.json: {name}: counts.b"


def test_a_bundle_without_decisions_or_figures_leaves_them_uncompared(working: Audit, tmp_path: Path) -> None:
    folder = tmp_path / "evidence"
    shutil.copytree(working.folder, folder, ignore=shutil.ignore_patterns("decisions.parquet", "figures"))
    write_manifest(folder)
    left = " ".join(check([folder]).left)
    assert "none of its numbers was counted again" in left
    assert "no figures" in left


def test_parquet_of_the_test_is_what_the_engine_reads(measured: Path) -> None:
    assert pl.read_parquet(io.BytesIO((measured / "decisions.parquet").read_bytes())).height > 500


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("placebo", None),
        ("planted_bias_missing_reason", "a planted difference of 5 points was found elsewhere"),
        ("power", []),
        ("self_checks", []),
    ],
)
def test_controls_that_do_not_follow_from_the_measurements_are_named(
    measured: Path, tmp_path: Path, key: str, value: Any
) -> None:
    def change(controls: dict[str, Any]) -> dict[str, Any]:
        assert controls[key] != value, "the forgery changes nothing"
        return {**controls, key: value}

    found = verify([forged(measured, tmp_path, controls=change)])
    assert [item.where.partition(key)[0] for item in found] == ["controls.json: "]


@pytest.mark.parametrize("file", ["README.txt", "RUN.JSON", "decisions.csv", "notes/a.parquet"])
def test_a_file_that_no_run_writes_is_named_although_it_lists_itself(measured: Path, tmp_path: Path, file: str) -> None:
    copy = tmp_path / "forged"
    shutil.copytree(measured, copy)
    (copy / file).parent.mkdir(exist_ok=True)
    (copy / file).write_text("certified by nobody")
    write_manifest(copy)
    (found,) = verify([copy])
    assert (found.where, found.found) == (file, "a file that no run writes")


def repinned(folder: Path, base: Path, **changes: Any) -> Path:
    """The folder with a policy pack that says something else, pinned in the run by its new hash."""
    packs = json.loads((folder / "packs.json").read_bytes())
    packs[0] |= changes
    pins = [{"id": pack["id"], "version": pack["version"], "sha256": sha256_json(pack)} for pack in packs]
    return forged(folder, base, packs=lambda _: packs, run=lambda run: {**run, "packs": pins})


def test_a_policy_pack_that_somebody_wrote_is_not_the_one_of_its_version(measured: Path, tmp_path: Path) -> None:
    clauses = [{"ref": "§ 1", "requirement": "The regulator has no objection."}]
    (found,) = verify([repinned(measured, tmp_path, clauses=clauses)])
    assert found.where.startswith("packs.json: ")
    assert "is shipped" in found.expected


def test_a_policy_pack_of_an_unknown_version_is_not_compared(measured: Path, tmp_path: Path) -> None:
    checked = check([repinned(measured, tmp_path, version="99.1")])
    assert checked.mismatches == ()
    assert any("(99.1) is not installed, so its text was not compared" in line for line in checked.left)


def test_the_name_of_a_made_up_test_stands_in_no_sentence_of_ours(measured: Path, tmp_path: Path) -> None:
    words = "x) were all measured again, and certified ("

    def made_up(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        row = {**rows[0], "test": words, "id": f"{words}/made up", "family": None, "checks": []}
        return [*rows, row]

    checked = check([forged(measured, tmp_path, measurements=made_up)])
    assert "certified" not in " ".join(checked.said)


def test_an_object_of_very_many_keys_is_refused_as_fast_as_it_is_read() -> None:
    text = "{" + ",".join(f'"k{n}":1' for n in range(200_000)) + ',"k199999":2}'
    begun = time.process_time()
    with pytest.raises(InputError, match="'k199999' appears twice"):
        parse(text.encode(), where="x")
    assert time.process_time() - begun < 5
