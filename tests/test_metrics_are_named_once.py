"""A metric is written as text in one place: beside those of all tests on outputs, or in its test's package inside."""

from __future__ import annotations

import ast
from functools import cache
from importlib import import_module
from pathlib import Path

from auditor import comparison_card
from auditor.behaviour import metrics
from auditor.catalogue import TESTS, on_outputs
from auditor.synthesis import card

ROOT = Path(__file__).parents[1]
INSIDE = "auditor/mechanisms/"
HOMES = frozenset({"auditor/behaviour/metrics.py", "auditor/comparison_card.py", "auditor/synthesis/card.py"})
NAMES = frozenset(
    value
    for module in (metrics, comparison_card, card)
    for name, value in vars(module).items()
    if name.isupper() and isinstance(value, str)
)
#: Names that are also those of a field of a record, an argument, or a test.
OTHER_MEANINGS = frozenset({"observed_rate", "shortfall", "smd"})


def test_every_metric_of_a_test_on_outputs_is_named() -> None:
    given = {metric.name for name, test in TESTS.items() if on_outputs(name) for metric in test.CARD.metrics}
    assert given - NAMES == set()


def test_no_other_file_spells_a_metric_of_a_test_on_outputs() -> None:
    spelled = written(NAMES - OTHER_MEANINGS)
    assert [place for name, place in spelled if name not in HOMES and not name.startswith(INSIDE)] == []


def test_no_file_outside_the_package_of_a_test_on_internals_spells_its_metrics() -> None:
    inside = frozenset(
        metric.name for name, test in TESTS.items() if not on_outputs(name) for metric in test.CARD.metrics
    )
    assert len(inside) > 80
    assert [place for name, place in written(inside) if not name.startswith(INSIDE)] == []


def test_a_metric_that_a_card_names_by_a_constant_is_spelled_there_alone() -> None:
    cards = {path: constants(path) for path in sorted((ROOT / INSIDE).glob("*/card.py"))}
    named = frozenset(name for path in cards for name in cards[path])
    assert {"probe_selectivity", "erasure_gap_removed", "steering_potency", "feature_detection"} <= named
    homes = {path.relative_to(ROOT).as_posix() for path in cards}
    assert [place for name, place in written(named) if name not in homes] == []


def written(names: frozenset[str]) -> list[tuple[str, str]]:
    """Every file that spells one of the names, with line and name."""
    return [
        (path, f"{path}:{line}: {value}")
        for path, spelled in everything_written().items()
        for line, value in spelled
        if value in names
    ]


@cache
def everything_written() -> dict[str, list[tuple[int, str]]]:
    """Lines and texts of every file of the packages."""
    return {
        path.relative_to(ROOT).as_posix(): [
            (node.lineno, node.value)
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        for package in ("auditor", "reports", "compliance")
        for path in sorted((ROOT / package).rglob("*.py"))
        if path.parent.name != "migrations"
    }


def constants(path: Path) -> set[str]:
    """Metrics that a card names by a constant."""
    card = import_module(path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."))
    metrics = {metric.name for metric in card.CARD.metrics}
    return {value for name, value in vars(card).items() if name.isupper() and value in metrics}
