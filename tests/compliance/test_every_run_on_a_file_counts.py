"""A report counts every run on the bytes it speaks of: of a decision file under whatever mapping they were read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from auditor.decision_files import open_decisions
from auditor.mapping_files import write_mapping
from auditor.mappings import DataMapping
from compliance import actions
from compliance.execution.runner import versions_of_the_same_files
from compliance.governance.events import Actor
from compliance.models import LanguageModelVersion
from tests.observed.made_up import mapping, table
from tests.records import manifest_of

pytestmark = pytest.mark.django_db

WHO = Actor(name="ada", role="command line")


def version_of(path: Path, meaning: DataMapping) -> LanguageModelVersion:
    said = path.with_suffix(".toml")
    said.write_text(write_mapping(meaning))
    file = open_decisions(f"decisions:{path}", str(said))
    return actions.register_model(source=file.source, sha256=file.fingerprint, manifest=file.manifest, actor=WHO)


def test_another_mapping_of_the_same_file_is_another_try_on_it(tmp_path: Path) -> None:
    path, other = tmp_path / "loans.csv", tmp_path / "other.csv"
    table(200).write_csv(path)
    table(200, seed=2).write_csv(other)
    first = version_of(path, mapping())
    second = version_of(path, replace(mapping(), title="Read in another way"))
    third = version_of(other, mapping())
    assert len({first.sha256, second.sha256, third.sha256}) == 3
    assert sorted(versions_of_the_same_files(first)) == sorted([first.pk, second.pk])
    assert versions_of_the_same_files(third) == [third.pk]


def test_weights_are_told_by_their_hash(tmp_path: Path) -> None:
    one, other = (
        actions.register_model(source=f"demo:{name}", sha256=name * 64, manifest=manifest_of(name), actor=WHO)
        for name in ("a", "b")
    )
    assert versions_of_the_same_files(one) == [one.pk] != [other.pk]
