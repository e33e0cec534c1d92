"""No sentence that the software can write stops a report: every one in its code is held against the wording lint."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from reports.lint import forbidden_phrases

ROOT = Path(__file__).parents[2]
#: The patterns themselves, and a word about signatures that no report prints.
ALLOWED = {"reports/lint.py", "reports/report_check.py"}


def sentences(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of every string with a space in it that is no docstring."""
    tree = ast.parse(path.read_text())
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    strings = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    yield from ((node.lineno, node.value) for node in strings if id(node) not in docstrings and " " in node.value)


@pytest.mark.parametrize("package", ["auditor", "reports"])
def test_no_sentence_in_the_code_claims_anything(package: str) -> None:
    hits = [
        f"{path.relative_to(ROOT)}:{line}: {', '.join(hit.found for hit in forbidden_phrases(text))}"
        for path in sorted((ROOT / package).rglob("*.py"))
        if str(path.relative_to(ROOT)) not in ALLOWED
        for line, text in sentences(path)
        if forbidden_phrases(text)
    ]
    assert hits == []


def test_a_forward_pass_is_a_term_and_a_pass_is_a_claim() -> None:
    assert forbidden_phrases("by the model's own forward pass, and two backward passes") == []
    assert [hit.phrase for hit in forbidden_phrases("The model gets a pass.")] == ["passed"]
    assert [hit.phrase for hit in forbidden_phrases("Looking forward, pass the audit.")] == ["passed"]
