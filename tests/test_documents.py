"""Documents name what exists, name all of it where they promise to, and claim nothing they may not."""

from __future__ import annotations

import re
import tomllib
from datetime import date
from pathlib import Path

import pytest
from django.core.management import get_commands

import auditor
from auditor.making import made_here
from reports.lint import forbidden_phrases

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(path for place in ("", "docs/**/", "docker/", "examples/**/") for path in ROOT.glob(f"{place}*.md"))
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
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


#: Keep a Changelog 1.1.0.
KINDS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
RELEASE = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})$", re.MULTILINE)


def test_the_changelog_is_cut_into_dated_releases_newest_first_below_what_is_unreleased() -> None:
    heads = re.findall(r"^## .*$", CHANGELOG, re.MULTILINE)
    assert heads[0] == "## [Unreleased]"
    releases = RELEASE.findall(CHANGELOG)
    assert len(releases) == len(heads) - 1 >= 2
    order = [(tuple(map(int, version.split("."))), date.fromisoformat(day)) for version, day in releases]
    assert order == sorted(order, reverse=True)
    assert len({version for version, _ in order}) == len(order)


def test_every_change_stands_under_one_of_the_kinds_in_their_order() -> None:
    for release in re.split(r"^## ", CHANGELOG, flags=re.MULTILINE)[1:]:
        kinds = re.findall(r"^### (.*)$", release, re.MULTILINE)
        assert kinds == sorted(kinds, key=KINDS.index)
        assert len(set(kinds)) == len(kinds) > 0
        before = release.split("### ", maxsplit=1)[0]
        assert "- " not in before.split("\n", maxsplit=1)[1]
        assert all("\n- " in part for part in release.split("### ")[1:])


def test_every_change_is_told_once_in_25_words_or_fewer() -> None:
    changes = re.findall(r"^- (.*)$", CHANGELOG, re.MULTILINE)
    assert [change for change in changes if len(change.split()) > 25] == []
    assert len(set(changes)) == len(changes)


def test_the_version_is_the_newest_release_everywhere() -> None:
    newest = RELEASE.findall(CHANGELOG)[0][0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    images = [path.read_text() for path in (ROOT / "docker" / "compose.yaml", ROOT / "docker" / "Dockerfile")]
    tags = [tag for text in images for tag in re.findall(r"plumbline-[a-z-]+:([\w.]+)", text)]
    assert {auditor.__version__, project["version"], *tags} == {newest}
    assert len(tags) >= 5


def test_a_run_names_the_version_it_was_made_with() -> None:
    assert made_here().version == auditor.__version__


def test_fixes_are_promised_for_the_newest_release() -> None:
    minor = RELEASE.findall(CHANGELOG)[0][0].rpartition(".")[0]
    supported = re.findall(r"^\| (\d+\.\d+)\.x \| yes \|$", (ROOT / "SECURITY.md").read_text(), re.MULTILINE)
    assert supported == [minor]
