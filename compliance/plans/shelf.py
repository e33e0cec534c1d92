"""Where a draft can begin: a ready-made plan as it is shipped, or a registered one written out as TOML."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import tomlkit

import auditor
from auditor.plan import plan_from
from compliance.models import PlanVersion
from compliance.plans.merge import as_toml

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
    """A registered design as TOML, in the order of docs/plan.md; what it leaves unset stays out."""
    design = plan_from(plan.design, where=str(plan)).design()
    return toml_of(_said(design))


def toml_of(values: dict[str, Any]) -> str:
    """Plain data of a plan as TOML, in the order in which they are given."""
    document = tomlkit.document()
    _fill(document, values)
    return tomlkit.dumps(document)


def _opening_comment(text: str) -> str:
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").strip())
    return " ".join(lines)


def _said(value: Any) -> Any:
    """Without what is unset, for which TOML has no word, and without sections that say nothing."""
    if isinstance(value, dict):
        return {key: _said(inner) for key, inner in value.items() if inner is not None and inner != {}}
    return [_said(inner) for inner in value] if isinstance(value, list) else value


def _fill(container: Any, values: dict[str, Any]) -> None:
    apart = False
    for key, value in values.items():
        several = isinstance(value, list) and value and all(isinstance(item, dict) for item in value)
        if (isinstance(value, dict) or several) and not apart:
            container.add(tomlkit.nl())
            apart = True
        if isinstance(value, dict):
            table = tomlkit.table()
            _fill(table, value)
            container.append(key, table)
        elif several:
            tables = tomlkit.aot()
            for item in value:
                tables.append(tomlkit.table())
                _fill(tables[-1], item)
            tables[-1].add(tomlkit.nl())
            container.append(key, tables)
        else:
            container.append(key, as_toml(value))
