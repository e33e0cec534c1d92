"""Documents name what exists, name all of it where they promise to, and claim nothing they may not."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from django.core.management import get_commands

from reports.lint import forbidden_phrases

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("docker/*.md")])
COMMANDS = r"manage\.py\s+([a-z_]+)"
#: A sentence that lists the words is not one that uses them, and a model's forward pass is not a verdict.
EXEMPT = re.compile(r"[^.]*\b(?:never (?:says|claims)|ever called)\b[^.]*\.|\b(?:forward|every) pass(?:es)?\b")


@pytest.fixture(params=DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def text(request: pytest.FixtureRequest) -> str:
    return str(request.param.read_text(encoding="utf-8"))


def test_every_command_a_document_names_exists(text: str) -> None:
    assert set(re.findall(COMMANDS, text)) <= set(get_commands())


def test_every_make_target_a_document_names_exists(text: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    assert set(re.findall(r"(?:`|^ {4}|\$ )make ([a-z][a-z-]*)", text, re.MULTILINE)) <= targets


def test_every_file_a_document_names_exists(text: str) -> None:
    named = re.findall(r"\b((?:plans|docs|scripts|tests|auditor|reports|compliance|benchmarks)/[\w./-]+\.\w+)", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_link_between_documents_leads_somewhere() -> None:
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_no_document_claims_what_a_report_may_not(text: str) -> None:
    assert [str(hit) for hit in forbidden_phrases(EXEMPT.sub("", text))] == []


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for extra in project["optional-dependencies"].values() for line in extra]
    names = [re.split(r"[<>=!~;\s]", line)[0] for line in [*project["dependencies"], *extras]]
    document = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"[a-z][a-z0-9-]*(?:\[[a-z]+\])?", document.lower()))
    assert [name for name in names if name.lower() not in listed] == []


def test_every_setting_is_documented() -> None:
    from compliance.environment import Environment

    document = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    names = [str(field.validation_alias) for field in Environment.model_fields.values()]
    assert [name for name in names if f"`{name}`" not in document] == []
