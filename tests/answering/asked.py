"""Small audits of the test server, listed as an administrator would list it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import auditor
from auditor.door.results import Audited
from auditor.plan import Plan
from tests.engine.small import small_data, small_plan

ANSWERS = {"favourable": [" approve"], "adverse": [" deny"], "mass_floor": 0.0}


def listed(folder: Path, url: str, *, dialect: str = "chat_completions", more: str = "") -> Path:
    """A file of systems with one endpoint, beside the store that ``store`` names."""
    text = f'[endpoint.x]\ndialect = "{dialect}"\nurl = "{url}"\nmodel = "underwriter"\nrest_seconds = 0.05\n{more}\n'
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "systems.toml").write_text(text)
    return folder / "store"


def plan_of(**changes: Any) -> Plan:
    """The small plan of schema 2, with labels that the test server speaks."""
    return small_plan(**{"schema": 2, "prompt__answers": ANSWERS, **changes})


def audited(folder: Path, url: str, *, dialect: str = "chat_completions", more: str = "", **changes: Any) -> Audited:
    """An audit of so few applications to its results."""
    store = listed(folder, url, dialect=dialect, more=more)
    plan = plan_of(**changes)
    return auditor.audit(plan, folder=folder / "run", model="endpoint:x", data=small_data(), store=store)
