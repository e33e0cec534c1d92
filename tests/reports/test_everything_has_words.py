"""Every name that the engine can put into a measurement has words, and none of them reaches a reader as it is."""

from __future__ import annotations

import ast
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pypdf import PdfReader

import auditor
from auditor import comparison_card
from auditor.behaviour import metrics
from auditor.catalogue import TESTS
from auditor.records import Conclusion, Role
from auditor.synthesis import card
from auditor.testing import families
from reports import wording
from reports.closing import checked_line, found_line, judged_line
from reports.content import build_annex, build_content
from reports.governance import Governance
from reports.labels import (
    CASE_ROLE_LABELS,
    CONCLUSION_LABELS,
    FAMILY_LABELS,
    ROLE_LABELS,
    UNIT_LABELS,
    labels_of_tests,
    metric_labels,
    subject_labels,
)
from reports.pdf import render_pdf
from reports.wording import Design
from tests.reports.conftest import Audit
from tests.reports.everything import everything

ENGINE = Path(auditor.__file__).parent
IDENTIFIER = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+")
#: Places of a test on internals, an evaluation and a comparison: everything that builds measurements.
FILES = [
    *(ENGINE / "behaviour").glob("*.py"),
    *(ENGINE / "mechanisms").rglob("*.py"),
    ENGINE / "comparison.py",
]
#: Fields of measurements, files and hashes that a report prints as what they are: names of files and codes.
PRINTED = re.compile(
    r"model\.safetensors|sha256|[A-Z]+_[A-Z_]+|\{[a-z_]+\}|manage\.py|plans/|x86_64|adapter_\w+|training-record|\w+\.json"
)


def trees() -> Iterator[ast.Module]:
    for path in FILES:
        yield ast.parse(path.read_text(encoding="utf-8"))


def constants(tree: ast.Module) -> dict[str, list[str]]:
    """String constants of a module by their names, tuples of them too; loop variables by what they run over."""
    found: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                names = target.elts if isinstance(target, ast.Tuple) else [target]
                values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
                if len(names) == len(values):
                    for name, value in zip(names, values, strict=True):
                        if isinstance(name, ast.Name):
                            found.setdefault(name.id, []).extend(strings(value))
        if isinstance(node, ast.For):
            targets = node.target.elts if isinstance(node.target, ast.Tuple) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name):
                    found.setdefault(target.id, []).extend(strings(node.iter))
    return found


def strings(node: ast.AST) -> list[str]:
    """The strings of an expression; the keys that it looks something up by are none of them."""
    keys = {id(one.slice) for one in ast.walk(node) if isinstance(one, ast.Subscript)}
    return [
        one.value
        for one in ast.walk(node)
        if isinstance(one, ast.Constant) and isinstance(one.value, str) and id(one) not in keys
    ]


#: Names of metrics that tests on outputs, comparisons and the ladder share with their readers.
NAMED_ONCE = {
    name: [value]
    for module in (metrics, comparison_card, card)
    for name, value in vars(module).items()
    if isinstance(value, str) and name.isupper()
}


def of_keyword(name: str) -> set[str]:
    """Every string that the engine hands to a parameter of this name."""
    found: set[str] = set()
    for tree in trees():
        named = {**NAMED_ONCE, **constants(tree)}
        for node in ast.walk(tree):
            if isinstance(node, ast.keyword) and node.arg == name:
                inside = list(ast.walk(node.value))
                found |= {one.value for one in inside if isinstance(one, ast.Constant) and isinstance(one.value, str)}
                for one in inside:
                    if isinstance(one, ast.Name):
                        found |= set(named.get(one.id, []))
    return found


def test_every_metric_that_the_engine_emits_has_words() -> None:
    emitted = {name for name in of_keyword("metric") if IDENTIFIER.fullmatch(name)}
    # Of what a loop runs over, units and tests are no metrics.
    emitted -= set(UNIT_LABELS) | set(labels_of_tests())
    assert len(emitted) > 60
    assert sorted(emitted - set(metric_labels())) == []


def test_every_unit_that_the_engine_emits_has_words() -> None:
    emitted = {name for name in of_keyword("unit") if name and name in name.lower()} - {"SDs"}
    emitted = {name for name in emitted if re.fullmatch(r"[a-z_]+", name)} - set(metric_labels())
    assert {"rate", "rate_difference", "sd", "logit"} <= emitted
    assert sorted(emitted - set(UNIT_LABELS)) == []


def test_every_test_role_and_conclusion_has_words() -> None:
    assert set(TESTS) - set(labels_of_tests()) == set()
    assert {role.value for role in Role} == set(ROLE_LABELS)
    assert {code.value for code in Conclusion} == set(CONCLUSION_LABELS)
    assert {"actual", "counterfactual", "placebo", "reask", "record"} == set(CASE_ROLE_LABELS)


def test_every_family_has_words() -> None:
    named = [value for name, value in vars(families).items() if name.endswith("_FAMILY")]
    assert named
    for family in [*named, "inside: sparse_features", "probes of marital_status=unmarried, stated"]:
        assert IDENTIFIER.search(wording.family_words(family)) is None
    assert [family for family in named if family not in FAMILY_LABELS] == []


def test_every_key_of_a_subject_has_words() -> None:
    keys: set[str] = set()
    for tree in trees():
        for node in ast.walk(tree):
            given = [node.value] if isinstance(node, ast.keyword) and node.arg in ("subject", "more") else []
            if isinstance(node, ast.Assign) and any(
                isinstance(target, ast.Name) and target.id == "subject" for target in node.targets
            ):
                given.append(node.value)
            for value in given:
                for one in ast.walk(value):
                    if isinstance(one, ast.Dict):
                        keys |= {key.value for key in one.keys if isinstance(key, ast.Constant)}
    assert {"field", "group", "layer"} <= keys
    assert sorted(keys - set(subject_labels())) == []


def test_every_check_is_named_in_words() -> None:
    names = set()
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Check":
                named = [key.value for key in node.keywords if key.arg == "name"]
                for first in node.args[:1] or named:
                    names |= set(strings(first))
    assert len(names) > 15
    assert [name for name in names if IDENTIFIER.search(name)] == []


@pytest.mark.parametrize("metric", sorted(metric_labels()))
def test_no_label_is_an_identifier(metric: str) -> None:
    assert IDENTIFIER.search(metric_labels()[metric]) is None


def identifiers(text: str) -> list[str]:
    return sorted(set(IDENTIFIER.findall(PRINTED.sub(" ", text))))


def test_no_identifier_reaches_a_reader_of_the_report_or_the_closing_lines(
    working: Audit, governance: Governance
) -> None:
    rows = {item.id: item for item in (*working.bundle.measurements, *everything())}
    bundle = replace(working.bundle, measurements=tuple(rows.values()))
    both = [render_pdf(build(bundle, governance), result=b"{}") for build in (build_content, build_annex)]
    text = " ".join(page.extract_text() for pdf in both for page in PdfReader(io.BytesIO(pdf)).pages)
    assert identifiers(text) == []
    design = Design.of(bundle.plan)
    lines = [
        found_line(bundle.printable, bundle.findings, design),
        judged_line(bundle.findings),
        checked_line(bundle.printable),
    ]
    assert identifiers(" ".join(lines)) == []
    assert "approvals" in lines[0]
    assert "Black against White" in lines[0]
