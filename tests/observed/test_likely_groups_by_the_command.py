"""``manage.py likely_groups``: a decision file gets probabilities of groups; an audit of it prints both readings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from django.core.management import call_command, load_command_class

from auditor.catalogue import TESTS
from auditor.conclusions import adjust_and_conclude
from auditor.mapping_files import read_mapping, write_mapping
from auditor.observed.reading import read_decisions
from tests.observed.asked import run as run_of
from tests.observed.made_up import mapping, table

NAMES = "name,pct_black,pct_white\nWASHINGTON,0.9,0.1\nMILLER,0.2,0.8\n"
PLACES = "place,black,white\n1,800,100\n2,200,900\n"


def arguments(folder: Path, **changes: str) -> list[str]:
    """What the command is asked, over files that it can read."""
    made = table(3000, bias=1.5)
    draw = np.random.default_rng(1)
    black = made["race"].to_numpy() == "Black"
    surnames = np.where(draw.random(3000) < np.where(black, 0.9, 0.15), "Washington", "Miller")
    tracts = np.where(draw.random(3000) < np.where(black, 0.8, 0.1), "1", "2")
    made = made.drop("p_black", "p_white").with_columns(surname=pl.Series(surnames), tract=pl.Series(tracts))
    made.write_csv(folder / "decisions.csv")
    (folder / "names.csv").write_text(changes.pop("names", NAMES))
    (folder / "places.csv").write_text(changes.pop("places", PLACES))
    said = {
        "surname": "surname", "place": "tract", "surnames": str(folder / "names.csv"),
        "places": str(folder / "places.csv"), "attribute": "race", "source": "made-up tables of 2020",
        "out": str(folder / "likely.csv"), "cut": "0.8", **changes,
    }  # fmt: skip
    groups = ["--group", "Black=pct_black,black", "--group", said.pop("white", "White=pct_white,white")]
    return [
        str(folder / "decisions.csv"),
        *groups,
        *(word for key, value in said.items() for word in (f"--{key}", value)),
    ]


def test_a_file_with_surnames_gets_columns_and_its_audit_prints_weighted_and_thresholded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("likely_groups", *arguments(tmp_path))
    said = capsys.readouterr().out
    assert "3,000 rows, by surname and place 3,000, surname alone 0, neither 0; 'surname' is not copied" in said
    made = pl.read_csv(tmp_path / "likely.csv")
    assert "surname" not in made.columns
    by_tract = made.filter(pl.col("tract") == 1)["p_race_black"].max()
    # P(tract 1 | group): .8, .1; times .9, .1 of WASHINGTON.
    assert by_tract == pytest.approx(0.72 / 0.73, abs=1e-6)
    text = write_mapping(mapping(probabilities=None))
    fields, _, likely = said.partition("\n")[2].partition("[[decisions.probabilities]]")
    own, decisions, rest = text.partition("[decisions]")
    lines = [block for block in own.split("[[fields]]") if '"p_black"' not in block and '"p_white"' not in block]
    whole = "[[fields]]".join(lines) + "\n" + fields + decisions + rest + "\n[[decisions.probabilities]]" + likely
    (tmp_path / "likely.toml").write_text(whole)
    observed = read_decisions(tmp_path / "likely.csv", read_mapping(tmp_path / "likely.toml"))
    asked = run_of(observed, attributes=[{"field": "race", "groups": ["White", "Black"], "reference": "White"}])
    found = {item.metric: item for item in adjust_and_conclude(list(TESTS["observed_likely_groups"].measure(asked)))}
    assert {"weighted_difference", "weighted_ratio", "thresholded_difference", "thresholded_ratio"} <= set(found)
    assert found["thresholded_difference"].estimate < found["weighted_difference"].estimate < 0
    assert "groups by made-up tables of 2020" in found["weighted_ratio"].method


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"names": NAMES.replace("0.9", "90")}, "names.csv: the probabilities of 'WASHINGTON' sum to 90.1"),
        ({"names": NAMES + "Miller,0.5,0.5\n"}, "names.csv: 'MILLER' stands in several rows"),
        ({"places": PLACES.replace("900", "many")}, "holds something other than a number of at least 0"),
        ({"white": "White=pct_white,hispanic"}, "places.csv: column 'hispanic' is not there"),
        ({"white": "White"}, "--group: is 'White'; expected GROUP=COLUMN"),
        ({"surname": "last_name"}, "decisions.csv: column 'last_name' is not there"),
        ({"cut": "0.4"}, "--cut: is 0.4; expected a probability above 0.5"),
        ({"out": "likely.txt"}, "--out: ends in '.txt'; expected one of: .csv, .parquet"),
        ({"places": "place,black\n"}, "places.csv: "),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, str], line: str
) -> None:
    command = load_command_class("compliance", "likely_groups")
    with pytest.raises(SystemExit) as end:
        command.run_from_argv(["manage.py", "likely_groups", *arguments(tmp_path, **changes)])
    assert end.value.code == 2
    error = capsys.readouterr().err.strip()
    assert line in error
    assert "\n" not in error
    assert not (tmp_path / "likely.csv").exists()
