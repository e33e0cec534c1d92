"""Where a draft can begin: a ready-made plan as it is shipped, or a registered one written out as TOML."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import tomlkit

import auditor
from compliance.models import PlanVersion

# Beside the packages in a clone, and beside them where they are installed.
SHELF = Path(auditor.__file__).resolve().parents[1] / "plans"


@dataclass(frozen=True, kw_only=True)
class ReadyMade:
    """A plan that comes with the software; ``note`` is the comment it begins with."""

    key: str
    name: str
    title: str
    note: str
    text: str

    @property
    def file(self) -> str:
        """What documents call it."""
        return f"plans/{self.key}.toml"


@cache
def ready_made() -> dict[str, ReadyMade]:
    """The ready-made plans by the name of their file, in alphabetical order."""
    found = {}
    for path in sorted(SHELF.glob("*.toml")):
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
        found[path.stem] = ReadyMade(
            key=path.stem, name=raw["name"], title=raw["title"], note=_opening_comment(text), text=text
        )
    return found


def written_out(plan: PlanVersion) -> str:
    """A registered design as TOML. What it leaves unset stays out; comments are not part of a design."""
    document = tomlkit.document()
    for key, value in _without_nulls(plan.design).items():
        document.append(key, _written(value))
    return tomlkit.dumps(document)


def _opening_comment(text: str) -> str:
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return " ".join(lines)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_without_nulls(inner) for inner in value]
    return value


def _written(value: Any) -> Any:
    from compliance.plans.merge import as_toml

    if isinstance(value, dict):
        table = tomlkit.table()
        for key, inner in value.items():
            table.append(key, _written(inner))
        return table
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        tables = tomlkit.aot()
        for item in value:
            tables.append(_written(item))
        return tables
    return as_toml(value)
