"""A metric of a test on outputs, of a comparison or of the ladder is written as text in one place."""

from __future__ import annotations

import ast
from pathlib import Path

from auditor import comparison_card
from auditor.behaviour import metrics
from auditor.catalogue import TESTS, on_outputs
from auditor.synthesis import card

ROOT = Path(__file__).parents[1]
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


def test_no_other_file_spells_a_metric() -> None:
    found = []
    for package in ("auditor", "reports", "compliance"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            if name in HOMES or "/migrations/" in name or name.startswith("auditor/mechanisms/"):
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and node.value in NAMES - OTHER_MEANINGS:
                    found.append(f"{name}:{node.lineno}: {node.value}")
    assert found == []
