"""What runs before a commit is what `make check` runs, and needs no network."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()


def recipe(target: str) -> str:
    """The commands of a target of the Makefile."""
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", MAKEFILE, re.M)
    assert found, target
    return found[1]


def test_no_hook_is_fetched_from_a_network() -> None:
    assert [one["repo"] for one in HOOKS["repos"]] == ["local"]
    assert {hook["language"] for hook in HOOKS["repos"][0]["hooks"]} == {"system"}


def test_every_hook_is_a_part_of_make_check() -> None:
    checked = recipe("check")
    entries = [hook["entry"].removesuffix(" --force-exclude") for hook in HOOKS["repos"][0]["hooks"]]
    assert len(entries) == 5
    assert [entry for entry in entries if entry.replace(".venv/bin", "$(BIN)") not in checked] == []


def test_types_are_checked_in_every_package_that_is_shipped() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    shipped = [name.rstrip("*") for name in settings["tool"]["setuptools"]["packages"]["find"]["include"]]
    typed = re.search(r"mypy --strict (.*)", recipe("check"))
    assert typed
    assert set(typed[1].split()) == set(shipped) - {"plans"}  # which holds no code
    assert set(settings["tool"]["coverage"]["run"]["source"]) == set(typed[1].split())
