"""Frozen runs, manifests of models, controls and governance are types: nowhere are they read by the text of a key."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
RECORDS = frozenset({"run", "governance", "controls", "identity", "environment", "manifest"})
#: The manifest of a bundle is compared as it stands, whatever a stranger wrote into it.
AS_IT_STANDS = frozenset({"reports/bundle.py", "reports/bundle_check.py", "reports/renderer.py"})
#: A dictionary of features has a manifest of its own, which is no model's.
OF_A_DICTIONARY = "auditor/mechanisms/sae/"


def last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        return last_name(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def keys_read(source: str) -> Iterator[tuple[int, str]]:
    """Line and name of every record that is read by the text of a key."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Subscript):
            base, key = node.value, node.slice
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "get"
            and node.args
        ):
            base, key = node.func.value, node.args[0]
        else:
            continue
        if isinstance(key, ast.Constant) and isinstance(key.value, str) and last_name(base) in RECORDS:
            yield node.lineno, last_name(base)


def test_no_record_is_read_by_the_text_of_a_key() -> None:
    found = []
    for package in ("auditor", "reports", "compliance"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            for line, record in keys_read(path.read_text(encoding="utf-8")):
                if not (record == "manifest" and (name in AS_IT_STANDS or name.startswith(OF_A_DICTIONARY))):
                    found.append(f"{name}:{line}: {record}")
    assert found == []


def test_what_it_looks_for_is_found() -> None:
    source = 'a = ledger.run()["data"]\nb = story.governance.get("status")\nc = run[key]\nd = counts["run"]\n'
    assert [*keys_read(source)] == [(1, "run"), (2, "governance")]
